"""The job `count`: letters of texts, English in ASCII and a mix of languages in UTF-8."""
from __future__ import annotations

import concurrent.futures
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

from faultlab.failure import Failure

from .job import PEERS, Figure, Job, Runner
from .measured import Measured, measured
from .texts import Corpus, Text, english, mixed

SIZE = 1024
"""MiB of ASCII; of the mixed text it is a quarter."""

SMALL = 870_000
SMALL_NAME = "870 KB, whole process, ms"
KERNELS = {"avx512": 0.65, "avx2": 0.35, "scalar": 0.25}
"""What of the bandwidth of touching a file counting ASCII has to reach with each."""

CPU = Figure("ASCII, GB per CPU second", more_is_better=True, scale=1e-9)
WALL = Figure("ASCII, GB/s of wall time", more_is_better=True, scale=1e-9)
MIXED_CPU = Figure("mixed UTF-8, GB per CPU second", more_is_better=True, scale=1e-9)
MIXED_WALL = Figure("mixed UTF-8, GB/s of wall time", more_is_better=True, scale=1e-9)
PEAK = Figure("peak resident, MiB", more_is_better=False, scale=1 / 1024)
WHOLE = Figure(SMALL_NAME, more_is_better=False, scale=1e3)

Look = Callable[[Text, Path, bool], Measured]
"""Lets one contender count one text, checks what it says, and gives the cost."""


def expect(who: str, found: object, expected: object) -> None:
    if found != expected:
        raise Failure(f"{who} counts {str(found)[:300]} and not {str(expected)[:300]}")


def ours(binary: Path, *options: str) -> Look:
    command = [str(binary), "manager", "count", "--format", "json", *options]

    def look(text: Text, scratch: Path, watch: bool) -> Measured:
        cost = measured([*command, str(text.path)], scratch, watch)
        said = json.loads(cost.output)
        total, truth = said["total"], text.content
        expect(" ".join(command), total["counts"], dict(truth.letters))
        if "--stats" in options:
            stats = [total["bytes"], *(total["stats"][key] for key in ("chars", "lines", "words"))]
            expect(" ".join(command), stats, [truth.size, truth.chars, truth.lines, truth.words])
        return cost

    return look


def at_once(look: Look, count: int) -> Look:
    """As many processes as CPUs, each with a whole text: what threads of one process could gain at best just now."""

    def all_look(text: Text, scratch: Path, _watch: bool) -> Measured:
        places = [scratch / str(number) for number in range(count)]
        for place in places:
            place.mkdir(exist_ok=True)
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            start = time.monotonic()
            costs = list(pool.map(lambda place: look(text, place, False), places))
            wall = time.monotonic() - start
        return Measured(wall / count, statistics.mean(cost.cpu for cost in costs), math.nan, "")

    return all_look


def python(algorithm: str) -> Look:
    def look(text: Text, scratch: Path, watch: bool) -> Measured:
        cost = measured([sys.executable, str(PEERS / "count.py"), algorithm, str(text.path)], scratch, watch)
        expect(f"peers/count.py {algorithm}", json.loads(cost.output), dict(text.content.letters))
        return cost

    return look


def wc(program: str, options: str, keys: list[str]) -> Look:
    def look(text: Text, scratch: Path, watch: bool) -> Measured:
        cost = measured([program, options, str(text.path)], scratch, watch)
        sums = [int(word) for word in cost.output.split()[:len(keys)]]
        expect(f"wc {options}", sums, [getattr(text.content, key) for key in keys])
        return cost

    return look


def touching(*command: str) -> Look:
    """Only the touching is measured, so there is nothing to say about a whole process."""

    def look(text: Text, scratch: Path, _watch: bool) -> Measured:
        said = measured([*command, str(text.path)], scratch, False).output.split()
        expect(" ".join(command), int(said[0]), text.content.size)
        return Measured(wall=float(said[2]), cpu=float(said[1]), peak_kib=float("nan"), output="")

    return look


def compiled_touch(workspace: Path) -> str:
    """The path of peers/touch.rs as a program."""
    program, path = shutil.which("rustc"), workspace / "touch"
    if program is None:
        raise Failure("there is no rustc to compile peers/touch.rs")
    command = [program, "-O", "--edition", "2024", "-o", str(path), str(PEERS / "touch.rs")]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, text=True)
    if ended.returncode != 0:
        raise Failure(f"rustc refuses peers/touch.rs: {ended.stderr[:300]}")
    return str(path)


def repeated(look: Look, text: Text, scratch: Path) -> Measured:
    """For a second or ten times: the shortest CPU time and the shortest wall time. A neighbour on the same core makes
    instructions up to 1.6 times as slow and leaves memory as fast as it was, so a ratio of medians would be one of neighbours."""
    costs = [look(text, scratch, True)]
    while len(costs) < 10 and sum(cost.wall for cost in costs) < 1:
        costs.append(look(text, scratch, True))
    peaks = [cost.peak_kib for cost in costs if not math.isnan(cost.peak_kib)]
    wall, cpu = min(cost.wall for cost in costs), min(cost.cpu for cost in costs)
    return Measured(wall, cpu, max(peaks, default=math.nan), "")


class Inputs:
    def __init__(self, directory: Path):
        self.ascii = Corpus("ascii", english, directory)
        self.mixed = Corpus("mixed", mixed, directory)

    def runner(self, name: str, share: float, look: Look, starts: int) -> Runner:
        """`starts` is how often the small text is counted, to take the shortest time; never if that tells nothing."""

        def run(mebibytes: int, scratch: Path) -> dict[str, float]:
            texts = self.ascii.text(mebibytes), self.mixed.text(max(1, mebibytes // 4))
            size, mixed_size = (text.content.size for text in texts)
            plain, other = (repeated(look, text, scratch) for text in texts)
            figures = {
                CPU.name: size / plain.cpu, WALL.name: size / plain.wall,
                MIXED_CPU.name: mixed_size / other.cpu, MIXED_WALL.name: mixed_size / other.wall,
            }
            if starts:
                small = self.ascii.small(SMALL)
                figures[PEAK.name] = max(cost.peak_kib for cost in (plain, other))
                figures[WHOLE.name] = min(look(small, scratch, False).wall for _ in range(starts))
            return figures

        return Runner(name, share, run)


def kernel_of(binary: Path, kernel: str) -> str | None:
    """Which one is used when this one is asked for; none if this machine has not got it."""
    command = [str(binary), "manager", "count", "--format", "json", "--sample", "1k", "--kernel", kernel]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, text=True)
    return json.loads(ended.stdout)["metrics"]["kernel"] if ended.returncode == 0 else None


def wc_version(program: str) -> str:
    said = subprocess.run([program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, text=True)
    return (said.stdout.splitlines() or ["an unknown wc"])[0]


def goals(one: str, many: str, stats: str, kernel: str, cpus: int) -> dict[tuple[str, str, str], float]:
    found = {
        (CPU.name, one, "touch"): KERNELS[kernel], (MIXED_CPU.name, one, "touch"): 0.2,
        (CPU.name, one, "wc -l"): 1.0, (CPU.name, one, "Counter"): 200.0, (CPU.name, one, "seed"): 300.0,
        (CPU.name, stats, "wc -lwmc"): 10.0, (MIXED_CPU.name, stats, "wc -lwmc"): 10.0,
    }
    if cpus > 1:
        found.update({(WALL.name, many, one): 1.5, (MIXED_WALL.name, many, one): 1.5})
    return found


def count(binary: Path, workspace: Path) -> Job:
    inputs, program = Inputs(workspace), shutil.which("wc")
    kernel, cpus = kernel_of(binary, "auto"), len(os.sched_getaffinity(0))
    if program is None or kernel is None:
        raise Failure("there is no wc" if program is None else f"{binary} counts nothing")
    one, many, stats = "1 worker", f"auto ({cpus})", "1 worker --stats"
    mine = {one: ["-w", "1"], many: ["-w", "auto"], stats: ["-w", "1", "--stats"]}
    lesser = [name for name in KERNELS if name != kernel and kernel_of(binary, name)]
    mine.update({f"1 worker, {name}": ["-w", "1", "--kernel", name] for name in lesser})
    runners = [inputs.runner(name, 1, ours(binary, *options), 20) for name, options in mine.items()]
    remarks = []
    if cpus > 1:
        apart = f"1 worker, {cpus} at once"
        runners.append(inputs.runner(apart, 1, at_once(ours(binary, "-w", "1"), cpus), 0))
        remarks.append(f"{apart}: so many processes with a text each, which is what {many} could gain at best just now")
    wanted = goals(one, many, stats, kernel, cpus)
    wanted.update({(CPU.name, f"1 worker, {name}", "touch"): KERNELS[name] for name in lesser})
    return Job(
        summary="letters of a text counted, and everybody's counts checked",
        unit="MiB of ASCII, and a quarter of that of mixed UTF-8",
        size=SIZE,
        figures=[CPU, WALL, MIXED_CPU, MIXED_WALL, PEAK, WHOLE],
        peers=[
            inputs.runner("touch", 1, touching(compiled_touch(workspace)), 0),
            inputs.runner("memchr", 1, touching(sys.executable, str(PEERS / "touch.py")), 0),
            inputs.runner("wc -l", 1, wc(program, "-l", ["lines"]), 10),
            inputs.runner("wc -lwmc", 1 / 8, wc(program, "-lwmc", ["lines", "words", "chars", "size"]), 10),
            inputs.runner("Counter", 1 / 32, python("counter"), 2),
            inputs.runner("seed", 1 / 32, python("seed"), 2),
        ],
        ours=runners,
        goals=wanted,
        limits={
            **{(PEAK.name, name): (16 + 5 * (cpus if name == many else 1)) * 1024.0 for name in mine},
            (WHOLE.name, one): 3e-3, (WHOLE.name, many): 3e-3,
        },
        remarks=[
            f"kernel {kernel}; {wc_version(program)}; Python {platform.python_version()}",
            "touch adds one byte in 32 of the mapped file, memchr looks at each; both without the start of their process, all "
            "else with it",
            "a short run is repeated up to 10 times a round, and the shortest time counts, of CPU and of wall",
            f"{SMALL_NAME}: the shortest of 20, of 10 (wc) or of 2 (Python)",
            "Counter and seed hold the whole text, and theirs is a small one; the memory of the others is that for a large one",
            *remarks,
        ],
    )
