"""What the log may turn out to be: missing, full, foreign, in use."""
from __future__ import annotations

import hashlib
import os
import re
import resource
import signal
from pathlib import Path

from ..checks import check_declared, check_declared_if_any, check_drained, check_refused, check_status, check_stderr
from ..failure import Failure
from ..kernel import limit, mount
from ..logs import count_lines
from ..registry import ONE, case
from ..sandbox import Sandbox
from .pace import FLAT, PACED


@case("D22", "log in a directory that is not there")
def log_without_directory(sandbox: Sandbox) -> None:
    """Path and reason, before any stage starts."""
    ended = sandbox.run("--count", "10", *FLAT, log=Path("/nonexistent/x"))
    check_refused(ended, "/nonexistent/x", "No such file or directory")
    if (ended.summary or {}).get("stages"):
        raise Failure("stages were started before the log was opened")


@case("D23", "log is a directory", backends=ONE)
def log_is_directory(sandbox: Sandbox) -> None:
    """Named, exit 1."""
    ended = sandbox.run("--count", "10", *FLAT, log=sandbox.directory)
    check_refused(ended, re.escape(str(sandbox.directory)), "(?i)directory|regular file")


@case("D24", "log in a read-only directory, as another user", backends=ONE, needs=("root", "setuid"))
def log_not_allowed(sandbox: Sandbox) -> None:
    """EACCES named."""
    options = sandbox.as_other_user()
    closed = sandbox.directory / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    ended = sandbox.run("--count", "10", *FLAT, log=closed / "l", **options)
    check_refused(ended, re.escape(str(closed / "l")), "Permission denied")


@case("D25", "log is /dev/full")
def log_device_full(sandbox: Sandbox) -> None:
    """ENOSPC named, the rest drained."""
    ended = sandbox.run("--count", "100", *FLAT, log=Path("/dev/full"), seconds=5)
    check_refused(ended, "/dev/full", "No space left on device")


@case("D26", "log on a 64 KiB file system", needs=("root", "unshare"))
def log_disk_full(sandbox: Sandbox) -> None:
    """ENOSPC, no torn line, and what is missing is said."""
    small = sandbox.directory / "small"
    small.mkdir()
    mount("tmpfs", small, "size=64k")
    ended = sandbox.run("--count", "1000000", *FLAT, log=small / "l")
    check_refused(ended, re.escape(str(small / "l")), "No space left on device")
    if check_declared(ended)["lost"] == 0:
        raise Failure("a million samples cannot fit in 64 KiB, but the summary says lost 0", "loss")


@case("D27", "file size limit of 8 KiB")
def file_size_limit(sandbox: Sandbox) -> None:
    """EFBIG named (for shm it may be the segment that does not fit); no death by SIGXFSZ."""
    ended = sandbox.run("--count", "100000", *FLAT, prepare=(limit(resource.RLIMIT_FSIZE, 8192),))
    check_refused(ended, "File too large")
    check_declared_if_any(ended)


@case("D28", "log is a symlink to somebody's file", backends=ONE)
def log_is_symlink(sandbox: Sandbox) -> None:
    """Refused; the file it points to is unchanged."""
    victim = sandbox.directory / "victim"
    victim.write_text("precious\n")
    before = hashlib.sha256(victim.read_bytes()).hexdigest()
    sandbox.log().symlink_to(victim)
    for extra in ((), ("--truncate",)):
        ended = sandbox.run("--count", "10", *FLAT, *extra)
        check_refused(ended, re.escape(str(sandbox.log())), "(?i)symbolic link|symlink")
    if hashlib.sha256(victim.read_bytes()).hexdigest() != before:
        raise Failure("the file behind the symlink was written to")


@case("D29", "log is a FIFO that nobody reads", backends=ONE)
def log_is_fifo(sandbox: Sandbox) -> None:
    """Refused at once, no hang."""
    os.mkfifo(sandbox.log())
    check_refused(sandbox.run("--count", "10", *FLAT, seconds=2), re.escape(str(sandbox.log())))


@case("D30", "log of an earlier run", backends=ONE)
def log_exists(sandbox: Sandbox) -> None:
    """Appended to and said so; --truncate starts afresh and says so, unless there is nothing to lose."""
    path = re.escape(str(sandbox.log()))
    steps = (("a first run", (), 10), ("a second run", (), 20), ("--truncate", ("--truncate",), 10))
    for step, extra, lines in steps:
        earlier = sandbox.log().stat().st_size if sandbox.log().exists() else 0
        ended = sandbox.run("--count", "10", *FLAT, *extra, form="text")
        check_status(ended, 0)
        if not earlier:
            said = ()
        elif extra:
            said = (f"starting {path} afresh; {earlier} bytes of earlier runs are gone",)
        else:
            said = (f"appending to {path}, which holds {earlier} bytes; --truncate starts it afresh",)
        check_stderr(ended, *said)
        found = count_lines(sandbox.log())
        if found != lines:
            raise Failure(f"{found} lines after {step}, expected {lines}")
    fresh = sandbox.run("--count", "10", *FLAT, "--truncate", log=sandbox.log("fresh"))
    check_status(fresh, 0)
    if "afresh" in fresh.stderr:
        raise Failure(f"--truncate of nothing speaks of earlier runs: {fresh.stderr!r}")


@case("D31", "two runs on one log", backends=ONE)
def log_in_use(sandbox: Sandbox) -> None:
    """The second is refused by the lock, the first is not disturbed."""
    first = sandbox.start(*PACED).flowing()
    refused = sandbox.run("--count", "10", *FLAT)
    check_refused(refused, re.escape(str(sandbox.log())), "(?i)lock|in use|another|already")
    first.signal(signal.SIGINT)
    check_drained(first.wait(5), signal.SIGINT)
