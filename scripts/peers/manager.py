"""A manager of named processes as people write it in Python today: a dictionary of names and multiprocessing.

    python3 peers/manager.py < LINES

It reads `create process NAME` and `terminate process NAME`, answers each with a line, and ends with its input. It is
`scripts/compare-peers`'s peer: a process is a loop that sleeps, and can be paused by its event.
"""
import multiprocessing
import sys
import time


def work(may_run):
    while True:
        may_run.wait()
        time.sleep(1)


class Manager:
    def __init__(self):
        self.context = multiprocessing.get_context("fork")
        self.processes = {}

    def create(self, name):
        if name in self.processes:
            return f"error: {name} exists"
        may_run = self.context.Event()
        may_run.set()
        process = self.context.Process(target=work, args=(may_run,), name=name, daemon=True)
        process.start()
        self.processes[name] = (process, may_run)
        return f"process {name} created, pid {process.pid}"

    def terminate(self, name):
        if name not in self.processes:
            return f"error: no {name}"
        process, _ = self.processes.pop(name)
        process.terminate()
        process.join()
        return f"process {name} terminated"


def main():
    manager = Manager()
    verbs = {"create": manager.create, "terminate": manager.terminate}
    print("ready", flush=True)
    for line in sys.stdin:
        verb, _, name = line.split()
        print(verbs[verb](name), flush=True)


if __name__ == "__main__":
    main()
