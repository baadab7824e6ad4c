"""System calls that fail, by strace: SQLite's loop, which fails the Nth call for N = 1.. until none is hit."""
from __future__ import annotations

import signal
from collections import Counter

from ..checks import check_conserved, check_status, check_stderr
from ..failure import Failure
from ..processes import kill_children
from ..program import NAMED_BACKENDS
from ..registry import case
from ..sandbox import Sandbox
from ..tracer import occasions, strace, was_injected
from .pace import FLAT

INJECTED = (
    ("pipe2", "EMFILE"), ("clone3,clone,vfork", "EAGAIN"), ("mq_open", "EMFILE"), ("mknodat", "ENOSPC"),
    ("openat", "EMFILE"), ("fallocate", "ENOSPC"), ("mmap", "ENOMEM"), ("write", "ENOSPC"), ("fdatasync", "EIO"),
    ("pidfd_open", "EMFILE"), ("poll,ppoll", "EINTR"),
)
RERAISED = tuple(-number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE))


def _calls_before_main(sandbox: Sandbox, calls: str) -> int:
    """How often the dynamic loader and the runtime make `calls`: failing those tests glibc, not us."""
    if calls not in ("openat", "mmap"):
        return 0
    trace = sandbox.root / f"trace-{calls}-start"
    sandbox.command("--version", before=strace(trace, calls)).wait()
    sandbox.check_no_process(5)
    return trace.read_text().count(f"{calls}(")


def _inject(sandbox: Sandbox, calls: str, error: str, when: str) -> bool:
    """One run in which every process' call number `when` of `calls` fails; whether any was hit."""
    label = f"{calls.split(',')[0]}-{error}-{when}"
    trace = sandbox.root / f"trace-{label}"
    tracer = strace(trace, calls, f"error={error}:when={when}")
    ended = sandbox.start("--count", "2000", *FLAT, "--fsync", "end", log=sandbox.log(label), before=tracer).wait(10)
    sandbox.check_no_process(5)
    hit = was_injected(trace)
    check_status(ended, *range(6), *RERAISED)
    check_stderr(ended, *([] if ended.status <= 0 or calls == "write" else ["."]))  # a failed write cannot be told
    if ended.status == 0:
        check_conserved(ended, 2000)
    sandbox.reference.check_prefix(ended.log)
    sandbox.check_no_name()
    trace.unlink()
    return hit


def _inject_all(sandbox: Sandbox, injected: tuple[tuple[str, str], ...], ever_after: bool) -> str:
    """Each call of `injected` fails at its 1st, 2nd, 3rd... occasion, and `ever_after` if told."""
    sandbox.process_grace = 5
    hits, failures = Counter(), []
    for calls, error in injected:
        start = _calls_before_main(sandbox, calls)
        for occasion in occasions(sandbox.short):
            when = f"{start + occasion}{'+' if ever_after else ''}"
            try:
                if not _inject(sandbox, calls, error, when):
                    break
                hits[calls.split(",")[0]] += 1
            except Failure as failure:
                failures.append(f"{calls}:{error}:when={when}: {failure}")
                kill_children()
                sandbox.accept_names()
    if failures:
        total = len(failures) + sum(hits.values())
        raise Failure(f"{len(failures)} injections of {total}: " + " | ".join(failures[:6]))
    return ", ".join(f"{call} {count}" for call, count in hits.items())


@case("D54", "every system call fails once", needs=("strace",), seconds=1800)
def injected_errors(sandbox: Sandbox) -> str:
    """Each run ends in time, with a status of the table and a message, and leaves nothing."""
    return _inject_all(sandbox, INJECTED, ever_after=False)


@case("D63", "no descriptor from some moment on", backends=NAMED_BACKENDS, needs=("strace",), seconds=600)
def no_more_descriptors(sandbox: Sandbox) -> str:
    """As D54, but openat never works again, so the clean-up has to do without it too."""
    return _inject_all(sandbox, (("openat", "EMFILE"),), ever_after=True)
