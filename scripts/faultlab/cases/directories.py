"""Where names are made, with which modes, and what others may have planted there."""
from __future__ import annotations

import os
import re
import signal
import stat
from pathlib import Path
from typing import Any, Callable

from ..checks import check_done, check_drained, check_refused, check_stderr, done_or_refused
from ..failure import Failure
from ..program import NAME, NAMED_BACKENDS
from ..registry import case
from ..sandbox import Sandbox
from .pace import FLAT, PACED


def _check_untouched(directory: Path) -> None:
    if os.listdir(directory):
        raise Failure(f"put {os.listdir(directory)} in {directory.name}, which is not the program's to use")


@case("D41", "run-time directory unset, missing, of another user", backends=NAMED_BACKENDS, needs=("root",))
def odd_runtime_directory(sandbox: Sandbox) -> str:
    """Falls back or refuses, and says so; nothing is put in a directory of another user."""
    foreign = sandbox.root / "foreign"
    foreign.mkdir()
    os.chown(foreign, sandbox.other_uid, sandbox.other_uid)
    verdicts = []
    for label, value in (("unset", None), ("missing", str(sandbox.root / "missing")), ("foreign", str(foreign))):
        environment = {**sandbox.environment, "XDG_RUNTIME_DIR": value or ""}
        if value is None:
            del environment["XDG_RUNTIME_DIR"]
        ended = sandbox.run("--count", "100", *FLAT, log=sandbox.log(label), env=environment)
        verdicts.append(f"{label} {done_or_refused(ended, 100, value or '.')}")
        if value is not None:
            check_stderr(ended, re.escape(value))
    _check_untouched(foreign)
    return ", ".join(verdicts)


@case("D42", "run directory made by another user", backends=NAMED_BACKENDS, needs=("root",))
def foreign_run_directory(sandbox: Sandbox) -> None:
    """Refused, naming the owner."""
    planted = sandbox.runtime / NAME
    planted.mkdir()
    os.chown(planted, sandbox.other_uid, sandbox.other_uid)
    for mode in (0o700, 0o777):
        planted.chmod(mode)
        check_refused(sandbox.run("--count", "100", *FLAT), re.escape(str(planted)), str(sandbox.other_uid))
    _check_untouched(planted)
    planted.rmdir()


@case("D43", "something else planted in place of the run directory", backends=NAMED_BACKENDS)
def planted_names(sandbox: Sandbox) -> None:
    """Neither a symlink, nor a file, nor a FIFO in its place is followed or written to."""
    elsewhere, content = sandbox.root / "elsewhere", "precious\n"
    elsewhere.mkdir(mode=0o700)
    planted = sandbox.runtime / NAME
    plants: tuple[Callable[[], Any], ...] = (
        lambda: planted.symlink_to(elsewhere), lambda: planted.write_text(content), lambda: os.mkfifo(planted))
    for plant in plants:
        plant()
        check_refused(sandbox.run("--count", "100", *FLAT, seconds=5), re.escape(str(planted)))
        if stat.S_ISREG(planted.lstat().st_mode) and planted.read_text() != content:
            raise Failure("the planted file was written to")
        planted.unlink()
    _check_untouched(elsewhere)


IS_LINK_OBJECT = {
    "fifo": lambda name, mode: stat.S_ISFIFO(mode),
    "socket": lambda name, mode: stat.S_ISSOCK(mode),
    "mq": lambda name, mode: "/mqueue/" in name,
    "shm": lambda name, mode: name.startswith("/dev/shm/"),
}


@case("D44", "umask 000", backends=NAMED_BACKENDS, needs=("root", "unshare"))
def open_umask(sandbox: Sandbox) -> str:
    """Every object is private all the same."""
    launch = sandbox.start(*PACED, "--keep-names", prepare=(lambda: os.umask(0),)).flowing()
    modes = {name: os.lstat(name).st_mode for name in sandbox.new_names() if os.path.lexists(name)}
    if not any(IS_LINK_OBJECT[sandbox.backend](name, mode) for name, mode in modes.items()):
        raise Failure(f"--keep-names shows no {sandbox.backend} object: {sorted(modes)}")
    for name, mode in modes.items():
        wanted = 0o700 if stat.S_ISDIR(mode) else 0o600
        if stat.S_IMODE(mode) != wanted:
            raise Failure(f"{name} has mode {stat.S_IMODE(mode):04o}, expected {wanted:04o}")
    launch.signal(signal.SIGINT)
    check_drained(launch.wait(5), signal.SIGINT)
    return f"{len(modes)} objects"


def _run_with_closed_umask(sandbox: Sandbox, who: str, **options: Any) -> None:
    ended = sandbox.run("--count", "100", *FLAT, log=sandbox.log(who), prepare=(lambda: os.umask(0o777),), **options)
    if ended.log.exists():
        ended.log.chmod(0o600)  # the log's mode is the user's wish, but we have to read it
    try:
        check_done(ended, 100)
    except Failure as failure:
        raise Failure(f"as {who}: {failure}", failure.kind) from None


@case("D45", "umask 777")
def closed_umask(sandbox: Sandbox) -> None:
    """What the umask takes from the run's own objects is given back."""
    _run_with_closed_umask(sandbox, "ourselves")


@case("D62", "umask 777, as another user", needs=("root", "setuid"))
def closed_umask_of_another(sandbox: Sandbox) -> None:
    """As D45, for one whom modes do bind."""
    _run_with_closed_umask(sandbox, "another user", **sandbox.as_other_user())


@case("D46", "run-time directory with a path of more than 108 bytes", backends=NAMED_BACKENDS)
def long_path(sandbox: Sandbox) -> str:
    """Works, or names the path; a socket address holds 107 bytes."""
    sandbox.runtime = sandbox.root / ("d" * 120)
    sandbox.runtime.mkdir(mode=0o700)
    sandbox.environment["XDG_RUNTIME_DIR"] = str(sandbox.runtime)
    return done_or_refused(sandbox.run("--count", "1000", *FLAT), 1000, "d" * 20)


@case("D48", "working directory deleted before the start")
def deleted_directory(sandbox: Sandbox) -> None:
    """Works with absolute paths."""
    gone = sandbox.directory / "gone"
    gone.mkdir()
    ended = sandbox.run("--count", "100", *FLAT, cwd=gone, prepare=(lambda: os.rmdir(gone),))
    check_done(ended, 100)
