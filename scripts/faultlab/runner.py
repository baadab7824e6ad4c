"""Tasks side by side, each in a process of its own, so that its orphans, mounts and limits are its own."""
from __future__ import annotations

import contextlib
import dataclasses
import itertools
import multiprocessing
import os
import time
import traceback
from multiprocessing.connection import wait as wait_for_any
from typing import Any, Callable, Iterable, Iterator

from .kernel import become_subreaper, default_signals, die_with_parent
from .processes import kill_children


@dataclasses.dataclass
class Broken:
    """A task that gave no result: the laboratory itself failed, or the task outlived its limit."""

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
