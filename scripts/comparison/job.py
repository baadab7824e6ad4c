"""A job: one piece of work, those who do it, and the figures that are compared."""
from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Callable

PEERS = Path(__file__).resolve().parent.parent / "peers"


@dataclasses.dataclass(frozen=True)
class Figure:
    """Something that is measured. `scale` makes the number that is shown of the one that is measured."""

    name: str
    more_is_better: bool
    scale: float = 1.0

    def times_better(self, mine: float, theirs: float) -> float:
        """How many times better `mine` is. Where nothing was used that can be measured, no number says that."""
        ours, other = (mine, theirs) if self.more_is_better else (theirs, mine)
        return ours / other if other else float("nan")


@dataclasses.dataclass(frozen=True)
class Runner:
    """One way to do a job.

    `share` is the part of the job's size that it does: a slow one need not take minutes, its start-up is negligible
    before. `run` does that many, in an empty directory, and gives the figures by their names, without those that tell
    nothing about it; it raises `Failure` unless everything was done right.
    """

    name: str
    share: float
    run: Callable[[int, Path], dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Job:
    summary: str
    unit: str
    size: int
    figures: list[Figure]
    peers: list[Runner]
    ours: list[Runner]
    goals: dict[tuple[str, str, str], float]
    """(figure, ours, other): how many times better it has to be at least than a peer or another of ours; those of a peer
    that is not here do not count."""
    limits: dict[tuple[str, str], float] = dataclasses.field(default_factory=dict)
    """(figure, ours): what is measured has to be that good itself."""
    remarks: list[str] = dataclasses.field(default_factory=list)
    """What a reader has to know, such as who could not take part."""

    def runners(self) -> list[Runner]:
        return [*self.peers, *self.ours]
