//! What is measured: each case does something a number of times, and answers how long that took. Workers that are started
//! once are started before.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use ipcpipe::mp::{
    Barrier, Connection, Error, JoinableQueue, Lock, Manager, Pool, Process, Queue, Result, SharedList, Value,
    join_all, pipe,
};
use ipcpipe::task;

/// One thing that is measured.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// How often, if nobody says.
    pub(super) count: u64,
    pub(super) run: fn(u64) -> Result<Duration>,
}

const fn case(name: &'static str, what: &'static str, count: u64, run: fn(u64) -> Result<Duration>) -> Case {
    Case { name, what, count, run }
}

pub(super) const CASES: [Case; 14] = [
    case("thread", "a thread started and joined", 5_000, thread),
    case("spawn", "a process started, its result, its end", 200, spawn),
    case("pool-map", "a small job of Pool::map, 2 workers", 200_000, pool_map),
    case("pool-chunk-1", "the same, sent one by one", 50_000, pool_chunk_1),
    case("pool-apply", "one job given to a pool, its result awaited", 20_000, pool_apply),
    case("queue", "a number from one process to another by Queue", 500_000, queue),
    case("joinable-queue", "the same by JoinableQueue, each acknowledged", 200_000, joinable_queue),
    case("pipe", "a number there and back by pipe", 50_000, ping_pong),
    case("lock", "a Lock taken and given back by one process", 5_000_000, lock),
    case("value", "1 added to a Value by two processes at once", 2_000_000, value),
    case("dict", "an entry set in a dict of a Manager", 50_000, dict),
    case("list", "an item pushed to a list of a Manager", 50_000, list),
    case("extend", "the same, many at a time", 1_000_000, extend),
    case("shared-list", "an item set in a SharedList", 5_000_000, shared_list),
];

/// How long `action` takes.
fn timed(action: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    action()?;
    Ok(start.elapsed())
}

fn expect(found: u64, expected: u64) -> Result<()> {
    if found == expected { Ok(()) } else { Err(Error::Refused(format!("{found} came instead of {expected}"))) }
}

fn thread(count: u64) -> Result<Duration> {
    timed(|| (0..count).try_for_each(|n| expect(thread::spawn(move || n + 1).join().unwrap_or(0), n + 1)))
}

fn increment(number: u64) -> u64 {
    number + 1
}

fn spawn(count: u64) -> Result<Duration> {
    timed(|| (0..count).try_for_each(|n| expect(Process::spawn(task!(increment), n)?.join()?, n + 1)))
}

/// A pool whose workers have begun to work.
fn pool(chunk: Option<usize>) -> Result<Pool<(u64,), u64>> {
    let pool = Pool::new(task!(increment)).workers(2);
    let pool =
        chunk.and_then(|it| it.try_into().ok()).into_iter().fold(pool, |pool, chunk| pool.chunk(chunk)).build()?;
    pool.map(0..1000).into_iter().try_for_each(|it| it.map(drop))?;
    Ok(pool)
}

fn mapped(pool: &Pool<(u64,), u64>, count: u64) -> Result<Duration> {
    let mut results = Vec::new();
    let elapsed = timed(|| {
        results = pool.map(0..count);
        Ok(())
    })?;
    results.into_iter().zip(1..).try_for_each(|(found, expected)| expect(found?, expected))?;
    Ok(elapsed)
}

fn pool_map(count: u64) -> Result<Duration> {
    mapped(&pool(None)?, count)
}

fn pool_chunk_1(count: u64) -> Result<Duration> {
    mapped(&pool(Some(1))?, count)
}

fn pool_apply(count: u64) -> Result<Duration> {
    let pool = pool(None)?;
    timed(|| (0..count).try_for_each(|n| expect(pool.submit(n)?.get()?, n + 1)))
}

/// A producer waits until both are there.
fn produce(queue: Queue<u64>, start: Barrier, count: u64) -> Result<()> {
    start.wait()?;
    (0..count).try_for_each(|n| queue.put(&n))
}

fn queue(count: u64) -> Result<Duration> {
    let (queue, start) = (Queue::bounded(1024)?, Barrier::new(2)?);
    let producer = Process::spawn(task!(produce), (queue.clone(), start.clone(), count))?;
    start.wait()?;
    let elapsed = timed(|| (0..count).try_for_each(|n| expect(queue.get()?, n)))?;
    producer.join()??;
    Ok(elapsed)
}

fn produce_joinable(queue: JoinableQueue<u64>, start: Barrier, count: u64) -> Result<()> {
    start.wait()?;
    (0..count).try_for_each(|n| queue.put(&n))
}

fn joinable_queue(count: u64) -> Result<Duration> {
    let (queue, start) = (JoinableQueue::bounded(1024)?, Barrier::new(2)?);
    let producer = Process::spawn(task!(produce_joinable), (queue.clone(), start.clone(), count))?;
    start.wait()?;
    let elapsed = timed(|| {
        (0..count).try_for_each(|n| {
            let item = queue.get()?;
            expect(*item, n)?;
            item.done();
            Ok(())
        })
    })?;
    producer.join()??;
    Ok(elapsed)
}

fn echo(mut connection: Connection<u64, u64>) -> Result<()> {
    while let Ok(number) = connection.recv() {
        connection.send(&number)?;
    }
    Ok(())
}

fn ping_pong(count: u64) -> Result<Duration> {
    let (mut ours, theirs) = pipe::<u64, u64>()?;
    let echo = Process::spawn(task!(echo), theirs)?;
    let mut exchange = |n| {
        ours.send(&n)?;
        expect(ours.recv()?, n)
    };
    exchange(0)?;
    let elapsed = timed(|| (0..count).try_for_each(exchange))?;
    drop(ours);
    echo.join()??;
    Ok(elapsed)
}

fn lock(count: u64) -> Result<Duration> {
    let lock = Lock::new()?;
    timed(|| {
        for _ in 0..count {
            drop(black_box(lock.lock()?));
        }
        Ok(())
    })
}

fn add(value: Value<u64>, start: Barrier, count: u64) -> Result<()> {
    start.wait()?;
    (0..count).try_for_each(|_| value.update(|it| *it += 1))?;
    start.wait()?;
    Ok(())
}

fn value(count: u64) -> Result<Duration> {
    let (value, start) = (Value::new(0)?, Barrier::new(3)?);
    let adders = (0..2).map(|_| Process::spawn(task!(add), (value.clone(), start.clone(), count / 2)));
    let adders = adders.collect::<Result<Vec<_>>>()?;
    start.wait()?;
    let elapsed = timed(|| start.wait().map(drop))?;
    join_all(adders).into_iter().try_for_each(|it| it?)?;
    expect(value.get()?, count / 2 * 2)?;
    Ok(elapsed)
}

fn dict(count: u64) -> Result<Duration> {
    let manager = Manager::start()?;
    let numbers = manager.dict::<u64, u64>()?;
    numbers.set(&0, &0)?;
    timed(|| (0..count).try_for_each(|n| numbers.set(&(n % 1000), &n)))
}

fn list(count: u64) -> Result<Duration> {
    let manager = Manager::start()?;
    let numbers = manager.list::<u64>()?;
    let elapsed = timed(|| (0..count).try_for_each(|n| numbers.push(&n)))?;
    expect(numbers.len()? as u64, count)?;
    Ok(elapsed)
}

fn extend(count: u64) -> Result<Duration> {
    let manager = Manager::start()?;
    let numbers = manager.list::<u64>()?;
    let elapsed =
        timed(|| (0..count).step_by(10_000).try_for_each(|from| numbers.extend(from..count.min(from + 10_000))))?;
    expect(numbers.len()? as u64, count)?;
    Ok(elapsed)
}

fn shared_list(count: u64) -> Result<Duration> {
    let numbers = SharedList::new([0_i64; 100])?;
    timed(|| (0..count).try_for_each(|n| numbers.set((n % 100) as usize, n as i64)))
}
