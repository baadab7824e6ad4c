"""The command line of `scripts/chaos`."""
from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
from typing import Iterator

from ..command_line import add_common_options, choose, prepare_to_start
from ..program import BACKENDS
from ..runner import Broken, run_each
from ..workspace import Workspace
from .draw import Draw, draw
from .play import HANG_AFTER, Outcome, play
from .report import Tally


def outcomes_of(draws: list[Draw], workspace: Workspace, jobs: int) -> Iterator[Outcome]:
    """Plays each run in a process of its own; a run that gave no result counts as failed."""

    def work(drawn: Draw) -> Outcome:
        return play(drawn, workspace.sandbox(str(drawn.number), drawn.backend))

    results = run_each(draws, work, jobs, lambda drawn: drawn.delay + 3 * HANG_AFTER + 60)
    with contextlib.closing(results):
        for drawn, outcome in results:
            broken = isinstance(outcome, Broken)
            yield Outcome(drawn, "other", f"laboratory: {outcome.reason.strip()}") if broken else outcome


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Hurts pipelines at random and judges what is left.")
    parser.add_argument("--runs", type=int, default=200, help="how many runs (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="what all draws depend on (default: 1)")
    parser.add_argument("--only", metavar="RUN", help="play these runs alone, for instance 17 or 17,230")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    add_common_options(parser)
    return parser.parse_args()


def main() -> int:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends us quietly too
    arguments = parse()
    backends = choose(arguments.backends, BACKENDS, "backend")
    numbers = [int(part) for part in arguments.only.split(",")] if arguments.only else range(arguments.runs)
    draws = [draw(arguments.seed, number, backends) for number in numbers]
    prepare_to_start(arguments.binary)
    workspace = Workspace("ipcpipe-chaos", arguments.binary)
    tally = Tally(arguments.seed, arguments.backends, workspace, len(draws))
    try:
        for outcome in outcomes_of(draws, workspace, arguments.jobs):
            tally.add(outcome)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    finally:
        workspace.close()
    if arguments.json:
        print(json.dumps(tally.figures()))
    else:
        tally.print_text()
    return 0 if tally.is_good else 1
