"""One launcher that was started: watched, waited for with a deadline, killed when it hangs."""
from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Iterable, Optional, Union

from .deadline import wait_for
from .failure import Failure
from .kernel import die_with_parent
from .logs import Reference
from .processes import Target, children, comm, command_line, describe_tree, high_water_kib, kill_children, state
from .program import STAGES

Argument = Union[str, bytes]


@dataclasses.dataclass
class Ended:
    """A launcher that has exited, and everything it said. `status` is negative when a signal ended it."""

    status: int
    stdout: bytes
    stderr: str
    log: Path
    reference: Reference

    @property
    def summary(self) -> Optional[dict]:
        """The closing summary, the last line of stdout under `--format json`; None when there is none."""
        last = self.stdout.rstrip(b"\n").rpartition(b"\n")[2]
        try:
            spoken = json.loads(last)
        except ValueError:
            return None
        return spoken if isinstance(spoken, dict) and spoken.get("type") == "summary" else None


def describe(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit {status}"


class Launch:
    """A launcher in its own session, with its output in files: nothing here can block on a full pipe."""

    def __init__(self, arguments: list[Argument], out: Path, err: Path, log: Path, reference: Reference, *,
                 stdin: Any = subprocess.DEVNULL, stdout: Any = None, stderr: Any = None,
                 prepare: Iterable[Callable[[], Any]] = (), terminal: Optional[int] = None, **options: Any):
        self.log, self._reference, self._out, self._err, self._terminal = log, reference, out, err, terminal
        parent, steps = os.getpid(), tuple(prepare)

        def before_exec() -> None:
            die_with_parent(parent)
            for step in steps:
                step()

        with open(out, "wb") as out_file, open(err, "wb") as err_file:
            self._child = subprocess.Popen(
                arguments, stdin=stdin, stdout=out_file if stdout is None else stdout,
                stderr=err_file if stderr is None else stderr, start_new_session=True, preexec_fn=before_exec,
                **options)
        self.pid = self._child.pid
        self.target = Target(self.pid)

    def signal(self, number: int) -> bool:
        return self.target.signal(number)

    def press(self, keys: bytes) -> None:
        """Types on the terminal that this launcher owns."""
        os.write(self._terminal, keys)

    # -- waiting ----------------------------------------------------------------------------------

    def ends_within(self, seconds: float) -> bool:
        """Waits for the exit, at most `seconds`; meanwhile what its terminal shows is collected like stderr."""
        deadline = time.monotonic() + seconds
        watched = [self.target] + ([self._terminal] if self._terminal is not None else [])
        while True:
            ready = select.select(watched, [], [], max(0.0, deadline - time.monotonic()))[0]
            if self.target in ready:
                return True
            if not ready:
                return False
            with contextlib.suppress(OSError), open(self._err, "ab") as shown:
                shown.write(os.read(self._terminal, 65536))

    def runs_for(self, seconds: float) -> None:
        """A wait that is a check too: the launcher must still be there at the end of it."""
        if self.ends_within(seconds):
            ended = self.wait(0)
            raise Failure(f"ended too early with {describe(ended.status)}: {ended.stderr.strip()[-300:]}", "status")

    def wait(self, seconds: float = 10) -> Ended:
        """T: everything we started is killed, and a hang reported, when `seconds` are over."""
        if not self.ends_within(seconds):
            stuck = describe_tree(os.getpid())
            kill_children()
            raise Failure(f"HANG after {seconds:g} s: {stuck}", "hang")
        status = self._child.wait()
        stdout = self._out.read_bytes() if self._out.exists() else b""
        stderr = self._err.read_text(errors="surrogateescape") if self._err.exists() else ""
        return Ended(status, stdout, stderr, self.log, self._reference)

    def flowing(self, size: int = 1, seconds: float = 10) -> "Launch":
        """Returns when the log has at least `size` bytes: all links are attached and samples run."""

        def look() -> bool:
            if not self.target.is_running():
                said = self._err.read_text(errors="replace").strip()
                raise Failure(f"ended before a sample was logged: {said[-300:]}", "status")
            return self.log.exists() and self.log.stat().st_size >= size

        wait_for(look, seconds, f"{size} bytes in {self.log.name}")
        return self

    # -- its stages -------------------------------------------------------------------------------

    def stage(self, name: str, seconds: float = 5) -> Target:
        """The stage called `name`, from the moment it is executed: it need not have done anything yet."""

        def look() -> Optional[Target]:
            for child in children(self.pid):
                if command_line(child)[:2] == [name, "stage"] and state(child) != "Z":
                    with contextlib.suppress(ProcessLookupError):
                        return Target(child)
            if not self.target.is_running():
                raise Failure(f"the launcher ended before its stage {name} was seen")
            return None

        return wait_for(look, seconds, f"stage {name} under launcher {self.pid}")

    def high_water(self) -> dict[str, int]:
        """Peak resident KiB of each living stage, found by the name that ps and pgrep show."""
        return {comm(child): high_water_kib(child) for child in children(self.pid) if comm(child) in STAGES}
