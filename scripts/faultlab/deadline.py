"""Waiting: it ends when its condition holds and fails when its time is over."""
from __future__ import annotations

import time
from typing import Any, Callable

from .failure import Failure


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Polls until `condition()` is true and returns it; a `Failure` naming `what` when `seconds` are over."""
    deadline, pause = time.monotonic() + seconds, 0.0005
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise Failure(f"{what}: not within {seconds:g} s", "hang")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
