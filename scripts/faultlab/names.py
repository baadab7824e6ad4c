"""The names that a run could leave behind: files, directories, segments, queues, sockets, System V objects."""
from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Iterator

from . import program
from .processes import read_proc


def _below(directory: Path) -> Iterator[str]:
    for parent, directories, files in os.walk(directory):
        for name in directories + files:
            yield os.path.join(parent, name)


def _marked(directory: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):
        yield from (str(directory / name) for name in os.listdir(directory) if program.NAME in name)


def _sockets() -> Iterator[str]:
    for line in read_proc("/proc/net/unix").decode(errors="replace").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and program.NAME in fields[7]:
            yield f"unix {fields[7]}"


def _system_v() -> Iterator[str]:
    for kind in ("shm", "sem", "msg"):
        for line in read_proc(f"/proc/sysvipc/{kind}").decode().splitlines()[1:]:
            yield f"sysv {kind} {' '.join(line.split()[:2])}"


def snapshot(runtime: Path, temporary: Path, queues: Path, isolated: bool) -> frozenset[str]:
    """Every name there is now that ipcpipe could have made.

    System V objects have no name to tell whose they are, so they count only where nobody else can have made them.
    """
    found = {*_marked(Path("/dev/shm")), *_marked(queues), *_sockets(), *_below(runtime), *_below(temporary)}
    return frozenset(found.union(_system_v() if isolated else ()))
