"""What `fault-matrix` and `chaos` share: a place to run ipcpipe in, and the checkers that judge a run.

From the bottom up:

  kernel       subreaper, parent-death signal, namespaces: the few calls that Python does not wrap
  processes    children, names and states from /proc; signals through pidfds, so no recycled pid is ever hit
  names        a snapshot of every kind of name that a run could leave behind
  Launch       one launcher that was started, and how it is waited for, watched and killed
  Bed          the private ground of one case: directories, environment, launchers, nothing left at the end
  Reference    the seeded sequence, taken from one clean run and kept for all that compare with it
  checkers     T X P K L C C' of RELIABILITY.md section 5: each returns quietly or raises `Fault`
  run_each     one process per task, so that a task's orphans, mounts and limits are its own

Every case runs in a process of its own that is a subreaper: a stage whose launcher was killed becomes *its*
child, and "no process left" is simply `waitpid` saying ECHILD. No wait is a bare sleep: it ends when its
condition holds and fails when its deadline passes.
"""
from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import fcntl
import itertools
import json
import multiprocessing
import os
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import termios
import time
import traceback
from collections import Counter
from functools import lru_cache
from multiprocessing.connection import wait as wait_for_any
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Optional, Union

BACKENDS = ("pipe", "fifo", "mq", "shm", "socket")
STAGES = ("conv", "log", "stat", "report")
MARK = "ipcpipe"
NOBODY = 65534
SEED = 7
REPOSITORY = Path(__file__).resolve().parent.parent
DEFAULT_BINARY = REPOSITORY / "target" / "release" / "ipcpipe"

Argument = Union[str, bytes]


class Fault(Exception):
    """The program did not do what the protocol promises. `kind` is what chaos counts it under."""

    def __init__(self, text: str, kind: str = "other"):
        super().__init__(text)
        self.kind = kind


# ---------------------------------------------------------------------------------------------- kernel

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWNET = 0x0002_0000, 0x0800_0000, 0x4000_0000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)


def _kernel(call: str, *arguments: Any) -> None:
    if getattr(_libc, call)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{call}: {os.strerror(code)}")


def become_subreaper() -> None:
    """From now on orphaned descendants become our children instead of init's."""
    _kernel("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """Ties this process to `parent`: even a SIGKILLed harness leaves no spinner behind."""
    _kernel("prctl", PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def mount(kind: str, target: Path, options: str = "", flags: int = 0) -> None:
    _kernel("mount", b"none", os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode())


def isolate(queues: Path) -> None:
    """Gives this process its own /dev/shm, message queues (visible in `queues`) and socket table.

    A parallel run can then neither be mistaken for a leak nor hide one.
    """
    _kernel("unshare", CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET)
    mount("", Path("/"), flags=MS_REC | MS_PRIVATE)
    mount("tmpfs", Path("/dev/shm"), "mode=1777")
    mount("mqueue", queues)


def default_signals() -> None:
    """Forgets what the caller's shell ignored or blocked (`&` ignores INT, nohup HUP): children inherit it."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def succeeds_in_child(action: Callable[[], None]) -> bool:
    """Whether `action` raises nothing; tried in a forked child because it cannot be taken back."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


# ------------------------------------------------------------------------------------------- processes


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Polls until `condition()` is true and returns it; a `Fault` naming `what` when `seconds` are over."""
    deadline, pause = time.monotonic() + seconds, 0.0005
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise Fault(f"{what}: not within {seconds:g} s", "hang")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


def _read(path: str) -> bytes:
    """A /proc file, empty when its process has gone meanwhile."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


@lru_cache(maxsize=None)
def _kernel_lists_children() -> bool:
    return os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children")


def _stat_fields(pid: int) -> list[str]:
    """/proc/PID/stat after the command name: state, ppid, ..."""
    return _read(f"/proc/{pid}/stat").rpartition(b") ")[2].decode().split()


def children(pid: int) -> list[int]:
    if _kernel_lists_children():
        with contextlib.suppress(OSError):
            tasks = os.listdir(f"/proc/{pid}/task")
            return [int(child) for task in tasks for child in _read(f"/proc/{pid}/task/{task}/children").split()]
        return []
    everyone = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    return [other for other in everyone if _stat_fields(other)[1:2] == [str(pid)]]


def descendants(pid: int) -> list[int]:
    below = children(pid)
    return below + [deeper for child in below for deeper in descendants(child)]


def comm(pid: int) -> str:
    return _read(f"/proc/{pid}/comm").decode(errors="replace").strip()


def state(pid: int) -> str:
    """R, S, D, T (stopped), Z (zombie)...; empty when the process is gone."""
    return (_stat_fields(pid) or [""])[0]


def command_line(pid: int) -> list[str]:
    return _read(f"/proc/{pid}/cmdline").decode(errors="replace").split("\0")[:-1]


def high_water_kib(pid: int) -> int:
    """VmHWM. `ru_maxrss` will not do: it starts at the resident size of whoever forked the process."""
    found = re.search(rb"VmHWM:\s+(\d+) kB", _read(f"/proc/{pid}/status"))
    return int(found.group(1)) if found else 0


def describe_tree(pid: int) -> str:
    """One clause per descendant, for the report of a hang: `log[812] S pipe_read`."""
    return ", ".join(
        f"{comm(each)}[{each}] {state(each)} {_read(f'/proc/{each}/wchan').decode()}" for each in descendants(pid)
    )


def kill_children(spare: Iterable[int] = ()) -> int:
    """Kills and reaps every child of ours but `spare`; returns how many there were.

    Only direct children are killed, because only an unreaped child's pid cannot be recycled. What they leave
    behind becomes our child in turn (we are a subreaper) and is killed in the next round.
    """
    killed, keep = 0, set(spare)
    while True:
        mine = [child for child in children(os.getpid()) if child not in keep]
        if not mine:
            return killed
        for child in mine:
            killed += state(child) != "Z"
            os.kill(child, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def no_child_left() -> bool:
    """Reaps what has ended; whether that was all."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
        return False
    except ChildProcessError:
        return True


class Target:
    """A process to send signals to, held by pidfd from the moment it was found."""

    def __init__(self, pid: int):
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    def signal(self, number: int) -> bool:
        """False when the process was gone."""
        try:
            signal.pidfd_send_signal(self._fd, number)
            return True
        except ProcessLookupError:
            return False

    def is_running(self) -> bool:
        return not select.select([self._fd], [], [], 0)[0]

    def stop(self, seconds: float = 5) -> bool:
        """SIGSTOP, and back only when it has stopped; False when it ended first."""
        self.signal(signal.SIGSTOP)
        wait_for(lambda: state(self.pid) in ("T", "Z", ""), seconds, f"stop of {comm(self.pid)}[{self.pid}]")
        return state(self.pid) == "T"

    def crash(self, number: int, seconds: float = 5) -> bool:
        """Sends `number` until the process is gone; false when it was gone already.

        Rust's runtime answers the first SIGSEGV that no instruction caused by restoring the default action
        and returning (a real fault would run into it again), so one `kill -SEGV` alone does nothing.
        """
        delivered = self.is_running() and self.signal(number)
        wait_for(lambda: not self.is_running() or not self.signal(number), seconds, f"death by signal {number}")
        return delivered


# ----------------------------------------------------------------------------------------------- names


def _below(directory: Path) -> Iterator[str]:
    for parent, directories, files in os.walk(directory):
        for name in directories + files:
            yield os.path.join(parent, name)


def _marked(directory: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):
        yield from (str(directory / name) for name in os.listdir(directory) if MARK in name)


def _sockets() -> Iterator[str]:
    for line in _read("/proc/net/unix").decode(errors="replace").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and MARK in fields[7]:
            yield f"unix {fields[7]}"


def _system_v() -> Iterator[str]:
    for kind in ("shm", "sem", "msg"):
        for line in _read(f"/proc/sysvipc/{kind}").decode().splitlines()[1:]:
            yield f"sysv {kind} {' '.join(line.split()[:2])}"


def snapshot(runtime: Path, temporary: Path, queues: Path, isolated: bool) -> frozenset[str]:
    """Every name there is now that ipcpipe could have made.

    The per-user directory may stay, what is in it may not. System V objects have no name to tell whose they
    are, so they count only where nobody else can have made them.
    """
    found = set(_marked(Path("/dev/shm"))) | set(_marked(queues)) | set(_sockets())
    found |= set(_below(runtime / MARK)) | set(_below(temporary)) | (set(_system_v()) if isolated else set())
    return frozenset(found - {str(temporary / f"{MARK}-{uid}") for uid in (os.geteuid(), NOBODY)})


# ---------------------------------------------------------------------------------------------- launch


@dataclasses.dataclass
class Ended:
    """A launcher that has exited, and everything it said. `status` is negative when a signal ended it."""

    arguments: list[str]
    status: int
    stdout: bytes
    stderr: str
    seconds: float
    log: Path

    @property
    def summary(self) -> Optional[dict]:
        """The closing summary, the last line of stdout under `--format json`; None when there is none."""
        last = self.stdout.rstrip(b"\n").rpartition(b"\n")[2]
        try:
            spoken = json.loads(last)
        except ValueError:
            return None
        return spoken if isinstance(spoken, dict) and spoken.get("type") == "summary" else None


def describe(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit {status}"


def acquire_terminal() -> None:
    """Makes stdin the controlling terminal of this (new) session, so that \\x03 means Ctrl-C here."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def limit(kind: int, value: int) -> Callable[[], None]:
    """`ulimit` for one child; to be passed as `prepare`."""
    return lambda: resource.setrlimit(kind, (value, value))


class Launch:
    """A launcher in its own session, with its output in files: nothing here can block on a full pipe."""

    def __init__(self, arguments: list[Argument], out: Path, err: Path, log: Path, *, stdin: Any = subprocess.DEVNULL,
                 stdout: Any = None, stderr: Any = None, prepare: Iterable[Callable[[], Any]] = (),
                 terminal: Optional[int] = None, **options: Any):
        self.log, self._out, self._err, self._terminal = log, out, err, terminal
        self.arguments = [os.fsdecode(argument) for argument in arguments]
        parent, steps = os.getpid(), tuple(prepare)

        def before_exec() -> None:
            die_with_parent(parent)
            for step in steps:
                step()

        self.started = time.monotonic()
        with open(out, "wb") as out_file, open(err, "wb") as err_file:
            self._child = subprocess.Popen(
                arguments, stdin=stdin, stdout=out_file if stdout is None else stdout,
                stderr=err_file if stderr is None else stderr, start_new_session=True, preexec_fn=before_exec,
                **options)
        self.pid = self._child.pid
        self.target = Target(self.pid)

    def signal(self, number: int) -> bool:
        return self.target.signal(number)

    def press(self, keys: bytes) -> None:
        """Types on the terminal that this launcher owns."""
        os.write(self._terminal, keys)

    def ends_within(self, seconds: float) -> bool:
        """Waits for the exit, at most `seconds`; meanwhile what its terminal shows is collected like stderr."""
        deadline = time.monotonic() + seconds
        watched = [self.target._fd] + ([self._terminal] if self._terminal is not None else [])
        while True:
            ready = select.select(watched, [], [], max(0.0, deadline - time.monotonic()))[0]
            if self.target._fd in ready:
                return True
            if not ready:
                return False
            with contextlib.suppress(OSError), open(self._err, "ab") as shown:
                shown.write(os.read(self._terminal, 65536))

    def runs_for(self, seconds: float) -> None:
        """A wait that is a check too: the launcher must still be there at the end of it."""
        if self.ends_within(seconds):
            ended = self.wait(0)
            raise Fault(f"ended too early with {describe(ended.status)}: {ended.stderr.strip()[-300:]}", "status")

    def wait(self, seconds: float = 10) -> Ended:
        """The checker T: everything we started is killed, and a hang reported, when `seconds` are over."""
        if not self.ends_within(seconds):
            stuck = describe_tree(os.getpid())
            kill_children()
            raise Fault(f"HANG after {seconds:g} s: {stuck}", "hang")
        status = self._child.wait()
        taken = time.monotonic() - self.started
        stdout = self._out.read_bytes() if self._out.exists() else b""
        stderr = self._err.read_text(errors="surrogateescape") if self._err.exists() else ""
        return Ended(self.arguments, status, stdout, stderr, taken, self.log)

    def stage(self, name: str, seconds: float = 5) -> Target:
        """The stage called `name`, as `pgrep -P LAUNCHER -x NAME` would find it."""

        def look() -> Optional[Target]:
            for child in children(self.pid):
                if comm(child) == name and state(child) != "Z":
                    with contextlib.suppress(ProcessLookupError):
                        return Target(child)
            if not self.target.is_running():
                raise Fault(f"the launcher ended before its stage {name} was seen", "other")
            return None

        return wait_for(look, seconds, f"stage {name} under launcher {self.pid}")

    def starting_stage(self, name: str, seconds: float = 5) -> Target:
        """As `stage`, but already when the child has just been executed and has no name of its own yet."""

        def look() -> Optional[Target]:
            for child in children(self.pid):
                line = command_line(child)
                if line[:1] == [name] or line[1:3] == ["stage", name]:
                    return Target(child)
            return None

        return wait_for(look, seconds, f"child {name} of launcher {self.pid}")

    def high_water(self) -> dict[str, int]:
        """Peak resident KiB of each living stage."""
        return {comm(child): high_water_kib(child) for child in children(self.pid) if comm(child) in STAGES}

    def flowing(self, size: int = 1, seconds: float = 10) -> "Launch":
        """Returns when the log has at least `size` bytes: all links are attached and samples run."""

        def look() -> bool:
            if not self.target.is_running():
                said = self._err.read_text(errors="replace").strip()
                raise Fault(f"ended before a sample was logged: {said[-300:]}", "status")
            return self.log.exists() and self.log.stat().st_size >= size

        wait_for(look, seconds, f"{size} bytes in {self.log.name}")
        return self


# ------------------------------------------------------------------------------------------------- bed


class Bed:
    """The ground of one case: working, run-time and temporary directory, environment, launchers.

    Used as a context manager. If the case went well, leaving it checks K and L: no process left, no new name.
    """

    def __init__(self, root: Path, binary: Path, backend: str = "pipe", *, isolated: bool = False,
                 short: bool = False, reference: Optional["Reference"] = None):
        self.root, self.binary, self.backend = root, binary, backend
        self.isolated, self.short, self.reference = isolated, short, reference
        self.directory, self.runtime = root / "cwd", root / "run"
        self.temporary, self.queues, self._said = root / "tmp", root / "mqueue", root / "said"
        for directory in (self.directory, self.runtime, self.temporary, self.queues, self._said):
            directory.mkdir(parents=True)
        self.runtime.chmod(0o700)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("IPCPIPE")}
        self.environment.update(XDG_RUNTIME_DIR=str(self.runtime), TMPDIR=str(self.temporary), LC_ALL="C.UTF-8")
        self._launches: list[Launch] = []
        self.names_grace = 0.0 if isolated else 2.0
        self.process_grace = 0.0

    def __enter__(self) -> "Bed":
        if self.isolated:
            isolate(self.queues)
        self.before = self.names()
        return self

    def __exit__(self, kind: Optional[type], fault: Optional[BaseException], trace: Any) -> None:
        if kind is None:
            try:
                self.check_no_process(self.process_grace)
                self.check_no_name()
            finally:
                kill_children()
        else:
            kill_children()

    # -- starting ---------------------------------------------------------------------------------

    def command(self, *arguments: Argument, log: Optional[Path] = None, before: Iterable[str] = (),
                **options: Any) -> Launch:
        """Starts the program with exactly these arguments, under the command `before` (a tracer) if given."""
        number = len(self._launches)
        out, err = self._said / f"{number}.out", self._said / f"{number}.err"
        options.setdefault("cwd", self.directory)
        options.setdefault("env", self.environment)
        launch = Launch([*before, str(self.binary), *arguments], out, err, log or self.log(), **options)
        self._launches.append(launch)
        return launch

    def start(self, *arguments: Argument, log: Optional[Path] = None, backend: Optional[str] = None,
              seed: int = SEED, form: str = "json", **options: Any) -> Launch:
        """The matrix' RUN: a seeded pipeline that logs to `log`, plus `arguments`."""
        path = log or self.log()
        fixed = ["--backend", backend or self.backend, "--seed", str(seed), "--format", form]
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

    def log(self, name: str = "l") -> Path:
        return self.directory / name

    def as_nobody(self) -> dict[str, Any]:
        """Hands the bed over to nobody; options that start a command as nobody."""
        for directory in (self.directory, self.runtime, self.temporary):
            os.chown(directory, NOBODY, NOBODY)
        return dict(user=NOBODY, group=NOBODY, extra_groups=[])

    # -- what is left -----------------------------------------------------------------------------

    def names(self) -> frozenset[str]:
        return snapshot(self.runtime, self.temporary, self.queues, self.isolated)

    def new_names(self) -> frozenset[str]:
        return self.names() - self.before

    def check_no_process(self, seconds: float = 0) -> None:
        """K. Call it when every launcher has been waited for; orphans may take `seconds` to leave."""
        try:
            wait_for(no_child_left, seconds, "the last process to leave")
        except Fault:
            left = describe_tree(os.getpid())
            kill_children()
            raise Fault(f"process left: {left}", "leak") from None

    def check_no_name(self) -> None:
        """L. Without a namespace of our own a parallel run's short-lived names need a moment to go."""
        left = self.new_names()
        with contextlib.suppress(Fault):
            wait_for(lambda: not left & self.names(), self.names_grace, "names to go")
        left &= self.names()
        if left:
            raise Fault(f"name left: {', '.join(sorted(left))}", "leak")

    def clean(self) -> Ended:
        """`ipcpipe clean`: what a person does after the launcher was killed."""
        ended = self.command("clean").wait()
        check_status(ended, 0)
        return ended


# ------------------------------------------------------------------------------------------- reference


class Reference:
    """The seeded sequence as text, one value a line: the log of one clean run, grown when a run needs more."""

    def __init__(self, directory: Path, binary: Path, first: int = 1_000_000):
        self._directory, self._binary, self._first = directory, binary, first
        directory.mkdir(parents=True, exist_ok=True)

    def path(self, lines: int, seed: int = SEED) -> Path:
        """A file with at least `lines` lines of the sequence. Workers share it; one of them grows it at a time."""
        with open(self._directory / f"{seed}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            path = self._directory / f"{seed}.log"
            have = self._directory / f"{seed}.lines"
            if not path.exists() or int(have.read_text()) < lines:
                wanted = max(self._first, 2 * lines)
                os.replace(self._produce(wanted, seed), path)
                have.write_text(str(wanted))
            return path

    def _produce(self, count: int, seed: int) -> Path:
        root = Path(tempfile.mkdtemp(dir=self._directory))
        bed = Bed(root, self._binary)
        ended = bed.start("--count", str(count), "--interval", "0", seed=seed).wait(120)
        check_status(ended, 0)
        if count_lines(ended.log) != count:
            raise Fault(f"the reference run logged {count_lines(ended.log)} of {count} samples", "loss")
        return ended.log

    def check_prefix(self, log: Path, seed: int = SEED) -> int:
        """How many lines `log` has; a `Fault` unless it is exactly that long a prefix of the sequence."""
        if not log.exists() or log.stat().st_size == 0:
            return 0
        lines = count_lines(log)
        with open(log, "rb") as mine, open(self.path(lines + 1, seed), "rb") as sequence:
            done = 0
            while True:
                block = mine.read(1 << 20)
                if not block:
                    break
                expected = sequence.read(len(block))
                if block != expected:
                    raise Fault(_first_difference(log, block, expected, done), "loss")
                done += block.count(b"\n")
        if not _ends_whole(log):
            raise Fault(f"{log.name}: torn line after {lines} whole ones", "loss")
        return lines


def _first_difference(log: Path, block: bytes, expected: bytes, lines_before: int) -> str:
    pairs = zip(block.split(b"\n"), expected.split(b"\n"))
    for number, (got, want) in enumerate(pairs, lines_before + 1):
        if got != want:
            return f"{log.name}: line {number} is {got[:40]!r}, the seeded sequence has {want[:40]!r}"
    return f"{log.name}: goes on after the end of the seeded sequence"


def _ends_whole(log: Path) -> bool:
    with open(log, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def count_lines(path: Path) -> int:
    if not path.exists() or path.stat().st_size == 0:
        return 0
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def sum_lines(path: Path) -> int:
    """`awk '{s+=$1} END {print s}'`, by counting how often each value occurs."""
    tally: Counter = Counter()
    with open(path, "rb") as file:
        for block in iter(lambda: file.readlines(1 << 22), []):
            tally.update(block)
    return sum(int(value) * times for value, times in tally.items())


# -------------------------------------------------------------------------------------------- checkers

PANIC = re.compile(r"panicked|stack backtrace|RUST_BACKTRACE|SIGABRT|exit 101")


def check_status(ended: Ended, *expected: int) -> None:
    """X."""
    if ended.status not in expected:
        wanted = " or ".join(describe(status) for status in expected)
        said = ended.stderr.strip().splitlines()[-1:] or ["nothing on stderr"]
        raise Fault(f"{describe(ended.status)}, expected {wanted}; {said[0][:300]}", "status")


def check_stderr(ended: Ended, *cause: str) -> None:
    """P. No panic text anywhere; and one `ipcpipe: ...` line that matches every pattern of `cause`."""
    panic = PANIC.search(ended.stderr) or PANIC.search(ended.stdout[-65536:].decode(errors="replace"))
    if panic:
        raise Fault(f"panic text {panic.group()!r}: {ended.stderr.strip()[:300]}", "panic")
    lines = [line for line in ended.stderr.splitlines() if line.startswith(f"{MARK}: ")]
    if cause and not any(all(re.search(pattern, line) for pattern in cause) for line in lines):
        wanted = " and ".join(repr(pattern) for pattern in cause)
        raise Fault(f"no `ipcpipe: ...` line on stderr matches {wanted}: {ended.stderr.strip()[:400]!r}", "message")


def summary_of(ended: Ended) -> dict:
    if ended.summary is None:
        raise Fault(f"no summary as last line of stdout ({describe(ended.status)}): "
                    f"{ended.stdout[-200:]!r}; stderr {ended.stderr.strip()[-300:]!r}", "summary")
    return ended.summary


def check_balance(ended: Ended, count: Optional[int] = None) -> dict:
    """The summary's half of C: produced, logged, counted and reported agree and nothing is lost."""
    summary = summary_of(ended)
    figures = {key: summary.get(key) for key in ("produced", "logged", "counted", "reported")}
    wanted = figures["produced"] if count is None else count
    if summary.get("lost") != 0 or any(figure != wanted for figure in figures.values()):
        expected = "" if count is None else f", expected {count}"
        raise Fault(f"not conserved: {figures}, lost {summary.get('lost')}{expected}", "loss")
    return summary


def check_conserved(ended: Ended, reference: Reference, count: Optional[int] = None, seed: int = SEED,
                    sum_up_to: int = 20_000_000) -> dict:
    """C. The summary balances, the log is the seeded sequence, and its sum is the sum reported.

    Adding up a very long log is left out above `sum_up_to` lines: it equals the sequence byte for byte anyway.
    """
    summary = check_balance(ended, count)
    lines = reference.check_prefix(ended.log, seed)
    if lines != summary["logged"]:
        raise Fault(f"the log has {lines} lines, the summary says {summary['logged']}", "loss")
    if 0 < lines <= sum_up_to and sum_lines(ended.log) != summary["sum"]:
        raise Fault(f"the log adds up to {sum_lines(ended.log)}, the summary says {summary['sum']}", "loss")
    return summary


def check_prefix(ended: Ended, reference: Reference, seed: int = SEED) -> Optional[dict]:
    """C'. The log is a whole-line prefix of the sequence and every loss is declared in the summary.

    `lost` counts the samples that log, or that either consumer, did not get. A launcher that was killed
    declares nothing, so only the log is judged.
    """
    lines = reference.check_prefix(ended.log, seed)
    if ended.status in (-signal.SIGKILL, -signal.SIGSEGV, -signal.SIGPIPE):
        return None
    summary = summary_of(ended)
    produced, logged, counted, lost = (summary.get(key) for key in ("produced", "logged", "counted", "lost"))
    if logged != lines:
        raise Fault(f"the log has {lines} lines, the summary says logged {logged}", "loss")
    if None in (produced, counted, lost):
        raise Fault(f"loss not declared: produced {produced}, counted {counted}, lost {lost}", "loss")
    if lost not in (produced - logged, produced - min(logged, counted)):
        figures = f"produced {produced}, logged {logged}, counted {counted}, lost {lost}"
        raise Fault(f"loss wrongly declared: {figures}", "loss")
    return summary


# ------------------------------------------------------------------------------------------- scheduler


@dataclasses.dataclass
class Broken:
    """A task that gave no result: the harness itself failed, or the task outlived its limit."""

    reason: str


def _work_alone(work: Callable[[Any], Any], task: Any, answer: Any, parent: int) -> None:
    os.setsid()
    die_with_parent(parent)
    default_signals()
    become_subreaper()
    try:
        result = work(task)
    except BaseException:
        result = Broken(traceback.format_exc())
    kill_children()
    answer.send(result)


@dataclasses.dataclass
class _Worker:
    process: Any
    task: Any
    answer: Any
    deadline: float

    def result(self) -> Any:
        """What it sent; call it when the process has ended."""
        with contextlib.suppress(EOFError):
            if self.answer.poll():
                return self.answer.recv()
        late = time.monotonic() >= self.deadline
        return Broken("the worker was killed: past its limit" if late else "the worker died")


def _hire(work: Callable[[Any], Any], task: Any, seconds: float) -> _Worker:
    context = multiprocessing.get_context("fork")
    answer, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work_alone, args=(work, task, sender, os.getpid()))
    process.start()
    sender.close()
    return _Worker(process, task, answer, time.monotonic() + seconds)


def run_each(tasks: Iterable[Any], work: Callable[[Any], Any], jobs: int,
             seconds: Callable[[Any], float]) -> Iterator[tuple[Any, Any]]:
    """Runs `work(task)` in a process of its own, `jobs` at a time, and yields (task, result) as they end.

    A worker that outlives `seconds(task)` is killed with everything it started. Whatever ends this generator,
    an interrupt included, ends the workers too.
    """
    waiting = iter(tasks)
    busy: list[_Worker] = []
    try:
        while True:
            busy += [_hire(work, task, seconds(task)) for task in itertools.islice(waiting, jobs - len(busy))]
            if not busy:
                return
            nearest = min(worker.deadline for worker in busy) - time.monotonic()
            ended = wait_for_any([worker.process.sentinel for worker in busy], timeout=max(0.0, nearest))
            for worker in [worker for worker in busy if worker.process.sentinel in ended]:
                busy.remove(worker)
                worker.process.join()
                kill_children(spare=[other.process.pid for other in busy])
                yield worker.task, worker.result()
            for worker in busy:
                if time.monotonic() >= worker.deadline:
                    worker.process.kill()
    finally:
        kill_children()


# -------------------------------------------------------------------------------------------- scratch


class Scratch:
    """The directory of one invocation: a copy of the binary (a rebuild must not disturb), reference, beds.

    What passed is removed; what failed stays, and so does the directory then.
    """

    def __init__(self, name: str, binary: Path):
        self.path = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self.path.chmod(0o755)
        self.binary = Path(shutil.copy2(binary, self.path / MARK))
        self.binary.chmod(0o755)
        self.reference = Reference(self.path / "reference", self.binary)
        self._kept = False

    def keep(self, root: Path) -> Path:
        self._kept = True
        return root

    def drop(self, root: Path) -> None:
        shutil.rmtree(root, ignore_errors=True)

    def close(self) -> None:
        shutil.rmtree(self.path / "reference", ignore_errors=True)
        if not self._kept:
            shutil.rmtree(self.path, ignore_errors=True)


# --------------------------------------------------------------------------------------------- abilities


def _can_isolate() -> bool:
    with tempfile.TemporaryDirectory() as directory:
        return succeeds_in_child(lambda: isolate(Path(directory)))


def _can_trace() -> bool:
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-f", "-o", "/dev/null", "true"], stderr=subprocess.DEVNULL).returncode == 0


def _can_become_nobody() -> bool:
    return os.geteuid() == 0 and succeeds_in_child(lambda: os.setuid(NOBODY))


@lru_cache(maxsize=None)
def lacks(need: str) -> Optional[str]:
    """Why this machine cannot run a case that needs `need`; None when it can."""
    able, reason = {
        "root": (lambda: os.geteuid() == 0, "not root"),
        "unshare": (_can_isolate, "no namespaces"),
        "strace": (_can_trace, "no strace"),
        "pty": (lambda: succeeds_in_child(pty.openpty), "no terminals"),
        "nobody": (_can_become_nobody, "cannot become nobody"),
    }[need]
    return None if able() else reason


def stop_on_terminate() -> None:
    """Turns SIGTERM and SIGHUP (`timeout`, a closed terminal) into an orderly end that kills what we started."""

    def leave(number: int, _frame: Any) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def choose(text: Optional[str], known: Iterable[str], what: str) -> tuple[str, ...]:
    """A comma list from the command line, checked against what there is; everything when it is not given."""
    known = tuple(known)
    if not text:
        return known
    chosen = tuple(part.strip() for part in text.split(","))
    unknown = [part for part in chosen if part not in known]
    if unknown:
        raise SystemExit(f"unknown {what}: {', '.join(unknown)} (known: {', '.join(known)})")
    return chosen


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
