"""strace, as a way to slow down, fail or kill a run at a system call of our choice."""
from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Iterator


def strace(trace: Path, calls: str, injection: str = "", follow: bool = True) -> tuple[str, ...]:
    """The tracer to start a run under; it does `injection` to the `calls` of the launcher and, if told, its stages.

    -D keeps the launcher our own child; the tracer leaves after it.
    """
    injecting = ("-e", f"inject={calls}:{injection}") if injection else ()
    following = ("-f",) if follow else ()
    return ("strace", "-D", *following, "-qq", "-o", str(trace), "-e", f"trace={calls}", *injecting)


def was_injected(trace: Path) -> bool:
    return "(INJECTED)" in trace.read_text(errors="replace")


def calls_of(trace: Path) -> list[tuple[str, int]]:
    """The calls of a run that was traced without its stages, in their order: each call, and its how manieth it was.

    strace counts every call by its own name, so this pair is what `when` understands.
    """
    so_far: Counter = Counter()
    calls = []
    for call in re.findall(r"^(\w+)\(", trace.read_text(errors="replace"), re.MULTILINE):
        so_far[call] += 1
        calls.append((call, so_far[call]))
    return calls


def occasions(short: bool) -> Iterator[int]:
    """1, 2, 3...; for a short run 1, 2, 3, 5, 8, 13..."""
    one, next_one = 1, 2
    while one < 400:
        yield one
        one, next_one = (next_one, one + next_one) if short else (one + 1, 0)
