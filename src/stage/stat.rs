//! stat, the statistician: folds samples into states and sends each new state on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::fold::Fold;
use super::statistics_wire;
use super::world::FLOOD;
use crate::channel::{Batch, Received, Receiver, RecvError, SendError, Sender};
use crate::record::{Sample, Statistics};

/// What [`stat()`] did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatOutcome {
    /// Samples folded in.
    pub counted: u64,
    /// The order-sensitive checksum over them.
    pub digest: u64,
    /// The statistics of them all.
    #[serde(with = "statistics_wire")]
    pub statistics: Statistics,
    /// What went wrong: the loss of conv, else that of report.
    pub fault: Option<Fault>,
}

/// So many frames may pass before states are pushed on although more samples are at hand.
const FRAMES: u32 = 64;

/// States of a batch are made in runs of this size.
const RUN: usize = 64;

/// Folds the samples of `rx` until their end and sends a state for each sample, or else for each frame,
/// over `tx`.
///
/// States wait for company while more samples are at hand, and leave before stat blocks for more.
/// A receiver that is gone stops the sending of states only: the count goes on to the end.
pub fn stat(mut rx: Receiver<Sample>, tx: Sender<Statistics>, each_sample: bool) -> StatOutcome {
    let mut states = States { tx: Some(tx), fault: None, frames: 0 };
    let mut fold = Fold::new();
    let received = loop {
        let is_flood = match wait(&mut rx, &states) {
            Ok(Received::Batch(batch)) => {
                if each_sample {
                    states.each_sample(&mut fold, &batch)
                } else {
                    states.each_frame(&mut fold, &batch)
                }
                batch.len() >= FLOOD
            }
            Ok(Received::TimedOut) => false,
            Ok(Received::End) => break Ok(()),
            Err(error) => break Err(Fault::from(error)),
        };
        let more = is_flood || rx.is_ready();
        if !more || states.frames >= FRAMES {
            states.flush();
        }
    };
    let (counted, digest, statistics) = (rx.count(), rx.digest(), fold.state());
    let fault = received.err().or(states.finish());
    StatOutcome { counted, digest, statistics, fault }
}

/// The next batch. Only looks for one while states are held back.
fn wait<'a>(rx: &'a mut Receiver<Sample>, states: &States) -> Result<Received<'a, Sample>, RecvError> {
    if states.frames > 0 {
        return rx.recv_timeout(Duration::ZERO);
    }
    Ok(rx.recv()?.map_or(Received::End, Received::Batch))
}

/// The way of states to report, for as long as there is one.
struct States {
    tx: Option<Sender<Statistics>>,
    fault: Option<Fault>,
    /// Frames whose states may be held back.
    frames: u32,
}

impl States {
    fn each_frame(&mut self, fold: &mut Fold, batch: &Batch<'_, Sample>) {
        fold.extend(batch, batch.sent_ns());
        self.frames += 1;
        self.with(|tx| tx.feed(&[fold.state()]));
    }

    fn each_sample(&mut self, fold: &mut Fold, batch: &Batch<'_, Sample>) {
        let mut states = [Statistics::default(); RUN];
        self.frames += 1;
        for run in batch.chunks(RUN) {
            for (state, sample) in states.iter_mut().zip(run) {
                fold.extend(std::slice::from_ref(sample), batch.sent_ns());
                *state = fold.state();
            }
            self.with(|tx| tx.feed(&states[..run.len()]));
        }
    }

    fn flush(&mut self) {
        self.frames = 0;
        self.with(Sender::flush);
    }

    fn with(&mut self, call: impl FnOnce(&mut Sender<Statistics>) -> Result<(), SendError>) {
        if let Some(tx) = &mut self.tx
            && let Err(error) = call(tx)
        {
            self.lost(error);
        }
    }

    fn lost(&mut self, error: SendError) {
        self.tx = None;
        self.fault = Some(error.into());
    }

    /// Ends the states; returns what went wrong with them.
    fn finish(mut self) -> Option<Fault> {
        if let Some(Err(error)) = self.tx.take().map(Sender::finish) {
            self.lost(error);
        }
        self.fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::FaultKind;
    use crate::stage::testing::link;
    use std::thread;

    fn run(frames: &[&[Sample]], each_sample: bool) -> (StatOutcome, Vec<Statistics>) {
        let (mut samples, rx) = link();
        let (tx, mut states) = link::<Statistics>();
        let stat = thread::spawn(move || stat(rx, tx, each_sample));
        frames.iter().for_each(|frame| samples.send(frame).unwrap());
        samples.finish().unwrap();
        let mut received = Vec::new();
        while let Some(batch) = states.recv().unwrap() {
            received.extend_from_slice(&batch);
        }
        (stat.join().unwrap(), received)
    }

    fn sums(states: &[Statistics]) -> Vec<f64> {
        states.iter().map(|state| state.sum).collect()
    }

    #[test]
    fn a_state_follows_each_frame() {
        let (outcome, states) = run(&[&[1.0, 2.0], &[3.0]], false);
        assert_eq!(sums(&states), [3.0, 6.0]);
        assert_eq!((outcome.counted, outcome.statistics.sum, outcome.fault), (3, 6.0, None));
        assert!(states[1].sent_ns >= states[0].sent_ns && states[0].sent_ns > 0);
    }

    #[test]
    fn a_state_follows_each_sample_where_that_is_asked_for() {
        let frame: Vec<Sample> = (1..=200).map(f64::from).collect();
        let (_, states) = run(&[&frame], true);
        assert_eq!(sums(&states), (1..=200).map(|n| f64::from(n * (n + 1) / 2)).collect::<Vec<_>>());
    }

    #[test]
    fn no_sample_makes_no_state() {
        let (outcome, states) = run(&[], true);
        assert!(states.is_empty() && outcome.statistics.is_empty());
    }

    #[test]
    fn counting_goes_on_when_report_is_gone() {
        let (mut samples, rx) = link();
        let (tx, states) = link::<Statistics>();
        drop(states);
        let stat = thread::spawn(move || stat(rx, tx, true));
        (0..1_000).for_each(|n| samples.send(&[f64::from(n)]).unwrap());
        let digest = samples.digest();
        samples.finish().unwrap();
        let outcome = stat.join().unwrap();
        assert_eq!((outcome.counted, outcome.digest), (1_000, digest));
        assert_eq!(outcome.fault.unwrap().kind, FaultKind::PeerGone);
    }

    #[test]
    fn the_death_of_conv_is_a_fault_and_loses_no_count() {
        let (mut samples, rx) = link();
        let (tx, mut states) = link::<Statistics>();
        samples.send(&[4.0]).unwrap();
        drop(samples);
        let outcome = stat(rx, tx, false);
        assert_eq!((outcome.counted, outcome.statistics.sum), (1, 4.0));
        assert!(outcome.fault.is_some());
        assert_eq!(states.recv().unwrap().unwrap()[0].sum, 4.0);
        assert!(states.recv().unwrap().is_none(), "report gets an end, not a death");
    }

    #[test]
    fn an_outcome_travels_with_every_bit() {
        let statistics = Statistics { sum: f64::INFINITY, mean: 0.1 + 0.2, min: -0.0, ..Statistics::default() };
        let outcome = StatOutcome { counted: u64::MAX, digest: u64::MAX, statistics, fault: None };
        let json = serde_json::to_string(&outcome).unwrap();
        assert_eq!(serde_json::from_str::<StatOutcome>(&json).unwrap(), outcome);
    }
}
