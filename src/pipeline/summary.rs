//! What a run of conv, log, stat and report adds up to, and whether every sample is accounted for. Pure.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;

use super::supervise::{Ending, StageEnd};
use crate::channel::Backend;
use crate::record::Statistics;
use crate::stage::conv::{ConvOutcome, Ended};
use crate::stage::log::{LogFormat, LogOutcome};
use crate::stage::{FaultKind, Latency, ReportOutcome, StatOutcome};
use crate::sys::child::Status;
use crate::sys::signal;

/// What is told at the end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// What carried the links.
    pub backend: Backend,
    /// Why the run ended.
    pub stopped_by: StoppedBy,
    /// What went wrong first, in one line.
    pub error: Option<String>,
    /// Samples that conv sent; of a conv that did not live to tell, those that are known to have arrived somewhere.
    pub produced: u64,
    /// Samples of this run in the log file.
    pub logged: u64,
    /// Samples in the statistics: stat's own count, or the last that reached report if stat did not live to tell; None
    /// if neither did.
    pub counted: Option<u64>,
    /// The count in the last state that report printed; None if it did not live to tell.
    pub reported: Option<u64>,
    /// Samples that conv sent, as far as is known, and that did not reach both the log and the statistics; None where
    /// nobody lived to tell what was counted.
    pub lost: Option<u64>,
    /// Invalid lines of the input that were passed over.
    pub skipped: u64,
    /// The final statistics.
    pub statistics: Statistics,
    /// From the moment that conv was ready until the last stage had ended.
    pub elapsed: Duration,
    /// How long samples were under way.
    pub latency: Latencies,
    /// The log file.
    pub log: LogFile,
    /// The four processes.
    pub stages: Vec<StageUse>,
}

/// Latencies from conv's sending; None where the stage did not live to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// To the write into the log file.
    pub log: Option<Latency>,
    /// To the print of the state that contains the sample.
    pub report: Option<Latency>,
}

/// The log file of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is, as the user named it.
    pub path: PathBuf,
    /// Its layout.
    pub format: LogFormat,
    /// The bytes that this run added.
    pub bytes: u64,
}

/// One process of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageUse {
    /// Its name.
    pub name: String,
    /// The process id that it had.
    pub pid: u32,
    /// How it ended: `exit 0`, `killed by SIGKILL`.
    pub status: String,
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel.
    pub sys: Duration,
    /// The largest resident set, in KiB.
    pub max_rss_kib: u64,
    /// Context switches because it waited.
    pub voluntary_switches: u64,
    /// Context switches because its time was up.
    pub involuntary_switches: u64,
}

/// Why a run ended. What went wrong counts before what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoppedBy {
    /// The wished number of samples was reached.
    Count,
    /// The wished time was over.
    Duration,
    /// The input ended.
    Eof,
    /// This signal asked for it; SIGPIPE when nobody reads the output any more.
    Signal(i32),
    /// A stage died.
    StageDied,
    /// The stages did not drain in time, or a second request came.
    Forced,
    /// Input, output or the system failed.
    Error,
    /// The stages' counts or checksums contradict each other.
    Unconserved,
}

impl fmt::Display for StoppedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count => "count",
            Self::Duration => "duration",
            Self::Eof => "eof",
            Self::Signal(number) => return f.write_str(&signal::name(*number)),
            Self::StageDied => "stage-died",
            Self::Forced => "forced",
            Self::Error | Self::Unconserved => "error",
        })
    }
}

/// What the log file holds after log died and could not say: see [`recover`](crate::stage::log::recover).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Whole records of this run.
    pub records: u64,
    /// Bytes of this run.
    pub bytes: u64,
}

impl Summary {
    /// A run that never began, because of `error`.
    #[must_use]
    pub fn not_started(backend: Backend, log: LogFile, error: String) -> Self {
        Self {
            backend,
            stopped_by: StoppedBy::Error,
            error: Some(error),
            produced: 0,
            logged: 0,
            counted: Some(0),
            reported: Some(0),
            lost: Some(0),
            skipped: 0,
            statistics: Statistics::default(),
            elapsed: Duration::ZERO,
            latency: Latencies::default(),
            log,
            stages: Vec::new(),
        }
    }

    /// Adds up what the stages handed in. `progress` is the last count that conv told of, for a conv that died;
    /// `recover` reads the log file after a log that died.
    pub fn new(
        ending: &Ending,
        backend: Backend,
        mut log: LogFile,
        progress: u64,
        recover: impl FnOnce() -> Recovery,
    ) -> Self {
        let told = Told::by(ending);
        let (logged, bytes) = match &told.log {
            Some(outcome) => (outcome.logged, outcome.bytes),
            None => {
                let found = recover();
                (found.records, found.bytes)
            }
        };
        log.bytes = bytes;
        let statistics = told.statistics();
        let seen_by_report = told.report.as_ref().map(|report| report.last.count);
        let counted = told.stat.as_ref().map(|stat| stat.counted).or(seen_by_report);
        let seen = logged.max(counted.unwrap_or(0));
        let reached_both = logged.min(counted.unwrap_or(logged));
        let produced = told.conv.as_ref().map_or(progress.max(seen), |conv| conv.produced);
        let (stopped_by, error) = told.verdict(ending, produced, logged, reached_both);
        Self {
            backend,
            stopped_by,
            error,
            produced,
            logged,
            counted,
            reported: told.report.as_ref().map(|report| report.reported),
            lost: counted.map(|_| produced.saturating_sub(reached_both)),
            skipped: told.conv.as_ref().map_or(0, |conv| conv.skipped),
            statistics,
            elapsed: ending.elapsed,
            latency: Latencies {
                log: told.log.map(|log| log.latency),
                report: told.report.map(|report| report.latency),
            },
            log,
            stages: ending.stages.iter().map(StageUse::from).collect(),
        }
    }
}

/// The outcomes of the stages that lived to hand them in.
struct Told {
    conv: Option<ConvOutcome>,
    log: Option<LogOutcome>,
    stat: Option<StatOutcome>,
    report: Option<ReportOutcome>,
}

impl Told {
    fn by(ending: &Ending) -> Self {
        fn of<T: DeserializeOwned>(ending: &Ending, name: &str) -> Option<T> {
            let stage = ending.stages.iter().find(|stage| stage.name == name)?;
            serde_json::from_value(stage.outcome.clone()?).ok()
        }
        Self {
            conv: of(ending, "conv"),
            log: of(ending, "log"),
            stat: of(ending, "stat"),
            report: of(ending, "report"),
        }
    }

    /// stat's own, or the last that it sent before it died.
    fn statistics(&self) -> Statistics {
        let sent = self.report.as_ref().map(|report| report.last);
        self.stat.as_ref().map(|stat| stat.statistics).or(sent).unwrap_or_default()
    }

    /// Why the run ended, and the line that says what went wrong.
    fn verdict(&self, ending: &Ending, produced: u64, logged: u64, reached_both: u64) -> (StoppedBy, Option<String>) {
        if ending.forced {
            return (StoppedBy::Forced, Some(self.describe_force(produced - reached_both.min(produced))));
        }
        if let Some(dead) = ending.stages.iter().find(|stage| stage.died()) {
            return (StoppedBy::StageDied, Some(describe_death(dead)));
        }
        if let Some((stage, fault)) = root_fault(ending) {
            match fault.kind {
                FaultKind::OutputClosed => return (StoppedBy::Signal(signal::BROKEN_PIPE), None),
                // A terminal that hangs up takes report's output away and sends SIGHUP.
                FaultKind::Failed if stage.name == "report" && ending.request == Some(Signal::SIGHUP) => {
                    return (self.reason(ending), None);
                }
                FaultKind::Corrupt => {
                    return (StoppedBy::Unconserved, Some(format!("{}[{}]: {fault}", stage.name, stage.pid)));
                }
                FaultKind::PeerGone | FaultKind::Failed => {
                    return (StoppedBy::Error, Some(format!("{}[{}]: {fault}", stage.name, stage.pid)));
                }
            }
        }
        if let Some(contradiction) = self.contradiction(produced, logged) {
            return (StoppedBy::Unconserved, Some(contradiction));
        }
        (self.reason(ending), None)
    }

    fn describe_force(&self, missing: u64) -> String {
        let what = "the stages did not drain and were killed";
        if self.conv.is_some() && self.log.is_some() && self.stat.is_some() {
            format!("{what}; {missing} samples are missing")
        } else {
            format!("{what}; those that were killed cannot tell what they had")
        }
    }

    /// Without death and fault, every sample is everywhere.
    fn contradiction(&self, produced: u64, logged: u64) -> Option<String> {
        let (conv, log, stat) = (self.conv.as_ref()?, self.log.as_ref()?, self.stat.as_ref()?);
        let counted = stat.counted;
        let counts_agree = produced == logged && produced == counted;
        let digests_agree = conv.digest == log.digest && conv.digest == stat.digest;
        (!counts_agree || !digests_agree).then(|| {
            format!(
                "conservation broken: produced {produced} ({:016x}), logged {logged} ({:016x}), counted {counted} ({:016x})",
                conv.digest, log.digest, stat.digest
            )
        })
    }

    fn reason(&self, ending: &Ending) -> StoppedBy {
        match self.conv.as_ref().map(|conv| conv.ended) {
            Some(Ended::Count) => StoppedBy::Count,
            Some(Ended::Duration) => StoppedBy::Duration,
            Some(Ended::EndOfInput) => StoppedBy::Eof,
            Some(Ended::Stopped | Ended::Fault) | None => {
                ending.request.map_or(StoppedBy::Error, |request| StoppedBy::Signal(request as i32))
            }
        }
    }
}

/// The fault that the others follow from: one that is not about a peer's end, else the first.
fn root_fault(ending: &Ending) -> Option<(&StageEnd, &crate::stage::Fault)> {
    let mut faults = ending.stages.iter().filter_map(|stage| stage.fault.as_ref().map(|fault| (stage, fault)));
    let first = faults.clone().next();
    faults.find(|(_, fault)| fault.kind != FaultKind::PeerGone).or(first)
}

fn describe_death(stage: &StageEnd) -> String {
    match stage.ended.status {
        Status::Exited(code) => format!("{}[{}] exited with status {code} before its end", stage.name, stage.pid),
        status => format!("{}[{}] {status}", stage.name, stage.pid),
    }
}

impl From<&StageEnd> for StageUse {
    fn from(stage: &StageEnd) -> Self {
        let usage = stage.ended.usage;
        Self {
            name: stage.name.to_owned(),
            pid: stage.pid,
            status: stage.ended.status.to_string(),
            user: usage.user,
            sys: usage.sys,
            max_rss_kib: usage.max_rss_kib,
            voluntary_switches: usage.voluntary_switches,
            involuntary_switches: usage.involuntary_switches,
        }
    }
}
