//! The experiments: a table of what is measured and what the figures are called.

use std::fmt;
use std::time::Duration;

use ipcpipe::channel::Backend;

use super::trial::Failure;
use super::{fanout, latency, pipeline};

/// What an experiment is done on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A link of this mechanism.
    Link(Backend),
    /// Plain reads and writes of 16 bytes on an anonymous pipe: what the system charges anybody.
    RawPipe,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(backend) => f.pad(backend.name()),
            Self::RawPipe => f.pad("raw pipe"),
        }
    }
}

/// What measurements share.
#[derive(Debug)]
pub(super) struct Ground {
    /// How long each lasts.
    pub(super) duration: Duration,
    /// The raw pipe's median one-way latency in this round, in microseconds: what others are compared with.
    pub(super) raw_one_way_us: Option<f64>,
}

impl Ground {
    pub(super) fn new(duration: Duration) -> Self {
        Self { duration, raw_one_way_us: None }
    }
}

/// One figure of an experiment.
#[derive(Debug)]
pub(super) struct Column {
    /// Its name for programs, with its unit.
    pub(super) key: &'static str,
    /// Its name for people, with theirs.
    pub(super) heading: &'static str,
    /// From one unit to the other.
    pub(super) scale: f64,
}

/// One question to the machine.
#[derive(Debug)]
pub(super) struct Experiment {
    /// Its name for programs, and in messages.
    pub(super) name: &'static str,
    /// What stands above its table.
    pub(super) title: &'static str,
    pub(super) columns: &'static [Column],
    /// Whether it is done on a raw pipe too, before the links.
    pub(super) has_raw_pipe: bool,
    /// Answers a value for each column.
    pub(super) measure: fn(&mut Ground, Subject) -> Result<Vec<f64>, Failure>,
}

/// All of them, in the order in which they are done in each round.
pub(super) const EXPERIMENTS: [Experiment; 6] = [
    Experiment {
        name: "pipeline",
        title: "The pipeline flat out, with a text log; ns of CPU a sample, of all stages and of each",
        columns: &[
            RATE,
            CPU,
            column("conv_cpu_ns_per_sample", "conv"),
            column("log_cpu_ns_per_sample", "log"),
            column("stat_cpu_ns_per_sample", "stat"),
            column("report_cpu_ns_per_sample", "report"),
            SWITCHES,
        ],
        has_raw_pipe: false,
        measure: pipeline::flat_out,
    },
    Experiment {
        name: "fanout-auto",
        title: "Fan-out alone, one to two, full frames",
        columns: &[RATE, CPU, SWITCHES],
        has_raw_pipe: false,
        measure: fanout::full_frames,
    },
    Experiment {
        name: "fanout-batch-1",
        title: "Fan-out alone, one to two, one sample a frame",
        columns: &[RATE, CPU, SWITCHES],
        has_raw_pipe: false,
        measure: fanout::single_samples,
    },
    Experiment {
        name: "round-trip",
        title: "Round trip of one sample over two links, both ends blocking",
        columns: &[P50, P99, P999],
        has_raw_pipe: true,
        measure: latency::round_trip,
    },
    Experiment {
        name: "one-way",
        title: "One way at 1 kHz, from sending to receipt",
        columns: &[P50, P99, P999],
        has_raw_pipe: true,
        measure: latency::one_way,
    },
    Experiment {
        name: "paced-pipeline",
        title: "The pipeline at 1 kHz, from conv to the log; ratio of p50 to the raw pipe's one way",
        columns: &[P50, P99, column("max_us", "max µs"), column("ratio_to_raw_pipe", "ratio")],
        has_raw_pipe: false,
        measure: pipeline::paced,
    },
];

const RATE: Column = Column { key: "samples_per_s", heading: "M samples/s", scale: 1e-6 };
const CPU: Column = column("cpu_ns_per_sample", "CPU ns");
const SWITCHES: Column = column("voluntary_switches_per_million", "switches/M");
const P50: Column = column("p50_us", "p50 µs");
const P99: Column = column("p99_us", "p99 µs");
const P999: Column = column("p999_us", "p99.9 µs");

const fn column(key: &'static str, heading: &'static str) -> Column {
    Column { key, heading, scale: 1.0 }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_and_keys_are_told_apart() {
        let names: HashSet<_> = EXPERIMENTS.iter().map(|experiment| experiment.name).collect();
        assert_eq!(names.len(), EXPERIMENTS.len());
        for experiment in &EXPERIMENTS {
            let keys: HashSet<_> = experiment.columns.iter().map(|column| column.key).collect();
            assert_eq!(keys.len(), experiment.columns.len(), "{}", experiment.name);
        }
    }
}
