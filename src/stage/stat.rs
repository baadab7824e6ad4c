//! stat, the statistician: folds samples into states and sends each new state on.

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::fold::Fold;
use super::statistics_wire;
use crate::channel::{Batch, Receiver, SendError, Sender};
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

/// Folds the samples of `rx` until their end and sends states over `tx`: one for each sample, or else the
/// newest one whenever no more samples are at hand or many frames have passed.
///
/// States wait for company while more samples are at hand, and leave before stat blocks for more.
/// A receiver that is gone stops the sending of states only: the count goes on to the end.
pub fn stat(mut rx: Receiver<Sample>, tx: Sender<Statistics>, each_sample: bool) -> StatOutcome {
    let mut states = States { tx: Some(tx), fault: None };
    let mut fold = Fold::new();
    let mut frames = 0;
    let received = loop {
        match rx.recv() {
            Ok(Some(batch)) if each_sample => states.each_sample(&mut fold, &batch),
            Ok(Some(batch)) => fold.extend(&batch, batch.sent_ns()),
            Ok(None) => break Ok(()),
            Err(error) => break Err(Fault::from(error)),
        }
        frames += 1;
        if !rx.is_ready() || frames == FRAMES {
            frames = 0;
            states.send(&fold, each_sample);
        }
    };
    if frames > 0 {
        states.send(&fold, each_sample);
    }
    let (counted, digest, statistics) = (rx.count(), rx.digest(), fold.state());
    let fault = received.err().or(states.finish());
    StatOutcome { counted, digest, statistics, fault }
}

/// The way of states to report, for as long as there is one.
struct States {
    tx: Option<Sender<Statistics>>,
    fault: Option<Fault>,
}

impl States {
    fn each_sample(&mut self, fold: &mut Fold, batch: &Batch<'_, Sample>) {
        let mut states = [Statistics::default(); RUN];
        for run in batch.chunks(RUN) {
            for (state, sample) in states.iter_mut().zip(run) {
                fold.extend(std::slice::from_ref(sample), batch.sent_ns());
                *state = fold.state();
            }
            self.with(|tx| tx.feed(&states[..run.len()]));
        }
    }

    /// Sends the states that are held back or, where not each is wanted, the present one.
    fn send(&mut self, fold: &Fold, each_sample: bool) {
        self.with(|tx| if each_sample { tx.flush() } else { tx.send(&[fold.state()]) });
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
    fn the_newest_state_is_sent_and_the_last_once() {
        let frames: Vec<Vec<Sample>> = (0..1_000).map(|n| vec![f64::from(n)]).collect();
        let (outcome, states) = run(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>(), false);
        assert!(states.is_sorted_by(|one, next| one.count < next.count && one.sent_ns <= next.sent_ns));
        assert_eq!(states.last(), Some(&outcome.statistics));
        assert_eq!((outcome.counted, outcome.statistics.sum, outcome.fault), (1_000, 499_500.0, None));
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
