//! `ipcpipe`: everything that speaks to a person. The work is done by the library of the same name.
//!
//! | exit status | meaning |
//! |---|---|
//! | 0 | done: count, duration or end of input reached |
//! | 1 | input, output or environment error |
//! | 2 | usage |
//! | 3 | a stage died |
//! | 4 | forced: the drain deadline passed, or a second Ctrl-C |
//! | 5 | conservation broken: produced, logged and counted disagree without a declared loss |
//! | by signal | 130, 143, 129, 131 and 141 in a shell after INT, TERM, HUP, QUIT or a closed stdout, and a clean drain |
//!
//! `ipcpipe manager` has statuses of its own: see `manager`.

#![forbid(unsafe_code)]

mod args;
mod bench;
mod clean;
mod config;
mod lazy;
mod manager;
mod parse;
mod progress;
mod render;
mod run;
mod shell;
mod stage;
mod units;

use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use anstream::ColorChoice;
use ipcpipe::OneLine;

use crate::args::{Args, Command};
use crate::config::Config;

/// How the program exits when no signal stopped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The job is done.
    Done = 0,
    /// The system refused something.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// A stage died; what it had not passed on is lost.
    StageDied = 3,
    /// The stages did not drain in time and were killed.
    Forced = 4,
    /// The stages' counts contradict each other.
    Unconserved = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// How a command ends: the status it chose, or the reason why it could not do its work.
pub(crate) type Outcome = Result<Exit, ipcpipe::Error>;

fn main() -> ExitCode {
    // A worker of a pool never returns from here.
    ipcpipe::init();
    let words: Vec<OsString> = env::args_os().collect();
    let answer = match (stage::of(&words), manager::verb_of(&words)) {
        (Some(stage), _) => stage.map(|stage| finish(stage::run(stage))),
        (_, Some(verb)) => Ok(manager::run_verb(verb).into()),
        _ => parse::parse(&words).map(execute),
    };
    match answer {
        Ok(exit) => exit,
        Err(answer) => {
            ColorChoice::from(parse::color_of(&words)).write_global();
            give(answer, manager::ask_for_json(&words)).into()
        }
    }
}

fn execute(args: Args) -> ExitCode {
    ColorChoice::from(args.output.color).write_global();
    let outcome = match args.command {
        None => Config::resolve(args).and_then(|config| run::run(&config)),
        Some(Command::Clean(clean)) => clean::run(&clean),
        Some(Command::Bench(bench)) => bench::run(&bench),
        Some(Command::Completions { shell }) => shell::completions(shell),
        Some(Command::Man) => shell::man(),
        Some(Command::Manager(manager)) => return manager::run(&manager).into(),
    };
    finish(outcome)
}

fn finish(outcome: Outcome) -> ExitCode {
    let exit = outcome.unwrap_or_else(|error| {
        complain(error);
        Exit::Failed
    });
    exit.into()
}

/// Prints what clap has to say instead of arguments: the help that was asked for, or a usage error.
///
/// A program that asked a manager for JSON gets its error as an object, as all others.
fn give(answer: clap::Error, json: bool) -> Exit {
    let usage = answer.use_stderr();
    let text = parse::explain(answer);
    if usage {
        if json {
            manager::refuse_in_json(&text);
        } else {
            say(&text);
        }
        return Exit::Usage;
    }
    match shell::print(&text) {
        Ok(exit) => exit,
        Err(error) => {
            complain(error);
            Exit::Failed
        }
    }
}

/// One line on stderr about what went wrong or matters.
pub(crate) fn complain(what: impl Display) {
    say(&format!("{}\n", message(what)));
}

/// The line itself: one line whatever it tells of, for a file name may hold a newline or an escape sequence.
pub(crate) fn message(what: impl Display) -> String {
    format!("ipcpipe: {}", OneLine::text(&what.to_string()))
}

/// Writes to stderr in one piece, so that the lines of several processes do not mix. There is nobody to tell if that
/// fails.
pub(crate) fn say(text: &str) {
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}
