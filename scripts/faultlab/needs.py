"""What a case may need of the machine: without it the case is skipped, and says so."""
from __future__ import annotations

import os
import pty
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Optional

from .kernel import isolate, succeeds_in_child


def _can_isolate() -> bool:
    with tempfile.TemporaryDirectory() as directory:
        return succeeds_in_child(lambda: isolate(Path(directory)))


def _can_trace() -> bool:
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-f", "-o", "/dev/null", "true"], stderr=subprocess.DEVNULL).returncode == 0


def _can_become_another() -> bool:
    return os.geteuid() == 0 and succeeds_in_child(lambda: os.setuid(60_000))


_NEEDS = {
    "root": (lambda: os.geteuid() == 0, "not root"),
    "unshare": (_can_isolate, "no namespaces"),
    "strace": (_can_trace, "no strace"),
    "pty": (lambda: succeeds_in_child(pty.openpty), "no terminals"),
    "setuid": (_can_become_another, "cannot become another user"),
}


@lru_cache(maxsize=None)
def lacks(need: str) -> Optional[str]:
    """Why this machine cannot run a case that needs `need`; None when it can."""
    is_met, reason = _NEEDS[need]
    return None if is_met() else reason


def can_isolate() -> bool:
    """Whether cases get namespaces of their own."""
    return not lacks("root") and not lacks("unshare")
