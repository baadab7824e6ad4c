//! `ipcpipe manager`: named processes and threads, from a prompt, a script, another terminal or a program.
//!
//! | exit status | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | an operation failed |
//! | 2 | usage |
//! | 3 | no such target, or it does not run |
//! | 4 | no manager answers |
//! | 124 | it took too long |
//! | 130 | interrupted |
//!
//! `wait` passes on the exit status of the first target that ended badly, or 128 and its signal.

mod attach;
mod bench;
mod count;
mod demo;
pub(crate) mod grammar;
pub(crate) mod help;
mod host;
mod job;
mod logd;
mod map;
mod oneshot;
pub(crate) mod options;
mod procfile;
mod prompt;
mod render;
mod repl;
mod script;
mod serve;
mod session;
mod submit;
mod up;
mod view;
pub(crate) mod words;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Subcommand as _;
use ipcpipe::Error;
use ipcpipe::sys::signal;

pub(crate) use self::grammar::verbs_of_targets;
use self::grammar::{Options, Verb};
pub(crate) use self::help::topics;
pub(crate) use self::options::{ManagerArgs, Surface, surfaces, with_verbs};
use self::script::Source;
use self::session::Lost;
use crate::complain;

/// The exit status of a manager's surface: any, because `wait` passes on the status of what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(u8);

impl Status {
    /// As asked for.
    pub(crate) const DONE: Self = Self(0);
    /// The command line makes no sense.
    const USAGE: Self = Self(2);
    /// An operation failed.
    const FAILED: Self = Self(1);
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.0)
    }
}

/// Runs the surface that `args` ask for.
pub(crate) fn run(args: &ManagerArgs) -> Status {
    let ManagerArgs { options, keep_going, log, .. } = args;
    let script = |source: Source<'_>| script::run(&source, *keep_going, options, log);
    if options.format == Some(grammar::Form::Csv) && !matches!(args.surface, Some(Surface::Verb(_))) {
        complain("only count has --format csv; choose text or json");
        return Status::USAGE;
    }
    let outcome = match (&args.surface, &args.command, &args.file) {
        (Some(surface), ..) => on(surface, args),
        (None, Some(text), _) => script(Source::Text(text)),
        (None, None, Some(file)) => script(Source::File(file)),
        (None, None, None) if repl::is_for_a_person() => repl::run(options, log),
        (None, None, None) => script(Source::Stdin),
    };
    said(outcome)
}

/// The verb and what follows it, in `words` that are `ipcpipe manager VERB ...`. Whatever they are, it is for the grammar of
/// verbs to read them: to define all else that can be typed takes longer than most verbs.
pub(crate) fn verb_of(words: &[OsString]) -> Option<&[OsString]> {
    let [_, manager, verb, ..] = words else { return None };
    (manager == "manager" && verb.to_str().is_some_and(Verb::has_subcommand)).then(|| &words[2..])
}

/// Carries out the command that `words` are.
pub(crate) fn run_verb(words: &[OsString]) -> Status {
    said(oneshot::run(words, &Options::default()))
}

fn said(outcome: Result<Status, Error>) -> Status {
    outcome.unwrap_or_else(|error| {
        complain(error);
        Status::FAILED
    })
}

/// True if `words` of a command line are for a manager and ask for JSON.
pub(crate) fn ask_for_json(words: &[OsString]) -> bool {
    let manager = words.iter().skip(1).position(|word| !word.as_encoded_bytes().starts_with(b"-"));
    manager.is_some_and(|at| words[at + 1] == "manager") && grammar::ask_for_json(words)
}

/// Tells a program what a person would read as `text`.
pub(crate) fn refuse_in_json(text: &str) {
    let line = text.lines().map(str::trim).next().unwrap_or_default();
    let line = anstream::adapter::strip_str(line.trim_start_matches("ipcpipe: ")).to_string();
    let json = Options { format: Some(grammar::Form::Json), ..Options::default() };
    // There is nobody to tell that nobody listens.
    let _ = session::refuse(&json, None, grammar::misuse(line));
}

fn on(surface: &Surface, args: &ManagerArgs) -> Result<Status, Error> {
    let options = &args.options;
    match surface {
        Surface::Serve(serve) => serve::run(serve, options, &args.log),
        Surface::Attach => attach::run(options),
        Surface::Up { file } => up::run(file, options, &args.log),
        Surface::Logd(args) => logd::run(args),
        Surface::Job(job) => job::run(job),
        Surface::Guard => job::guard(),
        Surface::Task { task, input } => Ok(job::task(*task, input)),
        Surface::Performer(performer) => Ok(demo::perform(performer)),
        Surface::Counter(counter) => count::be_worker(counter),
        Surface::Verb(words) => oneshot::run(words, options),
    }
}

/// The status of a conversation. One that a signal ended dies of it, as its parent expects; and a reader who has seen
/// enough, as in `logs web | head`, is no error.
fn settle(status: Result<Status, Lost>, stopped_by: Option<i32>) -> Status {
    match (status, stopped_by) {
        (_, Some(number)) => signal::die_by(number),
        (Ok(status), None) => status,
        (Err(Lost(error)), None) if error.kind() == ErrorKind::BrokenPipe => signal::die_by(signal::BROKEN_PIPE),
        (Err(Lost(error)), None) => {
            complain(Error::os("cannot go on with", "the conversation", error));
            Status::FAILED
        }
    }
}
