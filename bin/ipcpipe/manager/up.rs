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
use ipcpipe::manager::protocol::{Answer, Code, Event, Level, OutputLine};
use ipcpipe::sys::signal::Signals;
use ipcpipe::sys::wait::{self, Interest};
use ipcpipe::{Error, OneLine};

use super::Status;
use super::grammar::{Options, misuse};
use super::host::{Host, Public};
use super::procfile::{self, Entry};
use super::session::{self, Lost, request};
use super::{render, settle};
use crate::complain;

/// The colours of the names, in their order.
const COLORS: [AnsiColor; 6] =
    [AnsiColor::Cyan, AnsiColor::Yellow, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::Red];

/// Time for output that is on its way when all have ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Lines that are put in order before they are printed.
const BATCH: usize = 1000;

/// Runs the processes of `file` until all have ended.
pub(crate) fn run(file: &Path, options: &Options, sink: &Sink) -> Result<Status, Error> {
    let text = fs::read(file).map_err(|error| Error::os("cannot read", file.display(), error))?;
    let entries = match procfile::read(&text) {
        Ok(entries) => entries,
        Err((line, why)) => {
            let refusal = misuse(format!("{}:{line}: {why}", OneLine::path(file)));
            return Ok(settle(session::refuse(options, None, refusal), None));
        }
    };
    let signals = Signals::catch_requests()?;
    let host = Host::start(options, Public::IfFree, sink, "up")?;
    let mut crew = Crew {
        commands: host.connect()?,
        events: host.connect()?,
        output: host.connect()?,
        signals,
        file: OneLine::path(file).to_string(),
        entries,
        creating: None,
        following: false,
        drained: false,
    };
    let status = crew.work();
    drop(crew);
    host.end(&["exit"])?;
    Ok(settle(status, None))
}

/// The processes and the conversations about them.
struct Crew {
    /// Creates, waits and stops.
    commands: Client,
    /// Tells what happens to them, asked for or not.
    events: Client,
    /// Streams what they write.
    output: Client,
    signals: Signals,
    file: String,
    entries: Vec<Entry>,
    /// The one that is being created.
    creating: Option<usize>,
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
        self.events.send(&request(&["events", "-f", "-n", "0"].map(OsString::from)))?;
        for at in 0..self.entries.len() {
            self.creating = Some(at);
            let words = self.entries[at].words.clone();
            match self.command(&words)? {
                Ended::With(Status::DONE) => {}
                Ended::With(status) => return self.stop(at).map(|_| status),
                Ended::Interrupted => return self.stop(at + 1),
            }
        }
        self.creating = None;
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

    /// Waits until all have ended; the first that failed gives the status.
    fn wait_for_all(&mut self) -> Result<Status, Lost> {
        if self.entries.is_empty() {
            return Ok(Status::DONE);
        }
        let names = self.entries.iter().map(|entry| OsString::from(&entry.name));
        let words: Vec<_> = [OsString::from("wait")].into_iter().chain(names).collect();
        match self.command(&words)? {
            Ended::With(status) => self.drain().map(|()| status),
            Ended::Interrupted => self.stop(self.entries.len()),
        }
    }

    /// Stops the first `number`, the last one first; a second request stops all of them now.
    fn stop(&mut self, number: usize) -> Result<Status, Lost> {
        self.creating = None;
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
            self.print_news()?;
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
                    if self.creating.is_none() {
                        self.print_news()?;
                    }
                    self.tell(words, &answer)?;
                }
                Poll::Ready(None) => return Ok(Ended::Interrupted),
                Poll::Pending => {
                    self.print_news()?;
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
            Answer::Error(refusal) => {
                let line = self.creating.map(|at| format!("{}:{}: ", self.file, self.entries[at].line));
                complain(format_args!("{}{}", line.unwrap_or_default(), render::error(refusal)));
            }
            Answer::Done(deed) => self.print(&deed.name, None, render::done(deed).as_bytes())?,
            _ => {}
        }
        Ok(())
    }

    /// Waits for anything; true if somebody asked to stop.
    fn pause(&mut self) -> io::Result<bool> {
        let fds = [self.commands.as_fd(), self.output.as_fd(), self.events.as_fd(), self.signals.as_fd()];
        let [.., signalled] = wait::wait(fds.map(|fd| (fd, Interest::Read)), None)?;
        if !signalled.any() || self.signals.take().is_empty() {
            return Ok(false);
        }
        let _ = self.commands.interrupt();
        Ok(true)
    }

    /// Prints what they wrote and what happened to them, in its order.
    fn print_news(&mut self) -> Result<(), Lost> {
        loop {
            let mut news = Vec::new();
            while news.len() < BATCH
                && let Poll::Ready(Some(answer)) = self.output.try_next()?
            {
                match answer {
                    Answer::Line(OutputLine { ts_ns, name, text, .. }) => {
                        news.push((ts_ns, name, render::bytes(&text).to_vec()));
                    }
                    Answer::End { .. } => self.drained = true,
                    _ => {}
                }
            }
            while let Poll::Ready(Some(answer)) = self.events.try_next()? {
                if let Answer::Event(event) = answer
                    && self.is_news(&event)
                {
                    news.push((event.ts_ns, event.target.clone(), happened(&event).into_bytes()));
                }
            }
            news.sort_by_key(|(ts_ns, ..)| *ts_ns);
            for (ts_ns, name, text) in &news {
                self.print(name, Some(*ts_ns), text)?;
            }
            if news.len() < BATCH {
                return Ok(());
            }
        }
    }

    /// True for what no answer tells: whoever creates, waits or stops hears of the first start and of the end.
    fn is_news(&self, event: &Event) -> bool {
        let ours = event.msg.starts_with("process ") && self.entries.iter().any(|entry| entry.name == event.target);
        ours && match event.event.as_str() {
            "started" => !event.msg.contains(": created by "),
            "ready" => true,
            "exited" | "killed" | "failed" | "gone" | "stopped" => false,
            _ => event.level != Level::Info,
        }
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

/// What happened, with the pid of a start.
fn happened(event: &Event) -> String {
    match (event.event.as_str(), event.msg.split_once(": "), event.pid) {
        ("started", Some((what, why)), Some(pid)) => {
            format!("{}, pid {pid} ({})", OneLine::text(what), OneLine::text(why))
        }
        _ => OneLine::text(&event.msg).to_string(),
    }
}
