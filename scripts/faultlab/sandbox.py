"""The private ground of one case: directories, environment, namespaces, launchers, nothing left at the end."""
from __future__ import annotations

import contextlib
import os
import pty
from pathlib import Path
from typing import Any, Iterable, Optional

from . import program
from .checks import check_status
from .deadline import wait_for
from .failure import Failure
from .kernel import acquire_terminal, isolate
from .launch import Argument, Ended, Launch
from .logs import Reference
from .names import snapshot
from .processes import describe_tree, kill_children, no_child_left


class Sandbox:
    """Used as a context manager. If the case went well, leaving it checks K and L: no process left, no new name.

    `process_grace` is how long processes may take to leave then: 0 unless a tracer stands between.
    """

    def __init__(self, root: Path, binary: Path, reference: Reference, backend: str, *, isolated: bool,
                 short: bool = False):
        self.root, self.binary, self.reference, self.backend = root, binary, reference, backend
        self.isolated, self.short = isolated, short
        self.directory, self.runtime = root / "cwd", root / "run"
        self.temporary, self.queues, self._said = root / "tmp", root / "mqueue", root / "said"
        for directory in (self.directory, self.runtime, self.temporary, self.queues, self._said):
            directory.mkdir(parents=True)
        self.runtime.chmod(0o700)
        self.environment = program.environment(XDG_RUNTIME_DIR=str(self.runtime), TMPDIR=str(self.temporary))
        self.other_uid = 60_000 + os.getpid() % 5_000
        """A user without privileges whom no other worker has: limits on processes and queues are per user."""
        self._launches = 0
        self.process_grace = 0.0
        self._names_grace = 0.0 if isolated else 2.0

    def __enter__(self) -> "Sandbox":
        if self.isolated:
            isolate(self.queues)
        self.accept_names()
        return self

    def __exit__(self, kind: Optional[type], failure: Optional[BaseException], trace: Any) -> None:
        try:
            if kind is None:
                self.check_no_process(self.process_grace)
                self.check_no_name()
        finally:
            kill_children()

    # -- starting ---------------------------------------------------------------------------------

    def command(self, *arguments: Argument, log: Optional[Path] = None, before: Iterable[str] = (),
                **options: Any) -> Launch:
        """Starts the program with exactly these arguments, under the command `before` (a tracer) if given."""
        out, err = self._said / f"{self._launches}.out", self._said / f"{self._launches}.err"
        self._launches += 1
        options.setdefault("cwd", self.directory)
        options.setdefault("env", self.environment)
        return Launch([*before, str(self.binary), *arguments], out, err, log or self.log(), self.reference, **options)

    def start(self, *arguments: Argument, log: Optional[Path] = None, backend: Optional[str] = None,
              form: str = "json", **options: Any) -> Launch:
        """The matrix' RUN: a seeded pipeline that logs to `log`, plus `arguments`."""
        path = log or self.log()
        fixed = ["--backend", backend or self.backend, "--seed", str(program.SEED), "--format", form]
        return self.command(*fixed, b"--log=" + os.fsencode(path), *arguments, log=self.directory / path, **options)

    def run(self, *arguments: Argument, seconds: float = 10, **options: Any) -> Ended:
        return self.start(*arguments, **options).wait(seconds)

    def start_on_terminal(self, *arguments: Argument, **options: Any) -> Launch:
        """RUN as the foreground job of a terminal of its own; its stdout stays a file, to be judged later."""
        master, slave = pty.openpty()
        launch = self.start(*arguments, stdin=slave, stderr=slave, prepare=(acquire_terminal,), terminal=master,
                            **options)
        os.close(slave)
        return launch

    def clean(self, *arguments: Argument) -> Ended:
        """`ipcpipe clean`: what a person does after the launcher was killed."""
        ended = self.command("clean", *arguments).wait()
        check_status(ended, 0)
        return ended

    def log(self, name: str = "l") -> Path:
        return self.directory / name

    def as_other_user(self) -> dict[str, Any]:
        """Hands the sandbox over to a user without privileges; options that start a command as that user."""
        for directory in (self.directory, self.runtime, self.temporary):
            os.chown(directory, self.other_uid, self.other_uid)
        return dict(user=self.other_uid, group=self.other_uid, extra_groups=[])

    # -- what is left -----------------------------------------------------------------------------

    def names(self) -> frozenset[str]:
        return snapshot(self.runtime, self.temporary, self.queues, self.isolated)

    def new_names(self) -> frozenset[str]:
        return self.names() - self._accepted

    def accept_names(self) -> None:
        """What is there now was not left by the program, or has been reported already."""
        self._accepted = self.names()

    def check_no_process(self, seconds: float) -> None:
        """K. Call it when every launcher has been waited for; orphans may take `seconds` to leave."""
        try:
            wait_for(no_child_left, seconds, "the last process to leave")
        except Failure:
            left = describe_tree(os.getpid())
            kill_children()
            raise Failure(f"process left: {left}", "leak") from None

    def check_no_name(self) -> None:
        """L. Without a namespace of our own a parallel run's short-lived names need a moment to go."""
        left = self.new_names()
        with contextlib.suppress(Failure):
            wait_for(lambda: not left & self.names(), self._names_grace, "names to go")
        left &= self.names()
        if left:
            raise Failure(f"name left: {', '.join(sorted(left))}", "leak")
