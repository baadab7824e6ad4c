use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::thread::{self, JoinHandle};

use super::*;
use crate::channel::{Receiver, Sender};
use crate::stage::testing::link;
use crate::stage::{Clock, FaultKind, Input, Taken};

const MS: u64 = 1_000_000;

/// A world whose time passes by waits, and by `tick` at each look at the clock.
struct Script<F> {
    now: Cell<u64>,
    tick: u64,
    stop_at: u64,
    asked: u64,
    looks: Cell<u64>,
    waits: Vec<u64>,
    /// Called before each wait.
    on_wait: F,
}

fn script() -> Script<impl FnMut()> {
    script_with(|| {})
}

fn script_with<F: FnMut()>(on_wait: F) -> Script<F> {
    Script { now: Cell::new(0), tick: 0, stop_at: u64::MAX, asked: 0, looks: Cell::new(0), waits: Vec::new(), on_wait }
}

impl<F> Clock for Script<F> {
    fn now_ns(&self) -> u64 {
        self.looks.update(|looks| looks + 1);
        self.now.update(|now| now + self.tick);
        self.now.get()
    }
}

impl<F: FnMut()> World for Script<F> {
    fn wait_until(&mut self, at_ns: u64) -> Wake {
        (self.on_wait)();
        self.waits.push(at_ns);
        if at_ns >= self.stop_at {
            return Wake::Stopped;
        }
        self.now.update(|now| now.max(at_ns));
        Wake::Due
    }

    fn stopped(&mut self) -> bool {
        self.asked += 1;
        self.now.get() >= self.stop_at
    }
}

/// 1, 2, 3, ... without end.
struct Counter(f64);

impl Samples for Counter {
    fn take(&mut self, room: &mut [Sample]) -> (usize, Fill) {
        for sample in room.iter_mut() {
            self.0 += 1.0;
            *sample = self.0;
        }
        (room.len(), Fill::More)
    }

    fn wait(&mut self, _until_ns: Option<u64>) -> InputWake {
        unreachable!("numbers do not run dry")
    }
}

/// The frames of a stream, as they come, and whether it ended.
fn frames(mut rx: Receiver<Sample>) -> JoinHandle<(Vec<Vec<Sample>>, bool)> {
    thread::spawn(move || {
        let mut frames = Vec::new();
        loop {
            match rx.recv() {
                Ok(Some(batch)) => frames.push(batch.to_vec()),
                end => return (frames, end.is_ok()),
            }
        }
    })
}

/// Converts for one consumer; returns the outcome and the frames.
fn run<F: FnMut()>(
    samples: impl Samples,
    options: ConvOptions,
    world: &mut Script<F>,
) -> (ConvOutcome, Vec<Vec<Sample>>) {
    let (tx, rx) = link();
    run_over(tx, rx, samples, options, world)
}

/// As [`run`], with one sample a frame.
fn run_singly<F: FnMut()>(
    samples: impl Samples,
    options: ConvOptions,
    world: &mut Script<F>,
) -> (ConvOutcome, Vec<Vec<Sample>>) {
    let (tx, rx) = link::<Sample>();
    run_over(tx.with_frame_limit(NonZeroUsize::MIN), rx, samples, options, world)
}

fn run_over<F: FnMut()>(
    tx: Sender<Sample>,
    rx: Receiver<Sample>,
    samples: impl Samples,
    options: ConvOptions,
    world: &mut Script<F>,
) -> (ConvOutcome, Vec<Vec<Sample>>) {
    let frames = frames(rx);
    let outcome = conv(samples, Fanout::new(vec![tx]), &options, world, |_| {});
    let (frames, ended) = frames.join().unwrap();
    assert!(ended, "a stream ends with an end");
    assert_eq!(frames.concat().len() as u64, outcome.produced);
    (outcome, frames)
}

fn every(interval_ms: u64) -> ConvOptions {
    ConvOptions { interval: Duration::from_millis(interval_ms), ..ConvOptions::default() }
}

#[test]
fn every_consumer_gets_every_sample() {
    let ((first, rx), (second, other)) = (link(), link());
    let (one, two) = (frames(rx), frames(other));
    let options = ConvOptions { count: Some(100_000), ..ConvOptions::default() };
    let outcome = conv(Counter(0.0), Fanout::new(vec![first, second]), &options, &mut script(), |_| {});
    let (one, two) = (one.join().unwrap(), two.join().unwrap());
    assert_eq!(one.0.concat(), (1..=100_000).map(f64::from).collect::<Vec<_>>());
    assert_eq!((one.1, two.1, outcome.produced, outcome.ended), (true, true, 100_000, Ended::Count));
    assert_eq!(one.0.concat(), two.0.concat());
    assert_eq!(outcome.fault, None);
}

#[test]
fn the_checksum_is_that_of_the_receiver() {
    let (tx, mut rx) = link();
    let options = ConvOptions { count: Some(100), ..ConvOptions::default() };
    let outcome = conv(Counter(0.0), Fanout::new(vec![tx]), &options, &mut script(), |_| {});
    while rx.recv().unwrap().is_some() {}
    assert_eq!((outcome.produced, outcome.digest), (rx.count(), rx.digest()));
}

#[test]
fn a_count_of_zero_sends_an_end_and_waits_for_nothing() {
    let mut world = script();
    let (outcome, frames) = run(Counter(0.0), ConvOptions { count: Some(0), ..every(800) }, &mut world);
    assert_eq!((outcome.produced, outcome.ended), (0, Ended::Count));
    assert!(frames.is_empty() && world.waits.is_empty());
}

#[test]
fn a_paced_sample_leaves_on_its_own_before_the_wait_and_none_follows_the_last() {
    let (tx, mut rx) = link();
    let mut seen = 0.0;
    let mut world = script_with(|| {
        seen += 1.0;
        assert_eq!(rx.recv().unwrap().as_deref(), Some(&[seen][..]));
    });
    let options = ConvOptions { count: Some(4), ..every(10) };
    conv(Counter(0.0), Fanout::new(vec![tx]), &options, &mut world, |_| {});
    assert_eq!(world.waits, [10 * MS, 20 * MS, 30 * MS]);
}

#[test]
fn a_duration_ends_a_paced_stream_at_its_time() {
    let mut world = script();
    let options = ConvOptions { duration: Some(Duration::from_millis(45)), ..every(10) };
    let (outcome, _) = run(Counter(0.0), options, &mut world);
    assert_eq!((outcome.produced, outcome.ended, world.now.get()), (5, Ended::Duration, 45 * MS));
}

#[test]
fn a_flood_of_single_samples_ends_within_a_millisecond() {
    let mut world = Script { tick: 10_000, ..script() };
    let options = ConvOptions { duration: Some(Duration::from_millis(5)), ..ConvOptions::default() };
    let (outcome, frames) = run_singly(Counter(0.0), options, &mut world);
    assert_eq!(outcome.ended, Ended::Duration);
    assert!(world.now.get() <= 6 * MS && frames.iter().all(|frame| frame.len() == 1));

    let mut world = Script { tick: 10_000, stop_at: 5 * MS, ..script() };
    let (outcome, _) = run_singly(Counter(0.0), ConvOptions::default(), &mut world);
    assert_eq!(outcome.ended, Ended::Stopped);
    assert!(world.now.get() <= 6 * MS + 10_000);
    assert!(world.asked <= 8, "asked {} times in 5 ms", world.asked);
}

#[test]
fn a_flood_looks_at_the_clock_once_in_many_samples() {
    let mut world = script();
    run(Counter(0.0), ConvOptions { count: Some(1_000_000), ..ConvOptions::default() }, &mut world);
    assert!(world.looks.get() < 1_000, "{} looks", world.looks.get());
}

#[test]
fn a_long_delay_does_not_end_in_a_burst() {
    // Each look is 5 s after the one before, as if each send were blocked so long: one sample goes each time.
    let mut world = Script { tick: 5_000 * MS, ..script() };
    let (outcome, _) = run(Counter(0.0), ConvOptions { count: Some(6), ..every(1) }, &mut world);
    assert_eq!((outcome.produced, world.looks.get()), (6, 7));
    assert!(world.waits.is_empty());
}

#[test]
fn a_consumer_that_is_gone_ends_the_stream_for_the_others_too() {
    let ((first, gone), (second, rx)) = (link::<Sample>(), link());
    drop(gone);
    let rest = frames(rx);
    let outcome = conv(Counter(0.0), Fanout::new(vec![first, second]), &ConvOptions::default(), &mut script(), |_| {});
    let (frames, ended) = rest.join().unwrap();
    assert_eq!((outcome.ended, ended), (Ended::Fault, true));
    assert_eq!(outcome.fault.unwrap().kind, FaultKind::PeerGone);
    assert_eq!(outcome.produced, frames.concat().len() as u64);
}

#[test]
fn progress_is_shown_now_and_then_and_at_the_end() {
    let shown = |options: ConvOptions| {
        let (tx, rx) = link();
        let rest = frames(rx);
        let mut shown = Vec::new();
        conv(Counter(0.0), Fanout::new(vec![tx]), &options, &mut script(), |count| shown.push(count));
        rest.join().unwrap();
        shown
    };
    let second = Some(Duration::from_secs(1));
    let often = shown(ConvOptions { duration: second, ..every(1) });
    assert!((9..=22).contains(&often.len()), "{often:?}");
    assert_eq!(often.last(), Some(&1_000));
    assert_eq!(shown(ConvOptions { count: Some(3), ..every(800) }), [1, 2, 3]);
}

/// Bytes that come in pieces; before each wait everything that came has reached the consumer.
struct Pieces {
    pieces: Vec<Result<&'static str, InputWake>>,
    waited_for: Rc<RefCell<Vec<Option<u64>>>>,
    arrived: Option<Receiver<Sample>>,
}

impl Input for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<Taken> {
        match self.pieces.first().copied() {
            None => Ok(Taken::End),
            Some(Err(_)) => Ok(Taken::WouldBlock),
            Some(Ok(text)) => {
                buffer[..text.len()].copy_from_slice(text.as_bytes());
                self.pieces.drain(..1);
                Ok(Taken::Bytes(text.len()))
            }
        }
    }

    fn wait_input(&mut self, until_ns: Option<u64>) -> InputWake {
        self.waited_for.borrow_mut().push(until_ns);
        if let Some(rx) = &mut self.arrived {
            assert!(rx.recv().unwrap().is_some(), "no sample is held back");
        }
        self.pieces.remove(0).unwrap_err()
    }
}

fn read(pieces: &[Result<&'static str, InputWake>], lines: Lines, options: ConvOptions) -> (ConvOutcome, Vec<Sample>) {
    let input = Pieces { pieces: pieces.to_vec(), waited_for: Rc::default(), arrived: None };
    let (outcome, frames) = run(InputSource::new(input, "numbers", lines), options, &mut script());
    (outcome, frames.concat())
}

#[test]
fn input_is_read_to_its_end_however_it_comes() {
    let ready = Err(InputWake::Ready);
    let pieces = [Ok("1\n2"), ready, Ok("2\n#"), Ok("x\n"), ready, Ok("\n-3")];
    let (outcome, samples) = read(&pieces, Lines::default(), ConvOptions::default());
    assert_eq!((samples, outcome.ended, outcome.fault), (vec![1.0, 22.0, -3.0], Ended::EndOfInput, None));
}

#[test]
fn the_end_of_paced_input_is_known_with_its_last_sample() {
    let mut world = script();
    let input = Pieces { pieces: vec![Ok("1\n2\n")], waited_for: Rc::default(), arrived: None };
    let (outcome, _) = run(InputSource::new(input, "numbers", Lines::default()), every(800), &mut world);
    assert_eq!((outcome.produced, outcome.ended, &world.waits[..]), (2, Ended::EndOfInput, &[800 * MS][..]));
}

#[test]
fn a_silent_input_gets_everything_sent_first_and_ends_by_duration_or_stop() {
    for (wake, ended) in [(InputWake::Due, Ended::Duration), (InputWake::Stopped, Ended::Stopped)] {
        let (tx, rx) = link();
        let waited_for = Rc::default();
        let pieces = vec![Ok("1\n"), Err(wake)];
        let input = Pieces { pieces, waited_for: Rc::clone(&waited_for), arrived: Some(rx) };
        let mut world = Script { tick: MS, ..script() };
        let options = ConvOptions { duration: Some(Duration::from_millis(3)), ..ConvOptions::default() };
        let source = InputSource::new(Forever(input), "numbers", Lines::default());
        let outcome = conv(source, Fanout::new(vec![tx]), &options, &mut world, |_| {});
        assert_eq!((outcome.produced, outcome.ended), (1, ended));
        assert_eq!(waited_for.borrow()[0], Some(4 * MS));
    }
}

/// An input that stays silent where the pieces end.
struct Forever(Pieces);

impl Input for Forever {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<Taken> {
        if self.0.pieces.is_empty() { Ok(Taken::WouldBlock) } else { self.0.read(buffer) }
    }

    fn wait_input(&mut self, until_ns: Option<u64>) -> InputWake {
        if self.0.pieces.is_empty() { InputWake::Due } else { self.0.wait_input(until_ns) }
    }
}

#[test]
fn an_invalid_line_ends_the_stream_after_the_samples_before_it() {
    let (outcome, samples) = read(&[Ok("1\n2\nthree\n4\n")], Lines::default(), ConvOptions::default());
    assert_eq!((samples, outcome.ended), (vec![1.0, 2.0], Ended::Fault));
    let fault = outcome.fault.unwrap();
    assert_eq!(
        (fault.kind, &*fault.text),
        (FaultKind::Failed, "cannot read numbers: line 3: \"three\" is not a number")
    );
}

#[test]
fn invalid_lines_are_counted_when_they_are_skipped() {
    let lines = Lines { skip_invalid: true, ..Lines::default() };
    let (outcome, samples) = read(&[Ok("1\nx\n\n4\nNaN")], lines, ConvOptions::default());
    assert_eq!((samples, outcome.skipped, outcome.ended), (vec![1.0, 4.0], 2, Ended::EndOfInput));
}

#[test]
fn a_count_is_reached_without_a_wait_for_more_input() {
    let options = ConvOptions { count: Some(2), ..ConvOptions::default() };
    let (outcome, _) = read(&[Ok("1\n2\n"), Err(InputWake::Stopped)], Lines::default(), options);
    assert_eq!((outcome.produced, outcome.ended), (2, Ended::Count));
}

#[test]
fn a_read_that_fails_names_the_input() {
    struct Broken;
    impl Input for Broken {
        fn read(&mut self, _buffer: &mut [u8]) -> std::io::Result<Taken> {
            Err(std::io::Error::from_raw_os_error(5))
        }

        fn wait_input(&mut self, _until_ns: Option<u64>) -> InputWake {
            unreachable!()
        }
    }
    let source = InputSource::new(Broken, "a\nb", Lines::default());
    let (outcome, _) = run(source, ConvOptions::default(), &mut script());
    assert_eq!(outcome.fault.unwrap().text, "cannot read a\\nb: Input/output error");
}
