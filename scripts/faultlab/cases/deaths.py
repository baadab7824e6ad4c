"""A stage or the launcher is killed, crashes or stops while samples flow; and what `clean` makes of it."""
from __future__ import annotations

import re
import signal
from pathlib import Path

from ..checks import check_declared, check_done, check_drained, check_stage_died, check_status
from ..failure import Failure
from ..program import NAME, NAMED_BACKENDS, STAGES
from ..registry import case
from ..sandbox import Sandbox
from .pace import FLAT, PACED


def _kill_row(name: str, stage: str) -> None:
    @case(name, f"kill -9 {stage}")
    def killed(sandbox: Sandbox) -> None:
        """The message names stage, pid and SIGKILL; the rest is drained, paced and flat out."""
        for pace in (PACED, FLAT):
            launch = sandbox.start(*pace, log=sandbox.log(f"l{pace[1]}")).flowing()
            victim = launch.stage(stage)
            victim.signal(signal.SIGKILL)
            check_stage_died(launch.wait(5), stage, victim.pid, signal.SIGKILL)


for _name, _stage in zip(("D08", "D09", "D10", "D11"), STAGES):
    _kill_row(_name, _stage)


def _kill_launcher(sandbox: Sandbox, *arguments: str) -> None:
    """kill -9 of a flowing launcher; its stages leave within 3 s and the log is whole."""
    launch = sandbox.start(*arguments).flowing()
    launch.signal(signal.SIGKILL)
    ended = launch.wait()
    check_status(ended, -signal.SIGKILL)
    sandbox.check_no_process(3)
    check_declared(ended)


@case("D12", "kill -9 the launcher")
def launcher_killed(sandbox: Sandbox) -> None:
    """The stages drain and leave; `clean` finds whatever is left."""
    _kill_launcher(sandbox, *FLAT)
    sandbox.clean()


def _leave_names(sandbox: Sandbox) -> frozenset:
    """A killed run that had been told to keep its names, so that there is something to clean."""
    _kill_launcher(sandbox, *PACED, "--keep-names")
    left = sandbox.new_names()
    if not left:
        raise Failure("a killed run with --keep-names left nothing: this row would prove nothing")
    return left


@case("D13", "kill -9 the launcher, then a new run", backends=NAMED_BACKENDS)
def next_run_sweeps(sandbox: Sandbox) -> None:
    """The new run is fine and has removed the leftovers of the dead one."""
    _leave_names(sandbox)
    check_done(sandbox.run("--count", "100", *FLAT, log=sandbox.log("second")), 100)


@case("D14", "kill -9 the launcher, then clean", backends=NAMED_BACKENDS)
def clean_after_kill(sandbox: Sandbox) -> None:
    """--dry-run lists and removes nothing, clean removes, a second clean finds nothing."""
    left = _leave_names(sandbox)
    listed = sandbox.clean("--dry-run")
    said = listed.stdout.decode() + listed.stderr
    directory = sandbox.runtime / NAME
    runs = {Path(name).relative_to(directory).parts[0] for name in left if name.startswith(f"{directory}/")}
    if not any(run in said for run in runs):
        raise Failure(f"clean --dry-run does not list {sorted(runs)}: {said!r}")
    if sandbox.new_names() != left:
        raise Failure(f"clean --dry-run removed {sorted(left - sandbox.new_names())}")
    sandbox.clean()
    sandbox.check_no_name()
    again = sandbox.clean()
    if not re.search(r"nothing|no dead", again.stdout.decode() + again.stderr, re.IGNORECASE):
        raise Failure(f"a second clean does not say that there was nothing: {again.stdout!r} {again.stderr!r}")


@case("D15", "clean beside a live run")
def clean_spares_the_living(sandbox: Sandbox) -> None:
    """Not one name of a live run is touched."""
    launch = sandbox.start(*PACED, "--keep-names").flowing()
    names = sandbox.new_names()
    sandbox.clean()
    if not names <= sandbox.new_names():
        raise Failure(f"clean removed names of a live run: {sorted(names - sandbox.new_names())}")
    launch.signal(signal.SIGINT)
    check_drained(launch.wait(5), signal.SIGINT)


@case("D16", "log stopped for 2 s, then continued")
def slow_log(sandbox: Sandbox) -> None:
    """Back-pressure: memory stays flat, nothing is lost."""
    launch = sandbox.start(*FLAT).flowing()
    log, before = launch.stage("log"), launch.high_water()
    log.stop()
    launch.runs_for(0.5 if sandbox.short else 2)
    after = launch.high_water()
    log.signal(signal.SIGCONT)
    grown = {stage: after[stage] - before.get(stage, 0) for stage in after}
    launch.signal(signal.SIGINT)
    check_drained(launch.wait(5), signal.SIGINT)
    if max(grown.values()) >= 8192:
        raise Failure(f"memory grew while log was stopped (KiB): {grown}")


@case("D17", "SIGSEGV to stat")
def stat_crashes(sandbox: Sandbox) -> None:
    """As kill -9, with SIGSEGV named."""
    launch = sandbox.start(*PACED).flowing()
    victim = launch.stage("stat")
    victim.crash(signal.SIGSEGV)
    check_stage_died(launch.wait(5), "stat", victim.pid, signal.SIGSEGV)
