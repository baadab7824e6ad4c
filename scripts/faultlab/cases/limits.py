"""Too little of everything that the kernel rations: descriptors, processes, queues, shared memory."""
from __future__ import annotations

import resource
from pathlib import Path

from ..checks import check_refused, done_or_refused
from ..failure import Failure
from ..kernel import limit, mount
from ..registry import case
from ..sandbox import Sandbox
from .pace import FLAT


@case("D35", "too few descriptors")
def descriptor_limit(sandbox: Sandbox) -> str:
    """Every limit ends in a clean run or in a line that names EMFILE, wherever in the start-up it strikes."""
    verdicts = {}
    for number in (6, 10, 14) if sandbox.short else range(4, 33):
        few = (limit(resource.RLIMIT_NOFILE, number),)
        ended = sandbox.run("--count", "100", *FLAT, log=sandbox.log(f"l{number}"), prepare=few)
        try:
            verdicts[number] = done_or_refused(ended, 100, "Too many open files|descriptor")
        except Failure as failure:
            raise Failure(f"ulimit -n {number}: {failure}", failure.kind) from None
    return f"works from {min((number for number, verdict in verdicts.items() if verdict == 'works'), default='-')}"


@case("D36", "too few processes, as another user", needs=("root", "setuid"))
def process_limit(sandbox: Sandbox) -> None:
    """EAGAIN of the third child is named, the two started are reaped."""
    three = (limit(resource.RLIMIT_NPROC, 3),)  # the launcher is one; root's are not counted
    ended = sandbox.run("--count", "100", *FLAT, prepare=three, **sandbox.as_other_user())
    check_refused(ended, "Resource temporarily unavailable")


@case("D37", "no budget for message queues", backends=("mq",))
def queue_budget(sandbox: Sandbox) -> None:
    """Names the limit and a value that would do."""
    ended = sandbox.run("--count", "100", *FLAT, prepare=(limit(resource.RLIMIT_MSGQUEUE, 0),))
    check_refused(ended, r"RLIMIT_MSGQUEUE|ulimit -q", r"\d{3,}|unlimited")


@case("D38", "small kernel limits for message queues", backends=("mq",), needs=("root", "unshare"))
def queue_limits(sandbox: Sandbox) -> str:
    """mq fits itself to /proc/sys/fs/mqueue or names the file that is in the way."""
    verdicts, directory = [], Path("/proc/sys/fs/mqueue")
    for name, value in (("msg_max", 1), ("msgsize_max", 128), ("queues_max", 1)):
        usual = (directory / name).read_text()
        (directory / name).write_text(str(value))
        ended = sandbox.run("--count", "1000", *FLAT, log=sandbox.log(name))
        try:
            verdicts.append(f"{name} {value} {done_or_refused(ended, 1000, f'/proc/sys/fs/mqueue/.*{name}')}")
        except Failure as failure:
            raise Failure(f"{name}={value}: {failure}", failure.kind) from None
        (directory / name).write_text(usual)
    return ", ".join(verdicts)


@case("D40", "/dev/shm of 4 KiB", backends=("shm",), needs=("root", "unshare"))
def shared_memory_full(sandbox: Sandbox) -> str:
    """ENOSPC that names /dev/shm and the bytes wanted; never SIGBUS."""
    mount("tmpfs", Path("/dev/shm"), "size=4k,mode=1777")
    ended = sandbox.run("--count", "1000", *FLAT)
    return done_or_refused(ended, 1000, "/dev/shm", r"\d{4,}", "No space left on device")
