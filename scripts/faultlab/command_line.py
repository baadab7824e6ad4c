"""What the command lines of fault-matrix and chaos share."""
from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import Any, Iterable, Optional

from .kernel import become_subreaper
from .program import DEFAULT_BINARY


def add_common_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--binary", type=Path, default=DEFAULT_BINARY, help="the program (default: the release build)")
    parser.add_argument("--backends", metavar="LIST", help="comma list of backends (default: all five)")
    parser.add_argument("--jobs", type=_positive, metavar="N", default=2, help="how many at a time (default: 2)")


def _positive(text: str) -> int:
    """With no jobs nothing would be run, and so nothing would fail."""
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return int(text)


def choose(text: Optional[str], known: Iterable[str], what: str) -> tuple[str, ...]:
    """A comma list from the command line, checked against what there is; everything when it is not given."""
    known = tuple(known)
    if not text:
        return known
    chosen = tuple(part.strip() for part in text.split(","))
    unknown = [part for part in chosen if part not in known]
    if unknown:
        raise SystemExit(f"unknown {what}: {', '.join(unknown)} (known: {', '.join(known)})")
    return chosen


def prepare_to_start(binary: Path) -> None:
    """Call it before anything is started: nothing that is started may outlive us, however we end."""
    if not binary.is_file():
        raise SystemExit(f"no program at {binary}: cargo build --release")
    become_subreaper()
    stop_on_terminate()


def stop_on_terminate() -> None:
    """Turns SIGTERM and SIGHUP (`timeout`, a closed terminal) into an orderly end that kills what we started."""

    def leave(number: int, _frame: Any) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def printable(text: str) -> str:
    """What a program says need not be UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
