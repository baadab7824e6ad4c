"""What Python's multiprocessing takes for the things that `ipcpipe manager bench` measures.

    python3 peers/mp.py NAME COUNT

It prints the seconds that COUNT of them took, without the start of Python and of workers that are started once.
"""
import multiprocessing as mp
import sys
import time
from multiprocessing.shared_memory import ShareableList


def increment(number):
    return number + 1


def timed(action):
    start = time.monotonic()
    action()
    return time.monotonic() - start


def spawn(count):
    """Processes with an argument and a result, one after the other, by the start method that ipcpipe has."""
    context = mp.get_context("spawn")
    queue = context.SimpleQueue()

    def one():
        process = context.Process(target=put_increment, args=(queue, 1))
        process.start()
        assert queue.get() == 2
        process.join()

    return timed(lambda: [one() for _ in range(count)])


def put_increment(queue, number):
    queue.put(number + 1)


def pool_map(count):
    with mp.Pool(2) as pool:
        pool.map(increment, range(1000))
        return timed(lambda: pool.map(increment, range(count)))


def pool_chunk_1(count):
    with mp.Pool(2) as pool:
        pool.map(increment, range(1000))
        return timed(lambda: pool.map(increment, range(count), chunksize=1))


def pool_apply(count):
    with mp.Pool(2) as pool:
        pool.apply(increment, (1,))
        return timed(lambda: [pool.apply(increment, (number,)) for number in range(count)])


def put_all(queue, count, ready):
    ready.set()
    for number in range(count):
        queue.put(number)


def queue(count):
    return received(mp.Queue(1024), count)


def joinable_queue(count):
    tasks = mp.JoinableQueue(1024)
    return received(tasks, count, tasks.task_done)


def received(channel, count, done=lambda: None):
    ready = mp.Event()
    process = mp.Process(target=put_all, args=(channel, count, ready))
    process.start()
    ready.wait()

    def receive():
        for number in range(count):
            assert channel.get() == number
            done()

    seconds = timed(receive)
    process.join()
    return seconds


def echo(connection, count):
    for _ in range(count):
        connection.send(connection.recv())


def pipe(count):
    ours, theirs = mp.Pipe()
    process = mp.Process(target=echo, args=(theirs, count + 1))
    process.start()

    def exchange(number):
        ours.send(number)
        assert ours.recv() == number

    exchange(0)
    seconds = timed(lambda: [exchange(number) for number in range(count)])
    process.join()
    return seconds


def add(value, count, barrier):
    barrier.wait()
    for _ in range(count):
        with value.get_lock():
            value.value += 1
    barrier.wait()


def value(count):
    number, barrier = mp.Value("q", 0), mp.Barrier(3)
    processes = [mp.Process(target=add, args=(number, count // 2, barrier)) for _ in range(2)]
    for process in processes:
        process.start()
    barrier.wait()
    seconds = timed(barrier.wait)
    for process in processes:
        process.join()
    assert number.value == count // 2 * 2
    return seconds


def dictionary(count):
    with mp.Manager() as manager:
        numbers = manager.dict()
        numbers[0] = 0

        def fill():
            for number in range(count):
                numbers[number % 1000] = number

        return timed(fill)


def list_append(count):
    with mp.Manager() as manager:
        numbers = manager.list()
        return timed(lambda: [numbers.append(number) for number in range(count)])


def shared_list(count):
    numbers = ShareableList([0] * 100)

    def fill():
        for number in range(count):
            numbers[number % 100] = number

    seconds = timed(fill)
    numbers.shm.close()
    numbers.shm.unlink()
    return seconds


CASES = {
    "spawn": spawn, "pool-map": pool_map, "pool-chunk-1": pool_chunk_1, "pool-apply": pool_apply, "queue": queue,
    "joinable-queue": joinable_queue, "pipe": pipe, "value": value, "dict": dictionary, "list": list_append,
    "shared-list": shared_list,
}

if __name__ == "__main__":
    mp.set_start_method("fork")
    print(CASES[sys.argv[1]](int(sys.argv[2])))
