//! Pools: results, order, deaths, timeouts and everything that Python's pool hangs at.

use std::collections::HashSet;
use std::sync::mpsc;
use std::time::Duration;

use ipcpipe::mp::{Departure, Error, MOST_WORKERS, Pool, PoolNews, Process, as_completed, current};
use ipcpipe::task;

const LONG: Duration = Duration::from_secs(60);

fn square(n: u64) -> u64 {
    n * n
}

fn kill_self_at(n: u64, bad: u64) -> u64 {
    if n == bad {
        std::process::abort();
    }
    n
}

#[test]
fn b25_map_gives_results_in_the_order_of_the_items() {
    let pool = Pool::new(task!(square)).workers(3).build().unwrap();
    let squares: Vec<u64> = pool.map(0..1000).into_iter().map(Result::unwrap).collect();
    assert_eq!(squares, (0..1000).map(square).collect::<Vec<_>>());
    assert!(pool.map(Vec::<u64>::new()).is_empty());
}

#[test]
fn b26_tuples_are_arguments_and_work_is_spread() {
    fn add(a: i64, b: i64) -> (i64, u32) {
        std::thread::sleep(Duration::from_millis(5));
        (a + b, std::process::id())
    }
    let pool = Pool::new(task!(add)).workers(2).build().unwrap();
    let sums: Vec<(i64, u32)> = pool.map((0..20).map(|n| (n, n))).into_iter().map(Result::unwrap).collect();
    assert_eq!(sums.iter().map(|it| it.0).collect::<Vec<_>>(), (0..20).map(|n| n + n).collect::<Vec<_>>());
    assert_eq!(sums.iter().map(|it| it.1).collect::<HashSet<_>>().len(), 2);
    let stats = pool.stats();
    assert_eq!(stats.iter().map(|it| it.jobs).sum::<u64>(), 20);
    assert_eq!(stats.len(), 2);
}

#[test]
fn b27_a_job_is_a_result_that_will_be_there() {
    let pool = Pool::new(task!(square)).workers(1).build().unwrap();
    let job = pool.submit(12).unwrap();
    assert_eq!(job.get().unwrap(), 144);
    assert!(job.is_done());
    assert_eq!(job.get_timeout(LONG).unwrap(), 144);
}

#[test]
fn b28_callbacks_are_called_in_this_process() {
    let pool = Pool::new(task!(square)).workers(2).build().unwrap();
    let (sender, results) = mpsc::channel();
    let own = std::process::id();
    pool.on_done(move |batch, job, result| {
        sender.send((batch, job, result.unwrap(), std::process::id() == own)).unwrap()
    });
    for n in 0..10 {
        let _ = pool.submit(n).unwrap();
    }
    pool.close();
    pool.join();
    let found: HashSet<(u64, usize, u64, bool)> = results.iter().collect();
    assert_eq!(found, (0..10).map(|n| (n, 0, n * n, true)).collect());
}

#[test]
fn b29_jobs_can_be_added_until_the_pool_is_closed() {
    let pool = Pool::new(task!(square)).workers(2).build().unwrap();
    let first = pool.submit(1).unwrap();
    assert_eq!(first.get().unwrap(), 1);
    let second = pool.submit(2).unwrap();
    pool.close();
    assert!(matches!(pool.submit(3), Err(Error::Closed(..))));
    assert!(matches!(pool.map([3])[..], [Err(Error::Closed(..))]));
    pool.join();
    assert_eq!(second.get().unwrap(), 4);
}

#[test]
fn b30_jobs_are_given_as_they_complete() {
    fn wait(ms: u64) -> u64 {
        std::thread::sleep(Duration::from_millis(ms));
        ms
    }
    let pool = Pool::new(task!(wait)).workers(2).build().unwrap();
    let jobs: Vec<_> = [300, 1].into_iter().map(|ms| pool.submit(ms).unwrap()).collect();
    let order: Vec<u64> = as_completed(jobs).map(|job| job.get().unwrap()).collect();
    assert_eq!(order, [1, 300]);
}

#[test]
fn imap_takes_items_as_they_are_needed() {
    let pool = Pool::new(task!(square)).workers(2).build().unwrap();
    let first: Vec<u64> = pool.imap(0..).take(5000).map(Result::unwrap).collect();
    assert_eq!(first, (0..5000).map(square).collect::<Vec<_>>());
    let unordered: HashSet<(usize, u64)> =
        pool.imap_unordered(0..5000).map(|(item, result)| (item, result.unwrap())).collect();
    assert_eq!(unordered, (0..5000).map(|n| (n as usize, square(n))).collect());
}

#[test]
fn a_job_that_kills_its_worker_is_an_error_in_its_place() {
    let pool = Pool::new(task!(kill_self_at)).workers(2).build().unwrap();
    for _ in 0..3 {
        let results = pool.map((0..200).map(|n| (n, 77)));
        for (n, result) in results.into_iter().enumerate() {
            match result {
                Err(Error::Signalled(worker, 6)) if n == 77 => assert!(worker.name.starts_with("PoolWorker-")),
                Ok(found) if n != 77 => assert_eq!(found, n as u64),
                other => panic!("{n}: {other:?}"),
            }
        }
    }
    assert_eq!(pool.workers(), 2);
}

#[test]
fn a_panic_in_one_job_touches_no_other() {
    fn odd(n: u64) -> u64 {
        assert!(n % 2 == 1, "{n} is even");
        n
    }
    let pool = Pool::new(task!(odd)).workers(2).build().unwrap();
    for (n, result) in pool.map(0..100).into_iter().enumerate() {
        match result {
            Ok(found) => assert_eq!((found, n % 2), (n as u64, 1)),
            Err(Error::Panicked(_, panic)) => assert_eq!((panic.message, n % 2), (format!("{n} is even"), 0)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pool.stats().len(), 2, "no worker was replaced");
}

#[test]
fn a_job_that_takes_too_long_is_ended_and_its_worker_replaced() {
    fn maybe_hang(n: u64) -> u64 {
        match n {
            3 => loop {
                std::thread::park();
            },
            n => n,
        }
    }
    let pool = Pool::new(task!(maybe_hang)).workers(2).timeout(Duration::from_millis(300)).build().unwrap();
    let results = pool.map(0..6);
    for (n, result) in results.into_iter().enumerate() {
        match (n, result) {
            (3, Err(Error::TimedOut(..))) => {}
            (n, Ok(found)) => assert_eq!(found, n as u64),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_job_is_tried_again_as_often_as_is_allowed() {
    fn fail_until(path: std::path::PathBuf, tries: usize) -> usize {
        let made = std::fs::read_dir(&path).unwrap().count();
        std::fs::write(path.join(made.to_string()), "").unwrap();
        if made + 1 < tries {
            std::process::abort();
        }
        made + 1
    }
    let dir = tempfile::tempdir().unwrap();
    let pool = Pool::new(task!(fail_until)).workers(1).retries(2).build().unwrap();
    let job = pool.submit((dir.path().to_owned(), 3)).unwrap();
    assert_eq!(job.get().unwrap(), 3);
    let dir = tempfile::tempdir().unwrap();
    let job = pool.submit((dir.path().to_owned(), 4)).unwrap();
    assert!(matches!(job.get(), Err(Error::Signalled(_, 6))));
}

#[test]
fn a_batch_is_cancelled_with_the_job_that_is_running() {
    fn hang(_: u64) {
        loop {
            std::thread::park();
        }
    }
    let pool = Pool::new(task!(hang)).workers(1).build().unwrap();
    let batch = pool.batch(0..10).unwrap();
    batch.cancel();
    assert!(batch.results().iter().all(|it| matches!(it, Err(Error::Cancelled(..)))));
    assert_eq!(pool.pending(), 0);
}

#[test]
fn e2_the_number_of_workers_changes_on_the_fly() {
    fn who(_: u64) -> u32 {
        std::thread::sleep(Duration::from_millis(2));
        std::process::id()
    }
    let pool = Pool::new(task!(who)).workers(1).build().unwrap();
    let workers =
        |pool: &Pool<(u64,), u32>| pool.map(0..60).into_iter().map(Result::unwrap).collect::<HashSet<_>>().len();
    assert_eq!(workers(&pool), 1);
    pool.resize(3.try_into().unwrap()).unwrap();
    crate::eventually(|| workers(&pool) == 3);
    pool.resize(1.try_into().unwrap()).unwrap();
    crate::eventually(|| workers(&pool) == 1);
}

#[test]
fn a_number_of_workers_that_can_never_be_is_refused_before_any_is_started() {
    let build = |workers| Pool::new(task!(square)).workers(workers).build();
    for workers in [0, MOST_WORKERS + 1, 1_000_000, usize::MAX] {
        let refused = build(workers).unwrap_err();
        assert!(matches!(&refused, Error::Refused(why) if why.contains(&workers.to_string())), "{refused}");
    }
    let pool = build(1).unwrap();
    for workers in [MOST_WORKERS + 1, usize::MAX] {
        assert!(matches!(pool.resize(workers.try_into().unwrap()), Err(Error::Refused(_))));
    }
    assert_eq!((pool.workers(), pool.map([3]).remove(0).unwrap()), (1, 9));
}

/// In a process of its own, whose limits are nobody else's.
#[test]
fn a_pool_for_which_there_are_too_few_descriptors_is_refused_or_ended_as_a_whole() {
    fn build(workers: usize, limit: u64) -> (String, usize) {
        let most = rustix::process::Rlimit { current: Some(limit), maximum: Some(limit) };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, most).unwrap();
        let error = Pool::new(task!(square)).workers(workers).build().unwrap_err().to_string();
        let own = std::process::id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
        (error, children.split_whitespace().count())
    }
    let ask = |workers: usize, limit: u64| Process::spawn(task!(build), (workers, limit)).unwrap().join().unwrap();
    let (error, left) = ask(100, 64);
    assert!(error.contains("a pool of 100 workers") && error.contains("'ulimit -n'"), "{error}");
    assert_eq!(left, 0);
    // By the number alone there is room, but not with what else is open.
    let (error, left) = ask(10, 60);
    assert!(error.contains("Too many open files"), "{error}");
    assert_eq!(left, 0);
}

#[test]
fn a_worker_does_no_more_jobs_than_it_may() {
    let pool =
        Pool::new(task!(|_: u64| std::process::id())).workers(1).max_jobs(3.try_into().unwrap()).build().unwrap();
    let pids: Vec<u32> = pool.map(0..9).into_iter().map(Result::unwrap).collect();
    assert_eq!(pids.iter().collect::<HashSet<_>>().len(), 3);
    assert!(pids.chunks(3).all(|three| three.iter().all(|pid| *pid == three[0])));
}

#[test]
fn every_worker_runs_the_initializer_first() {
    fn remember(text: String) {
        std::env::set_current_dir(text).unwrap();
    }
    fn recall() -> std::path::PathBuf {
        std::env::current_dir().unwrap()
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    let pool = Pool::new(task!(recall)).workers(2).initializer(task!(remember), path.to_str().unwrap().to_owned());
    let pool = pool.build().unwrap();
    for found in pool.map([(), ()].map(|()| ())) {
        assert_eq!(found.unwrap(), path);
    }
}

#[test]
fn stopping_a_pool_ends_its_workers_and_cancels_its_jobs() {
    fn hang(_: u64) -> String {
        loop {
            std::thread::park();
        }
    }
    let pool = Pool::new(task!(hang)).workers(2).build().unwrap();
    let pids: Vec<u32> = pool.stats().iter().map(|it| it.worker.pid).collect();
    let batch = pool.batch(0..5).unwrap();
    pool.stop();
    assert!(batch.results().iter().all(|it| matches!(it, Err(Error::Cancelled(..)))));
    assert!(pids.iter().all(|pid| ipcpipe::sys::proc::stat(*pid).is_none()));
}

fn refuse() {
    panic!("no")
}

#[test]
fn a_pool_whose_workers_cannot_start_their_work_fails_its_jobs() {
    let pool = Pool::new(task!(square)).workers(2).initializer(task!(refuse), ()).build().unwrap();
    assert!(pool.submit(1).unwrap().get().is_err());
}

#[test]
fn arguments_of_64_mib_pass() {
    let pool = Pool::new(task!(|text: String| text.len())).workers(2).build().unwrap();
    let text = "x".repeat(64 << 20);
    let lengths: Vec<usize> = pool.map([text.clone(), text]).into_iter().map(Result::unwrap).collect();
    assert_eq!(lengths, [64 << 20; 2]);
}

#[test]
fn b4_workers_have_names() {
    let pool = Pool::new(task!(|_: u64| current().name().to_owned())).workers(1).name("counter").build().unwrap();
    assert_eq!(pool.submit(0).unwrap().get().unwrap(), "counter-1");
}

fn nap(ms: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(ms));
    ms
}

/// The state of a process as ps(1) shows it.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn a_paused_pool_stands_still_and_so_does_its_time() {
    let pool = Pool::new(task!(nap)).workers(2).timeout(Duration::from_secs(2)).build().unwrap();
    let pids: Vec<u32> = pool.stats().iter().map(|it| it.worker.pid).collect();
    let batch = pool.batch([1, 1500, 1]).unwrap();
    crate::eventually(|| batch.done() == 2);
    pool.pause();
    crate::eventually(|| pids.iter().all(|&pid| state(pid) == Some('T')));
    let late = pool.submit(2).unwrap();
    std::thread::sleep(Duration::from_millis(2200));
    assert!(!late.is_done() && !batch.is_done());
    pool.resume();
    assert_eq!(late.get().unwrap(), 2);
    assert!(batch.results().iter().all(Result::is_ok));
    pool.pause();
    pool.begin_stop();
    crate::eventually(|| pool.has_ended());
    assert!(pids.iter().all(|&pid| state(pid).is_none()));
}

#[test]
fn news_tell_who_did_what_and_who_came_and_went() {
    let pool = Pool::new(task!(kill_self_at)).workers(1).name("w").own_groups(true).build().unwrap();
    let (sender, news) = mpsc::channel();
    pool.on_news(move |it| drop(sender.send(it)));
    let batch = pool.batch([(1, 2), (2, 2), (3, 2)]).unwrap();
    batch.wait(None);
    // As long as there is a batch or a pool, there may be news.
    drop(batch);
    pool.join();
    let (mut done, mut staff) = (Vec::new(), Vec::new());
    for it in news {
        match it {
            PoolNews::Done { job, worker, result, .. } => done.push((job, worker.unwrap().name, result.is_ok())),
            PoolNews::Started(worker) => staff.push(format!("+{}", worker.name)),
            PoolNews::Ended(worker, error, how) => {
                let is_last = error.worker().is_some_and(|it| it.name == "w-2");
                assert_eq!(how, if is_last { Departure::Dismissed } else { Departure::Died }, "{error}");
                staff.push(format!("-{}", worker.name));
            }
        }
    }
    let expected = [(0, "w-1", true), (1, "w-1", false), (2, "w-2", true)];
    assert_eq!(done, expected.map(|(job, worker, ok)| (job, worker.to_owned(), ok)));
    assert_eq!(staff, ["+w-1", "-w-1", "+w-2", "-w-2"]);
}

/// Nobody waits for the job here, so nobody but the pool's own thread can see that its time is over.
#[test]
fn the_time_of_a_job_is_kept_also_if_nobody_waits_for_it() {
    for has_callback in [false, true] {
        let pool = Pool::new(task!(hang_at)).workers(1).timeout(Duration::from_millis(100)).build().unwrap();
        if has_callback {
            pool.on_done(|_, _, _| {});
        }
        assert_eq!(pool.submit((0, 1)).unwrap().get().unwrap(), 0, "the worker is there and idle");
        let job = pool.submit((1, 1)).unwrap();
        crate::eventually(|| job.is_done());
        assert!(matches!(job.get(), Err(Error::TimedOut(..))));
    }
}

#[test]
fn a_callback_that_panics_takes_nothing_with_it() {
    let pool = Pool::new(task!(nap)).workers(1).build().unwrap();
    let (sender, calls) = mpsc::channel();
    pool.on_done(move |_, _, _| {
        sender.send(()).unwrap();
        panic!("in the callback");
    });
    // Both take longer than anybody looks for results himself, so the thread of the pool has to be there.
    for _ in 0..2 {
        assert_eq!(pool.submit(20).unwrap().get_timeout(LONG).unwrap(), 20);
    }
    pool.close();
    pool.join();
    assert_eq!(calls.iter().count(), 1);
}

fn hang_at(n: u64, bad: u64) -> u64 {
    match n {
        n if n == bad => loop {
            std::thread::park();
        },
        n => n,
    }
}

#[test]
fn a_paused_pool_goes_on_when_it_is_joined() {
    let pool = Pool::new(task!(square)).workers(1).build().unwrap();
    pool.pause();
    let job = pool.submit(3).unwrap();
    pool.join();
    assert_eq!(job.get().unwrap(), 9);
}
