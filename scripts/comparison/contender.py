"""Process managers that run, and how each is told to start and to stop what it has."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Callable, Protocol

from faultlab.deadline import wait_for
from faultlab.failure import Failure
from faultlab.processes import children

from .job import PEERS

COMMAND = ["sleep", "1000"]
"""What each process is."""

PATIENCE = 120.0
"""Seconds for anything that a manager is told to do."""


class Contender(Protocol):
    """A manager that has just been started and has no process yet."""

    process: subprocess.Popen

    def start(self, count: int) -> None:
        """Comes back when the manager says that all run."""

    def stop(self) -> None:
        """Comes back when the manager says that all have ended."""


def launch(command: list[str], log: Path, is_ready: Callable[[], bool], **more: object) -> subprocess.Popen:
    """Starts a manager in the foreground, and comes back when it can be talked to."""
    with open(log, "wb") as said:
        process = subprocess.Popen(command, stderr=said, **{"stdin": subprocess.DEVNULL, "stdout": said, **more})
    wait_for(lambda: is_ready() or process.poll() is not None, 30, f"answer of {command[0]}")
    if process.poll() is not None:
        raise Failure(f"{command[0]} ended with {process.returncode}: {log.read_text(errors='replace')[-500:]}")
    return process


class Ours:
    """`ipcpipe manager serve`, told by `ipcpipe manager attach` with a script, and by a one-shot command."""

    def __init__(self, binary: Path, directory: Path):
        socket = directory / "manager.sock"
        self._client = [str(binary), "manager", "--quiet", "--socket", str(socket)]
        self.process = launch([*self._client, "serve"], directory / "said", socket.exists)

    def start(self, count: int) -> None:
        script = "".join(f"create process p{number} -- {' '.join(COMMAND)}\n" for number in range(count))
        self._tell(["attach"], script)

    def stop(self) -> None:
        self._tell(["terminate", "all"], "")

    def _tell(self, words: list[str], script: str) -> None:
        ended = subprocess.run([*self._client, *words], input=script, timeout=PATIENCE, text=True)
        if ended.returncode != 0:
            raise Failure(f"ipcpipe manager {' '.join(words)}: status {ended.returncode}")


class Python:
    """peers/manager.py, told in lines on its standard input."""

    def __init__(self, directory: Path):
        self._count = 0
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        command = [sys.executable, str(PEERS / "manager.py")]
        self.process = launch(command, directory / "said", lambda: True, **pipes)
        if self.process.stdout.readline() != "ready\n":
            raise Failure(f"{command[1]} does not start")

    def start(self, count: int) -> None:
        self._count = count
        self._tell("create")

    def stop(self) -> None:
        self._tell("terminate")

    def _tell(self, verb: str) -> None:
        self.process.stdin.write("".join(f"{verb} process p{number}\n" for number in range(self._count)))
        self.process.stdin.flush()
        for _ in range(self._count):
            answer = self.process.stdout.readline()
            if not answer.startswith("process "):
                raise Failure(f"peers/manager.py on {verb}: {answer!r}")


def expect_children(process: subprocess.Popen, count: int) -> None:
    """What a manager says is checked: it has so many children, zombies too."""
    found = len(children(process.pid))
    if found != count:
        raise Failure(f"{process.args[0]} has {found} children and not {count}")
