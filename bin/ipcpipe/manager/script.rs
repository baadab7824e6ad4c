//! Scripts: commands from `-c`, a file or a stdin that is no terminal.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor};
use std::os::fd::AsFd;
use std::path::Path;

use ipcpipe::manager::Sink;
use ipcpipe::manager::protocol::{Code, Refusal};
use ipcpipe::sys::signal::Signals;
use ipcpipe::sys::wait::{self, Interest};
use ipcpipe::{Error, OneLine};

use super::grammar::{Options, misuse};
use super::host::{Host, Public};
use super::session::{Lost, Session};
use super::{Status, words};
use crate::complain;

/// Characters of a command that are shown.
const SHOWN: usize = 100;

/// Where a command stands.
#[derive(Debug)]
pub(crate) struct Place {
    name: String,
    line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.line)
    }
}

/// Where commands come from.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// The text of `-c`.
    Text(&'a str),
    /// The file of `-f`.
    File(&'a Path),
    /// Standard input.
    Stdin,
}

/// Runs a script with a manager of its own, which ends with it: as `quit` does, or as `exit` does after an error.
pub(crate) fn run(source: &Source<'_>, keep_going: bool, options: &Options, sink: &Sink) -> Result<Status, Error> {
    let mut script = Script::open(source)?;
    let signals = Signals::catch_requests()?;
    let host = Host::start(options, Public::IfAsked, sink, "the script")?;
    let mut session = Session::new(host.connect()?, signals, options);
    session.has_stdin = script.stdin;
    let status = carry_out(&mut session, &mut script, keep_going);
    let status = status.and_then(|status| session.end_after(status));
    let (over, stopped_by) = (session.over, session.stopped_by);
    drop(session);
    if over {
        host.join()?
    } else {
        host.end(&["exit"])?
    }
    Ok(super::settle(status, stopped_by))
}

/// Sends a script to a manager that goes on after it.
pub(crate) fn send(session: &mut Session, source: &Source<'_>, keep_going: bool) -> Result<Status, Error> {
    let mut script = Script::open(source)?;
    session.has_stdin = script.stdin;
    let status = carry_out(session, &mut script, keep_going);
    Ok(super::settle(status, session.stopped_by))
}

impl Session {
    /// Ends the manager of a script that ended with `status`. Waiting for what it has started is part of a script that
    /// went well.
    fn end_after(&mut self, status: Status) -> Result<Status, Lost> {
        if self.over {
            return Ok(status);
        }
        let well = status == Status::DONE && self.stopped_by.is_none();
        self.end(if well { "quit" } else { "exit" })?;
        Ok(status)
    }
}

/// An open script.
struct Script {
    name: String,
    input: Box<dyn BufRead>,
    stdin: bool,
}

impl Script {
    fn open(source: &Source<'_>) -> Result<Self, Error> {
        let (name, input): (_, Box<dyn BufRead>) = match *source {
            Source::Text(text) => ("-c".into(), Box::new(Cursor::new(text.as_bytes().to_vec()))),
            Source::Stdin => ("stdin".into(), Box::new(BufReader::new(io::stdin()))),
            Source::File(path) => {
                let file = File::open(path).map_err(|error| Error::os("cannot read", path.display(), error))?;
                (OneLine::path(path).to_string(), Box::new(BufReader::new(file)))
            }
        };
        Ok(Self { name, input, stdin: matches!(source, Source::Stdin) })
    }
}

fn carry_out(session: &mut Session, script: &mut Script, keep_going: bool) -> Result<Status, Lost> {
    if script.stdin {
        return from_stdin(session, script, keep_going);
    }
    commands(session, &mut script.input, &script.name, keep_going)
}

/// Commands that come from a pipe, between which a signal may end the wait for the next.
fn from_stdin(session: &mut Session, script: &mut Script, keep_going: bool) -> Result<Status, Lost> {
    let stdin = io::stdin();
    let mut commands = Commands::new(&script.name, keep_going);
    // What is in the buffer is not seen by poll, so this takes every whole line out of it before it waits.
    let mut input = Chunks { waiting: Vec::new() };
    loop {
        while let Some(line) = input.line() {
            if commands.line(session, &line)? {
                // What is not here yet is not waited for.
                commands.bury(goes_on(&mut &*input.waiting));
                return Ok(commands.status);
            }
        }
        let fds = [(stdin.as_fd(), Interest::Read), (session.signals_fd(), Interest::Read)];
        let [readable, signalled] = wait::wait(fds, None)?;
        if signalled.any() && session.was_interrupted() {
            return Ok(Status(Code::Interrupted.exit()));
        }
        if readable.any() && !input.fill(&mut script.input)? {
            let rest = std::mem::take(&mut input.waiting);
            commands.line(session, &rest)?;
            return Ok(commands.status);
        }
    }
}

/// Bytes on their way to be lines.
struct Chunks {
    waiting: Vec<u8>,
}

impl Chunks {
    fn line(&mut self) -> Option<Vec<u8>> {
        let end = self.waiting.iter().position(|byte| *byte == b'\n')?;
        let rest = self.waiting.split_off(end + 1);
        Some(std::mem::replace(&mut self.waiting, rest))
    }

    /// Reads once; false at the end of the input.
    fn fill(&mut self, input: &mut dyn BufRead) -> io::Result<bool> {
        let chunk = input.fill_buf()?;
        self.waiting.extend(chunk);
        let length = chunk.len();
        input.consume(length);
        Ok(length > 0)
    }
}

/// Carries out the commands of `input` to its end or to the first error. The status is that of the first error.
pub(crate) fn commands(
    session: &mut Session,
    input: &mut dyn BufRead,
    name: &str,
    keep_going: bool,
) -> Result<Status, Lost> {
    let mut commands = Commands::new(name, keep_going);
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.read_until(b'\n', &mut line) {
            Ok(0) => return Ok(commands.status),
            Ok(_) if commands.line(session, &line)? => {
                commands.bury(commands.stopped.is_some() && goes_on(input));
                return Ok(commands.status);
            }
            Ok(_) => {}
            Err(error) => return commands.unreadable(session, error),
        }
    }
}

/// True if there is a command in what was not read yet, right or wrong.
fn goes_on(input: &mut dyn BufRead) -> bool {
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        if words::split(&line).map_or(true, |commands| !commands.is_empty()) {
            return true;
        }
        line.clear();
    }
    false
}

/// Commands of one source, one line after the other.
struct Commands {
    place: Place,
    keep_going: bool,
    /// What to say of a command that stopped the script without a word, if there are more.
    stopped: Option<String>,
    status: Status,
}

impl Commands {
    fn new(name: &str, keep_going: bool) -> Self {
        Self { place: Place { name: name.to_owned(), line: 0 }, keep_going, stopped: None, status: Status::DONE }
    }

    /// Carries out one line; true if it was the last one to be carried out.
    fn line(&mut self, session: &mut Session, line: &[u8]) -> Result<bool, Lost> {
        self.place.line += 1;
        let commands = match words::split(line) {
            Ok(commands) => commands,
            Err(flaw) => {
                let status = session.refuse(Some(&self.place), misuse(flaw.to_string()))?;
                return Ok(self.ends_with(status));
            }
        };
        let mut commands = commands.into_iter();
        while let Some(words) = commands.next() {
            let status = session.execute(&words, Some(&self.place))?;
            let ends = self.ends_with(status);
            if ends && session.silent && status != Status(Code::Interrupted.exit()) {
                self.stopped = Some(self.epitaph(session, &words, status));
            }
            if ends || session.over || session.stopped_by.is_some() {
                self.bury(commands.next().is_some());
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn epitaph(&self, session: &Session, words: &[OsString], status: Status) -> String {
        let command: String = words::join(words).chars().take(SHOWN).collect();
        let advice = if session.knows_keep_going() { "; -k goes on" } else { "" };
        format!("{}: stopped: '{command}' had status {}{advice}", self.place, status.0)
    }

    /// Says why the script stopped if there is `more` of it. The last command stops nothing.
    fn bury(&mut self, more: bool) {
        if more && let Some(text) = self.stopped.take() {
            complain(text);
        }
    }

    /// Notes the status of a command; true if it ends the script. An interrupted one ends any script.
    fn ends_with(&mut self, status: Status) -> bool {
        if self.status == Status::DONE {
            self.status = status;
        }
        status == Status(Code::Interrupted.exit()) || status != Status::DONE && !self.keep_going
    }

    fn unreadable(&self, session: &Session, error: io::Error) -> Result<Status, Lost> {
        let error = Error::os("cannot read", &self.place.name, error);
        session.refuse(None, Refusal::new(Code::Failed, error.to_string()))
    }
}
