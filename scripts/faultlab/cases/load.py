"""Many runs, long runs, full buffers."""
from __future__ import annotations

import random
import signal
from pathlib import Path

from ..checks import check_balance, check_done, check_drained, check_status
from ..failure import Failure
from ..program import BACKENDS, STAGES
from ..registry import NONE, case
from ..sandbox import Sandbox
from .pace import FLAT

MOST_RESIDENT_KIB, MOST_GROWTH_KIB = 8192, 512


@case("D49", "twenty runs at once, all backends", backends=NONE, alone=True)
def twenty_runs(sandbox: Sandbox) -> None:
    """All fine: no name is shared, and the message queue budget is enough for four."""
    launches = [sandbox.start("--count", "20000", *FLAT, backend=BACKENDS[number % 5], log=sandbox.log(f"l{number}"))
                for number in range(20)]
    for number, launch in enumerate(launches):
        ended = launch.wait(60)
        try:
            check_done(ended, 20000)
        except Failure as failure:
            raise Failure(f"run {number} ({BACKENDS[number % 5]}): {failure}", failure.kind) from None


@case("D57", "INT while everything is full", seconds=600)
def drain_under_load(sandbox: Sandbox) -> str:
    """Never a sample lost, wherever in the stream the request falls."""
    times, chance = (10 if sandbox.short else 100), random.Random(f"D57 {sandbox.backend}")
    for number in range(times):
        launch = sandbox.start(*FLAT, log=sandbox.log(f"l{number}")).flowing(size=chance.randrange(1, 2_000_000))
        launch.signal(signal.SIGINT)
        ended = launch.wait(5)
        try:
            check_drained(ended, signal.SIGINT)
        except Failure as failure:
            raise Failure(f"time {number + 1} of {times}: {failure}", failure.kind) from None
        ended.log.unlink()
    return f"{times} times"


@case("D58", "flat out for a minute", alone=True, seconds=240)
def flat_out(sandbox: Sandbox) -> str:
    """Ten million samples are conserved; resident memory is below 8 MiB and does not grow."""
    ended = sandbox.run("--count", "10000000", *FLAT, seconds=120)
    check_done(ended, 10_000_000)
    ended.log.unlink()
    seconds = 3 if sandbox.short else 60
    launch = sandbox.start("--duration", f"{seconds}s", *FLAT, log=Path("/dev/null"))
    launch.runs_for(seconds * 0.25)
    early = launch.high_water()
    launch.runs_for(seconds * 0.65)
    late = launch.high_water()
    ended = launch.wait(seconds * 0.1 + 10)
    check_status(ended, 0)
    summary = check_balance(ended)
    if set(late) != set(STAGES) or max(late.values()) > MOST_RESIDENT_KIB:
        raise Failure(f"peak resident KiB: {late}; every stage should be seen and stay below {MOST_RESIDENT_KIB}")
    grown = {stage: late[stage] - early.get(stage, 0) for stage in late}
    if max(grown.values()) > MOST_GROWTH_KIB:
        raise Failure(f"resident memory grew (KiB): {grown}")
    return f"{summary['produced'] / seconds / 1e6:.1f} M samples/s, peak {max(late.values())} KiB"
