"""What is known of the program under test."""
from __future__ import annotations

import os
from pathlib import Path

NAME = "ipcpipe"
BACKENDS = ("pipe", "fifo", "mq", "shm", "socket")
NAMED_BACKENDS = ("fifo", "mq", "shm", "socket")  # a pipe has no name, so its runs need no run directory
STAGES = ("conv", "log", "stat", "report")
SEED = 7
DEFAULT_BINARY = Path(__file__).resolve().parents[2] / "target" / "release" / NAME


def environment(**variables: str) -> dict[str, str]:
    """Ours plus `variables`, without what would change the program's defaults."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("IPCPIPE")}
    return {**inherited, "LC_ALL": "C.UTF-8", **variables}
