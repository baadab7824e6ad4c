"""The figures: counted as the runs come in, printed at the end."""
from __future__ import annotations

import dataclasses
import sys
import time
from collections import Counter
from typing import Any, Optional

from ..command_line import printable
from ..failure import KINDS
from ..launch import describe
from ..workspace import Workspace
from .draw import VICTIMS, WEIGHTS
from .play import Outcome


class Tally:
    def __init__(self, seed: int, backends: Optional[str], workspace: Workspace, total: int):
        self.seed, self.backends, self.workspace, self.total = seed, backends, workspace, total
        self.outcomes: list[Outcome] = []
        self.started = time.monotonic()

    def repeat(self, number: int) -> str:
        chosen = f" --backends {self.backends}" if self.backends else ""
        return f"scripts/chaos --seed {self.seed} --only {number}{chosen}"

    def add(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        name = str(outcome.drawn.number)
        if outcome.kind is None:
            self.workspace.drop(name)
        else:
            print(f"FAIL run {name} ({outcome.drawn})\n     {outcome.kind}: {printable(outcome.reason)}\n"
                  f"     kept in {self.workspace.keep(name)}; again: {self.repeat(outcome.drawn.number)}",
                  file=sys.stderr, flush=True)
        if len(self.outcomes) % 100 == 0:
            print(f"{len(self.outcomes)}/{self.total} runs, {self.failed} failed, "
                  f"{time.monotonic() - self.started:.0f} s", file=sys.stderr, flush=True)

    @property
    def failed(self) -> int:
        return sum(outcome.kind is not None for outcome in self.outcomes)

    @property
    def is_good(self) -> bool:
        """Every run was played, and none failed."""
        return self.failed == 0 and len(self.outcomes) == self.total

    def latencies(self) -> list[float]:
        return [outcome.latency for outcome in self.outcomes if outcome.latency is not None]

    def figures(self) -> dict[str, Any]:
        kinds = Counter(outcome.kind for outcome in self.outcomes)
        return {
            "seed": self.seed,
            "runs": len(self.outcomes),
            "passed": len(self.outcomes) - self.failed,
            "failed": self.failed,
            "by_kind": {kind: kinds[kind] for kind in KINDS},
            "by_backend": dict(sorted(Counter(outcome.drawn.backend for outcome in self.outcomes).items())),
            "by_fault": dict(sorted(Counter(f"{o.drawn.victim} {o.drawn.action}" for o in self.outcomes).items())),
            "ended_before_the_fault": sum(outcome.missed for outcome in self.outcomes),
            "signal_to_exit_ms": {f"p{share}": round(percentile(self.latencies(), share / 100) * 1000, 2)
                                  for share in (50, 99)},
            "elapsed_s": round(time.monotonic() - self.started, 1),
            "failures": [
                {"run": o.drawn.number, "draw": dataclasses.asdict(o.drawn), "kind": o.kind, "reason": o.reason,
                 "status": o.status, "repeat": self.repeat(o.drawn.number)} for o in self.outcomes if o.kind],
        }

    def print_text(self) -> None:
        figures = self.figures()
        print(f"seed {figures['seed']}, {figures['runs']} runs in {figures['elapsed_s']} s; "
              f"{figures['ended_before_the_fault']} had ended before the fault")
        print("backends   " + "  ".join(f"{name} {count}" for name, count in figures["by_backend"].items()))
        print_table(self.outcomes)
        kinds = figures["by_kind"]
        print(f"hangs {kinds['hang']}, leaks {kinds['leak']}, silent losses {kinds['loss']}, "
              f"wrong statuses {kinds['status']}, panics {kinds['panic']}, other {kinds['other']}")
        latency = figures["signal_to_exit_ms"]
        print(f"signal to exit: p50 {latency['p50']} ms, p99 {latency['p99']} ms ({len(self.latencies())} runs)")
        for failure in figures["failures"]:
            status = "no status" if failure["status"] is None else describe(failure["status"])
            print(f"failed run {failure['run']} ({failure['kind']}, {status}): {failure['repeat']}")
        print(f"{figures['passed']} passed, {figures['failed']} failed")


def print_table(outcomes: list[Outcome]) -> None:
    """Runs per victim and action, the failed ones in brackets."""
    runs = Counter((o.drawn.victim, o.drawn.action) for o in outcomes)
    bad = Counter((o.drawn.victim, o.drawn.action) for o in outcomes if o.kind)
    print(f"{'':10} " + " ".join(f"{action:>10}" for action in WEIGHTS))
    for victim in VICTIMS:
        cells = ((runs[victim, action], bad[victim, action]) for action in WEIGHTS)
        print(f"{victim:10} " + " ".join(f"{f'{n} [{b}]' if b else str(n):>10}" for n, b in cells))


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
