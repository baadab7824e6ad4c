"""The job `mp`: what processes do for each other, with ipcpipe::mp and with Python's multiprocessing."""
from __future__ import annotations

import dataclasses
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

from faultlab.failure import Failure

from .job import PEERS, Figure, Job, Runner

OURS, PYTHON, XARGS = "ipcpipe", "Python", "xargs -P2"
LIMIT = 120.0
COMMANDS = Figure("map -w 2 -- true, commands a second", more_is_better=True)


@dataclasses.dataclass(frozen=True)
class Case:
    """Something that both do, so many times each; `goal` is how many times faster it has to be at least.

    The names are those of `ipcpipe manager bench` and of peers/mp.py; where they differ, the same end is reached by other
    means.
    """

    figure: Figure
    ours: tuple[str, int]
    theirs: tuple[str, int]
    goal: float | None = None


def case(what: str, ours: tuple[str, int], theirs: tuple[str, int], goal: float | None = None) -> Case:
    return Case(Figure(f"{what}, thousands a second", more_is_better=True, scale=1e-3), ours, theirs, goal)


CASES = [
    case("process started and joined (spawn)", ("spawn", 200), ("spawn", 10), 10.0),
    case("Pool.map of 200,000 small jobs", ("pool-map", 200_000), ("pool-map", 200_000), 1.0),
    case("Pool.map, theirs with chunks of 1", ("pool-map", 200_000), ("pool-chunk-1", 20_000), 10.0),
    case("Pool.apply, there and back", ("pool-apply", 20_000), ("pool-apply", 5_000), 5.0),
    case("Queue, number", ("queue", 500_000), ("queue", 50_000), 20.0),
    case("JoinableQueue, number", ("joinable-queue", 200_000), ("joinable-queue", 50_000)),
    case("Pipe, number there and back", ("pipe", 50_000), ("pipe", 20_000)),
    case("Value, locked addition by two processes", ("value", 2_000_000), ("value", 200_000), 20.0),
    case("Manager dict, entry set", ("dict", 50_000), ("dict", 10_000), 2.0),
    case("Manager list, item appended", ("list", 50_000), ("list", 10_000)),
    case("ShareableList, item set", ("shared-list", 2_000_000), ("shared-list", 100_000)),
]


def said(command: list[str]) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, text=True)
    if done.returncode:
        raise Failure(f"{' '.join(command)}: status {done.returncode}: {done.stderr.strip()[:500]}")
    return done.stdout


def rate_of_ours(binary: Path, name: str, count: int) -> float:
    found = json.loads(said([str(binary), "manager", "bench", "--format", "json", "-n", str(count), name]))
    return found["count"] / found["elapsed_s"]


def rate_of_theirs(name: str, count: int) -> float:
    return count / float(said([sys.executable, str(PEERS / "mp.py"), name, str(count)]))


def commands(command: list[str], directory: Path, count: int) -> float:
    """How many commands a second are run, the best of five: most of a run is the work of the kernel."""
    inputs = directory / "inputs"
    inputs.write_text("".join(f"{number}\n" for number in range(count)))
    best = 0.0
    for _ in range(5):
        with inputs.open() as lines:
            start = time.monotonic()
            subprocess.run(command, stdin=lines, stdout=subprocess.DEVNULL, check=True, timeout=LIMIT)
            best = max(best, count / (time.monotonic() - start))
    return best


def mp(binary: Path, _workspace: Path) -> Job:
    def ours(count: int, directory: Path) -> dict[str, float]:
        found = {it.figure.name: rate_of_ours(binary, *it.ours) for it in CASES}
        found[COMMANDS.name] = commands([str(binary), "manager", "map", "-q", "-w", "2", "--", "true"], directory, count)
        return found

    def python(_count: int, _directory: Path) -> dict[str, float]:
        return {it.figure.name: rate_of_theirs(*it.theirs) for it in CASES}

    def xargs(count: int, directory: Path) -> dict[str, float]:
        return {COMMANDS.name: commands(["xargs", "-P2", "-n1", "true"], directory, count)}

    spawn = CASES[0].figure.name
    goals = {(it.figure.name, OURS, PYTHON): it.goal for it in CASES if it.goal is not None}
    return Job(
        summary="processes, pools, queues, locks and shared objects",
        unit="commands of map; the other counts are in comparison/mp.py",
        size=1000,
        figures=[*(it.figure for it in CASES), COMMANDS],
        peers=[Runner(PYTHON, 1, python), Runner(XARGS, 1, xargs)],
        ours=[Runner(OURS, 1, ours)],
        goals={**goals, (COMMANDS.name, OURS, XARGS): 1.0},
        limits={(spawn, OURS): 1 / 3e-3},
        remarks=[
            f"Python {platform.python_version()}; its start method is fork but where spawn is said; nobody's start is counted",
            "two workers everywhere; every result is checked",
        ],
    )
