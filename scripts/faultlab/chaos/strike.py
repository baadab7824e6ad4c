"""Doing to a running pipeline what was drawn."""
from __future__ import annotations

import dataclasses
import signal
import time
from typing import Optional

from ..failure import Failure
from ..launch import Launch
from ..processes import Target
from .draw import Draw

SIGNALS = {"KILL": signal.SIGKILL, "SEGV": signal.SIGSEGV, "TERM": signal.SIGTERM, "INT": signal.SIGINT,
           "INT twice": signal.SIGINT}


@dataclasses.dataclass
class Strike:
    """What was really done: a victim may have ended before its turn came."""

    delivered: bool = False
    stopped: bool = False
    interrupted: bool = False
    at: float = 0.0


def strike(launch: Launch, drawn: Draw) -> Strike:
    """Waits for the delay (or the run's end), then does what was drawn."""
    if launch.ends_within(drawn.delay):
        return Strike()
    victim = _find_victim(launch, drawn.victim)
    done = Strike(at=time.monotonic())
    if victim is not None:
        _act(launch, victim, drawn, done)
    return done


def _find_victim(launch: Launch, name: str) -> Optional[Target]:
    """The victim as soon as it is there; None when the run ended without it being seen."""
    if name == "launcher":
        return launch.target
    try:
        return launch.stage(name)
    except Failure:
        if launch.target.is_running():
            raise
        return None


def _act(launch: Launch, victim: Target, drawn: Draw, done: Strike) -> None:
    action = drawn.action
    if action in ("STOP", "STOP+CONT"):
        _stop_and_end(launch, victim, drawn, done)
    elif action == "SEGV":
        done.delivered = victim.crash(SIGNALS[action])
    elif action == "INT twice":
        done.delivered = victim.signal(signal.SIGINT)
        if not launch.ends_within(0.3):
            victim.signal(signal.SIGINT)
    else:
        done.delivered = victim.signal(SIGNALS[action])


def _stop_and_end(launch: Launch, victim: Target, drawn: Draw, done: Strike) -> None:
    """Stops the victim, for good or for a while; a run that would not end by itself is then interrupted."""
    done.delivered, done.stopped = True, victim.stop()
    goes_on = drawn.action == "STOP+CONT" or drawn.victim == "launcher"  # a stopped launcher hears nothing
    if goes_on:
        launch.ends_within(drawn.hold)
        victim.signal(signal.SIGCONT)
        done.stopped = False
    if drawn.count is None or drawn.action == "STOP":
        done.interrupted = launch.signal(signal.SIGINT)
