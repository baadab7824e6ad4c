//! How long samples were under way.

use std::fmt;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The time from the sending of a frame to the moment its records were put out, per record.
///
/// Percentiles are accurate to 0.1 %; all are 0 while `samples` is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of the records took at most so many nanoseconds.
    pub p50: u64,
    /// 99 of 100 records took at most so many nanoseconds.
    pub p99: u64,
    /// The slowest record, in nanoseconds.
    pub max: u64,
    /// How many records were measured.
    pub samples: u64,
}

/// The longest latency that is told apart from longer ones: an hour, in nanoseconds.
const LONGEST: u64 = 3_600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Gathers latencies in a histogram of fixed size.
pub(super) struct LatencyRecorder(Histogram<u64>);

impl LatencyRecorder {
    pub(super) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST, SIGNIFICANT_DIGITS).expect("the bounds are constants in range"))
    }

    /// Notes that `records` records of a frame sent at `sent_ns` were out at `now_ns`.
    pub(super) fn record(&mut self, sent_ns: u64, now_ns: u64, records: u64) {
        self.0.saturating_record_n(now_ns.saturating_sub(sent_ns), records);
    }

    pub(super) fn latency(&self) -> Latency {
        let Self(histogram) = self;
        Latency {
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            max: histogram.max(),
            samples: histogram.len(),
        }
    }
}

impl fmt::Debug for LatencyRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.latency().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_counts_once_per_record() {
        let mut recorder = LatencyRecorder::new();
        assert_eq!(recorder.latency(), Latency::default());
        recorder.record(1_000, 2_000, 99);
        recorder.record(1_000, 1_001_000, 1);
        let latency = recorder.latency();
        assert_eq!((latency.p50, latency.p99, latency.samples), (1_000, 1_000, 100));
        assert!(latency.max.abs_diff(1_000_000) <= 1_000);
    }

    #[test]
    fn a_clock_that_seems_to_run_backwards_is_no_latency() {
        let mut recorder = LatencyRecorder::new();
        recorder.record(2_000, 1_000, 1);
        assert_eq!(recorder.latency().max, 0);
    }
}
