//! What has to be known of a machine to make anything of its figures.

use std::{fs, thread};

use jiff::{Timestamp, Unit};
use serde::Serialize;

use super::{pipeline, xrtt};

/// A machine at a moment.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// When it was looked at.
    pub(super) date: String,
    pub(super) kernel: String,
    /// The model of its CPUs.
    pub(super) cpu: String,
    /// How many CPUs this process may use.
    pub(super) cpus: usize,
    /// The round trip of one cache line; None with one CPU.
    pub(super) xrtt_ns: Option<f64>,
    /// Where logs are written.
    pub(super) log_directory: String,
}

impl Machine {
    /// This machine, now.
    pub(super) fn look() -> Self {
        let now = Timestamp::now();
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            date: now.round(Unit::Second).unwrap_or(now).to_string(),
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
            cpu: model(&read("/proc/cpuinfo")).unwrap_or("unknown").to_owned(),
            cpus: thread::available_parallelism().map_or(1, Into::into),
            xrtt_ns: xrtt::round_trip_ns(),
            log_directory: pipeline::log_directory().display().to_string(),
        }
    }
}

/// The model of the first CPU in /proc/cpuinfo. Not every architecture tells.
fn model(cpuinfo: &str) -> Option<&str> {
    let entries = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    entries.map(|(key, value)| (key.trim(), value.trim())).find(|(key, _)| *key == "model name").map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_the_first_of_that_name() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC: 9B14\n\nmodel name\t: other\n";
        assert_eq!(model(cpuinfo), Some("AMD EPYC: 9B14"));
        assert_eq!(model("processor\t: 0\nBogoMIPS\t: 50.00\n"), None);
    }
}
