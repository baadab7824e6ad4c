"""The job `manager`: starting, holding and stopping many processes by name."""
from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Callable

from faultlab.failure import Failure
from faultlab.processes import kill_children, read_proc

from . import supervisor
from .contender import Contender, Ours, Python, expect_children
from .job import Figure, Job, Runner

IDLE = 10.0
"""Seconds of doing nothing with everything running."""

START = Figure("start, ms", more_is_better=False, scale=1e3)
STOP = Figure("stop, ms", more_is_better=False, scale=1e3)
BOTH = Figure("start and stop, ms", more_is_better=False, scale=1e3)
CPU = Figure(f"CPU in {IDLE:g} s of idling, ms", more_is_better=False, scale=1e3)
RESIDENT = Figure("resident, MiB", more_is_better=False, scale=1 / 1024)
PROPORTIONAL = Figure("proportional (Pss), MiB", more_is_better=False, scale=1 / 1024)


def cpu_seconds(pid: int) -> float:
    """User and system time so far, in the ticks of the kernel."""
    fields = read_proc(f"/proc/{pid}/stat").rpartition(b") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kib(pid: int, file: str, key: str) -> float:
    """A line of /proc such as `VmRSS: 5392 kB`; not a number where it cannot be read."""
    found = re.search(rf"^{key}:\s+(\d+) kB".encode(), read_proc(f"/proc/{pid}/{file}"), re.MULTILINE)
    return float(found.group(1)) if found else float("nan")


def timed(action: Callable[[], None]) -> float:
    start = time.monotonic()
    action()
    return time.monotonic() - start


def hold(begin: Callable[[int, Path], Contender]) -> Callable[[int, Path], dict[str, float]]:
    """Measures one manager from its first process to its last."""

    def run(count: int, directory: Path) -> dict[str, float]:
        try:
            return figures(begin(count, directory), count)
        finally:
            kill_children()

    return run


def figures(manager: Contender, count: int) -> dict[str, float]:
    process = manager.process
    start = timed(lambda: manager.start(count))
    expect_children(process, count)
    used = cpu_seconds(process.pid)
    time.sleep(IDLE)
    used = cpu_seconds(process.pid) - used
    memory = {
        RESIDENT.name: kib(process.pid, "status", "VmRSS"),
        PROPORTIONAL.name: kib(process.pid, "smaps_rollup", "Pss"),
    }
    expect_children(process, count)
    stop = timed(manager.stop)
    expect_children(process, 0)
    end(process)
    return {START.name: start, STOP.name: stop, BOTH.name: start + stop, CPU.name: used, **memory}


def end(process: subprocess.Popen) -> None:
    """An orderly end, if that takes no longer than a moment; what is left is killed by whoever called."""
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)


def manager(binary: Path, workspace: Path) -> Job:
    ours, theirs = "ipcpipe manager", "supervisord"
    peers = [Runner("Python multiprocessing", 1, hold(lambda _, directory: Python(directory)))]
    goals, remarks = {}, []
    try:
        program, version = supervisor.find(workspace)
        peers.insert(0, Runner(theirs, 1, hold(lambda count, where: supervisor.Supervisord(program, count, where))))
        goals = {(BOTH.name, ours, theirs): 10.0, (RESIDENT.name, ours, theirs): 5.0}
        remarks.append(f"supervisord {version}")
    except (Failure, OSError, subprocess.SubprocessError) as reason:
        remarks.append(f"supervisord takes no part, and its goals are not checked: {reason}")
    return Job(
        summary="processes (sleep 1000) started and stopped by name, the manager at rest between",
        unit="processes",
        size=100,
        figures=[START, STOP, BOTH, CPU, RESIDENT, PROPORTIONAL],
        peers=peers,
        ours=[Runner(ours, 1, hold(lambda _, directory: Ours(binary, directory)))],
        goals=goals,
        remarks=remarks,
    )
