//! `count --compare`: what threads, processes and each mechanism cost for the same text. Each measurement is a process of
//! its own, so that memory is that of one way alone.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use ipcpipe::Error;
use ipcpipe::channel::Backend;
use ipcpipe::sys::child::Child;
use serde::Serialize;

use super::Ended;
use super::doc::{Doc, Metrics};
use super::input::{Input, inputs};
use super::watch::{Shared, Watch};
use crate::manager::Status;
use crate::manager::grammar::{CountArgs, Form, Options};
use crate::manager::session::Lost;
use crate::manager::view;
use crate::render::{bytes, time};
use crate::run::THIS_PROGRAM;

/// How often everything is measured, in turns.
const ROUNDS: usize = 5;

/// One way to count.
struct Subject {
    name: String,
    args: Vec<OsString>,
    measured: Vec<Metrics>,
}

/// Measures all ways, and shows what they cost.
pub(super) fn run(args: &CountArgs, options: &Options, watch: &mut Watch) -> Result<Ended, Lost> {
    if options.format == Some(Form::Csv) {
        let error = Error::refused("cannot write", "a comparison as CSV", "there is a table and JSON only");
        watch.shared().complain(&error);
        return Ok(Ended { status: Status::USAGE, stopped_by: None });
    }
    let compared = watch.during(None, |shared| compare(args, shared));
    let stopped_by = watch.stopped_by();
    match compared.and_then(|it| it) {
        // What was measured before somebody lost patience is not worth telling.
        _ if stopped_by.is_some() => Ok(Ended { status: Status::FAILED, stopped_by }),
        Err(error) => {
            watch.shared().complain(&error);
            Ok(Ended { status: Status::FAILED, stopped_by })
        }
        Ok((size, subjects)) => {
            match options.format {
                Some(Form::Json) => view::write(to_json(size, &subjects).as_bytes())?,
                _ => super::print(&table(size, &subjects))?,
            }
            Ok(Ended { status: Status::DONE, stopped_by })
        }
    }
}

fn compare(args: &CountArgs, shared: &Shared) -> Result<(u64, Vec<Subject>), Error> {
    let mut failure = None;
    let inputs = inputs(args, &shared.progress, &mut |error| failure = Some(error))?;
    if let Some(error) = failure {
        return Err(error);
    }
    if shared.progress.is_stopped() {
        return Ok((0, Vec::new()));
    }
    let path = |input: &Input| {
        let refused =
            || Error::refused("cannot compare on", &input.name, "it is no file that can be read again and again");
        input.public_path().ok_or_else(|| refused().hint("put it into a file, or use --sample with up to 256 MiB"))
    };
    let paths = inputs.iter().map(path).collect::<Result<Vec<_>, _>>()?;
    let mut subjects = subjects(args);
    let mut first: Option<Doc> = None;
    for _ in 0..ROUNDS {
        for subject in &mut subjects {
            if shared.progress.is_stopped() {
                return Ok((0, Vec::new()));
            }
            let words = subject.args.iter().cloned().chain(paths.iter().map(|path| path.clone().into_os_string()));
            let mut doc = measure(&subject.name, words.collect())?;
            subject.measured.extend(doc.metrics.take());
            let expected = first.get_or_insert_with(|| doc.clone());
            if (doc.total.letters, &doc.total.counts) != (expected.total.letters, &expected.total.counts) {
                return Err(Error::refused("cannot compare with", &subject.name, "it has counted otherwise"));
            }
        }
    }
    Ok((first.map_or(0, |doc| doc.total.bytes), subjects))
}

/// One worker, N threads, and N processes over each mechanism.
fn subjects(args: &CountArgs) -> Vec<Subject> {
    let cpus = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let number = args.workers.0.unwrap_or(cpus).to_string();
    let rules = args.rules();
    let common = ["--letters", rules.letters.name(), "--case", rules.case.name(), "--invalid", rules.invalid.name()];
    let rest = ["--kernel", args.kernel.name(), "--io", args.io.name()];
    let subject = |name: String, how: &[&str]| {
        let words = ["manager", "count", "--format", "json"].iter().chain(how).chain(&common).chain(&rest);
        let flags = [(rules.stats, "--stats"), (args.recursive, "--recursive")];
        let flags = flags.into_iter().filter(|it| it.0).map(|it| it.1);
        let args = words.copied().chain(flags).chain(["--"]).map(OsString::from).collect();
        Subject { name, args, measured: Vec::new() }
    };
    let mut all = vec![subject("1 worker".into(), &["-w", "1"])];
    if number != "1" {
        all.push(subject(format!("{number} threads"), &["-w", &number]));
    }
    let plural = if number == "1" { "process" } else { "processes" };
    all.extend(Backend::ALL.map(|backend| {
        let how = ["-w", &number, "--mode", "process", "-b", backend.name(), "--feed", args.feed().name()];
        subject(format!("{number} {plural}, {backend}"), &how)
    }));
    all
}

/// Counts once, in a process of its own.
fn measure(name: &str, words: Vec<OsString>) -> Result<Doc, Error> {
    let mut command = Command::new(THIS_PROGRAM);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Child::spawn(&mut command, [])?;
    let (output, errors) = child.take_output();
    let mut read = [Vec::new(), Vec::new()];
    for (pipe, text) in [output, errors].into_iter().zip(&mut read) {
        // It says little on stderr, which a pipe holds until it is looked at.
        let read = pipe.map(|pipe| File::from(pipe).read_to_end(text));
        read.transpose().map_err(|error| Error::os("cannot read from", name, error))?;
    }
    let _ = child.wait();
    let [output, errors] = read;
    serde_json::from_slice(&output).map_err(|_| {
        let why = String::from_utf8_lossy(&errors).lines().next().unwrap_or("it said nothing").to_owned();
        Error::refused("cannot compare with", name, why)
    })
}

/// All that was measured, as one object; its version changes when a key goes or changes its meaning.
#[derive(Serialize)]
struct Object<'a> {
    v: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    bytes: u64,
    rounds: usize,
    rows: Vec<Row<'a>>,
}

const VERSION: u8 = 1;

/// What came of one way: the middle of all rounds.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    mode: &'a str,
    workers: usize,
    backend: Option<&'a str>,
    feed: Option<&'a str>,
    elapsed_s: f64,
    user_s: f64,
    sys_s: f64,
    peak_rss_kib: f64,
    /// How many times faster than the first way it is.
    speed_up: f64,
}

fn rows(subjects: &[Subject]) -> Vec<Row<'_>> {
    let elapsed = |subject: &Subject| median(subject, |it| it.elapsed_s);
    let alone = subjects.first().map_or(0.0, elapsed);
    let measured = subjects.iter().filter_map(|subject| Some((subject, subject.measured.first()?)));
    measured
        .map(|(subject, like)| Row {
            name: &subject.name,
            mode: &like.mode,
            workers: like.workers,
            backend: like.backend.as_deref(),
            feed: like.feed.as_deref(),
            elapsed_s: elapsed(subject),
            user_s: median(subject, |it| it.user_s),
            sys_s: median(subject, |it| it.sys_s),
            peak_rss_kib: median(subject, |it| it.peak_rss_kib as f64),
            speed_up: alone / elapsed(subject).max(1e-9),
        })
        .collect()
}

/// The middle of the rounds of a subject.
fn median(subject: &Subject, of: impl Fn(&Metrics) -> f64) -> f64 {
    let mut values: Vec<f64> = subject.measured.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn table(size: u64, subjects: &[Subject]) -> String {
    let mut text = format!("{}, the middle of {ROUNDS} rounds\n", bytes(size));
    let width = subjects.iter().map(|subject| subject.name.len()).max().unwrap_or(0);
    let _ = writeln!(text, "{:width$}  {:>8}  {:>8}  {:>8}  SPEED-UP", "WORKERS", "ELAPSED", "CPU", "MEMORY");
    for row in rows(subjects) {
        let span = |seconds: f64| time(Duration::from_secs_f64(seconds));
        let (elapsed, cpu) = (span(row.elapsed_s), span(row.user_s + row.sys_s));
        let (name, memory, speed_up) = (row.name, bytes(row.peak_rss_kib as u64 * 1024), row.speed_up);
        let _ = writeln!(text, "{name:width$}  {elapsed:>8}  {cpu:>8}  {memory:>8}  {speed_up:>8.2}");
    }
    text
}

fn to_json(size: u64, subjects: &[Subject]) -> String {
    let rows = rows(subjects);
    let object = Object { v: VERSION, kind: "count-compare", bytes: size, rounds: ROUNDS, rows };
    format!("{}\n", serde_json::to_string(&object).expect("numbers and text always serialize"))
}
