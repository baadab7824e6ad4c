//! `ipcpipe manager VERB ...`: one command to the manager that is running.

use std::ffi::OsString;

use clap::CommandFactory;
use ipcpipe::Error;
use ipcpipe::manager::client::Client;
use ipcpipe::sys::signal::Signals;

use super::count::Ended;
use super::grammar::{self, Line, Options, Verb};
use super::session::{self, Lost, Session};
use super::{Status, bench, count, demo, help, host, map, options};

/// Carries out the command that `words` are.
pub(crate) fn run(words: &[OsString], outer: &Options) -> Result<Status, Error> {
    let line = read(words);
    let line = match line {
        Ok(line) => line,
        Err(error) => return Ok(answer(words, error, outer)),
    };
    if let Some(color) = line.color {
        anstream::ColorChoice::from(color).write_global();
    }
    let options = line.options.or(outer);
    if let Err(error) = grammar::check(&line.verb, &options) {
        return Ok(answer(words, error, &options));
    }
    match line.verb {
        Verb::Count(args) => Ok(here(count::run(&args, &options, None))),
        Verb::Map(args) => Ok(here(map::run(&args, &options, None))),
        Verb::Demo(args) => Ok(here(demo::run(&args, &options, None))),
        Verb::Bench(args) => Ok(here(bench::run(&args, &options, None))),
        Verb::Help { words } => Ok(super::settle(help::print(&words), None)),
        Verb::Names => Ok(names(words, &options)),
        Verb::Detach => {
            let why = "detach leaves the prompt of 'ipcpipe manager attach'; there is none to leave here";
            Ok(super::settle(session::refuse(&options, None, grammar::misuse(why)), None))
        }
        _ => command(words, &options),
    }
}

/// The surfaces are words of this grammar too where a slip in one of them is to be answered with its name.
fn read(words: &[OsString]) -> Result<Line, clap::Error> {
    grammar::read(words).map_err(|error| {
        let whole = options::with_surfaces(Line::command());
        whole.try_get_matches_from(grammar::divided(words).iter()).err().unwrap_or(error)
    })
}

fn answer(words: &[OsString], error: clap::Error, options: &Options) -> Status {
    let said = match grammar::help_of(&error) {
        Some(help) => help::show(&help),
        None => session::refuse(&grammar::Options::of_error(words, options), None, grammar::refusal(words, error)),
    };
    super::settle(said, None)
}

fn command(words: &[OsString], options: &Options) -> Result<Status, Error> {
    match Client::connect(&host::socket_path(options)?) {
        Ok(client) => {
            let mut session = Session::new(client, Signals::catch_requests()?, options);
            let status = session.execute(words, None);
            Ok(super::settle(status, session.stopped_by))
        }
        Err(refusal) => Ok(super::settle(session::refuse(options, None, refusal), None)),
    }
}

/// The status of what was done without a manager.
fn here(ended: Result<Ended, Lost>) -> Status {
    match ended {
        Ok(ended) => super::settle(Ok(ended.status), ended.stopped_by),
        Err(lost) => super::settle(Err(lost), None),
    }
}

/// Live names, for a shell that completes a word: nothing at all if anything is wrong, because a message would land in
/// the middle of what is being typed.
fn names(words: &[OsString], options: &Options) -> Status {
    let client = host::socket_path(options).ok().and_then(|path| Client::connect(&path).ok());
    if let (Some(client), Ok(signals)) = (client, Signals::catch_requests()) {
        let mut session = Session::new(client, signals, options);
        let _ = session.execute(words, None);
    }
    Status::DONE
}
