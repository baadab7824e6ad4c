//! One process after the other is killed while it uses something shared, at a random moment. Whatever it was, the others go
//! on or are told, and nothing is left.
//!
//! `IPCPIPE_KILLS=2000 cargo test --release --test mp -- chaos --nocapture` is the long form.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use ipcpipe::mp::{
    Barrier, DictProxy, Error, JoinableQueue, Lock, LockProxy, Manager, Pool, Process, Queue, Semaphore, Value,
    children,
};
use ipcpipe::sys::handle::Handle;
use ipcpipe::sys::{proc, signal};
use ipcpipe::task;

/// Kills without a word about how many.
const FEW: u64 = 80;
const LONG: Duration = Duration::from_secs(60);

/// A generator of splitmix64: good enough to choose moments, and the same for the same round.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// Lets some time pass, mostly little: processes are at what they do after one or two milliseconds.
    fn moment(&mut self) {
        let most = 200 << self.below(6);
        std::thread::sleep(Duration::from_micros(self.below(most)));
    }
}

fn kill(pid: u32) {
    if let Some(handle) = proc::stat(pid).and_then(|stat| Handle::open(pid, stat.start_ticks)) {
        handle.signal(signal::KILL);
    }
}

/// Kills one of two at some moment, and ends the other, which must be able to.
fn kill_one(random: &mut Random, mut both: Vec<Process<()>>, end: impl FnOnce()) {
    random.moment();
    let mut victim = both.swap_remove(random.below(2) as usize);
    victim.kill();
    end();
    let mut other = both.swap_remove(0);
    if let Err(error) = other.join_timeout(LONG) {
        panic!("the one who lived: {error}");
    }
}

/// `process` twice.
fn two(start: impl Fn() -> ipcpipe::mp::Result<Process<()>>) -> Vec<Process<()>> {
    (0..2).map(|_| start().unwrap()).collect()
}

fn work(n: u64) -> u64 {
    (0..n % 1000 * 20).fold(n, |sum, i| sum ^ std::hint::black_box(i)) | 1 << 40
}

fn a_worker_of_a_pool(random: &mut Random) {
    let pool = Pool::new(task!(work)).workers(2).retries(10).build().unwrap();
    let batch = pool.batch(0..300).unwrap();
    random.moment();
    let workers = pool.stats();
    kill(workers[random.below(workers.len() as u64) as usize].worker.pid);
    assert!(batch.wait(Some(LONG)), "the batch hangs");
    for (n, result) in (0..300).zip(batch.results()) {
        assert_eq!(result.unwrap(), work(n));
    }
}

fn use_queue(queue: Queue<(u64, String)>, is_producer: bool) {
    for n in 0.. {
        let item = (n, "x".repeat((n % 500) as usize));
        match if is_producer {
            queue.put(&item)
        } else {
            queue.get().map(|(n, text)| assert_eq!(text.len() as u64, n % 500))
        } {
            Ok(()) => {}
            Err(Error::Closed(..)) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

fn a_user_of_a_queue(random: &mut Random) {
    let queue = Queue::bounded(8).unwrap();
    let both = [true, false].map(|is_producer| Process::spawn(task!(use_queue), (queue.clone(), is_producer)).unwrap());
    kill_one(random, both.into(), || queue.close());
    queue.iter().for_each(|(n, text)| assert_eq!(text.len() as u64, n % 500));
}

fn acknowledge(queue: JoinableQueue<u64>, done: Value<u64>) {
    while let Ok(item) = queue.get() {
        // Killed in here, the number is counted again by the next who gets it.
        while done.update(|count| *count += 1).is_err() {}
        item.done();
    }
}

fn a_worker_at_a_joinable_queue(random: &mut Random) {
    let (queue, done) = (JoinableQueue::bounded(64).unwrap(), Value::new(0_u64).unwrap());
    let both = two(|| Process::spawn(task!(acknowledge), (queue.clone(), done.clone())));
    (0..50).for_each(|n| queue.put_timeout(&n, LONG).unwrap());
    kill_one(random, both, || {
        queue.join_timeout(LONG).unwrap();
        queue.close();
    });
    let count = done.update(|count| *count).or_else(|_| done.get()).unwrap();
    assert!((50..=51).contains(&count), "{count} for 50 items and one death");
}

fn add(lock: Lock, sum: Value<u64>, stop: Value<u64>) {
    while stop.get().unwrap_or(0) == 0 {
        let guard = lock.lock().unwrap_or_else(|died| died.into_inner());
        let _ = sum.update(|sum| *sum += 1);
        drop(guard);
    }
}

fn a_holder_of_a_lock(random: &mut Random) {
    let (lock, sum, stop) = (Lock::new().unwrap(), Value::new(0).unwrap(), Value::new(0).unwrap());
    let both = two(|| Process::spawn(task!(add), (lock.clone(), sum.clone(), stop.clone())));
    kill_one(random, both, || while stop.set(1).is_err() {});
    drop(lock.lock_timeout(LONG).map(drop));
    lock.lock_timeout(Duration::ZERO).map(drop).unwrap();
}

fn come_and_go(semaphore: Semaphore, stop: Value<u64>) {
    while stop.get().unwrap_or(0) == 0 {
        drop(semaphore.acquire());
    }
}

fn a_holder_of_a_permit(random: &mut Random) {
    let (semaphore, stop) = (Semaphore::new(1).unwrap(), Value::new(0).unwrap());
    let both = two(|| Process::spawn(task!(come_and_go), (semaphore.clone(), stop.clone())));
    kill_one(random, both, || while stop.set(1).is_err() {});
    assert!(semaphore.acquire_timeout(LONG).is_some(), "the permit is lost");
}

fn meet(barrier: Barrier) {
    // It ends when the other one is gone: that is what is awaited here.
    while barrier.wait().is_ok() {}
}

fn a_party_of_a_barrier(random: &mut Random) {
    let barrier = Barrier::new(2).unwrap();
    let both = two(|| Process::spawn(task!(meet), barrier.clone()));
    // Who was killed before it had the barrier was never a party.
    kill_one(random, both, || barrier.abort());
}

fn use_objects(dict: DictProxy<u64, String>, lock: LockProxy) {
    for n in 0.. {
        let guard = match lock.lock() {
            Ok(guard) => guard,
            Err(error) => match Error::from(error) {
                Error::OwnerDied(..) => continue,
                Error::ManagerGone(..) => return,
                other => panic!("{other}"),
            },
        };
        match dict.set(&(n % 10), &n.to_string()) {
            Ok(()) => drop(guard),
            Err(Error::ManagerGone(..)) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

fn a_client_of_a_manager_or_the_manager(random: &mut Random) {
    let manager = Manager::start().unwrap();
    let (dict, lock) = (manager.dict().unwrap(), manager.lock().unwrap());
    let both = two(|| Process::spawn(task!(use_objects), (dict.clone(), lock.clone())));
    if random.below(2) == 0 {
        random.moment();
        kill(manager.worker().pid);
        for mut client in both {
            client.join_timeout(LONG).unwrap();
        }
        assert!(matches!(dict.len(), Err(Error::ManagerGone(..))));
    } else {
        kill_one(random, both, || {
            assert!(dict.len().unwrap() <= 10);
            manager.shutdown();
        });
    }
}

/// Somebody uses something, and is killed.
type Scene = fn(&mut Random);

const SCENES: [(&str, Scene); 7] = [
    ("worker of a pool", a_worker_of_a_pool),
    ("user of a queue", a_user_of_a_queue),
    ("worker at a joinable queue", a_worker_at_a_joinable_queue),
    ("holder of a lock", a_holder_of_a_lock),
    ("holder of a permit", a_holder_of_a_permit),
    ("party of a barrier", a_party_of_a_barrier),
    ("manager or its client", a_client_of_a_manager_or_the_manager),
];

/// The names that this process has in /dev/shm and /dev/mqueue.
fn names() -> usize {
    let own = format!("ipcpipe.mp-{}-", std::process::id());
    let in_dir = |dir| fs::read_dir(dir).into_iter().flatten().flatten();
    in_dir("/dev/shm")
        .chain(in_dir("/dev/mqueue"))
        .filter(|it| it.file_name().to_string_lossy().starts_with(&own))
        .count()
}

#[test]
fn whoever_is_killed_hangs_nobody_and_leaves_nothing() {
    let kills = std::env::var("IPCPIPE_KILLS").map_or(FEW, |text| text.parse().unwrap());
    let (start, mut done) = (Instant::now(), BTreeMap::new());
    for round in 0..kills {
        let (name, scene) = SCENES[(round % SCENES.len() as u64) as usize];
        let before = Instant::now();
        scene(&mut Random(round));
        assert!(before.elapsed() < LONG, "{name}, round {round}: it took {:?}", before.elapsed());
        *done.entry(name).or_insert(0) += 1;
    }
    let own: Vec<u32> = children().iter().map(|it| it.pid).collect();
    let left: Vec<u32> = proc::children(std::process::id()).into_iter().filter(|pid| own.contains(pid)).collect();
    println!("{kills} kills in {:?}: {done:?}; {} processes and {} names left", start.elapsed(), left.len(), names());
    assert_eq!(names(), 0);
    // Other tests have children of their own, but for the long form there are none.
    assert!(left.is_empty() || std::env::var_os("IPCPIPE_KILLS").is_none(), "{left:?}");
}
