//! One suite for the contract of `ipcpipe::channel`, over all five backends, sender and receiver in two processes.
//!
//! The other process is this test binary itself, run with [`child`] as its only test and its part in the environment.

use std::env;
use std::io::{self, BufRead as _, BufReader, Lines, Write as _};
use std::num::NonZeroUsize;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use ipcpipe::channel::{Backend, Endpoint, Fanout, Geometry, Received, Receiver, RecvError, Run, SendError, Sender};
use ipcpipe::record::Statistics;
use ipcpipe::sys::fd::Inheritable;

use crate::sandbox::{one_at_a_time, wait_for};

const PART: &str = "IPCPIPE_TEST_PART";
const END: &str = "IPCPIPE_TEST_END";

/// Enough to fill every backend several times over.
const MANY: u64 = 1_000_000;

fn value(seq: u64) -> f64 {
    seq as f64 * 0.5
}

fn values(from: u64, to: u64) -> Vec<f64> {
    (from..to).map(value).collect()
}

/// Not a test by itself: the other process of every test below.
#[test]
fn child() {
    let (Some(part), Some(end)) = (env::var_os(PART), env::var_os(END)) else { return };
    let end = Endpoint::adopt(&end).unwrap();
    match part.to_str().unwrap() {
        "send one by one" => send_one_by_one(attach_sender(end)),
        "send and drop" => attach_sender(end).send(&values(0, 3)).unwrap(),
        "send and die" => {
            attach_sender(end).send(&values(0, 3)).unwrap();
            std::process::abort();
        }
        "attach and wait" => {
            let _sender = attach_sender(end);
            wait_for_close_of_stdin();
        }
        "receive all" => receive_all(attach_receiver(end)),
        "receive slowly" => receive_slowly(attach_receiver(end)),
        "receive one and leave" => assert!(attach_receiver(end).recv().unwrap().is_some()),
        other => panic!("no part {other}"),
    }
    // The parent reads this process's stdout; libtest's own last words must not follow.
    std::process::exit(0);
}

fn attach_sender(end: Endpoint) -> Sender<f64> {
    let sender = end.attach_sender().unwrap();
    say(&[0]);
    sender
}

fn attach_receiver(end: Endpoint) -> Receiver<f64> {
    let receiver = end.attach_receiver().unwrap();
    say(&[0]);
    receiver
}

fn wait_for_close_of_stdin() {
    io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
}

fn send_one_by_one(sender: Sender<f64>) {
    let mut sender = sender.with_frame_limit(NonZeroUsize::MIN);
    for seq in 0..10_000 {
        sender.send(&[value(seq)]).unwrap();
    }
    sender.finish().unwrap();
}

fn receive_all(mut receiver: Receiver<f64>) {
    let mut expected = 0;
    while let Some(batch) = receiver.recv().unwrap() {
        assert_eq!(batch.first_seq(), expected + 1);
        for &got in batch.iter() {
            assert_eq!(got, value(expected));
            expected += 1;
        }
    }
    say(&[expected, receiver.digest()]);
}

/// Takes one frame and then nothing until it is told to: the sender has to wait.
fn receive_slowly(mut receiver: Receiver<f64>) {
    assert!(receiver.recv().unwrap().is_some());
    say(&[receiver.count()]);
    wait_for_close_of_stdin();
    while receiver.recv().unwrap().is_some() {}
    say(&[receiver.count()]);
}

fn say(numbers: &[u64]) {
    let words: Vec<String> = numbers.iter().map(u64::to_string).collect();
    println!("\nsaid {}", words.join(" "));
    io::stdout().flush().unwrap();
}

/// The other process.
struct Other {
    process: Child,
    words: Lines<BufReader<ChildStdout>>,
}

impl Other {
    fn play(part: &str, end: &Endpoint) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "conformance::child", "--nocapture"]);
        command.env(PART, part).env(END, end.to_text()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let inheritable = Inheritable::new(end.fds()).unwrap();
        let mut process = command.spawn().unwrap();
        drop(inheritable);
        let words = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, words }
    }

    /// The next thing that it says.
    fn said(&mut self) -> Vec<u64> {
        let line =
            self.words.by_ref().map(Result::unwrap).find_map(|line| Some(line.strip_prefix("said ")?.to_owned()));
        line.expect("a word").split_whitespace().map(|number| number.parse().unwrap()).collect()
    }

    fn ends_well(mut self) {
        self.close_stdin();
        assert!(self.process.wait().unwrap().success());
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn close_stdin(&mut self) {
        drop(self.process.stdin.take());
    }
}

/// The sender's end here, the receiver in another process that plays `part`.
fn sender_here(backend: Backend, part: &str) -> (Sender<f64>, Other) {
    let _spawning = one_at_a_time();
    let mut run = Run::new();
    let link = run.link(backend, "test", Geometry::default()).unwrap();
    let mut other = Other::play(part, &link.receiver);
    let sender = link.sender.attach_sender().unwrap();
    assert_eq!(other.said(), [0], "attached");
    (sender, other)
}

/// The receiver's end here, the sender in another process that plays `part`.
fn receiver_here(backend: Backend, part: &str) -> (Receiver<f64>, Other) {
    let _spawning = one_at_a_time();
    let mut run = Run::new();
    let link = run.link(backend, "test", Geometry::default()).unwrap();
    let mut other = Other::play(part, &link.sender);
    let receiver = link.receiver.attach_receiver().unwrap();
    assert_eq!(other.said(), [0], "attached");
    (receiver, other)
}

/// Both ends here.
fn both_here(backend: Backend) -> (Sender<f64>, Receiver<f64>) {
    let _spawning = one_at_a_time();
    let mut run = Run::new();
    let link = run.link(backend, "test", Geometry::default()).unwrap();
    (link.sender.attach_sender().unwrap(), link.receiver.attach_receiver().unwrap())
}

fn drain(receiver: &mut Receiver<f64>) -> (u64, RecvError) {
    loop {
        match receiver.recv() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("an end instead of an error"),
            Err(error) => return (receiver.count(), error),
        }
    }
}

fn everything_arrives_once_and_in_order(backend: Backend) {
    let (mut sender, mut other) = sender_here(backend, "receive all");
    for from in (0..MANY).step_by(1000) {
        sender.feed(&values(from, from + 1000)).unwrap();
    }
    sender.flush().unwrap();
    let digest = sender.digest();
    sender.finish().unwrap();
    assert_eq!(other.said(), [MANY, digest]);
    other.ends_well();
}

fn frames_of_one_record_arrive_too(backend: Backend) {
    let (mut receiver, other) = receiver_here(backend, "send one by one");
    let mut expected = 0;
    while let Some(batch) = receiver.recv().unwrap() {
        assert_eq!(batch.to_vec(), [value(expected)]);
        expected += 1;
    }
    assert_eq!(expected, 10_000);
    other.ends_well();
}

fn an_end_is_an_end_for_ever(backend: Backend) {
    let (sender, mut receiver) = both_here(backend);
    sender.finish().unwrap();
    assert!(receiver.recv().unwrap().is_none());
    assert!(receiver.recv().unwrap().is_none());
    assert!(receiver.is_ready());
}

fn a_sender_that_is_dropped_is_a_death_after_everything_it_sent(backend: Backend) {
    for part in ["send and drop", "send and die"] {
        let (mut receiver, mut other) = receiver_here(backend, part);
        let (count, error) = drain(&mut receiver);
        assert_eq!(count, 3, "{part}");
        assert!(matches!(error, RecvError::Disconnected { .. }), "{part}: {error}");
        let _ = other.process.wait();
    }
}

fn a_blocked_receiver_wakes_when_the_sender_is_killed(backend: Backend) {
    let (mut receiver, mut other) = receiver_here(backend, "attach and wait");
    let waiter = thread::spawn(move || drain(&mut receiver));
    other.kill();
    let (count, error) = waiter.join().unwrap();
    assert!(count == 0 && matches!(error, RecvError::Disconnected { .. }), "{error}");
}

fn a_blocked_sender_wakes_when_the_receiver_is_killed(backend: Backend) {
    let (mut sender, mut other) = sender_here(backend, "receive slowly");
    sender.send(&[1.0]).unwrap();
    assert_eq!(other.said(), [1]);
    let filler = thread::spawn(move || {
        loop {
            if let Err(error) = sender.feed(&values(0, 1000)) {
                return error;
            }
        }
    });
    other.kill();
    let error = filler.join().unwrap();
    assert!(matches!(error, SendError::Disconnected { .. }), "{error}");
}

fn a_receiver_that_left_is_noticed(backend: Backend) {
    let (mut sender, other) = sender_here(backend, "receive one and leave");
    // The receiver may be gone before the send that it answers has returned.
    let first = sender.send(&[1.0]).err();
    other.ends_well();
    let error = first.or_else(|| (0..MANY).find_map(|_| sender.send(&[1.0]).err())).expect("an error");
    assert!(matches!(error, SendError::Disconnected { .. }), "{error}");
}

/// The sender cannot run ahead of the receiver by more than the link and two frames hold.
fn a_slow_receiver_holds_the_sender_back(backend: Backend) {
    let (mut sender, mut other) = sender_here(backend, "receive slowly");
    sender.send(&[1.0]).unwrap();
    assert_eq!(other.said(), [1]);
    let sent = Arc::new(AtomicU64::new(1));
    let counter = sent.clone();
    let filler = thread::spawn(move || {
        for from in (1..MANY).step_by(1000) {
            sender.feed(&values(from, from + 1000)).unwrap();
            counter.store(sender.count(), Ordering::SeqCst);
        }
        sender.finish().unwrap();
    });
    // Full is when the count has stood still for a while; it must be reached far below the total.
    let mut last = (0, 0);
    wait_for("a full link", || {
        let now = sent.load(Ordering::SeqCst);
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        (last.1 > 50).then_some(())
    });
    let (held, bound) = (last.0, (2 << 20) / 8 + 2 * 8192 + 1000);
    assert!(held < bound, "{held} records are under way, more than {bound}");
    other.close_stdin();
    filler.join().unwrap();
    assert_eq!(other.said(), [1 + MANY.next_multiple_of(1000)]);
    other.ends_well();
}

fn a_wait_with_a_limit_ends(backend: Backend) {
    let (mut sender, mut receiver) = both_here(backend);
    assert!(matches!(receiver.recv_timeout(Duration::ZERO).unwrap(), Received::TimedOut));
    assert!(matches!(receiver.recv_timeout(Duration::from_millis(20)).unwrap(), Received::TimedOut));
    sender.send(&[7.0]).unwrap();
    assert!(
        matches!(receiver.recv_timeout(Duration::from_secs(60)).unwrap(), Received::Batch(batch) if *batch == [7.0])
    );
    drop(sender);
    assert!(matches!(receiver.recv_timeout(Duration::from_secs(60)), Err(RecvError::Disconnected { .. })));
}

fn what_is_fed_waits_for_the_flush(backend: Backend) {
    let (mut sender, mut receiver) = both_here(backend);
    sender.feed(&[1.0, 2.0]).unwrap();
    assert_eq!(sender.count(), 2);
    assert!(matches!(receiver.recv_timeout(Duration::ZERO).unwrap(), Received::TimedOut));
    sender.flush().unwrap();
    let batch = receiver.recv().unwrap().unwrap();
    assert_eq!((*batch).to_vec(), [1.0, 2.0]);
    assert_eq!(batch.first_seq(), 1);
}

fn another_type_of_record_is_refused(backend: Backend) {
    let _spawning = one_at_a_time();
    let mut run = Run::new();
    let link = run.link(backend, "test", Geometry::small()).unwrap();
    let mut sender: Sender<Statistics> = link.sender.attach_sender().unwrap();
    let mut receiver: Receiver<f64> = link.receiver.attach_receiver().unwrap();
    sender.send(&[Statistics::default()]).unwrap();
    let error = receiver.recv().unwrap_err();
    assert!(matches!(error, RecvError::Corrupt { .. }), "{error}");
    assert!(error.to_string().starts_with("test: bad frame at byte 0: type of record"), "{error}");
}

fn a_fan_out_serves_all_that_are_left(backend: Backend) {
    let ((gone, _), (left, mut receiver)) = (both_here(backend), both_here(backend));
    let mut fanout = Fanout::new(vec![gone, left]);
    let mut error = None;
    let mut sent = 0.0;
    while error.is_none() {
        sent += 1.0;
        error = fanout.send(&[sent]).err();
        assert_eq!(receiver.recv().unwrap().as_deref(), Some(&[sent][..]));
    }
    assert!(matches!(error, Some(SendError::Disconnected { .. })), "{error:?}");
    fanout.finish().unwrap();
    assert!(receiver.recv().unwrap().is_none());
}

/// Each claim is a test for each backend: `conformance::mq::an_end_is_an_end_for_ever`.
macro_rules! conformance {
    ($backend:ident $variant:ident; $($claim:ident)*) => {
        mod $backend {
            $(#[test]
            fn $claim() {
                super::$claim(ipcpipe::channel::Backend::$variant);
            })*
        }
    };
}

/// A macro's repetitions cannot be multiplied with one another, so the claims are named once for each backend.
macro_rules! on_all_backends {
    ($($claim:ident)*) => {
        conformance!(pipe Pipe; $($claim)*);
        conformance!(fifo Fifo; $($claim)*);
        conformance!(mq Mq; $($claim)*);
        conformance!(shm Shm; $($claim)*);
        conformance!(socket Socket; $($claim)*);
    };
}

on_all_backends! {
    everything_arrives_once_and_in_order
    frames_of_one_record_arrive_too
    an_end_is_an_end_for_ever
    a_sender_that_is_dropped_is_a_death_after_everything_it_sent
    a_blocked_receiver_wakes_when_the_sender_is_killed
    a_blocked_sender_wakes_when_the_receiver_is_killed
    a_receiver_that_left_is_noticed
    a_slow_receiver_holds_the_sender_back
    a_wait_with_a_limit_ends
    what_is_fed_waits_for_the_flush
    another_type_of_record_is_refused
    a_fan_out_serves_all_that_are_left
}
