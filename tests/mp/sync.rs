//! Locks, semaphores, conditions, events and barriers between processes that may be killed.

use std::time::Duration;

use ipcpipe::mp::{
    Barrier, Condition, Error, Event, Lock, Process, RLock, Semaphore, TryLockError, Unlocked, Value, join_all,
};
use ipcpipe::task;

use crate::eventually;

const LONG: Duration = Duration::from_secs(60);

/// One inside at a time: answers the most that were.
fn enter(lock: Lock, inside: Unlocked<u32>, rounds: u32) -> u32 {
    let enter = |_| {
        let _guard = lock.lock().unwrap();
        let most = inside.fetch_add(1) + 1;
        inside.fetch_sub(1);
        most
    };
    (0..rounds).map(enter).max().unwrap()
}

fn hold(lock: Lock, held: Event) {
    let _guard = lock.lock().unwrap();
    held.set();
    sleep_for_ever();
}

fn sleep_for_ever() {
    loop {
        std::thread::park();
    }
}

#[test]
fn b32_a_lock_excludes_processes() {
    let (lock, inside) = (Lock::new().unwrap(), Value::unlocked(0_u32).unwrap());
    let start = |_| Process::spawn(task!(enter), (lock.clone(), inside.clone(), 5000_u32)).unwrap();
    let most = join_all((0..4).map(start).collect::<Vec<_>>()).into_iter().map(Result::unwrap).max();
    assert_eq!(most, Some(1));
}

#[test]
fn b32_a_killed_holder_is_reported_to_one_of_those_who_wait() {
    let (lock, held) = (Lock::new().unwrap(), Event::new().unwrap());
    let mut holder = Process::spawn(task!(hold), (lock.clone(), held.clone())).unwrap();
    assert!(held.wait_timeout(LONG));
    let take =
        task!(|lock: Lock| matches!(lock.lock_timeout(Duration::from_secs(60)), Err(TryLockError::OwnerDied(_))));
    let waiting: Vec<_> = (0..3).map(|_| Process::spawn(take, lock.clone()).unwrap()).collect();
    holder.kill();
    let heard = join_all(waiting).into_iter().filter(|it| *it.as_ref().unwrap()).count();
    assert_eq!(heard, 1);
}

#[test]
fn b32_a_recursive_lock_is_taken_again_by_its_holder_only() {
    let lock = RLock::new().unwrap();
    let _outer = lock.lock().unwrap();
    let _inner = lock.lock().unwrap();
    let attempt = task!(|lock: RLock| lock.try_lock().is_ok());
    assert!(!Process::spawn(attempt, lock.clone()).unwrap().join().unwrap());
}

#[test]
fn b32_a_semaphore_lets_so_many_processes_pass() {
    let (semaphore, inside) = (Semaphore::bounded(2).unwrap(), Value::unlocked(0_u32).unwrap());
    let enter = task!(|semaphore: Semaphore, inside: Unlocked<u32>| {
        let enter = |_| {
            let _permit = semaphore.acquire();
            let most = inside.fetch_add(1) + 1;
            inside.fetch_sub(1);
            most
        };
        (0..2000).map(enter).max().unwrap()
    });
    let start = |_| Process::spawn(enter, (semaphore.clone(), inside.clone())).unwrap();
    let most = join_all((0..4).map(start).collect::<Vec<_>>()).into_iter().map(Result::unwrap).max();
    assert!(most <= Some(2), "{most:?} were inside");
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn b32_permits_of_killed_processes_come_back() {
    let semaphore = Semaphore::new(3).unwrap();
    let hold = task!(|semaphore: Semaphore| {
        let _permit = semaphore.acquire();
        sleep_for_ever();
    });
    let mut holders: Vec<Process<()>> = (0..3).map(|_| Process::spawn(hold, semaphore.clone()).unwrap()).collect();
    eventually(|| semaphore.available() == 0);
    holders.iter_mut().for_each(Process::kill);
    let permits = [(); 3].map(|()| semaphore.acquire_timeout(LONG).expect("a lost permit"));
    drop(permits);
    assert_eq!(semaphore.available(), 3);
}

#[test]
fn b32_a_condition_hands_work_from_process_to_process() {
    let condition = Condition::new(&Lock::new().unwrap()).unwrap();
    let (room, sum) = (Value::unlocked(0_u64).unwrap(), Value::unlocked(0_u64).unwrap());
    let consume = task!(|condition: Condition, room: Unlocked<u64>, sum: Unlocked<u64>| {
        loop {
            let guard = condition.lock().unwrap();
            let _guard = condition.wait_while(guard, || room.load() == 0).unwrap();
            let work = room.swap(0);
            condition.notify_all();
            if work == u64::MAX {
                return;
            }
            sum.fetch_add(work);
        }
    });
    let consumer = Process::spawn(consume, (condition.clone(), room.clone(), sum.clone())).unwrap();
    for work in (1..=500).chain([u64::MAX]) {
        let guard = condition.lock().unwrap();
        let (_guard, is_empty) = condition.wait_while_timeout(guard, LONG, || room.load() != 0).unwrap();
        assert!(is_empty);
        room.store(work);
        condition.notify_one();
    }
    consumer.join().unwrap();
    assert_eq!(sum.load(), 500 * 501 / 2);
}

#[test]
fn b33_an_event_releases_processes() {
    let (go, ready) = (Event::new().unwrap(), Value::unlocked(0_u32).unwrap());
    let wait = task!(|go: Event, ready: Unlocked<u32>| {
        ready.fetch_add(1);
        go.wait_timeout(Duration::from_secs(60))
    });
    let mut waiting: Vec<_> = (0..3).map(|_| Process::spawn(wait, (go.clone(), ready.clone())).unwrap()).collect();
    eventually(|| ready.load() == 3);
    waiting[0].kill();
    go.set();
    let released: Vec<_> = join_all(waiting);
    assert!(matches!(released[0], Err(Error::Signalled(_, 9))));
    assert!(released[1..].iter().all(|it| *it.as_ref().unwrap()));
}

#[test]
fn b32_processes_meet_at_a_barrier_and_have_each_an_index() {
    let barrier = Barrier::new(3).unwrap();
    let meet = task!(|barrier: Barrier| (0..50)
        .map(|_| barrier.wait_timeout(Duration::from_secs(60)).unwrap())
        .collect::<Vec<u32>>());
    let all: Vec<_> = (0..3).map(|_| Process::spawn(meet, barrier.clone()).unwrap()).collect();
    let all: Vec<Vec<u32>> = join_all(all).into_iter().map(Result::unwrap).collect();
    for round in 0..50 {
        let mut indexes: Vec<u32> = all.iter().map(|it| it[round]).collect();
        indexes.sort_unstable();
        assert_eq!(indexes, [0, 1, 2]);
    }
}

#[test]
fn b32_a_killed_party_breaks_the_barrier() {
    let (barrier, has) = (Barrier::new(3).unwrap(), Event::new().unwrap());
    let wait = task!(|barrier: Barrier| matches!(barrier.wait(), Err(Error::Broken(..))));
    let idle = task!(|barrier: Barrier, has: Event| {
        has.set();
        sleep_for_ever();
        drop(barrier);
    });
    let mut killed: Process<()> = Process::spawn(idle, (barrier.clone(), has.clone())).unwrap();
    assert!(has.wait_timeout(LONG));
    let waiting: Vec<_> = (0..2).map(|_| Process::spawn(wait, barrier.clone()).unwrap()).collect();
    eventually(|| barrier.waiting() == 2);
    killed.kill();
    assert!(join_all(waiting).into_iter().all(|it| it.unwrap()));
    assert!(barrier.is_broken());
    barrier.reset();
    assert!(!barrier.is_broken());
}
