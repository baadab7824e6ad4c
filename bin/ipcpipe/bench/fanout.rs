//! The transport alone: one sender, two receivers, as fast as it goes.

use std::time::Duration;

use ipcpipe::channel::{Fanout, Receiver, RecvError, Sender};
use ipcpipe::record::Sample;
use ipcpipe::stage::{Fault, World};
use ipcpipe::sys::clock;
use serde::{Deserialize, Serialize};

use super::experiment::{Ground, Subject};
use super::part::{Words, words};
use super::trial::{Failure, Trial, plan, stage};

/// The source looks at the clock and at its stop line each time that it has sent so many samples.
const LOOK_EVERY: u64 = 16 * 1024;

/// What went through one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Passed {
    count: u64,
    /// Of the samples' bits, modulo 2^64: exact however many there are.
    sum: u64,
    digest: u64,
    /// When the source began, or when a sink had the last sample.
    at_ns: u64,
}

/// Frames as full as they get.
pub(super) fn full_frames(ground: &mut Ground, subject: Subject) -> Result<Vec<f64>, Failure> {
    measure(ground, subject, words("source"))
}

/// Frames of one sample.
pub(super) fn single_samples(ground: &mut Ground, subject: Subject) -> Result<Vec<f64>, Failure> {
    measure(ground, subject, words("source").with("batch", "1"))
}

fn measure(ground: &Ground, subject: Subject, source: Words) -> Result<Vec<f64>, Failure> {
    let Subject::Link(backend) = subject else { return Err(Failure::failed("a raw pipe has one reader")) };
    let stages = vec![
        stage("source", source.lasting(ground.duration).done(), true),
        stage("sink1", words("sink").done(), false),
        stage("sink2", words("sink").done(), false),
    ];
    let trial = Trial::run(plan(backend, stages, &[(0, 1), (0, 2)]))?;
    let sent: Passed = trial.outcome(0)?;
    let received: [Passed; 2] = [trial.outcome(1)?, trial.outcome(2)?];
    let elapsed_ns = elapsed_ns(sent, received)?;
    let count = sent.count as f64;
    Ok(vec![count / elapsed_ns * 1e9, trial.cpu_ns() / count, trial.voluntary_switches() / count * 1e6])
}

/// From the first send to the last receipt, if both sinks have what the source sent.
fn elapsed_ns(sent: Passed, received: [Passed; 2]) -> Result<f64, Failure> {
    let same = |other: &Passed| Passed { at_ns: sent.at_ns, ..*other } == sent;
    if !received.iter().all(same) || sent.count == 0 {
        return Err(Failure::loss(format!("sent {sent:?}, received {received:?}")));
    }
    let end = received.iter().map(|passed| passed.at_ns).max().unwrap_or_default();
    Ok(end.saturating_sub(sent.at_ns) as f64)
}

/// The source: sends one block of samples again and again, so that making them costs nothing.
pub(super) fn source(
    senders: Vec<Sender<Sample>>,
    world: &mut impl World,
    duration: Duration,
) -> Result<Passed, Fault> {
    let mut out = Fanout::new(senders);
    let block: Vec<Sample> = (0..out.frame_capacity()).map(|number| number as Sample).collect();
    let began = world.now_ns();
    let end = began.saturating_add(duration.as_nanos() as u64);
    let (mut blocks, mut look_at) = (0_u64, 0);
    loop {
        if out.count() >= look_at {
            if world.now_ns() >= end || world.stopped() {
                break;
            }
            look_at += LOOK_EVERY;
        }
        out.feed(&block)?;
        blocks += 1;
    }
    out.flush()?;
    let (count, digest) = (out.count(), out.digest());
    out.finish()?;
    Ok(Passed { count, sum: bits(&block).wrapping_mul(blocks), digest, at_ns: began })
}

/// A sink: looks at every sample as cheaply as it can be done.
pub(super) fn sink(mut rx: Receiver<Sample>) -> Result<Passed, Fault> {
    let (mut next, mut sum) = (1, 0_u64);
    while let Some(batch) = rx.recv()? {
        if batch.first_seq() != next {
            let fault = format!("sample {} follows {}", batch.first_seq(), next - 1);
            return Err(RecvError::Corrupt { link: "source-sink".into(), fault }.into());
        }
        next += batch.len() as u64;
        sum = sum.wrapping_add(bits(&batch));
    }
    Ok(Passed { count: next - 1, sum, digest: rx.digest(), at_ns: clock::now_ns() })
}

fn bits(samples: &[Sample]) -> u64 {
    samples.iter().fold(0, |sum, sample| sum.wrapping_add(sample.to_bits()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Passed = Passed { count: 10, sum: 7, digest: 3, at_ns: 100 };

    #[test]
    fn the_slower_sink_ends_the_run() {
        let received = [Passed { at_ns: 300, ..SENT }, Passed { at_ns: 200, ..SENT }];
        assert_eq!(elapsed_ns(SENT, received).unwrap(), 200.0);
    }

    #[test]
    fn whatever_differs_is_a_loss() {
        let right = Passed { at_ns: 300, ..SENT };
        for wrong in [Passed { count: 9, ..right }, Passed { sum: 8, ..right }, Passed { digest: 4, ..right }] {
            assert!(elapsed_ns(SENT, [wrong, right]).is_err(), "{wrong:?}");
            assert!(elapsed_ns(SENT, [right, wrong]).is_err(), "{wrong:?}");
        }
        let nothing = Passed { count: 0, sum: 0, digest: 0, at_ns: 0 };
        assert!(elapsed_ns(nothing, [nothing, nothing]).is_err());
    }
}
