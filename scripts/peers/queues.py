"""conv, log, stat and report as people write them in Python today: four processes and three multiprocessing queues.

    python3 peers/queues.py COUNT LOG

It is `scripts/compare-peers`'s peer, so it is written to be fast where that costs it nothing: the log is buffered and
opened once, and a state travels to report at most every 100 ms and not for each sample.
"""
import multiprocessing
import sys
import time
from random import randint

REPORT_EVERY = 0.1


def conv(count, to_log, to_stat):
    for _ in range(count):
        sample = randint(0, 100)
        to_log.put(sample)
        to_stat.put(sample)
    to_log.put(None)
    to_stat.put(None)


def log(samples, path):
    with open(path, "w") as file:
        for sample in iter(samples.get, None):
            file.write(f"{sample}\n")


def stat(samples, to_report):
    count = total = 0
    due = 0.0
    for sample in iter(samples.get, None):
        count += 1
        total += sample
        now = time.monotonic()
        if now >= due:
            to_report.put((count, total))
            due = now + REPORT_EVERY
    to_report.put((count, total))
    to_report.put(None)


def report(states):
    for count, total in iter(states.get, None):
        print(f"count {count} sum {total} mean {total / max(count, 1)}", flush=True)


def main():
    count, path = int(sys.argv[1]), sys.argv[2]
    context = multiprocessing.get_context("fork")
    to_log, to_stat, to_report = (context.Queue() for _ in range(3))
    stages = [
        context.Process(target=log, args=(to_log, path)),
        context.Process(target=stat, args=(to_stat, to_report)),
        context.Process(target=report, args=(to_report,)),
        context.Process(target=conv, args=(count, to_log, to_stat)),
    ]
    for stage in stages:
        stage.start()
    for stage in stages:
        stage.join()
    sys.exit(any(stage.exitcode for stage in stages))


if __name__ == "__main__":
    main()
