"""Processes as /proc shows them, signals that never hit a recycled pid, and reaping."""
from __future__ import annotations

import contextlib
import os
import re
import select
import signal
from functools import lru_cache
from typing import Iterable

from .deadline import wait_for


def read_proc(path: str) -> bytes:
    """A file of /proc, empty when its process has gone meanwhile."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


@lru_cache(maxsize=None)
def _kernel_lists_children() -> bool:
    return os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children")


def _stat_fields(pid: int) -> list[str]:
    """/proc/PID/stat after the command name: state, ppid, ..."""
    return read_proc(f"/proc/{pid}/stat").rpartition(b") ")[2].decode().split()


def children(pid: int) -> list[int]:
    if _kernel_lists_children():
        with contextlib.suppress(OSError):
            tasks = os.listdir(f"/proc/{pid}/task")
            lists = (read_proc(f"/proc/{pid}/task/{task}/children") for task in tasks)
            return [int(child) for each in lists for child in each.split()]
        return []
    everyone = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    return [other for other in everyone if _stat_fields(other)[1:2] == [str(pid)]]


def descendants(pid: int) -> list[int]:
    below = children(pid)
    return below + [deeper for child in below for deeper in descendants(child)]


def comm(pid: int) -> str:
    return read_proc(f"/proc/{pid}/comm").decode(errors="replace").strip()


def state(pid: int) -> str:
    """R, S, D, T (stopped), Z (zombie)...; empty when the process is gone."""
    return (_stat_fields(pid) or [""])[0]


def command_line(pid: int) -> list[str]:
    return read_proc(f"/proc/{pid}/cmdline").decode(errors="replace").split("\0")[:-1]


def high_water_kib(pid: int) -> int:
    """VmHWM. `ru_maxrss` will not do: it starts at the resident size of whoever forked the process."""
    found = re.search(rb"VmHWM:\s+(\d+) kB", read_proc(f"/proc/{pid}/status"))
    return int(found.group(1)) if found else 0


def describe_tree(pid: int) -> str:
    """One clause per descendant, for the report of a hang: `log[812] S pipe_read`."""
    return ", ".join(f"{comm(each)}[{each}] {state(each)} {read_proc(f'/proc/{each}/wchan').decode()}"
                     for each in descendants(pid))


def kill_children(spare: Iterable[int] = ()) -> int:
    """Kills and reaps every child of ours but `spare`; returns how many there were.

    Only direct children are killed, because only an unreaped child's pid cannot be recycled. What they leave
    behind becomes our child in turn (we are a subreaper) and is killed in the next round.
    """
    killed, keep = 0, set(spare)
    while True:
        mine = [child for child in children(os.getpid()) if child not in keep]
        if not mine:
            return killed
        for child in mine:
            killed += state(child) != "Z"
            os.kill(child, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def no_child_left() -> bool:
    """Reaps what has ended; whether that was all."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
        return False
    except ChildProcessError:
        return True


class Target:
    """A process to send signals to, held by pidfd from the moment it was found."""

    def __init__(self, pid: int):
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    def fileno(self) -> int:
        """For select(2): readable once the process has ended."""
        return self._fd

    def signal(self, number: int) -> bool:
        """False when the process was gone."""
        try:
            signal.pidfd_send_signal(self._fd, number)
            return True
        except ProcessLookupError:
            return False

    def is_running(self) -> bool:
        return not select.select([self], [], [], 0)[0]

    def stop(self, seconds: float = 5) -> bool:
        """SIGSTOP, and back only when it has stopped; False when it ended first."""
        self.signal(signal.SIGSTOP)
        wait_for(lambda: state(self.pid) in ("T", "Z", ""), seconds, f"stop of {comm(self.pid)}[{self.pid}]")
        return state(self.pid) == "T"

    def crash(self, number: int, seconds: float = 5) -> bool:
        """Sends `number` until the process is gone; false when it was gone already.

        Rust's runtime answers the first SIGSEGV that no instruction caused by restoring the default action
        and returning (a real fault would run into it again), so one `kill -SEGV` alone does nothing to the launcher.
        """
        delivered = self.is_running() and self.signal(number)
        wait_for(lambda: not self.is_running() or not self.signal(number), seconds, f"death by signal {number}")
        return delivered
