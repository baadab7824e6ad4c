"""The command line of `scripts/fault-matrix`: which rows are run, and how they are reported."""
from __future__ import annotations

import argparse
import contextlib
import dataclasses
import signal
import time
from typing import Any, Optional

from .cases import CASES
from .command_line import add_common_options, choose, prepare_to_start, printable
from .failure import Failure
from .needs import lacks
from .program import BACKENDS
from .registry import Case
from .runner import Broken, run_each
from .workspace import Workspace


@dataclasses.dataclass(frozen=True)
class Row:
    """A case on one backend; `-`: on none in particular."""

    case: Case
    backend: str

    @property
    def name(self) -> str:
        return f"{self.case.name}-{self.backend}"

    @property
    def label(self) -> str:
        return f"{self.case.name} {self.backend:<6} {self.case.title}"

    def lacks(self) -> Optional[str]:
        """Why it cannot run here; None when it can."""
        return next((reason for need in self.case.needs if (reason := lacks(need))), None)


@dataclasses.dataclass
class Verdict:
    passed: bool
    seconds: float
    note: str = ""


def judge(row: Row, workspace: Workspace, short: bool) -> Verdict:
    """Runs one row in the worker process that belongs to it."""
    started = time.monotonic()
    try:
        with workspace.sandbox(row.name, "pipe" if row.backend == "-" else row.backend, short) as sandbox:
            note = row.case.check(sandbox)
    except Failure as failure:
        return Verdict(False, time.monotonic() - started, str(failure))
    return Verdict(True, time.monotonic() - started, note or "")


def report(row: Row, verdict: Any, workspace: Workspace) -> bool:
    """Prints a row; keeps what a failed one leaves to look at."""
    if isinstance(verdict, Broken):
        verdict = Verdict(False, 0, f"laboratory: {verdict.reason.strip().splitlines()[-1]}")
    note = f"  ({verdict.note})" if verdict.passed and verdict.note else ""
    print(f"{'ok' if verdict.passed else 'FAIL'} {row.label}  {verdict.seconds:.2f}s{note}", flush=True)
    if verdict.passed:
        workspace.drop(row.name)
    else:
        print(f"     {printable(verdict.note)}\n     kept in {workspace.keep(row.name)}", flush=True)
    return verdict.passed


def rows_for(backends: Optional[str], names: Optional[str]) -> list[Row]:
    chosen_backends = (*choose(backends, BACKENDS, "backend"), "-")
    chosen_names = choose(names, CASES, "case")
    return [Row(each, backend) for name, each in sorted(CASES.items()) if name in chosen_names
            for backend in each.backends if backend in chosen_backends]


def run_rows(rows: list[Row], workspace: Workspace, short: bool, jobs: int) -> list[bool]:
    """Rows side by side first, then those that want the machine for themselves; whether each passed."""
    together = [row for row in rows if not row.case.alone]
    apart = [row for row in rows if row.case.alone]
    passed = []
    for batch, at_a_time in ((together, jobs), (apart, 1)):
        verdicts = run_each(batch, lambda row: judge(row, workspace, short), at_a_time, lambda row: row.case.seconds)
        with contextlib.closing(verdicts):
            passed += [report(row, verdict, workspace) for row, verdict in verdicts]
    return passed


def print_list() -> None:
    for name, each in sorted(CASES.items()):
        needs = f"  needs {', '.join(each.needs)}" if each.needs else ""
        print(f"{name} {each.title}  [{' '.join(each.backends)}]{needs}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Hurts pipelines in every way that is known, on every backend.")
    parser.add_argument("--short", action="store_true", help="bounded form of the long rows, as CI runs it")
    parser.add_argument("--only", metavar="LIST", help="comma list of rows, for instance D08,D12")
    parser.add_argument("--list", action="store_true", help="print the rows and what they need, run nothing")
    add_common_options(parser)
    return parser.parse_args()


def main() -> int:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends us quietly too
    arguments = parse()
    rows = rows_for(arguments.backends, arguments.only)
    if arguments.list:
        print_list()
        return 0
    prepare_to_start(arguments.binary)
    skipped = [row for row in rows if row.lacks()]
    for row in skipped:
        print(f"skip ({row.lacks()}) {row.label}", flush=True)
    workspace = Workspace("ipcpipe-matrix", arguments.binary)
    try:
        passed = run_rows([row for row in rows if not row.lacks()], workspace, arguments.short, arguments.jobs)
    except KeyboardInterrupt:
        return 130
    finally:
        workspace.close()
    print(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed, {len(skipped)} skipped")
    return 0 if all(passed) else 1
