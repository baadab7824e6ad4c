"""Letters of a text, counted as people do it in Python today.

    python3 peers/count.py seed|counter FILE

It prints a JSON object of letters and how often each occurs. It is `scripts/compare-peers`'s peer: `seed` is the usual
program that gives each worker a segment, upper-cases it and counts in a dictionary, with the one worker with which it is
right; `counter` is `collections.Counter` over the text and upper-cases what is in the dictionary then.
"""
import collections
import concurrent.futures
import json
import os
import sys

WORKERS = 1
"""More would read overlapping segments, since seek() takes bytes and read() characters, and wait for the GIL."""


def process_segment(start, end, path):
    counts = {}
    with open(path, "r", encoding="utf-8") as file:
        file.seek(start)
        text = file.read(end - start)
        text = text.upper()
        for char in text:
            if char.isalpha():
                counts[char] = counts.get(char, 0) + 1
    return counts


def merge_counts(counts_list):
    final_counts = {}
    for counts in counts_list:
        for char, count in counts.items():
            final_counts[char] = final_counts.get(char, 0) + count
    return final_counts


def seed(path):
    size = os.path.getsize(path)
    chunk = size // WORKERS
    with concurrent.futures.ThreadPoolExecutor(max_workers=WORKERS) as executor:
        futures = []
        for i in range(WORKERS):
            start = i * chunk
            end = start + chunk if i < WORKERS - 1 else size
            futures.append(executor.submit(process_segment, start, end, path))
        results = [future.result() for future in concurrent.futures.as_completed(futures)]
    return merge_counts(results)


def counter(path):
    with open(path, encoding="utf-8") as file:
        found = collections.Counter(file.read())
    counts = collections.Counter()
    for char, count in found.items():
        for letter in filter(str.isalpha, char.upper()):
            counts[letter] += count
    return counts


if __name__ == "__main__":
    json.dump({"seed": seed, "counter": counter}[sys.argv[1]](sys.argv[2]), sys.stdout)
