"""The system calls that Python does not wrap, and what is arranged for a child before it is executed."""
from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import termios
from pathlib import Path
from typing import Any, Callable

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWNET = 0x0002_0000, 0x0800_0000, 0x4000_0000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: Any) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def become_subreaper() -> None:
    """From now on orphaned descendants become our children instead of init's."""
    _call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """Ties this process to `parent`: even when we are killed by SIGKILL nothing of ours spins on."""
    _call("prctl", PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def mount(kind: str, target: Path, options: str = "", flags: int = 0) -> None:
    _call("mount", b"none", os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode())


def isolate(queues: Path) -> None:
    """Gives this process its own /dev/shm, message queues (visible in `queues`) and socket table.

    A parallel run can then neither be mistaken for a leak nor hide one.
    """
    _call("unshare", CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET)
    mount("", Path("/"), flags=MS_REC | MS_PRIVATE)
    mount("tmpfs", Path("/dev/shm"), "mode=1777")
    mount("mqueue", queues)


def default_signals() -> None:
    """Forgets what the caller's shell ignored or blocked (`&` ignores INT, nohup HUP): children inherit it."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def succeeds_in_child(action: Callable[[], Any]) -> bool:
    """Whether `action` raises nothing; tried in a forked child because it cannot be taken back."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


# What a launch is prepared with: each is called in the child just before it becomes the launcher.


def acquire_terminal() -> None:
    """Makes stdin the controlling terminal of this (new) session, so that \\x03 means Ctrl-C here."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def limit(kind: int, value: int) -> Callable[[], Any]:
    """`ulimit` for one child."""
    return lambda: resource.setrlimit(kind, (value, value))


def ignoring(number: int) -> Callable[[], Any]:
    """As `sh -c 'RUN &'` (INT) and nohup (HUP) start their children."""
    return lambda: signal.signal(number, signal.SIG_IGN)
