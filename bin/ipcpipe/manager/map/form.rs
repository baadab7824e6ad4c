//! What is shown of a job: its output as it is, or an object.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use ipcpipe::jobs::{End, Entry, Job, Outcome, Output, Statistics};
use ipcpipe::sys::child::Status;
use ipcpipe::sys::signal;
use serde::Serialize;

use super::line;
use super::printer::{Piece, Target};

/// The version of the objects: it changes when a key goes or changes its meaning.
const VERSION: u8 = 1;

/// Characters of an input that a message shows.
const SHOWN: usize = 100;

/// How jobs are shown.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) json: bool,
    pub(super) quiet: bool,
    pub(super) tag: bool,
    pub(super) log: bool,
    pub(super) timeout: Option<Duration>,
    pub(super) place: Option<String>,
}

impl Shape {
    /// What is printed of `outcome`, whose command was `command`. A job that was cancelled is shown to programs only, which count.
    pub(super) fn pieces(&self, outcome: Outcome, command: &[OsString]) -> Result<Vec<Piece>, std::io::Error> {
        let entry = self.log.then(|| Entry::of(&outcome, command)).flatten();
        let mut pieces = Vec::new();
        if self.json {
            pieces.push(Piece::Text(Target::Stdout, object(outcome)?));
        } else if !matches!(outcome.end, End::Cancelled) {
            let remark = (!self.quiet).then(|| self.remark(&outcome)).flatten();
            let tag = self.tag.then(|| [outcome.job.input.as_bytes(), b"\t"].concat());
            let Outcome { stdout, stderr, .. } = outcome;
            for (output, to) in [(stdout, Target::Stdout), (stderr, Target::Stderr)] {
                if !output.is_empty() {
                    pieces.push(Piece::Output { output, to, tag: tag.clone() });
                }
            }
            let remark = remark.map(|text| line(self.place.as_deref(), text).into_bytes());
            pieces.extend(remark.map(|text| Piece::Text(Target::Stderr, text)));
        }
        pieces.extend(entry.map(Piece::Log));
        Ok(pieces)
    }

    /// What a person should know of a job that failed.
    fn remark(&self, outcome: &Outcome) -> Option<String> {
        let Job { seq, input } = &outcome.job;
        let times = if outcome.attempts > 1 { format!(" {} times", outcome.attempts) } else { String::new() };
        let why = match &outcome.end {
            End::Ended(Status::Exited(0)) | End::Cancelled => return None,
            End::Ended(status) => status.to_string(),
            End::TimedOut(status) => {
                format!("it took longer than {:?} ({status})", self.timeout.unwrap_or_default())
            }
            End::Refused(error) if input.as_bytes().contains(&0) => format!("{error}; with -0 inputs end there"),
            End::Refused(error) => error.to_string(),
        };
        let left = if outcome.has_survivors { "; somebody in its process group survived SIGKILL" } else { "" };
        Some(format!("job {seq} ({}) failed{times}: {why}{left}", shown(input)))
    }
}

/// An input in a message: the beginning of one that is long, for the reason stands behind it.
fn shown(input: &OsStr) -> String {
    let text = input.display().to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Text, or bytes that are none.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Bytes {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Bytes(error.into_bytes()), Self::Text)
    }
}

/// One job that is over.
#[derive(Debug, Serialize)]
struct Object {
    v: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    seq: u64,
    input: Bytes,
    /// None if a signal ended it, or it was never started.
    exit: Option<i32>,
    signal: Option<String>,
    /// Why it has neither, or was ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    attempts: u32,
    slot: usize,
    elapsed_s: f64,
    cpu_s: f64,
    stdout: Bytes,
    stderr: Bytes,
}

fn object(outcome: Outcome) -> Result<Vec<u8>, std::io::Error> {
    let (status, reason) = match &outcome.end {
        End::Ended(status) => (Some(*status), None),
        End::TimedOut(status) => (Some(*status), Some("timeout".to_owned())),
        End::Cancelled => (None, Some("cancelled".to_owned())),
        End::Refused(error) => (Some(Status::Exited(Outcome::refusal_status(error))), Some(error.to_string())),
    };
    let (exit, killed) = match status {
        Some(Status::Exited(code)) => (Some(code), None),
        Some(Status::Killed(number)) => (None, Some(signal::name(number))),
        Some(Status::Lost) | None => (None, None),
    };
    let text = |output: Output| output.into_bytes().map(Bytes::from);
    let Outcome { job, slot, attempts, elapsed, usage, stdout, stderr, .. } = outcome;
    let object = Object {
        v: VERSION,
        kind: "job",
        seq: job.seq,
        input: job.input.as_bytes().to_vec().into(),
        exit,
        signal: killed,
        reason,
        attempts,
        slot,
        elapsed_s: rounded(elapsed),
        cpu_s: rounded(usage.user + usage.sys),
        stdout: text(stdout)?,
        stderr: text(stderr)?,
    };
    Ok(to_line(&object))
}

/// All jobs together.
#[derive(Debug, Serialize)]
pub(super) struct Totals {
    v: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Those that are over, or were skipped.
    jobs: u64,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    skipped: u64,
    timed_out: u64,
    retried: u64,
    elapsed_s: f64,
    cpu_s: f64,
    stopped_by: Option<String>,
}

impl Totals {
    pub(super) fn new(of: Statistics, skipped: u64, elapsed: Duration, stopped_by: Option<i32>) -> Self {
        Self {
            v: VERSION,
            kind: "map",
            jobs: of.over() + skipped,
            succeeded: of.succeeded,
            failed: of.failed,
            cancelled: of.cancelled,
            skipped,
            timed_out: of.timed_out,
            retried: of.retried,
            elapsed_s: rounded(elapsed),
            cpu_s: rounded(of.cpu),
            stopped_by: stopped_by.map(signal::name),
        }
    }

    pub(super) fn line(&self) -> Vec<u8> {
        to_line(self)
    }
}

fn to_line(object: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(object).expect("numbers and text always serialize");
    line.push(b'\n');
    line
}

/// Seconds with the microseconds that a clock can tell.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e6
}
