"""Rounds in which everybody takes turns, and the tables of what came out."""
from __future__ import annotations

import contextlib
import json
import math
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


def ratio(job: Job, figure: Figure, found: Rounds, name: str, peer: str) -> tuple[str, bool]:
    """`512x (>= 400 ok)`, and whether the goal is reached."""
    if name in (each.name for each in job.peers):
        return "1x" if name == peer else "", True
    pairs = zip(found[name], found[peer])
    each = [figure.times_better(mine[figure.name], theirs[figure.name]) for mine, theirs in pairs]
    known = [times for times in each if not math.isnan(times)]
    times = statistics.median(known) if known else math.nan
    shown = "-" if not known else f"{times:.0f}x" if times >= 100 else f"{times:.3g}x"
    goal = job.goals.get((figure.name, name, peer))
    if goal is None:
        return shown, True
    return f"{shown} (>= {goal:g} {'ok' if times >= goal else 'MISSED'})", times >= goal


def table(job: Job, figure: Figure, found: Rounds) -> tuple[list[str], bool]:
    """The lines of one figure's table, and whether every goal is reached."""
    rows = [["", figure.name, "range", *(f"to {peer.name}" for peer in job.peers)]]
    reached = True
    for name, rounds in found.items():
        ratios = [ratio(job, figure, found, name, peer.name) for peer in job.peers]
        reached &= all(good for _, good in ratios)
        values = [each[figure.name] * figure.scale for each in rounds]
        low, middle, high = (each(values) for each in (min, statistics.median, max))
        rows.append([name, f"{middle:.3g}", f"{low:.3g}-{high:.3g}", *(text for text, _ in ratios)])
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
    all_reached = True
    for figure in job.figures:
        lines, reached = table(job, figure, found)
        all_reached &= reached
        print("\n" + "\n".join(lines))
    return all_reached
