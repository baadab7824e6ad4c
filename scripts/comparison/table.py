"""Rounds in which everybody takes turns, and the tables of what came out."""
from __future__ import annotations

import contextlib
import json
import math
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator

from faultlab.failure import Failure

from .job import Figure, Job, Runner

Rounds = dict[str, list[dict[str, float]]]
"""For each runner its figures, round by round."""


@contextlib.contextmanager
def empty_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="compare-peers.") as name:
        yield Path(name)


def look_at_machine(binary: Path) -> dict:
    """The first line of `ipcpipe bench`: the machine, and the round trip of one of its cache lines."""
    command = [str(binary), "bench", "--format", "json"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as bench:
        line = bench.stdout.readline()
        bench.send_signal(signal.SIGTERM)
    if not line:
        raise Failure(f"{shlex.join(command)} says nothing")
    return json.loads(line)


def share_of(runner: Runner, size: int) -> int:
    return max(1, round(size * runner.share))


def measure(job: Job, binary: Path, size: int, rounds: int) -> tuple[Rounds, list[float]]:
    """The figures of each runner, and the machine's xRTT, round by round."""
    found: Rounds = {runner.name: [] for runner in job.runners()}
    xrtt = []
    for number in range(1, rounds + 1):
        xrtt.append(look_at_machine(binary)["xrtt_ns"])
        for runner in job.runners():
            if sys.stderr.isatty():
                print(f"\r\x1b[2Kround {number} of {rounds}: {runner.name}", end="", file=sys.stderr, flush=True)
            with empty_directory() as directory:
                found[runner.name].append(runner.run(share_of(runner, size), directory))
    if sys.stderr.isatty():
        print("\r\x1b[2K", end="", file=sys.stderr)
    return found, [ns for ns in xrtt if ns is not None]


def judged(shown: str, bound: str, good: bool) -> str:
    return f"{shown} ({bound} {'ok' if good else 'MISSED'})"


def ratio(job: Job, figure: Figure, found: Rounds, name: str, other: str) -> tuple[str, bool]:
    """`512x (>= 400 ok)`, and whether the goal is reached."""
    if name == other or name in (each.name for each in job.peers):
        return "1x" if name == other else "", True
    pairs = zip(found[name], found[other])
    each = [figure.times_better(mine[figure.name], theirs[figure.name]) for mine, theirs in pairs]
    known = [times for times in each if not math.isnan(times)]
    times = statistics.median(known) if known else math.nan
    shown = "-" if not known else f"{times:.0f}x" if times >= 100 else f"{times:.3g}x"
    goal = job.goals.get((figure.name, name, other))
    if goal is None:
        return shown, True
    return judged(shown, f">= {goal:g}", times >= goal), times >= goal


def median(job: Job, figure: Figure, name: str, values: list[float]) -> tuple[str, bool]:
    """The figure itself, `2.1 (<= 3 ok)`, and whether it is within the limit."""
    middle = statistics.median(values)
    shown, limit = f"{middle * figure.scale:.3g}", job.limits.get((figure.name, name))
    if limit is None:
        return shown, True
    good = middle >= limit if figure.more_is_better else middle <= limit
    return judged(shown, f"{'>=' if figure.more_is_better else '<='} {limit * figure.scale:g}", good), good


def table(job: Job, figure: Figure, found: Rounds) -> tuple[list[str], bool]:
    """The lines of one figure's table, and whether every goal is reached; a runner without the figure is not in it."""
    shown = {name: rounds for name, rounds in found.items() if all(figure.name in each for each in rounds)}
    named = {other for what, _, other in job.goals if what == figure.name}
    others = [name for name in shown if name in named or name in (each.name for each in job.peers)]
    rows = [["", figure.name, "range", *(f"to {other}" for other in others)]]
    reached = True
    for name, rounds in shown.items():
        values = [each[figure.name] for each in rounds]
        cells = [median(job, figure, name, values), *(ratio(job, figure, shown, name, other) for other in others)]
        reached &= all(good for _, good in cells)
        texts = [text for text, _ in cells]
        low, high = min(values) * figure.scale, max(values) * figure.scale
        rows.append([name, texts[0], f"{low:.3g}-{high:.3g}", *texts[1:]])
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return lines, reached


def compare(job: Job, binary: Path, size: int, rounds: int) -> bool:
    """Measures, prints, and says whether every goal is reached."""
    machine = look_at_machine(binary)
    print(f"{job.summary}: medians of {rounds} interleaved rounds")
    print(f"  date    {machine['date']}\n  kernel  {machine['kernel']}\n  CPU     {machine['cpu']}, {machine['cpus']} online")
    counts = ", ".join(f"{runner.name} {share_of(runner, size):,}" for runner in job.runners())
    print(f"  size    {counts} {job.unit}")
    for remark in job.remarks:
        print(f"  note    {remark}")
    sys.stdout.flush()
    found, xrtt = measure(job, binary, size, rounds)
    known = f"{statistics.median(xrtt):.0f} ns ({min(xrtt):.0f}-{max(xrtt):.0f})" if xrtt else "n/a"
    print(f"  xRTT    {known}, the round trip of one cache line between two CPUs")
    print(f"  load    {os.getloadavg()[0]:.1f} in the last minute: where it is more than the CPUs, wall times tell little")
    all_reached = True
    for figure in job.figures:
        lines, reached = table(job, figure, found)
        all_reached &= reached
        print("\n" + "\n".join(lines))
    return all_reached
