//! What an error says: what was tried, with which object, why it failed, and how long it was tried.

use std::fs;
use std::time::Duration;

use ipcpipe::mp::{self, Barrier, Error, JoinableQueue, Lock, Manager, Pool, Process, Queue, Value};
use ipcpipe::task;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

const SHORT: Duration = Duration::from_millis(5);

/// The text of an error with `#` for the number of the object.
#[track_caller]
fn says<T>(result: Result<T, impl Into<Error>>) -> String {
    let error: Error = result.map(drop).map_err(Into::into).unwrap_err();
    let text = error.to_string();
    let words = text.split(' ').map(|word| {
        let bare = word.trim_end_matches([':', ';']);
        if bare.bytes().all(|byte| byte.is_ascii_digit()) { word.replacen(bare, "#", 1) } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn an_error_of_a_queue_names_the_queue_the_reason_and_the_time() {
    let queue = Queue::bounded(1).unwrap();
    assert_eq!(says(queue.try_get()), "cannot get from Queue #: it is empty");
    assert_eq!(says(queue.get_timeout(SHORT)), "cannot get from Queue # within 5ms: it is empty");
    queue.put(&1).unwrap();
    assert_eq!(says(queue.try_put(&2)), "cannot put into Queue #: it is full");
    assert_eq!(says(queue.put_timeout(&2, SHORT)), "cannot put into Queue # within 5ms: it is full");
    queue.close();
    assert_eq!(says(queue.put(&2)), "cannot put into Queue #: it is closed");

    let queue = JoinableQueue::bounded(1).unwrap();
    queue.put(&1).unwrap();
    assert_eq!(says(queue.join_timeout(SHORT)), "cannot join JoinableQueue # within 5ms: items are not worked off");
    assert_eq!(says(queue.try_put(&2)), "cannot put into JoinableQueue #: it is full");
}

#[test]
fn two_queues_are_told_apart_and_each_is_the_same_in_all_processes() {
    fn look(queue: Queue<u8>) -> (String, Option<Error>) {
        (format!("{queue:?}"), queue.try_get().err())
    }
    let (one, other) = (Queue::<u8>::new().unwrap(), Queue::<u8>::new().unwrap());
    let error = one.try_get().unwrap_err().to_string();
    assert_ne!(error, other.try_get().unwrap_err().to_string());
    let (shown, elsewhere) = Process::spawn(task!(look), one.clone()).unwrap().join().unwrap();
    assert_eq!(elsewhere.unwrap().to_string(), error);
    let number = error.trim_start_matches("cannot get from Queue ").split(':').next().unwrap();
    assert!(shown.contains(&format!("number: {number},")) && shown == format!("{one:?}"), "{shown}");
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    assert!(maps.lines().any(|line| line.contains(&format!(" {number} ")) && line.contains("memfd:ipcpipe.queue")));
}

#[test]
fn an_error_of_a_pipe_names_its_socket_and_what_has_become_of_the_other_side() {
    let (mut sender, mut receiver) = mp::channel::<u8>().unwrap();
    assert_eq!(says(receiver.try_recv()), "cannot receive from Pipe #: nothing has come");
    assert_eq!(says(receiver.recv_timeout(SHORT)), "cannot receive from Pipe # within 5ms: nothing has come");
    drop(receiver);
    assert_eq!(says(sender.send(&1)), "cannot send over Pipe #: its other side is closed");
    let (sender, mut receiver) = mp::channel::<u8>().unwrap();
    drop(sender);
    assert_eq!(says(receiver.recv()), "cannot receive from Pipe #: its other side is closed");
}

#[test]
fn a_value_that_cannot_travel_is_told_with_the_way_it_was_to_take() {
    #[derive(Serialize, Deserialize)]
    struct Untold(#[serde(deserialize_with = "refuse")] u8);

    fn refuse<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
        let number = u8::deserialize(deserializer)?;
        Err(D::Error::custom(format!("{number} is not to be")))
    }
    let queue = Queue::new().unwrap();
    queue.put(&Untold(7)).unwrap();
    assert_eq!(says(queue.get()), "malformed message: # is not to be; cannot get from Queue #");
    let queue = JoinableQueue::new().unwrap();
    queue.put(&Untold(7)).unwrap();
    assert_eq!(says(queue.get()), "malformed message: # is not to be; cannot get from JoinableQueue #");
    let (mut sender, mut receiver) = mp::channel().unwrap();
    sender.send(&Untold(7)).unwrap();
    assert_eq!(says(receiver.recv()), "malformed message: # is not to be; cannot receive from Pipe #");
}

#[test]
fn an_error_of_a_process_names_its_pid() {
    let stop = Queue::<u8>::new().unwrap();
    let mut process = Process::spawn(task!(|stop: Queue<u8>| stop.get().is_err()), stop.clone()).unwrap();
    let late = process.join_timeout(SHORT).unwrap_err().to_string();
    assert_eq!(late, format!("cannot join Process {} within 5ms: it still runs", process.pid()));
    stop.close();
    assert!(process.join_timeout(Duration::from_secs(60)).unwrap());
    assert_eq!(says(process.join_timeout(SHORT)), "cannot join Process #: its result was taken before");
}

#[test]
fn an_error_of_a_lock_says_whether_somebody_holds_it_or_died_with_it() {
    let (lock, value) = (Lock::new().unwrap(), Value::new(1_u32).unwrap());
    let guards = (lock.lock().unwrap(), value.lock().unwrap());
    std::thread::scope(|scope| {
        let elsewhere = || {
            assert_eq!(says(lock.try_lock()), "cannot take Lock # at once: it is held");
            assert_eq!(says(value.lock_timeout(SHORT)), "cannot take Value # within 5ms: it is held");
        };
        scope.spawn(elsewhere).join().unwrap();
    });
    drop(guards);
    std::thread::scope(|scope| scope.spawn(|| std::mem::forget(value.lock().unwrap())).join().unwrap());
    let died = "a process died while it held Value #; what it protects may be half written, so mend it";
    assert_eq!(says(value.get()), died);
}

#[test]
fn an_error_of_a_barrier_says_what_to_do() {
    let barrier = Barrier::new(2).unwrap();
    let late = "cannot wait at Barrier # within 5ms: not all parties have come";
    assert_eq!(says(barrier.wait_timeout(SHORT)), late);
    let broken = "cannot wait at Barrier #: it is broken, since a party is gone or gave up; reset it";
    assert_eq!(says(barrier.wait()), broken);
}

#[test]
fn an_error_of_a_shared_object_names_its_proxy() {
    let manager = Manager::start().unwrap();
    let queue = manager.queue::<u8>(1).unwrap();
    assert_eq!(says(queue.try_get()), "cannot get from QueueProxy #: it is empty");
    assert_eq!(says(queue.get_timeout(SHORT)), "cannot get from QueueProxy # within 5ms: it is empty");
    queue.close().unwrap();
    assert_eq!(says(queue.put(&1)), "cannot put into QueueProxy #: it is closed");
    let number = queue.get().unwrap_err().to_string();
    let number = number.trim_start_matches("cannot get from QueueProxy ").split(':').next().unwrap();
    assert!(format!("{queue:?}").starts_with(&format!("QueueProxy({number} of ")), "{queue:?}");
    let list = manager.list::<u8>().unwrap();
    assert_eq!(says(list.set(3, &1)), "cannot use ListProxy #: there is no element # among #");
    let barrier = manager.barrier(2).unwrap();
    let late = "cannot wait at BarrierProxy # within 5ms: not all parties have come";
    assert_eq!(says(barrier.wait_timeout(SHORT)), late);
}

#[test]
fn an_error_of_a_job_names_its_batch_its_place_and_the_time_it_had() {
    fn work(n: u32, stop: Queue<u8>) -> u32 {
        if n == 1 {
            let _ = stop.get();
        }
        n
    }
    let stop = Queue::<u8>::new().unwrap();
    let pool = Pool::new(task!(work)).workers(1).timeout(Duration::from_millis(50)).build().unwrap();
    let results = pool.map((0..3).map(|n| (n, stop.clone())));
    assert_eq!(results.iter().filter_map(|it| it.as_ref().ok()).collect::<Vec<_>>(), [&0, &2]);
    assert_eq!(says(results[1].clone()), "cannot finish Job # of Batch # within 50ms: it still runs");
    assert!(results[1].as_ref().unwrap_err().to_string().starts_with("cannot finish Job 1 of Batch "));
    let job = pool.submit((1, stop.clone())).unwrap();
    assert_eq!(
        job.get_timeout(SHORT).unwrap_err().to_string(),
        format!("cannot finish Job {} within 5ms: it still runs", job.id())
    );
    job.cancel();
    assert_eq!(job.get().unwrap_err().to_string(), format!("cannot finish Job {}: it was cancelled", job.id()));
    pool.close();
    assert_eq!(says(pool.submit((0, stop))), "cannot put into a Pool: it is closed");
}
