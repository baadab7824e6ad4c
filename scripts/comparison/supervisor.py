"""supervisord: finding it or installing it for the occasion, and telling it what to do over XML-RPC."""
from __future__ import annotations

import http.client
import shlex
import shutil
import socket
import subprocess
import sys
import xmlrpc.client
from pathlib import Path

from faultlab.failure import Failure

from .contender import COMMAND, PATIENCE, launch

INSTALL_PATIENCE = 60.0


def find(workspace: Path) -> tuple[str, str]:
    """The path of supervisord and its version: the one in PATH, or one from PyPI in a private environment.

    Raises `Failure` with the reason when there is none and none can be had in a minute.
    """
    program = shutil.which("supervisord") or _install(workspace / "venv")
    asked = subprocess.run([program, "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=30, text=True)
    if asked.returncode != 0:
        raise Failure(f"{program} --version: status {asked.returncode}")
    return program, asked.stdout.strip()


def _install(venv: Path) -> str:
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    steps = [
        [sys.executable, "-m", "venv", str(venv)],
        [*pip, "install", "--quiet", "--retries", "0", "--timeout", "5", "supervisor"],
    ]
    for step in steps:
        try:
            ended = subprocess.run(
                step, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                timeout=INSTALL_PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failure(f"not installed in {INSTALL_PATIENCE:.0f} s") from None
        if ended.returncode != 0:
            raise Failure((ended.stderr.strip().splitlines() or ["no reason given"])[-1])
    return str(venv / "bin" / "supervisord")


def configuration(count: int, directory: Path) -> str:
    """One program for each process: the sample configuration without what would slow it down."""
    head = f"""\
[unix_http_server]
file={directory}/s.sock
[supervisord]
nodaemon=true
logfile={directory}/log
pidfile={directory}/pid
childlogdir={directory}
loglevel=warn
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
    programs = (f"""\
[program:p{number}]
command={shlex.join(COMMAND)}
autostart=false
startsecs=0
stdout_logfile=NONE
stderr_logfile=NONE
""" for number in range(count))
    return head + "".join(programs)


class _Connection(http.client.HTTPConnection):
    """To a Unix socket."""

    def __init__(self, path: str):
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: str):
        super().__init__()
        self._path = path

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        return _Connection(self._path)


class Supervisord:
    """Told by XML-RPC from this process, which saves it the start of supervisorctl's interpreter."""

    def __init__(self, program: str, count: int, directory: Path):
        settings, sock = directory / "supervisord.conf", directory / "s.sock"
        settings.write_text(configuration(count, directory))
        self.process = launch([program, "-c", str(settings)], directory / "said", sock.exists)
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(str(sock)), allow_none=True)
        self._rpc = proxy.supervisor

    def start(self, count: int) -> None:
        self._all_well(self._rpc.startAllProcesses(True), count)

    def stop(self) -> None:
        self._all_well(self._rpc.stopAllProcesses(True), None)

    @staticmethod
    def _all_well(answers: list[dict], count: int | None) -> None:
        failed = [answer for answer in answers if answer["description"] != "OK"]
        if failed or (count is not None and len(answers) != count):
            raise Failure(f"supervisord: {len(answers)} answers, {failed[:3]}")
