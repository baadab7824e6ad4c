"""Log files: counted, added up, and compared with the sequence that the seed gives."""
from __future__ import annotations

import fcntl
import os
import subprocess
from collections import Counter
from pathlib import Path

from . import program
from .failure import Failure


class Reference:
    """The seeded sequence as text, one value a line: the log of one clean run, grown when a run needs more."""

    def __init__(self, directory: Path, binary: Path, first: int = 1_000_000):
        self._directory, self._binary, self._first = directory, binary, first
        directory.mkdir(parents=True, exist_ok=True)

    def path(self, lines: int) -> Path:
        """A file with at least `lines` lines of the sequence. Workers share it; one of them grows it at a time."""
        with open(self._directory / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            path, have = self._directory / "sequence", self._directory / "lines"
            if not path.exists() or int(have.read_text()) < lines:
                wanted = max(self._first, 2 * lines)
                os.replace(self._produce(wanted), path)
                have.write_text(str(wanted))
            return path

    def _produce(self, count: int) -> Path:
        log, said = self._directory / "growing", self._directory / "said"
        command = [self._binary, "--backend", "pipe", "--seed", str(program.SEED), "--interval", "0", "--quiet",
                   "--truncate", "--count", str(count), "--log", log]
        with open(said, "wb") as output:  # no pipe: its end would be waited for, and so would whoever held it
            ended = subprocess.run(command, env=program.environment(), stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=output, timeout=120)
        if ended.returncode != 0 or count_lines(log) != count:
            raise Failure(f"the reference run ended with {ended.returncode} and logged {count_lines(log)} of {count} "
                          f"samples: {said.read_bytes()[-300:]!r}", "loss")
        return log

    def check_prefix(self, log: Path) -> int:
        """How many lines `log` has; a `Failure` unless it is exactly that long a prefix of the sequence."""
        if not log.exists() or log.stat().st_size == 0:
            return 0
        lines = count_lines(log)
        with open(log, "rb") as mine, open(self.path(lines + 1), "rb") as sequence:
            done = 0
            while block := mine.read(1 << 20):
                expected = sequence.read(len(block))
                if block != expected:
                    raise Failure(_first_difference(log, block, expected, done), "loss")
                done += block.count(b"\n")
        if not _ends_whole(log):
            raise Failure(f"{log.name}: torn line after {lines} whole ones", "loss")
        return lines


def _first_difference(log: Path, block: bytes, expected: bytes, lines_before: int) -> str:
    pairs = zip(block.split(b"\n"), expected.split(b"\n"))
    for number, (got, want) in enumerate(pairs, lines_before + 1):
        if got != want:
            return f"{log.name}: line {number} is {got[:40]!r}, the seeded sequence has {want[:40]!r}"
    return f"{log.name}: goes on after the end of the seeded sequence"


def _ends_whole(log: Path) -> bool:
    with open(log, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def count_lines(path: Path) -> int:
    if not path.exists() or path.stat().st_size == 0:
        return 0
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def sum_lines(path: Path) -> int:
    """`awk '{s+=$1} END {print s}'`, by counting how often each value occurs."""
    tally: Counter = Counter()
    with open(path, "rb") as file:
        for block in iter(lambda: file.readlines(1 << 22), []):
            tally.update(block)
    return sum(int(value) * times for value, times in tally.items())
