//! report, the reporter: shows states as they come, or as seldom as it is told to.

use std::io::{self, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fault::{Fault, FaultKind};
use super::latency::{Latency, LatencyRecorder};
use super::statistics_wire;
use super::world::{Clock, nanos};
use crate::Error;
use crate::channel::{Received, Receiver, RecvError};
use crate::record::Statistics;

/// What [`report()`] did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportOutcome {
    /// The count of the last state that was printed; 0 if none was.
    pub reported: u64,
    /// How many states were printed.
    pub printed: u64,
    /// The last state that was received; empty if none was.
    #[serde(with = "statistics_wire")]
    pub last: Statistics,
    /// From the sending of a state's newest sample to its being printed.
    pub latency: Latency,
    /// What went wrong: the loss of stat, else the failure of the output. An output whose reader went away is
    /// [`FaultKind::OutputClosed`].
    pub fault: Option<Fault>,
}

/// Prints states of `rx` to `out`, each as `render` appends it to a buffer, until their end.
///
/// With `every` of zero each state is printed. Otherwise at most one in such a time: the newest, printed
/// when its time has come even if no other follows. The last state is always printed. What is printed is
/// flushed before report blocks for more.
///
/// When `out` fails, `on_output_error` is called once; the rest is received and not printed, so that those
/// upstream finish in peace.
pub fn report<W: Write>(
    rx: Receiver<Statistics>,
    out: &mut W,
    render: impl FnMut(&Statistics, &mut Vec<u8>),
    every: Duration,
    clock: &impl Clock,
    on_output_error: impl FnMut(&Fault),
) -> ReportOutcome {
    let page =
        Page { out, render, on_output_error, clock, text: Vec::new(), sent: Vec::new(), written: Written::new() };
    Reporter { rx, page, clock, every: nanos(every), next_at: 0, held: None, last: Statistics::default() }.run()
}

struct Reporter<'a, W, R, E, C> {
    rx: Receiver<Statistics>,
    page: Page<'a, W, R, E, C>,
    clock: &'a C,
    every: u64,
    /// When the next state may be printed.
    next_at: u64,
    /// The newest state, while its time has not come.
    held: Option<Statistics>,
    last: Statistics,
}

impl<W, R, E, C> Reporter<'_, W, R, E, C>
where
    W: Write,
    R: FnMut(&Statistics, &mut Vec<u8>),
    E: FnMut(&Fault),
    C: Clock,
{
    fn run(mut self) -> ReportOutcome {
        let received = loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(Fault::from(error)),
            }
        };
        self.print_held();
        self.page.write();
        let Written { reported, printed, latency, fault } = self.page.written;
        let fault = received.err().or(fault);
        ReportOutcome { reported, printed, last: self.last, latency: latency.latency(), fault }
    }

    /// Takes in one batch, or sees that none came in time; false at the end.
    fn turn(&mut self) -> Result<bool, RecvError> {
        let received = match self.held {
            None => self.rx.recv()?.map_or(Received::End, Received::Batch),
            Some(_) => {
                let wait = self.next_at.saturating_sub(self.clock.now_ns());
                self.rx.recv_timeout(Duration::from_nanos(wait))?
            }
        };
        match received {
            Received::End => return Ok(false),
            Received::TimedOut => self.print_held(),
            Received::Batch(batch) => {
                self.last = batch.last().copied().unwrap_or(self.last);
                if self.every == 0 {
                    batch.iter().for_each(|state| self.page.add(state));
                } else {
                    self.held = Some(self.last);
                }
            }
        }
        if self.held.is_some() && self.clock.now_ns() >= self.next_at {
            self.print_held();
        }
        if !self.rx.is_ready() {
            self.page.write();
        }
        Ok(true)
    }

    fn print_held(&mut self) {
        if let Some(state) = self.held.take() {
            self.page.add(&state);
            self.page.write();
            self.next_at = self.clock.now_ns().saturating_add(self.every);
        }
    }
}

/// Text is written at the latest when there is so much of it, in bytes.
const PAGE: usize = 16 * 1024;

/// The output, and what waits to be written to it.
struct Page<'a, W, R, E, C> {
    out: &'a mut W,
    render: R,
    on_output_error: E,
    clock: &'a C,
    text: Vec<u8>,
    /// Count and send time of each state in the text.
    sent: Vec<(u64, u64)>,
    written: Written,
}

struct Written {
    reported: u64,
    printed: u64,
    latency: LatencyRecorder,
    fault: Option<Fault>,
}

impl Written {
    fn new() -> Self {
        Self { reported: 0, printed: 0, latency: LatencyRecorder::new(), fault: None }
    }
}

impl<W, R, E, C> Page<'_, W, R, E, C>
where
    W: Write,
    R: FnMut(&Statistics, &mut Vec<u8>),
    E: FnMut(&Fault),
    C: Clock,
{
    fn add(&mut self, state: &Statistics) {
        if self.written.fault.is_some() {
            return;
        }
        (self.render)(state, &mut self.text);
        self.sent.push((state.count, state.sent_ns));
        if self.text.len() >= PAGE {
            self.write();
        }
    }

    fn write(&mut self) {
        if self.sent.is_empty() {
            return;
        }
        match self.out.write_all(&self.text).and_then(|()| self.out.flush()) {
            Ok(()) => self.note_printed(),
            Err(error) => self.fail(&error),
        }
        self.text.clear();
        self.sent.clear();
    }

    fn note_printed(&mut self) {
        let now = self.clock.now_ns();
        for &(count, sent_ns) in &self.sent {
            self.written.reported = count;
            self.written.printed += 1;
            self.written.latency.record(sent_ns, now, 1);
        }
    }

    fn fail(&mut self, error: &io::Error) {
        let cause = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
        let mut fault = Fault::from(Error::os("cannot write", "the report", cause));
        if error.kind() == io::ErrorKind::BrokenPipe {
            fault.kind = FaultKind::OutputClosed;
        }
        (self.on_output_error)(&fault);
        self.written.fault = Some(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Sender;
    use crate::stage::testing::{FailingWriter, RealClock, link};
    use std::thread;

    fn state(count: u64) -> Statistics {
        Statistics { count, sent_ns: RealClock.now_ns(), ..Statistics::default() }
    }

    fn render(state: &Statistics, text: &mut Vec<u8>) {
        writeln!(text, "{}", state.count).unwrap();
    }

    /// Reports what `feed` sends, and returns what was printed.
    fn run(every: Duration, feed: impl FnOnce(Sender<Statistics>) + Send + 'static) -> (ReportOutcome, String) {
        let (tx, rx) = link();
        let feeder = thread::spawn(move || feed(tx));
        let mut out = Vec::new();
        let outcome = report(rx, &mut out, render, every, &RealClock, |fault| panic!("{fault}"));
        feeder.join().unwrap();
        (outcome, String::from_utf8(out).unwrap())
    }

    #[test]
    fn each_state_is_printed_when_no_pace_is_set() {
        let (outcome, text) = run(Duration::ZERO, |mut tx| {
            tx.send(&[state(1), state(2)]).unwrap();
            tx.send(&[state(3)]).unwrap();
            tx.finish().unwrap();
        });
        assert_eq!(text, "1\n2\n3\n");
        assert_eq!((outcome.reported, outcome.printed, outcome.last.count), (3, 3, 3));
        assert_eq!((outcome.latency.samples, outcome.fault), (3, None));
    }

    #[test]
    fn a_pace_shows_the_first_state_at_once_and_the_last_at_the_end() {
        let (outcome, text) = run(Duration::from_secs(3_600), |mut tx| {
            (1..=9).for_each(|n| tx.send(&[state(n)]).unwrap());
            tx.finish().unwrap();
        });
        assert_eq!(text, "1\n9\n");
        assert_eq!((outcome.reported, outcome.printed), (9, 2));
    }

    #[test]
    fn a_state_that_was_held_back_is_printed_when_its_time_has_come() {
        let (tx, rx) = link();
        let (shown, show) = std::sync::mpsc::channel();
        let reporter = thread::spawn(move || {
            let render = |state: &Statistics, _: &mut Vec<u8>| shown.send(state.count).unwrap();
            report(rx, &mut io::sink(), render, Duration::from_millis(50), &RealClock, |_| {})
        });
        let mut tx = tx;
        tx.send(&[state(1)]).unwrap();
        assert_eq!(show.recv(), Ok(1));
        tx.send(&[state(2)]).unwrap();
        assert_eq!(show.recv(), Ok(2), "although nothing follows");
        tx.finish().unwrap();
        assert_eq!(reporter.join().unwrap().printed, 2, "and not once more at the end");
    }

    #[test]
    fn nothing_is_printed_when_nothing_came() {
        let (outcome, text) = run(Duration::ZERO, |tx| tx.finish().unwrap());
        assert_eq!((text.as_str(), outcome.printed, outcome.last), ("", 0, Statistics::default()));
    }

    fn run_into_failure(kind: io::ErrorKind) -> (ReportOutcome, u32) {
        let (mut tx, rx) = link();
        let feeder = thread::spawn(move || {
            (1..=1_000).for_each(|n| tx.send(&[state(n)]).unwrap());
            tx.finish().unwrap();
        });
        let mut calls = 0;
        let mut out = FailingWriter { room: 2, kind };
        let outcome = report(rx, &mut out, render, Duration::ZERO, &RealClock, |_| calls += 1);
        feeder.join().unwrap();
        (outcome, calls)
    }

    #[test]
    fn a_reader_that_goes_away_is_told_once_and_apart() {
        let (outcome, calls) = run_into_failure(io::ErrorKind::BrokenPipe);
        assert_eq!((calls, outcome.fault.unwrap().kind), (1, FaultKind::OutputClosed));
        assert_eq!(outcome.last.count, 1_000);
        assert!(outcome.reported < 1_000);
    }

    #[test]
    fn another_failure_of_the_output_is_told_once_too() {
        let (outcome, calls) = run_into_failure(io::ErrorKind::StorageFull);
        assert_eq!((calls, outcome.fault), (1, Some(Fault::failed("cannot write the report: no storage space"))));
    }

    #[test]
    fn the_death_of_stat_is_a_fault_after_its_last_state() {
        let (outcome, text) = run(Duration::from_secs(3_600), |mut tx| {
            tx.send(&[state(1)]).unwrap();
            tx.send(&[state(2)]).unwrap();
        });
        assert_eq!((text.lines().last(), outcome.reported), (Some("2"), 2));
        assert!(outcome.fault.is_some());
    }
}
