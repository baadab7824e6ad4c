"""Standard descriptors that are closed, full or left by their reader; messages that must stay one line."""
from __future__ import annotations

import os
import select
import signal
from pathlib import Path

from ..checks import check_conserved, check_declared, check_one_line_each, check_refused, check_status, check_stderr
from ..failure import Failure
from ..registry import ONE, case
from ..sandbox import Sandbox
from .pace import FLAT, PACED


def _read_line(fd: int, seconds: float) -> bytes:
    """What `head -1` reads: bytes up to the first newline."""
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([fd], [], [], seconds)[0]:
            raise Failure(f"no line on stdout within {seconds:g} s", "hang")
        byte = os.read(fd, 1)
        if not byte:
            raise Failure(f"stdout ended before its first line: {line!r}")
        line += byte
    return line


@case("D32", "RUN | head -1")
def reader_leaves(sandbox: Sandbox) -> None:
    """A quiet end by SIGPIPE, the log whole."""
    for pace in (PACED, FLAT):
        reader, writer = os.pipe()
        launch = sandbox.start(*pace, stdout=writer, log=sandbox.log(f"l{pace[1]}"))
        os.close(writer)
        _read_line(reader, 5)
        os.close(reader)
        ended = launch.wait(3)
        check_status(ended, -signal.SIGPIPE)
        check_stderr(ended)
        check_declared(ended)


@case("D33", "standard descriptors closed")
def closed_descriptors(sandbox: Sandbox) -> None:
    """No descriptor is mixed up: the log holds the records and nothing else."""
    for closed in ((0,), (1,), (2,), (0, 1, 2)):
        log = sandbox.log("l" + "".join(map(str, closed)))
        ended = sandbox.run("--count", "100", *FLAT, log=log, prepare=(lambda: [os.close(fd) for fd in closed],))
        check_status(ended, 0)
        check_stderr(ended)
        if 1 not in closed:
            check_conserved(ended, 100)
        elif sandbox.reference.check_prefix(log) != 100:
            raise Failure(f"descriptors {closed} closed: the log has not got 100 records", "loss")


@case("D34", "RUN > /dev/full")
def stdout_full(sandbox: Sandbox) -> None:
    """A report error, named."""
    with open("/dev/full", "wb") as full:
        ended = sandbox.run("--count", "1000", *FLAT, stdout=full)
    check_refused(ended, "No space left on device")
    sandbox.reference.check_prefix(ended.log)


@case("D47", "log names that bite", backends=ONE)
def odd_log_names(sandbox: Sandbox) -> None:
    """They work, and messages about them are escaped: valid UTF-8, no raw newline, no raw escape."""
    for name in (b"byte-\xff", b"new\nline", b"two  spaces ", b"-dash", b"colour\x1b[31m"):
        log = Path(os.fsdecode(name))
        check_status(sandbox.run("--count", "10", *FLAT, log=log), 0)
        afresh = sandbox.run("--count", "10", *FLAT, "--truncate", log=log)
        check_conserved(afresh, 10)
        appended = sandbox.run("--count", "10", *FLAT, log=log)
        check_status(appended, 0)
        refused = sandbox.run("--count", "10", *FLAT, log=Path("/nonexistent") / log)
        check_status(refused, 1)
        for ended in (afresh, appended, refused):  # each speaks of the file
            if not ended.stderr:
                raise Failure(f"nothing said of {name!r}")
            check_one_line_each(ended)
