//! Locks, semaphores, conditions, events, barriers and queues, also when a holder or a waiter is killed.

use std::time::Duration;

use ipcpipe::mp::{
    self, BarrierProxy, ConditionProxy, Error, EventProxy, LockProxy, LockProxyError, Manager, Process, QueueProxy,
    RLockProxy, SemaphoreProxy, ValueProxy,
};
use ipcpipe::task;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);

fn sleep_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

fn timed_out<G>(result: Result<G, LockProxyError<G>>) -> bool {
    matches!(result, Err(LockProxyError::Failed(Error::TimedOut(..))))
}

fn died<G>(result: Result<G, LockProxyError<G>>) -> bool {
    matches!(result, Err(LockProxyError::OwnerDied(_)))
}

#[test]
fn b17_b24_a_lock_is_held_by_one_at_a_time() {
    fn add(lock: LockProxy, value: ValueProxy<u32>) {
        for _ in 0..50 {
            let _guard = lock.lock().unwrap();
            value.set(&(value.get().unwrap() + 1)).unwrap();
        }
    }
    let manager = Manager::start().unwrap();
    let (lock, value) = (manager.lock().unwrap(), manager.value(0).unwrap());
    let start = |_| Process::spawn(task!(add), (lock.clone(), value.clone())).unwrap();
    mp::join_all((0..3).map(start).collect::<Vec<_>>()).into_iter().for_each(|done| done.unwrap());
    assert_eq!(value.get().unwrap(), 150);

    let guard = lock.lock().unwrap();
    assert!(matches!(lock.lock(), Err(LockProxyError::Failed(Error::Refused(_)))));
    assert!(timed_out(lock.try_lock()) && timed_out(lock.lock_timeout(LONG)));
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(timed_out(lock.try_lock()) && timed_out(lock.lock_timeout(SHORT)))).join().unwrap();
    });
    drop(guard);
    drop(lock.try_lock().unwrap());
}

#[test]
fn b17_a_killed_holder_frees_the_lock_and_one_taker_hears_of_it() {
    fn hold(lock: LockProxy, again: RLockProxy, ready: QueueProxy<()>) {
        let _guard = lock.lock().unwrap();
        let _guards = (again.lock().unwrap(), again.lock().unwrap());
        ready.put(&()).unwrap();
        sleep_for_ever();
    }
    let manager = Manager::start().unwrap();
    let (lock, rlock, ready) = (manager.lock().unwrap(), manager.rlock().unwrap(), manager.queue(1).unwrap());
    let mut holder = Process::spawn(task!(hold), (lock.clone(), rlock.clone(), ready.clone())).unwrap();
    ready.get().unwrap();
    assert!(timed_out(lock.try_lock()) && timed_out(rlock.try_lock()));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| died(lock.lock()));
        holder.kill();
        assert!(waits.join().unwrap(), "nobody said that the holder died");
    });
    drop(lock.lock().unwrap());
    assert!(died(rlock.lock_timeout(LONG)));
    drop(rlock.lock().unwrap());
}

#[test]
fn b17_a_killed_waiter_is_forgotten() {
    fn wait(lock: LockProxy, ready: QueueProxy<()>) {
        ready.put(&()).unwrap();
        drop(lock.lock());
    }
    let manager = Manager::start().unwrap();
    let (lock, ready) = (manager.lock().unwrap(), manager.queue(1).unwrap());
    let guard = lock.lock().unwrap();
    let mut waiter = Process::spawn(task!(wait), (lock.clone(), ready.clone())).unwrap();
    ready.get().unwrap();
    waiter.kill();
    drop(guard);
    // It may have got the lock in the moment in which it died, and then that is told.
    let locked = lock.lock_timeout(LONG);
    assert!(locked.is_ok() || died(locked));
}

#[test]
fn b17_an_rlock_is_taken_again_by_its_holder_only() {
    let manager = Manager::start().unwrap();
    let lock = manager.rlock().unwrap();
    let outer = lock.lock().unwrap();
    let inner = lock.try_lock().unwrap();
    let is_free = || std::thread::scope(|scope| scope.spawn(|| lock.try_lock().is_ok()).join().unwrap());
    assert!(!is_free());
    drop(outer);
    assert!(!is_free());
    drop(inner);
    assert!(is_free());
}

#[test]
fn b17_a_semaphore_lets_so_many_in() {
    let manager = Manager::start().unwrap();
    let semaphore = manager.semaphore(2).unwrap();
    let (one, two) = (semaphore.acquire().unwrap(), semaphore.try_acquire().unwrap().unwrap());
    assert!(semaphore.try_acquire().unwrap().is_none() && semaphore.acquire_timeout(SHORT).unwrap().is_none());
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| semaphore.acquire_timeout(LONG).unwrap().is_some());
        drop(one);
        assert!(waits.join().unwrap());
    });
    two.forget().unwrap();
    assert_eq!(semaphore.available().unwrap(), 1);
    semaphore.release().unwrap();
    semaphore.release().unwrap();
    assert_eq!(semaphore.available().unwrap(), 3);
}

#[test]
fn b17_a_bounded_semaphore_never_has_more() {
    let manager = Manager::start().unwrap();
    let semaphore = manager.bounded_semaphore(1).unwrap();
    assert!(matches!(semaphore.release(), Err(Error::Refused(_))));
    let permit = semaphore.acquire().unwrap();
    assert!(matches!(semaphore.release(), Err(Error::Refused(_))));
    permit.forget().unwrap();
    semaphore.release().unwrap();
    assert_eq!(semaphore.available().unwrap(), 1);
}

#[test]
fn b17_the_permits_of_a_killed_process_come_back() {
    fn hold(semaphore: SemaphoreProxy, ready: QueueProxy<()>) {
        let _permits = (semaphore.acquire().unwrap(), semaphore.acquire().unwrap());
        ready.put(&()).unwrap();
        sleep_for_ever();
    }
    let manager = Manager::start().unwrap();
    let (semaphore, ready) = (manager.bounded_semaphore(2).unwrap(), manager.queue(1).unwrap());
    let mut holder = Process::spawn(task!(hold), (semaphore.clone(), ready.clone())).unwrap();
    ready.get().unwrap();
    assert!(semaphore.try_acquire().unwrap().is_none());
    holder.kill();
    assert!(semaphore.acquire_timeout(LONG).unwrap().is_some());
    crate::eventually(|| semaphore.available().unwrap() == 2);
}

#[test]
fn b17_a_condition_is_waited_for() {
    fn consume(condition: ConditionProxy, items: ValueProxy<u32>) {
        let guard = condition.lock().unwrap();
        let _guard = condition.wait_while(guard, || Ok(items.get()? == 0)).unwrap();
        items.set(&(items.get().unwrap() - 1)).unwrap();
    }
    let manager = Manager::start().unwrap();
    let (condition, items) = (manager.condition().unwrap(), manager.value(0).unwrap());
    let start = |_| Process::spawn(task!(consume), (condition.clone(), items.clone())).unwrap();
    let consumers: Vec<_> = (0..3).map(start).collect();
    {
        let _guard = condition.lock().unwrap();
        items.set(&3).unwrap();
        condition.notify_all().unwrap();
    }
    mp::join_all(consumers).into_iter().for_each(|done| done.unwrap());
    assert_eq!(items.get().unwrap(), 0);
    let guard = condition.lock().unwrap();
    let (guard, notified) = condition.wait_timeout(guard, SHORT).unwrap();
    assert!(!notified);
    let (guard, is_over) = condition.wait_while_timeout(guard, SHORT, || Ok(true)).unwrap();
    assert!(!is_over && timed_out(condition.try_lock()));
    drop(guard);
    let other = manager.lock().unwrap();
    assert!(matches!(condition.wait(other.lock().unwrap()), Err(LockProxyError::Failed(Error::Refused(_)))));
    drop(other.try_lock().unwrap());
}

#[test]
fn b17_a_notification_is_not_lost_with_a_killed_waiter() {
    fn wait(condition: ConditionProxy, ready: QueueProxy<u32>) -> bool {
        let guard = condition.lock().unwrap();
        ready.put(&std::process::id()).unwrap();
        condition.wait_timeout(guard, LONG).unwrap().1
    }
    let manager = Manager::start().unwrap();
    let (condition, ready) = (manager.condition().unwrap(), manager.queue(2).unwrap());
    let start = || {
        let process = Process::spawn(task!(wait), (condition.clone(), ready.clone())).unwrap();
        ready.get().unwrap();
        // Whoever said that he has the lock gives it back only to wait.
        drop(condition.lock().unwrap());
        process
    };
    let (mut first, mut second) = (start(), start());
    first.kill();
    condition.notify_one().unwrap();
    assert!(second.join_timeout(LONG).unwrap());
}

#[test]
fn b17_two_conditions_have_one_lock() {
    let manager = Manager::start().unwrap();
    let lock = manager.lock().unwrap();
    let (full, empty) = (manager.condition_of(&lock).unwrap(), manager.condition_of(&lock).unwrap());
    let guard = lock.lock().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _guard = lock.lock().unwrap();
            full.notify_n(5).unwrap();
            empty.notify_one().unwrap();
        });
        let (_guard, notified) = full.wait_timeout(guard, LONG).unwrap();
        assert!(notified);
    });
}

#[test]
fn b17_an_event_lets_all_go_on() {
    fn wait(event: EventProxy, ready: QueueProxy<()>) {
        ready.put(&()).unwrap();
        event.wait().unwrap();
    }
    let manager = Manager::start().unwrap();
    let (event, ready) = (manager.event().unwrap(), manager.queue(2).unwrap());
    assert!(!event.is_set().unwrap() && !event.wait_timeout(SHORT).unwrap());
    let start = |_| Process::spawn(task!(wait), (event.clone(), ready.clone())).unwrap();
    let waiters: Vec<_> = (0..2).map(start).collect();
    (0..2).for_each(|_| ready.get().unwrap());
    event.set().unwrap();
    mp::join_all(waiters).into_iter().for_each(|done| done.unwrap());
    assert!(event.is_set().unwrap() && event.wait_timeout(SHORT).unwrap());
    event.clear().unwrap();
    assert!(!event.is_set().unwrap());
}

#[test]
fn b17_a_barrier_is_a_meeting_point() {
    fn meet(barrier: BarrierProxy) -> Vec<u32> {
        (0..20).map(|_| barrier.wait().unwrap()).collect()
    }
    let manager = Manager::start().unwrap();
    let barrier = manager.barrier(3).unwrap();
    let parties = (0..3).map(|_| Process::spawn(task!(meet), barrier.clone()).unwrap()).collect::<Vec<_>>();
    let rounds: Vec<Vec<u32>> = mp::join_all(parties).into_iter().map(|it| it.unwrap()).collect();
    for round in 0..20 {
        assert_eq!(rounds.iter().map(|places| places[round]).sum::<u32>(), 3);
    }
    assert_eq!((barrier.parties().unwrap(), barrier.waiting().unwrap()), (3, 0));
    assert!(matches!(barrier.wait_timeout(SHORT), Err(Error::TimedOut(..))));
    assert!(barrier.is_broken().unwrap());
    assert!(matches!(barrier.wait(), Err(Error::Broken(..))));
    barrier.reset().unwrap();
    assert!(!barrier.is_broken().unwrap());
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| barrier.wait());
        crate::eventually(|| barrier.waiting().unwrap() == 1);
        barrier.abort().unwrap();
        assert!(matches!(waits.join().unwrap(), Err(Error::Broken(..))));
    });
    assert!(matches!(manager.barrier(0), Err(Error::Refused(_))));
}

#[test]
fn b17_a_killed_party_breaks_the_barrier() {
    let manager = Manager::start().unwrap();
    let barrier = manager.barrier(3).unwrap();
    let wait =
        |barrier: &BarrierProxy| Process::spawn(task!(|barrier: BarrierProxy| barrier.wait().is_ok()), barrier.clone());
    let mut party = wait(&barrier).unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| barrier.wait());
        crate::eventually(|| barrier.waiting().unwrap() == 2);
        party.kill();
        assert!(matches!(waits.join().unwrap(), Err(Error::Broken(..))));
    });
    assert!(barrier.is_broken().unwrap());
}

#[test]
fn b17_a_queue_is_bounded_and_ends() {
    fn produce(queue: QueueProxy<u32>) {
        (0..100).for_each(|n| queue.put(&n).unwrap());
    }
    let manager = Manager::start().unwrap();
    let queue = manager.queue(2).unwrap();
    let producers = (0..2).map(|_| Process::spawn(task!(produce), queue.clone()).unwrap()).collect::<Vec<_>>();
    let sum: u32 = (0..200).map(|_| queue.get().unwrap()).sum();
    assert_eq!(sum, 9900);
    mp::join_all(producers).into_iter().for_each(|done| done.unwrap());
    assert!(matches!(queue.try_get(), Err(Error::Empty(..))));
    assert!(matches!(queue.get_timeout(SHORT), Err(Error::TimedOut(..))));
    queue.try_put(&1).unwrap();
    queue.put_timeout(&2, LONG).unwrap();
    assert!(matches!(queue.try_put(&3), Err(Error::Full(..))));
    assert!(matches!(queue.put_timeout(&3, SHORT), Err(Error::TimedOut(..))));
    assert_eq!((queue.len().unwrap(), queue.capacity().unwrap(), queue.is_full().unwrap()), (2, 2, true));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| queue.put(&4));
        queue.close().unwrap();
        assert!(matches!(waits.join().unwrap(), Err(Error::Closed(..))));
    });
    assert!(queue.is_closed().unwrap() && !queue.is_empty().unwrap());
    assert_eq!(queue.iter().map(Result::unwrap).collect::<Vec<_>>(), [1, 2]);
    assert!(matches!(queue.get(), Err(Error::Closed(..))));
}

#[test]
fn b17_a_killed_getter_takes_nothing() {
    fn get(queue: QueueProxy<u32>, ready: QueueProxy<()>) {
        ready.put(&()).unwrap();
        let _ = queue.get();
        sleep_for_ever();
    }
    let manager = Manager::start().unwrap();
    let (queue, ready) = (manager.queue(1).unwrap(), manager.queue(1).unwrap());
    let mut getter = Process::spawn(task!(get), (queue.clone(), ready.clone())).unwrap();
    ready.get().unwrap();
    getter.kill();
    queue.put(&7).unwrap();
    assert_eq!(queue.get_timeout(LONG).unwrap(), 7);
}
