"""The rows of the fault matrix: one function each, registered by the decorator `case`.

A function that returns has passed, and what it returns is printed as a note; whatever it started is then gone and no
name is left, because leaving its sandbox checks that.
"""
from __future__ import annotations

import dataclasses
from typing import Callable, Optional

from .program import BACKENDS
from .sandbox import Sandbox

ONE, NONE = ("pipe",), ("-",)  # the backend makes no difference; there is none

Check = Callable[[Sandbox], Optional[str]]


@dataclasses.dataclass(frozen=True)
class Case:
    """`alone`: its figures suffer from neighbours, so nothing runs beside it. `seconds`: its limit on one backend."""

    name: str
    title: str
    check: Check
    backends: tuple[str, ...]
    needs: tuple[str, ...]
    alone: bool
    seconds: float


CASES: dict[str, Case] = {}


def case(name: str, title: str, backends: tuple[str, ...] = BACKENDS, needs: tuple[str, ...] = (),
         alone: bool = False, seconds: float = 120) -> Callable[[Check], Check]:
    """Registers a row under a name that no other has."""

    def register(check: Check) -> Check:
        if name in CASES:
            raise ValueError(f"two rows are called {name}")
        CASES[name] = Case(name, title, check, backends, needs, alone, seconds)
        return check

    return register
