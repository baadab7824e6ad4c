"""One process from its start to its end: wall time, CPU time, peak memory and what it printed."""
from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import shlex
import time
from pathlib import Path

from faultlab.failure import Failure
from faultlab.processes import high_water_kib

LONGEST = 600.0
FIRST_LOOK, LAST_LOOK = 0.001, 0.01
"""Seconds between two looks at the memory, at first and in the long run: what is seen only grows."""


@dataclasses.dataclass(frozen=True)
class Measured:
    wall: float
    cpu: float
    peak_kib: float
    """Not a number for a process that ended before anyone could look."""
    output: str


def measured(command: list[str], scratch: Path, watch: bool = True) -> Measured:
    """Runs `command`, whose first word is a path, with standard output into a file of `scratch`.

    Not with `subprocess`, which takes a millisecond itself. `watch` looks at the memory meanwhile.
    """
    out = scratch / "stdout"
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(out), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
    ]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    start = time.monotonic()
    pid = os.posix_spawn(command[0], command, environment, file_actions=actions)
    peak = _wait(pid, start + LONGEST) if watch else float("nan")
    _, status, used = os.wait4(pid, 0)
    wall = time.monotonic() - start
    if status != 0:
        raise Failure(f"{shlex.join(command)}: status {os.waitstatus_to_exitcode(status)}")
    return Measured(wall, used.ru_utime + used.ru_stime, peak, out.read_text(encoding="utf-8"))


def _wait(pid: int, deadline: float) -> float:
    """Until the process has ended, which is not reaped; the most memory that was seen."""
    peak, pause = 0, FIRST_LOOK
    with contextlib.closing(os.fdopen(os.pidfd_open(pid), "rb", buffering=0)) as process:
        while not select.select([process], [], [], pause)[0]:
            pause = min(2 * pause, LAST_LOOK)
            peak = max(peak, high_water_kib(pid))
            if time.monotonic() > deadline:
                raise Failure(f"{pid} does not end in {LONGEST:.0f} s")
    return peak or float("nan")
