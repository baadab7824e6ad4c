"""What one run does, drawn at random."""
from __future__ import annotations

import dataclasses
import random
from typing import Optional

from ..program import STAGES

VICTIMS = (*STAGES, "launcher")
WEIGHTS = {"KILL": 6, "STOP+CONT": 3, "STOP": 1, "TERM": 4, "INT": 4, "INT twice": 2, "SEGV": 2}
SHORTEST, LONGEST = 0.001, 2.0


@dataclasses.dataclass(frozen=True)
class Draw:
    """`count` None: endless; `interval_us` 0: flat out."""

    number: int
    backend: str
    count: Optional[int]
    interval_us: int
    victim: str
    action: str
    delay: float
    hold: float

    @property
    def pipeline(self) -> list[str]:
        """The command line of the run, without backend, seed and log."""
        length = [] if self.count is None else ["--count", str(self.count)]
        grace = "1s" if self.action == "STOP" else "5s"
        return [*length, "--interval", f"{self.interval_us}us" if self.interval_us else "0", "--drain-timeout", grace]

    def __str__(self) -> str:
        length = "endless" if self.count is None else f"count {self.count}"
        pace = f"every {self.interval_us} us" if self.interval_us else "flat out"
        return f"{self.backend}, {length}, {pace}: {self.action} to {self.victim} after {self.delay * 1000:.1f} ms"


def draw(seed: int, number: int, backends: tuple[str, ...]) -> Draw:
    """Delays are log-uniform, leaning to the small: start-up is where most can go wrong."""
    chance = random.Random(f"{seed}:{number}")
    interval = chance.choice((0, 0, 100, 1000))
    delay = SHORTEST * (LONGEST / SHORTEST) ** (chance.random() ** 1.6)
    return Draw(
        number=number,
        backend=chance.choice(backends),
        count=_draw_count(chance, interval),
        interval_us=interval,
        victim=chance.choice(VICTIMS),
        action=chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0],
        delay=min(delay, 0.5) if interval == 0 else delay,
        hold=chance.uniform(0.02, 0.15),
    )


def _draw_count(chance: random.Random, interval: int) -> Optional[int]:
    """Endless in two runs of three; else at most 3 million flat out, or half a second paced."""
    most = 3_000_000 if interval == 0 else 500_000 // interval
    count = int(most ** chance.random())
    return count if chance.random() < 1 / 3 else None
