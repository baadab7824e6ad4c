//! What a run looks like: each state of the statistics and the closing summary, as text for a person or as JSON for a
//! program. Everything here is pure; the callers own the streams.
//!
//! Text may hold colour, which `anstream` takes out where it is not wanted.

mod json;
mod number;
mod text;

use ipcpipe::pipeline::Summary;
use ipcpipe::record::Statistics;
use ipcpipe::stage::Latency;

use crate::args::Format;

pub(crate) use self::number::{bytes, time};

/// Appends one state and a newline to `out`; a buffer that is reused makes this free of allocations.
pub(crate) fn state(out: &mut Vec<u8>, format: Format, statistics: &Statistics) {
    match format {
        Format::Text => text::state(out, statistics),
        Format::Json => json::state(out, statistics),
    }
    out.push(b'\n');
}

/// The summary that closes a run: a few lines for stderr, or one JSON line for stdout.
pub(crate) fn summary(format: Format, summary: &Summary) -> String {
    match format {
        Format::Text => text::summary(summary),
        Format::Json => json::summary(summary),
    }
}

/// Samples a second over the whole run; not finite if it took no time.
fn samples_per_second(summary: &Summary) -> f64 {
    summary.produced as f64 / summary.elapsed.as_secs_f64()
}

/// How long samples took to log and to report, where any arrived.
fn latencies(summary: &Summary) -> [Option<Latency>; 2] {
    let latency = &summary.latency;
    [latency.log, latency.report].map(|latency| latency.filter(|latency| latency.samples > 0))
}

#[cfg(test)]
mod fixture {
    use std::time::Duration;

    use ipcpipe::channel::Backend;
    use ipcpipe::pipeline::{Latencies, LogFile, StageUse, StoppedBy, Summary};
    use ipcpipe::record::Statistics;
    use ipcpipe::stage::Latency;
    use ipcpipe::stage::log::LogFormat;

    /// The state that the issue shows.
    pub(super) const STATISTICS: Statistics =
        Statistics { count: 16, sum: 812.0, mean: 50.75, min: 3.0, max: 99.0, stddev: 28.11, last: 42.0, sent_ns: 0 };

    /// A run that ended as it should, with one stage.
    pub(super) fn summary() -> Summary {
        let latency = Latency { p50: 21_000, p99: 40_250, max: 1_250_000, samples: 16 };
        Summary {
            backend: Backend::Mq,
            stopped_by: StoppedBy::Signal(2),
            error: None,
            produced: 16,
            logged: 16,
            counted: Some(16),
            reported: Some(16),
            lost: Some(0),
            statistics: STATISTICS,
            elapsed: Duration::from_millis(12_800),
            latency: Latencies { log: Some(latency), report: None },
            log: LogFile { path: "ipcpipe.log".into(), format: LogFormat::Text, bytes: 48 },
            skipped: 0,
            stages: vec![stage()],
        }
    }

    fn stage() -> StageUse {
        StageUse {
            name: "conv".into(),
            pid: 4711,
            status: "exit 0".into(),
            user: Duration::from_millis(12),
            sys: Duration::from_micros(1_500),
            max_rss_kib: 2_304,
            voluntary_switches: 17,
            involuntary_switches: 2,
        }
    }

    /// A run that was over before its first sample.
    pub(super) fn empty() -> Summary {
        Summary {
            stopped_by: StoppedBy::Count,
            produced: 0,
            logged: 0,
            counted: Some(0),
            reported: Some(0),
            statistics: Statistics::default(),
            elapsed: Duration::ZERO,
            latency: Latencies { log: None, report: None },
            stages: Vec::new(),
            ..summary()
        }
    }
}
