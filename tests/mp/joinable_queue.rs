//! Joinable queues between real processes: what counts as worked off, and what becomes of what the dead held.

use std::collections::HashSet;
use std::time::Duration;

use ipcpipe::mp::{Error, JoinableQueue, Process, Queue};
use ipcpipe::task;

use crate::queue::{content, scatter};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);

#[test]
fn d2_joinable_queue_join_waits_until_all_is_worked_off() {
    fn work(queue: JoinableQueue<u64>, results: Queue<u64>) {
        for item in &queue {
            results.put(&(*item * *item)).unwrap();
            item.done();
        }
    }
    let (queue, results) = (JoinableQueue::bounded(4).unwrap(), Queue::new().unwrap());
    queue.join().unwrap();
    let workers = [(); 3].map(|()| Process::spawn(task!(work), (queue.clone(), results.clone())).unwrap());
    (0..100).for_each(|n| queue.put(&n).unwrap());
    queue.join_timeout(LONG).unwrap();
    assert_eq!((queue.unfinished(), results.len()), (0, 100), "join returned too early");
    queue.close();
    workers.into_iter().for_each(|it| it.join().unwrap());
    results.close();
    assert_eq!(results.iter().sum::<u64>(), (0..100).map(|n| n * n).sum::<u64>());
}

#[test]
fn d2_joinable_queue_blocks_tries_and_times_out() {
    let queue = JoinableQueue::bounded(2).unwrap();
    assert!(matches!(queue.try_get(), Err(Error::Empty(..))));
    assert!(matches!(queue.get_timeout(SHORT), Err(Error::TimedOut(..))));
    Process::spawn(task!(|queue: JoinableQueue<u8>| [1, 2].map(|n| queue.put(&n).is_ok())), queue.clone())
        .unwrap()
        .join()
        .unwrap();
    assert!(matches!(queue.try_put(&3), Err(Error::Full(..))));
    assert!(matches!(queue.put_timeout(&3, SHORT), Err(Error::TimedOut(..))));
    let item = queue.get().unwrap();
    queue.try_put(&3).unwrap();
    assert_eq!((queue.len(), queue.unfinished(), queue.is_full()), (2, 3, true), "a held item takes no room");
    assert!(matches!(queue.join_timeout(SHORT), Err(Error::TimedOut(..))));
    assert_eq!(item.into_inner(), 1);
    queue.close();
    assert!(matches!(queue.put(&4), Err(Error::Closed(..))));
    assert_eq!(queue.iter().map(|item| *item).collect::<Vec<_>>(), [2, 3]);
    queue.join_timeout(LONG).unwrap();
}

fn hold(queue: JoinableQueue<Vec<u8>>, held: Queue<u64>, is_to_exit: bool) {
    let item = queue.get().unwrap();
    held.put(&item.deliveries()).unwrap();
    if is_to_exit {
        std::process::exit(3);
    }
    loop {
        std::thread::park();
    }
}

#[test]
fn d2_what_a_killed_worker_held_is_given_to_another() {
    let (queue, held) = (JoinableQueue::new().unwrap(), Queue::new().unwrap());
    queue.put(&content(1, 50_000)).unwrap();
    for delivery in 1..=3 {
        let mut worker = Process::spawn(task!(hold), (queue.clone(), held.clone(), delivery == 2)).unwrap();
        assert_eq!(held.get_timeout(LONG).unwrap(), delivery);
        if delivery != 2 {
            worker.kill();
        }
        let _ = worker.join();
    }
    // The joiner notices the death as well, and then nobody has to wait for the item.
    assert!(matches!(queue.join_timeout(SHORT), Err(Error::TimedOut(..))));
    let item = queue.get_timeout(LONG).unwrap();
    assert_eq!((item.deliveries(), queue.unfinished()), (4, 1));
    assert!(*item == content(1, 50_000));
    item.done();
    queue.join_timeout(LONG).unwrap();
}

#[test]
fn d2_an_item_of_a_thread_that_panics_goes_back() {
    let queue = JoinableQueue::new().unwrap();
    queue.put(&7).unwrap();
    std::thread::scope(|scope| {
        let panics = scope.spawn(|| {
            let _item = queue.get().unwrap();
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(panics.join().is_err());
    });
    let item = queue.try_get().unwrap();
    assert_eq!((*item, item.deliveries(), queue.unfinished()), (7, 2, 1));
}

#[test]
fn d2_the_end_waits_for_what_others_hold_but_not_for_ones_own() {
    let (queue, held) = (JoinableQueue::new().unwrap(), Queue::new().unwrap());
    queue.put(&content(1, 10)).unwrap();
    queue.close();
    let mut worker = Process::spawn(task!(hold), (queue.clone(), held.clone(), false)).unwrap();
    held.get_timeout(LONG).unwrap();
    assert!(matches!(queue.try_get(), Err(Error::Empty(..))));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| queue.get_timeout(LONG).unwrap().into_inner());
        worker.kill();
        assert_eq!(waits.join().unwrap(), content(1, 10));
    });
    assert!(matches!(queue.get(), Err(Error::Closed(..))));

    let queue = JoinableQueue::new().unwrap();
    queue.put(&1).unwrap();
    queue.close();
    let item = queue.get().unwrap();
    assert!(matches!(queue.get(), Err(Error::Closed(..))));
    item.done();
}

/// Workers and producers that are killed wherever they happen to be.
#[test]
fn d2_joinable_queue_loses_nothing_when_workers_are_killed_anywhere() {
    fn work(queue: JoinableQueue<(u64, Vec<u8>)>, results: Queue<u64>) {
        for item in &queue {
            assert!(item.1 == content(item.0, item.1.len()), "item {} is torn", item.0);
            results.put(&item.0).unwrap();
            item.done();
        }
    }
    const ROUNDS: u64 = 150;
    let (queue, results) = (JoinableQueue::bounded(8).unwrap(), Queue::bounded(4).unwrap());
    let start = || Process::spawn(task!(work), (queue.clone(), results.clone())).unwrap();
    let (mut workers, mut missing, mut put) = (vec![start(), start()], HashSet::new(), 0);
    for round in 0..ROUNDS {
        while queue.len() < 6 {
            // Never blocks, because what comes back fills the queue, and only this thread makes room among the results.
            if queue.try_put(&(put, content(put, (scatter(put) % 4000) as usize))).is_err() {
                break;
            }
            missing.insert(put);
            put += 1;
        }
        for _ in 0..scatter(round) % 6 {
            if let Ok(number) = results.get_timeout(Duration::from_millis(1)) {
                missing.remove(&number);
            }
        }
        let mut victim = workers.swap_remove((scatter(round + 7) % 2) as usize);
        victim.kill();
        let _ = victim.join();
        workers.push(start());
    }
    queue.close();
    while let Err(Error::TimedOut(..)) = queue.join_timeout(Duration::ZERO) {
        if let Ok(number) = results.get_timeout(SHORT) {
            missing.remove(&number);
        }
        let is_any_alive = workers.iter_mut().any(|worker| worker.is_alive());
        assert!(is_any_alive || queue.unfinished() == 0, "all workers are gone before the items are");
    }
    results.close();
    for number in results.iter() {
        missing.remove(&number);
    }
    workers.into_iter().for_each(|it| it.join().unwrap());
    assert_eq!(missing, HashSet::new(), "items are lost");
}
