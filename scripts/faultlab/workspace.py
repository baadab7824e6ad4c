"""The directory of one invocation."""
from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from . import program
from .logs import Reference
from .needs import can_isolate
from .sandbox import Sandbox


class Workspace:
    """A copy of the binary (a rebuild must not disturb), the reference sequence, and a directory for each sandbox.

    What passed is removed; what failed stays, and so does the workspace then.
    """

    def __init__(self, name: str, binary: Path):
        self.path = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self.path.chmod(0o755)
        self.binary = Path(shutil.copy2(binary, self.path / program.NAME))
        self.binary.chmod(0o755)
        self.reference = Reference(self.path / "reference", self.binary)
        self.isolated = can_isolate()
        self._kept = False

    def sandbox(self, name: str, backend: str, short: bool = False) -> Sandbox:
        return Sandbox(self.path / name, self.binary, self.reference, backend, isolated=self.isolated, short=short)

    def keep(self, name: str) -> Path:
        """For the sandbox of a failed case: stays to be looked at, here."""
        self._kept = True
        return self.path / name

    def drop(self, name: str) -> None:
        shutil.rmtree(self.path / name, ignore_errors=True)

    def close(self) -> None:
        self.drop("reference")
        if not self._kept:
            shutil.rmtree(self.path, ignore_errors=True)
