//! How long one number is under way: there and back, and one way.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use hdrhistogram::Histogram;
use ipcpipe::Error;
use ipcpipe::channel::Backend;
use ipcpipe::pipeline::{StagePlan, Stdin, Stdout};
use ipcpipe::stage::{Fault, FaultKind, Wake, World};
use ipcpipe::sys::clock;
use serde::{Deserialize, Serialize};

use super::experiment::{Ground, Subject};
use super::part::words;
use super::trial::{Failure, Trial, plan, stage};
use super::wire::Wire;

/// The time between two numbers of the one-way experiment.
const PACE_NS: u64 = 1_000_000;

/// The first round trips, while caches and clocks wake up, do not count.
const WARM_UP: u64 = 100;

/// So many round trips from one look at the stop line to the next.
const LOOK_EVERY: u64 = 64;

/// What one end heard, and how long that was under way. Zeroes in what only sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heard {
    count: u64,
    /// Of the numbers.
    sum: u64,
    p50_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
}

/// There and back, both ends blocking.
pub(super) fn round_trip(ground: &mut Ground, subject: Subject) -> Result<Vec<f64>, Failure> {
    let (ping, pong) = measure(ground, subject, "ping", "pong", true)?;
    agreed(ping, pong)?;
    ping.microseconds()
}

/// One way, a number every millisecond.
pub(super) fn one_way(ground: &mut Ground, subject: Subject) -> Result<Vec<f64>, Failure> {
    let (pacer, catcher) = measure(ground, subject, "pacer", "catcher", false)?;
    agreed(pacer, catcher)?;
    let figures = catcher.microseconds()?;
    if subject == Subject::RawPipe {
        ground.raw_one_way_us = figures.first().copied();
    }
    Ok(figures)
}

/// Runs two stages, the first of which drives the second, with a way back or without one.
fn measure(
    ground: &Ground,
    subject: Subject,
    driver: &'static str,
    driven: &'static str,
    back: bool,
) -> Result<(Heard, Heard), Failure> {
    let raw = subject == Subject::RawPipe;
    let mut stages = vec![
        stage(driver, words(driver).lasting(ground.duration).flag("raw", raw).done(), true),
        stage(driven, words(driven).flag("raw", raw).done(), false),
    ];
    let links: &[(usize, usize)] = match (raw, back) {
        (true, _) => &[],
        (false, true) => &[(0, 1), (1, 0)],
        (false, false) => &[(0, 1)],
    };
    if raw {
        join(&mut stages, 0, 1)?;
        join(&mut stages, 1, 0)?;
    }
    let backend = if let Subject::Link(backend) = subject { backend } else { Backend::Pipe };
    let trial = Trial::run(plan(backend, stages, links))?;
    Ok((trial.outcome(0)?, trial.outcome(1)?))
}

/// Lays a pipe from the standard output of one stage to the standard input of another.
fn join(stages: &mut [StagePlan], from: usize, to: usize) -> Result<(), Failure> {
    let (read, write) = io::pipe().map_err(|error| Error::os("cannot create", "a pipe", error))?;
    stages[from].stdout = Stdout::File(File::from(OwnedFd::from(write)));
    stages[to].stdin = Stdin::File(File::from(OwnedFd::from(read)));
    Ok(())
}

fn agreed(one: Heard, other: Heard) -> Result<(), Failure> {
    if one.count > 0 && (one.count, one.sum) == (other.count, other.sum) {
        return Ok(());
    }
    Err(Failure::loss(format!(
        "sent {} numbers, sum {}; received {}, sum {}",
        one.count, one.sum, other.count, other.sum
    )))
}

impl Heard {
    fn microseconds(self) -> Result<Vec<f64>, Failure> {
        if self.p50_ns == 0 {
            return Err(Failure::failed("there was not enough time to measure one"));
        }
        Ok([self.p50_ns, self.p99_ns, self.p999_ns].map(|ns| ns as f64 / 1e3).to_vec())
    }
}

/// Counts numbers, which come as 1, 2, 3 and so on, and keeps their times.
struct Tally {
    heard: Heard,
    times: Histogram<u64>,
}

impl Tally {
    fn new() -> Self {
        let times = Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("the bounds are constants in range");
        Self { heard: Heard::default(), times }
    }

    fn take(&mut self, number: u64) -> Result<(), Fault> {
        if number != self.heard.count + 1 {
            let text = format!("{number} arrived after {}", self.heard.count);
            return Err(Fault { kind: FaultKind::Corrupt, text });
        }
        self.heard.count = number;
        self.heard.sum += number;
        Ok(())
    }

    fn time(&mut self, ns: u64) {
        self.times.saturating_record(ns);
    }

    fn close(self) -> Heard {
        let at = |quantile| self.times.value_at_quantile(quantile);
        Heard { p50_ns: at(0.5), p99_ns: at(0.99), p999_ns: at(0.999), ..self.heard }
    }
}

/// Sends a number, waits until it is back, and so on.
pub(super) fn ping(mut wire: impl Wire, world: &mut impl World, duration: Duration) -> Result<Heard, Fault> {
    let mut tally = Tally::new();
    let end = world.now_ns().saturating_add(duration.as_nanos() as u64);
    for number in 1.. {
        let sent = world.now_ns();
        wire.put(number)?;
        let Some(answer) = wire.get()? else { return Err(Fault::failed("the other end hung up")) };
        let now = world.now_ns();
        tally.take(answer.number)?;
        if number > WARM_UP {
            tally.time(now.saturating_sub(sent));
        }
        if now >= end || (number % LOOK_EVERY == 0 && world.stopped()) {
            break;
        }
    }
    wire.finish()?;
    Ok(tally.close())
}

/// Sends back what it gets.
pub(super) fn pong(mut wire: impl Wire) -> Result<Heard, Fault> {
    let mut tally = Tally::new();
    while let Some(arrival) = wire.get()? {
        wire.put(arrival.number)?;
        tally.take(arrival.number)?;
    }
    wire.finish()?;
    Ok(tally.close())
}

/// Sends a number at each beat.
pub(super) fn pacer(mut wire: impl Wire, world: &mut impl World, duration: Duration) -> Result<Heard, Fault> {
    let mut tally = Tally::new();
    let mut at = world.now_ns();
    let end = at.saturating_add(duration.as_nanos() as u64);
    for number in 1.. {
        if at >= end || world.wait_until(at) == Wake::Stopped {
            break;
        }
        wire.put(number)?;
        tally.take(number)?;
        at += PACE_NS;
    }
    wire.finish()?;
    Ok(tally.close())
}

/// Notes how long each number was under way.
pub(super) fn catcher(mut wire: impl Wire) -> Result<Heard, Fault> {
    let mut tally = Tally::new();
    while let Some(arrival) = wire.get()? {
        tally.time(clock::now_ns().saturating_sub(arrival.sent_ns));
        tally.take(arrival.number)?;
    }
    wire.finish()?;
    Ok(tally.close())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_takes_numbers_in_order_only() {
        let mut tally = Tally::new();
        for number in 1..=4 {
            tally.take(number).unwrap();
            tally.time(number * 1_000);
        }
        for wrong in [3, 4, 6] {
            assert_eq!(tally.take(wrong).unwrap_err().kind, FaultKind::Corrupt, "{wrong}");
        }
        let heard = tally.close();
        assert_eq!((heard.count, heard.sum), (4, 10));
        assert!(heard.p50_ns.abs_diff(2_000) <= 2 && heard.p999_ns.abs_diff(4_000) <= 4, "{heard:?}");
    }

    #[test]
    fn ends_that_disagree_are_a_loss() {
        let heard = |count, sum| Heard { count, sum, ..Heard::default() };
        assert!(agreed(heard(4, 10), heard(4, 10)).is_ok());
        assert!(agreed(heard(4, 10), heard(3, 10)).is_err());
        assert!(agreed(heard(4, 10), heard(4, 9)).is_err());
        assert!(agreed(heard(0, 0), heard(0, 0)).is_err());
    }
}
