"""One run from start to judgement."""
from __future__ import annotations

import dataclasses
import signal
import time
from typing import Optional

from ..checks import check_conserved, check_declared, check_status, check_stderr, check_stopped_by
from ..failure import Failure
from ..launch import Ended
from ..sandbox import Sandbox
from .draw import Draw
from .strike import SIGNALS, Strike, strike

HANG_AFTER = 10.0
TIMED_ACTIONS = ("KILL", "SEGV", "TERM", "INT")
SUM_UP_TO = 1_000_000


@dataclasses.dataclass
class Outcome:
    """What one run came to; `kind` None: as it should be."""

    drawn: Draw
    kind: Optional[str] = None
    reason: str = ""
    missed: bool = False
    latency: Optional[float] = None
    status: Optional[int] = None


def play(drawn: Draw, sandbox: Sandbox) -> Outcome:
    """Call it in a worker of its own."""
    outcome = Outcome(drawn)
    try:
        with sandbox:
            launch = sandbox.start(*drawn.pipeline)
            done = strike(launch, drawn)
            ended = launch.wait(HANG_AFTER)
            gone = time.monotonic()
            outcome.missed, outcome.status = not done.delivered, ended.status
            if done.delivered and drawn.action in TIMED_ACTIONS:
                outcome.latency = gone - done.at
            _settle_launcher_death(ended, sandbox)
            check_stderr(ended)
            check_status(ended, *sorted(_expected(drawn, done)))
            _judge_samples(drawn, ended)
    except Failure as failure:
        outcome.kind, outcome.reason = failure.kind, str(failure)
    return outcome


def _settle_launcher_death(ended: Ended, sandbox: Sandbox) -> None:
    """A killed launcher cannot tidy up: its stages must leave by themselves, `clean` must find the rest."""
    if ended.status in (-signal.SIGKILL, -signal.SIGSEGV):
        sandbox.check_no_process(3)
        sandbox.clean()


def _expected(drawn: Draw, done: Strike) -> set[int]:
    """The exit statuses that are right; 0 is always one where the run can end by itself."""
    alone = {0} if drawn.count is not None else set()
    if not done.delivered:
        return alone
    if drawn.action in ("STOP", "STOP+CONT"):
        return {4} if done.stopped else alone | ({-signal.SIGINT} if done.interrupted else set())
    if drawn.action in ("KILL", "SEGV"):
        return alone | {-SIGNALS[drawn.action] if drawn.victim == "launcher" else 3}
    if drawn.action == "INT twice" and drawn.victim == "launcher":
        return alone | {-signal.SIGINT, 4}
    return alone | {-SIGNALS[drawn.action]}


def _judge_samples(drawn: Draw, ended: Ended) -> None:
    """C for a drain or a whole run, C' for a death or a forced end."""
    if ended.status == 0:
        check_conserved(ended, drawn.count, sum_up_to=SUM_UP_TO)
    elif ended.status in (-signal.SIGINT, -signal.SIGTERM):
        if ended.summary is None and ended.reference.check_prefix(ended.log) == 0:
            return  # so early that no stage had been started
        check_conserved(ended, sum_up_to=SUM_UP_TO)
    else:
        check_declared(ended)
        reason = {3: "stage-died", 4: "forced"}.get(ended.status)
        if reason:
            check_stopped_by(ended, reason)
