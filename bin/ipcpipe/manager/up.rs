//! `ipcpipe manager up`: the processes of a Procfile in the foreground.
//!
//! The exit status is that of the first process that ended badly by itself, and 0 if all ended well or were stopped by
//! Ctrl-C: an end that somebody asked for is no failure.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::task::Poll;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use ipcpipe::manager::Sink;
use ipcpipe::manager::client::Client;
use ipcpipe::manager::protocol::{Answer, Code, OutputLine};
use ipcpipe::sys::signal::{self, Signals};
use ipcpipe::sys::wait::{self, Interest};
use ipcpipe::{Error, OneLine};

use super::Status;
use super::grammar::Options;
use super::host::{Host, Public};
use super::procfile::{self, Entry};
use super::session::{Lost, request};
use super::{render, settle};
use crate::complain;

/// The colours of the names, in their order.
const COLORS: [AnsiColor; 6] =
    [AnsiColor::Cyan, AnsiColor::Yellow, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::Red];

/// Time for output that is on its way when all have ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs the processes of `file` until all have ended.
pub(crate) fn run(file: &Path, options: &Options, sink: &Sink) -> Result<Status, Error> {
    let text = fs::read(file).map_err(|error| Error::os("cannot read", file.display(), error))?;
    let entries = match procfile::read(&text) {
        Ok(entries) => entries,
        Err((line, why)) => {
            complain(format_args!("{}:{line}: {why}", OneLine::path(file)));
            return Ok(Status(Code::Usage.exit()));
        }
    };
    let host = Host::start(options, Public::IfFree, sink, "up")?;
    let failed = |error: io::Error| Error::os("cannot catch", "signals", error);
    let signals = Signals::catch(&signal::requests().collect::<Vec<_>>()).map_err(failed)?;
    let mut crew =
        Crew { commands: host.connect()?, output: host.connect()?, signals, entries, following: false, drained: false };
    let status = crew.work();
    drop(crew);
    host.end(&["exit"])?;
    Ok(settle(status, None))
}

/// The processes and both conversations about them.
struct Crew {
    /// Creates, waits and stops.
    commands: Client,
    /// Streams what they write.
    output: Client,
    signals: Signals,
    entries: Vec<Entry>,
    /// Output has been asked for.
    following: bool,
    /// All output has been printed.
    drained: bool,
}

/// How a command went on.
enum Ended {
    With(Status),
    Interrupted,
}

impl Crew {
    fn work(&mut self) -> Result<Status, Lost> {
        for at in 0..self.entries.len() {
            let words = self.entries[at].words.clone();
            match self.command(&words)? {
                Ended::With(Status::DONE) => {}
                Ended::With(status) => return self.stop(at).map(|_| status),
                Ended::Interrupted => return self.stop(at + 1),
            }
        }
        self.follow_output()?;
        self.wait_for_all()
    }

    /// Asks for all that was written and will be. A target that waits for its turn has a name already, so this comes after
    /// the last one was created.
    fn follow_output(&mut self) -> Result<(), Lost> {
        if self.entries.is_empty() {
            self.drained = true;
            return Ok(());
        }
        self.following = true;
        let names = self.entries.iter().map(|entry| OsString::from(&entry.name));
        let words: Vec<_> = ["logs", "-f"].map(OsString::from).into_iter().chain(names).collect();
        Ok(self.output.send(&request(&words))?)
    }

    /// Waits for each, in the order of the file; the first that failed gives the status.
    fn wait_for_all(&mut self) -> Result<Status, Lost> {
        let mut first = Status::DONE;
        for at in 0..self.entries.len() {
            let name = self.entries[at].name.clone();
            match self.command(&["wait".into(), name.into()])? {
                Ended::With(status) if first == Status::DONE => first = status,
                Ended::With(_) => {}
                Ended::Interrupted => return self.stop(self.entries.len()),
            }
        }
        self.drain()?;
        Ok(first)
    }

    /// Stops the first `number`, the last one first; a second request stops all of them now.
    fn stop(&mut self, number: usize) -> Result<Status, Lost> {
        self.entries.truncate(number);
        if !self.following {
            self.follow_output()?;
        }
        for at in (0..number).rev() {
            let name = self.entries[at].name.clone();
            if matches!(self.command(&["terminate".into(), name.into()])?, Ended::Interrupted) {
                break;
            }
        }
        self.drain()?;
        Ok(Status::DONE)
    }

    /// Prints what is still on its way; not for long, because somebody outside the tree may hold a pipe open.
    fn drain(&mut self) -> Result<(), Lost> {
        let deadline = wait::deadline_in(LAST_WORDS);
        loop {
            self.print_output()?;
            let [readable] = wait::wait([(self.output.as_fd(), Interest::Read)], deadline)?;
            if self.drained || !readable.any() {
                return Ok(());
            }
        }
    }

    /// Sends a command and prints output until it is answered.
    fn command(&mut self, words: &[OsString]) -> Result<Ended, Lost> {
        self.commands.send(&request(words))?;
        let mut interrupted = false;
        loop {
            match self.commands.try_next()? {
                Poll::Ready(Some(Answer::End { .. })) if interrupted => return Ok(Ended::Interrupted),
                Poll::Ready(Some(Answer::End { exit, .. })) => return Ok(Ended::With(Status(exit))),
                Poll::Ready(Some(answer)) => {
                    // Last words come before the end.
                    self.print_output()?;
                    self.tell(words, &answer)?;
                }
                Poll::Ready(None) => return Ok(Ended::Interrupted),
                Poll::Pending => {
                    self.print_output()?;
                    interrupted |= self.pause()?;
                }
            }
        }
    }

    /// Says what is not plain from the output: ends, and what went wrong. A target that is not running any more needs
    /// no stop.
    fn tell(&self, words: &[OsString], answer: &Answer) -> io::Result<()> {
        match answer {
            Answer::Error(refusal) if words[0] == "terminate" && refusal.code == Code::NotRunning => {}
            // Whoever pressed Ctrl-C knows.
            Answer::Error(refusal) if refusal.code == Code::Interrupted => {}
            Answer::Error(refusal) => complain(render::error(refusal)),
            Answer::Done(deed) => self.print(&deed.name, None, render::done(deed).as_bytes())?,
            _ => {}
        }
        Ok(())
    }

    /// Waits for anything; true if somebody asked to stop.
    fn pause(&mut self) -> io::Result<bool> {
        let fds = [self.commands.as_fd(), self.output.as_fd(), self.signals.as_fd()].map(|fd| (fd, Interest::Read));
        let [_, _, signalled] = wait::wait(fds, None)?;
        if !signalled.any() || self.signals.take().is_empty() {
            return Ok(false);
        }
        let _ = self.commands.interrupt();
        Ok(true)
    }

    fn print_output(&mut self) -> Result<(), Lost> {
        while let Poll::Ready(Some(answer)) = self.output.try_next()? {
            match answer {
                Answer::Line(OutputLine { ts_ns, name, text, .. }) => {
                    self.print(&name, Some(ts_ns), render::bytes(&text))?;
                }
                Answer::End { .. } => self.drained = true,
                _ => {}
            }
        }
        Ok(())
    }

    /// A line behind time and name: `12:03:04 web | text`.
    fn print(&self, name: &str, ts_ns: Option<u64>, text: &[u8]) -> io::Result<()> {
        use std::io::Write;

        let ts_ns = ts_ns.unwrap_or_else(render::now_ns);
        let width = self.entries.iter().map(|entry| console::measure_text_width(&entry.name)).max().unwrap_or_default();
        let at = self.entries.iter().position(|entry| entry.name == name).unwrap_or_default();
        let style = Style::new().fg_color(Some(COLORS[at % COLORS.len()].into()));
        let blanks = " ".repeat(width.saturating_sub(console::measure_text_width(name)));
        let time = &render::clock(ts_ns)[.."00:00:00".len()];
        let mut line = format!("{style}{time} {}{blanks} |{style:#} ", OneLine::text(name)).into_bytes();
        line.extend(text);
        line.push(b'\n');
        anstream::stdout().lock().write_all(&line)
    }
}
