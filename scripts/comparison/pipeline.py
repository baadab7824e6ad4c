"""The job `pipeline`: conv, log, stat and report, with every sample in the log file."""
from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

from faultlab.failure import Failure
from faultlab.logs import count_lines, sum_lines
from faultlab.program import BACKENDS, SEED

from .job import PEERS, Figure, Job, Runner

RATE = Figure("M samples/s", more_is_better=True, scale=1e-6)
LONGEST = 600.0


def answer_of(command: list[str]) -> str:
    """Runs `command` to its end and returns what it printed last."""
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=LONGEST, text=True)
    if ended.returncode != 0 or not ended.stdout.strip():
        raise Failure(f"{shlex.join(command)}: status {ended.returncode}, {ended.stdout!r}")
    return ended.stdout.strip().splitlines()[-1]


def check_log(log: Path, count: int, total: float) -> None:
    """Every sample is in the log, and they add up to what was said; awk says it in six digits."""
    lines = count_lines(log)
    if lines != count:
        raise Failure(f"{count} samples, but {lines} lines in the log")
    logged = sum_lines(log)
    if abs(total - logged) > 1e-5 * logged:
        raise Failure(f"the sum is {total}, but the lines of the log add up to {logged}")


def rate(total_of: Callable[[int, Path], float]) -> Callable[[int, Path], dict[str, float]]:
    """Samples a second of something that returns the sum it says; the log is checked once the clock has stopped."""

    def run(count: int, directory: Path) -> dict[str, float]:
        log = directory / "log"
        start = time.monotonic()
        total = total_of(count, log)
        elapsed = time.monotonic() - start
        check_log(log, count, total)
        return {RATE.name: count / elapsed}

    return run


def python_queues(count: int, log: Path) -> float:
    words = answer_of([sys.executable, str(PEERS / "queues.py"), str(count), str(log)]).split()
    if words[:2] != ["count", str(count)]:
        raise Failure(f"report of {count} samples ends with {' '.join(words)}")
    return float(words[3])


def shell_pipeline(count: int, log: Path) -> float:
    line = f"shuf -r -i 0-100 -n {count} | tee {shlex.quote(str(log))} | awk '{{s+=$1}} END {{print s, s/NR}}'"
    return float(answer_of(["sh", "-c", line]).split()[0])


def ipcpipe(binary: Path, backend: str) -> Callable[[int, Path], float]:
    def total_of(count: int, log: Path) -> float:
        summary = json.loads(answer_of([
            str(binary), "--backend", backend, "--interval", "0", "--count", str(count), "--seed", str(SEED),
            "--log", str(log), "--fsync", "never", "--format", "json", "--quiet"]))
        counts = [summary[key] for key in ("produced", "logged", "counted", "reported")]
        if counts != [count] * 4 or summary["lost"] != 0:
            raise Failure(f"{backend}: of {count} samples {summary}")
        return summary["sum"]

    return total_of


def pipeline(binary: Path, _workspace: Path) -> Job:
    python, shell = "Python queues", "shuf|tee|awk"
    goals = {(RATE.name, backend, python): {"shm": 400.0, "mq": 200.0}.get(backend, 300.0) for backend in BACKENDS}
    return Job(
        summary="conv, log, stat and report, flat out, with a text log of every sample",
        unit="samples",
        size=30_000_000,
        figures=[RATE],
        peers=[Runner(python, 1 / 150, rate(python_queues)), Runner(shell, 1 / 3, rate(shell_pipeline))],
        ours=[Runner(backend, 1, rate(ipcpipe(binary, backend))) for backend in BACKENDS],
        goals={**goals, (RATE.name, "shm", shell): 5.0},
    )
