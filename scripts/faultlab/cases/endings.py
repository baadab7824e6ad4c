"""Every way to ask a run to end: its own count, signals, the terminal."""
from __future__ import annotations

import os
import signal
from typing import Any, Callable

from ..checks import check_done, check_drained, check_forced
from ..failure import Failure
from ..kernel import acquire_terminal, ignoring
from ..program import STAGES
from ..registry import case
from ..sandbox import Sandbox
from .pace import FLAT, PACED


@case("D01", "1000 samples, start to end")
def thousand_samples(sandbox: Sandbox) -> None:
    """0, all records; the log equals the one of every other backend."""
    check_done(sandbox.run("--count", "1000", *FLAT), 1000)


def _signal_row(name: str, number: int, prepare: tuple[Callable[[], Any], ...] = ()) -> None:
    @case(name, f"{signal.Signals(number).name} to the launcher")
    def signalled(sandbox: Sandbox) -> None:
        """Drains within 5 s and dies by the signal, paced and flat out."""
        for pace in (PACED, FLAT):
            launch = sandbox.start(*pace, log=sandbox.log(f"l{pace[1]}"), prepare=prepare).flowing()
            launch.signal(number)
            check_drained(launch.wait(5), number)


_signal_row("D02", signal.SIGINT, prepare=(ignoring(signal.SIGINT),))
_signal_row("D03", signal.SIGTERM)
_signal_row("D04", signal.SIGHUP)


@case("D05", "Ctrl-C in a terminal", needs=("pty",))
def ctrl_c(sandbox: Sandbox) -> None:
    """All five processes get the INT, and it counts as one request: one drain, one summary."""
    launch = sandbox.start_on_terminal(*PACED).flowing()
    launch.press(b"\x03")
    ended = launch.wait(5)
    check_drained(ended, signal.SIGINT)
    summaries = ended.stdout.count(b'"summary"')
    if summaries != 1:
        raise Failure(f"{summaries} summaries, expected one")


@case("D06", "Ctrl-C twice, 1 s apart, report stopped", needs=("pty",))
def ctrl_c_twice(sandbox: Sandbox) -> None:
    """The drain cannot end, so the second Ctrl-C forces it at once."""
    launch = sandbox.start_on_terminal(*PACED).flowing()
    launch.stage("report").stop()
    launch.press(b"\x03")
    launch.runs_for(1.0)
    launch.press(b"\x03")
    check_forced(launch.wait(2))


@case("D07", "INT while a stage is stopped: drain timeout")
def drain_timeout(sandbox: Sandbox) -> None:
    """No second request: --drain-timeout forces the end."""
    for stage in ("log",) if sandbox.short else STAGES:
        launch = sandbox.start(*PACED, "--drain-timeout", "2s", log=sandbox.log(stage)).flowing()
        launch.stage(stage).stop()
        launch.signal(signal.SIGINT)
        check_forced(launch.wait(4))


@case("D51", "nohup, and the terminal goes away", needs=("pty",))
def no_hangup(sandbox: Sandbox) -> None:
    """The ignored HUP stays ignored: it runs on, and drains on TERM."""
    master, slave = os.openpty()
    launch = sandbox.start(*PACED, before=("nohup",), stdin=slave, prepare=(acquire_terminal,)).flowing()
    os.close(slave)
    os.close(master)
    launch.runs_for(0.3)
    launch.flowing(sandbox.log().stat().st_size + 1)
    launch.signal(signal.SIGTERM)
    check_drained(launch.wait(5), signal.SIGTERM)
