"""The judge: what a launcher said and logged, held against what it promises.

Each check returns quietly, or with what it read, or raises `Failure`. The letters are those of the package's list.
"""
from __future__ import annotations

import re
import signal
from typing import Optional

from . import program
from .failure import Failure
from .launch import Ended, describe
from .logs import sum_lines

PANIC = re.compile(r"panicked|stack backtrace|RUST_BACKTRACE|SIGABRT|exit 101")
SILENT_DEATHS = (-signal.SIGKILL, -signal.SIGSEGV, -signal.SIGPIPE)


# ------------------------------------------------------------------------------------- statuses and messages


def check_status(ended: Ended, *expected: int) -> None:
    """X."""
    if ended.status not in expected:
        wanted = " or ".join(describe(status) for status in expected)
        said = ended.stderr.strip().splitlines()[-1:] or ["nothing on stderr"]
        raise Failure(f"{describe(ended.status)}, expected {wanted}; {said[0][:300]}", "status")


def check_stderr(ended: Ended, *cause: str) -> None:
    """P. No panic text anywhere; and one `ipcpipe: ...` line that matches every pattern of `cause`."""
    panic = PANIC.search(ended.stderr) or PANIC.search(ended.stdout[-65536:].decode(errors="replace"))
    if panic:
        raise Failure(f"panic text {panic.group()!r}: {ended.stderr.strip()[:300]}", "panic")
    lines = [line for line in ended.stderr.splitlines() if line.startswith(f"{program.NAME}: ")]
    if cause and not any(all(re.search(pattern, line) for pattern in cause) for line in lines):
        wanted = " and ".join(repr(pattern) for pattern in cause)
        raise Failure(f"no `ipcpipe: ...` line on stderr matches {wanted}: {ended.stderr.strip()[:400]!r}")


def check_one_line_each(ended: Ended) -> None:
    """Every message is one line that starts with the program's name, valid UTF-8 without a raw escape."""
    for line in ended.stderr.splitlines():
        if not line.startswith(f"{program.NAME}: ") or re.search("[\x1b\udc80-\udcff]", line):
            raise Failure(f"not one escaped line: {ended.stderr!r}")
    if ended.stdout and ended.summary is None:
        raise Failure(f"stdout is not JSON: {ended.stdout[-300:]!r}")


def check_usage_error(ended: Ended, *mentions: str) -> None:
    """Exit 2, and a few lines that mention what was wrong."""
    check_status(ended, 2)
    said = ended.stderr.strip()
    if not 1 <= len([line for line in said.splitlines() if line.strip()]) <= 5:
        raise Failure(f"a usage error of {len(said.splitlines())} lines: {said[:300]!r}")
    for mention in mentions:
        if mention not in said:
            raise Failure(f"the usage error does not name {mention!r}: {said[:300]!r}")


def check_refused(ended: Ended, *cause: str) -> None:
    """An I/O or environment error: exit 1 and one line that names the cause."""
    check_status(ended, 1)
    check_stderr(ended, *cause)


# --------------------------------------------------------------------------------------------------- samples


def summary_of(ended: Ended) -> dict:
    if ended.summary is None:
        raise Failure(f"no summary as last line of stdout ({describe(ended.status)}): "
                      f"{ended.stdout[-200:]!r}; stderr {ended.stderr.strip()[-300:]!r}")
    return ended.summary


def check_stopped_by(ended: Ended, reason: str) -> None:
    found = summary_of(ended).get("stopped_by")
    if found != reason:
        raise Failure(f"stopped_by is {found!r}, expected {reason!r}", "status")


def check_balance(ended: Ended, count: Optional[int] = None) -> dict:
    """The summary's half of C: produced, logged, counted and reported agree and nothing is lost."""
    summary = summary_of(ended)
    figures = {key: summary.get(key) for key in ("produced", "logged", "counted", "reported")}
    wanted = figures["produced"] if count is None else count
    if summary.get("lost") != 0 or any(figure != wanted for figure in figures.values()):
        expected = "" if count is None else f", expected {count}"
        raise Failure(f"not conserved: {figures}, lost {summary.get('lost')}{expected}", "loss")
    return summary


def check_conserved(ended: Ended, count: Optional[int] = None, sum_up_to: int = 20_000_000) -> dict:
    """C. The summary balances, the log is the seeded sequence, and its sum is the sum reported.

    Adding up a very long log is left out above `sum_up_to` lines: it equals the sequence byte for byte anyway.
    """
    summary = check_balance(ended, count)
    lines = ended.reference.check_prefix(ended.log)
    if lines != summary["logged"]:
        raise Failure(f"the log has {lines} lines, the summary says {summary['logged']}", "loss")
    if 0 < lines <= sum_up_to and sum_lines(ended.log) != summary["sum"]:
        raise Failure(f"the log adds up to {sum_lines(ended.log)}, the summary says {summary['sum']}", "loss")
    return summary


def check_declared(ended: Ended) -> Optional[dict]:
    """C'. The log is a whole-line prefix of the sequence and every loss is declared in the summary.

    `lost` counts the samples that log, or that either consumer, did not get. A launcher that was killed
    declares nothing, so only the log is judged.
    """
    lines = ended.reference.check_prefix(ended.log)
    if ended.status in SILENT_DEATHS:
        return None
    summary = summary_of(ended)
    produced, logged, counted, lost = (summary.get(key) for key in ("produced", "logged", "counted", "lost"))
    if logged != lines:
        raise Failure(f"the log has {lines} lines, the summary says logged {logged}", "loss")
    # A stat that was killed together with report leaves nobody who knows what was counted, and so what was lost.
    if produced is None or (lost is None) != (counted is None):
        raise Failure(f"loss not declared: produced {produced}, counted {counted}, lost {lost}", "loss")
    if lost is not None and lost not in (produced - logged, produced - min(logged, counted)):
        figures = f"produced {produced}, logged {logged}, counted {counted}, lost {lost}"
        raise Failure(f"loss wrongly declared: {figures}", "loss")
    return summary


def check_declared_if_any(ended: Ended) -> None:
    """C' for a run that may have failed before it had a log."""
    if ended.summary is not None and ended.log.exists():
        check_declared(ended)


# --------------------------------------------------------------------------------------- whole ends of a run


def check_done(ended: Ended, count: int) -> None:
    """0, nothing on stderr that looks like a panic, and all `count` samples."""
    check_status(ended, 0)
    check_stderr(ended)
    check_conserved(ended, count)


def done_or_refused(ended: Ended, count: int, *cause: str) -> str:
    """Where the machine decides: either all samples arrive, or one line names the cause. Says which."""
    check_status(ended, 0, 1)
    if ended.status == 0:
        check_done(ended, count)
        return "works"
    check_refused(ended, *cause)
    check_declared_if_any(ended)
    return "refused"


def check_drained(ended: Ended, number: int) -> None:
    """All samples arrived, and then it died by the signal that stopped it."""
    check_status(ended, -number)
    check_stderr(ended)
    check_conserved(ended)


def check_forced(ended: Ended) -> None:
    """Exit 4; the summary says so and declares what is missing."""
    check_status(ended, 4)
    check_stderr(ended)
    check_stopped_by(ended, "forced")
    check_declared(ended)


def check_stage_died(ended: Ended, stage: str, pid: int, number: int) -> None:
    """Exit 3; one line names the stage, its pid and the signal; the rest is drained and every loss declared."""
    check_status(ended, 3)
    check_stderr(ended, rf"{stage}\[{pid}\]", signal.Signals(number).name)
    check_stopped_by(ended, "stage-died")
    check_declared(ended)
