"""A stage or the launcher is killed before samples flow: nobody may wait for it, and `clean` leaves nothing."""
from __future__ import annotations

import signal
from pathlib import Path

from ..checks import check_declared, check_done, check_status, check_stderr
from ..failure import Failure
from ..program import STAGES
from ..registry import case
from ..sandbox import Sandbox
from ..tracer import calls_of, strace
from .pace import FLAT, PACED

SLOWLY = strace(Path("/dev/null"), "openat", "delay_enter=50000")  # a start-up that takes long enough to die in
POINTS, LAST_POINT = 40, 0.020
LEAVE_WITHIN = 3


@case("D39", "kill -9 a stage before it opens its links", needs=("strace",))
def stage_killed_before_open(sandbox: Sandbox) -> None:
    """No stage waits for the one that does not come: not in an open of a FIFO, not in an accept."""
    sandbox.process_grace = 5
    for stage in ("log",) if sandbox.short else STAGES:
        launch = sandbox.start(*PACED, before=SLOWLY, log=sandbox.log(stage))
        victim = launch.stage(stage)
        victim.signal(signal.SIGKILL)
        ended = launch.wait(7)
        check_status(ended, 3)
        check_stderr(ended, rf"{stage}\[{victim.pid}\]", "SIGKILL")


def _settle(sandbox: Sandbox, when: str) -> None:
    """After the launcher was killed: its stages leave, and after `clean` nothing is left."""
    try:
        sandbox.check_no_process(LEAVE_WITHIN)
        sandbox.clean()
        sandbox.check_no_name()
    except Failure as failure:
        raise Failure(f"killed {when}: {failure}", failure.kind) from None


@case("D59", "kill -9 the launcher at 40 points of its start-up")
def launcher_killed_at_points(sandbox: Sandbox) -> None:
    """0 to 20 ms after it was executed: its stages leave within 3 s, and after `clean` nothing is left."""
    for point in range(POINTS):
        delay = LAST_POINT * point / (POINTS - 1)
        launch = sandbox.start(*PACED, log=sandbox.log(f"l{point}"))
        launch.ends_within(delay)
        launch.signal(signal.SIGKILL)
        ended = launch.wait()
        check_status(ended, -signal.SIGKILL)
        _settle(sandbox, f"after {delay * 1000:.1f} ms")
        check_declared(ended)


@case("D60", "kill -9 the launcher at every system call", needs=("strace",), seconds=900)
def launcher_killed_at_calls(sandbox: Sandbox) -> str:
    """As D59, but no moment between two system calls is left out, from the first to the end of the run."""
    trace, run = sandbox.root / "trace", ("--count", "10", *FLAT)
    check_done(sandbox.run(*run, before=strace(trace, "all", follow=False)), 10)
    sandbox.check_no_process(LEAVE_WITHIN)
    calls, killed = calls_of(trace), 0
    for number, (call, occasion) in enumerate(calls[::10] if sandbox.short else calls):
        tracer = strace(Path("/dev/null"), call, f"signal=KILL:when={occasion}", follow=False)
        ended = sandbox.run(*run, before=tracer, log=sandbox.log(f"l{number}"))
        _settle(sandbox, f"at {call} number {occasion}")
        check_status(ended, 0, -signal.SIGKILL)  # 0: a run that waited less often than the first
        check_declared(ended)
        killed += ended.status != 0
    if killed < 20:
        raise Failure(f"of {len(calls)} calls only {killed} were hit: this row would prove nothing")
    return f"{killed} of {len(calls)} calls"


@case("D61", "kill -9 the launcher while its stages open their links", needs=("strace",))
def launcher_killed_while_stages_open(sandbox: Sandbox) -> None:
    """Stages that have come half-way notice it: those of the socket do not wait for a sender that will not come."""
    sandbox.process_grace = 5
    for point, stage in enumerate(STAGES):
        launch = sandbox.start(*PACED, before=SLOWLY, log=sandbox.log(stage))
        launch.stage(stage)
        launch.ends_within(0.05 * point)
        launch.signal(signal.SIGKILL)
        launch.wait()
        _settle(sandbox, f"when {stage} had been started")
