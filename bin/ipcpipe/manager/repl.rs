//! The prompt of a manager: its own, or that of one that runs elsewhere.

mod complete;

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::task::Poll;

use anstyle::Style;
use ipcpipe::Error;
use ipcpipe::manager::client::Client;
use ipcpipe::manager::protocol::{Answer, Event, Level};
use ipcpipe::manager::{Kind, Sink};
use ipcpipe::sys::signal::Signals;

use super::grammar::{Options, misuse};
use super::host::{Host, Public};
use super::prompt::editor::Completion;
use super::prompt::{Beside, Input, News, Prompt};
use super::session::{self, Lost, Session};
use super::{Status, render, words};

/// Time that a manager has for the end when a signal asks for it.
const PATIENCE: &str = "10s";

/// How a manager is asked to end by a signal.
pub(crate) const QUIT_SOON: [&str; 3] = ["quit", "--timeout", PATIENCE];

/// Opens another connection to the same manager.
type Connect<'a> = &'a dyn Fn() -> io::Result<Client>;

/// A manager of our own, and its prompt.
pub(crate) fn run(options: &Options, sink: &Sink) -> Result<Status, Error> {
    let signals = Signals::catch_requests()?;
    let host = Host::start(options, Public::IfFree, sink, "the prompt")?;
    let mut session = Session::new(host.connect()?, signals, options);
    let connect = || host.connect().map_err(|error| io::Error::other(error.to_string()));
    let status = converse(&mut session, &connect);
    // A closed terminal is an end of the input and a signal, whichever is seen first.
    session.was_interrupted();
    let status = status.and_then(|()| if session.over { Ok(()) } else { quit(&mut session) });
    let (over, stopped_by) = (session.over, session.stopped_by);
    drop(session);
    match over {
        true => host.join()?,
        // The terminal is gone, or whoever reads what is printed.
        false if stopped_by.is_some() => host.end(&QUIT_SOON)?,
        false => host.end(&["exit"])?,
    }
    Ok(super::settle(status.map(|()| Status::DONE), stopped_by))
}

/// The prompt of a manager that goes on without us.
pub(crate) fn visit(session: &mut Session, connect: Connect<'_>) -> Status {
    let status = converse(session, connect);
    super::settle(status.map(|()| Status::DONE), session.stopped_by)
}

/// Ends the manager at the end of the input, or because a signal asked for it.
fn quit(session: &mut Session) -> Result<(), Lost> {
    let words: &[&str] = if session.stopped_by.is_some() { &QUIT_SOON } else { &["quit"] };
    session.execute(&words.iter().map(Into::into).collect::<Vec<_>>(), None)?;
    Ok(())
}

/// Reads lines and carries them out until there are no more.
fn converse(session: &mut Session, connect: Connect<'_>) -> Result<(), Lost> {
    let mut prompt = Prompt::new();
    session.has_stdin = true;
    if session.is_chatty() && io::stdout().is_terminal() {
        let dim = Style::new().dimmed();
        let _ = writeln!(anstream::stdout(), "{dim}type 'help' for the verbs{dim:#}");
    }
    let mut events = connect()?;
    events.send(&session::request(&["events", "-f", "-n", "0"].map(Into::into)))?;
    let mut names = connect().ok();
    let mut filter = Filter::default();
    while !session.over && session.stopped_by.is_none() {
        let mut desk = Desk { session, events: &mut events, names: &mut names, filter: &mut filter };
        match prompt.read_line(&mut desk)? {
            Input::Line(line) => carry_out(session, &line)?,
            Input::Cancelled => {}
            Input::End => return Ok(()),
        }
    }
    Ok(())
}

/// Carries out the commands of a line; the first that fails ends it.
fn carry_out(session: &mut Session, line: &[u8]) -> Result<(), Lost> {
    match words::split(line) {
        Ok(commands) => {
            for words in commands {
                if session.execute(&words, None)? != Status::DONE || session.over {
                    break;
                }
            }
        }
        Err(flaw) => {
            session.refuse(None, misuse(flaw.to_string()))?;
        }
    }
    Ok(())
}

/// Everything around the line: signals, events, and names for completion.
struct Desk<'a> {
    session: &'a mut Session,
    events: &'a mut Client,
    names: &'a mut Option<Client>,
    filter: &'a mut Filter,
}

/// Tells what somebody should hear of from what was asked for: the first is answered where it was asked.
#[derive(Debug, Default)]
struct Filter {
    /// Who was asked to end and has not yet.
    stopping: BTreeSet<String>,
}

impl Filter {
    fn is_news(&mut self, event: &Event) -> bool {
        match event.event.as_str() {
            "stopping" => {
                self.stopping.insert(event.target.clone());
                false
            }
            "exited" | "killed" | "gone" | "done" | "stopped" | "panicked" => !self.stopping.remove(&event.target),
            // Whoever asked for it was answered.
            "refused" => false,
            _ => event.level != Level::Info,
        }
    }
}

impl Beside for Desk<'_> {
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.session.signals_fd(), self.events.as_fd()]
    }

    fn take(&mut self) -> News {
        let cancel = self.session.was_interrupted();
        let mut news = News { cancel, end: self.session.stopped_by.is_some(), ..News::default() };
        loop {
            match self.events.try_next() {
                Ok(Poll::Ready(Some(Answer::Event(event)))) => {
                    if self.filter.is_news(&event) {
                        news.text.push_str(&render::event(&event));
                        news.text.push('\n');
                    }
                }
                Ok(Poll::Ready(Some(_))) => {}
                Ok(Poll::Pending) => return news,
                Ok(Poll::Ready(None)) | Err(_) => {
                    self.session.over = true;
                    news.text.push_str("the manager has ended\n");
                    news.end = true;
                    return news;
                }
            }
        }
    }

    fn complete(&mut self, text: &str) -> Completion {
        complete::complete(text, &mut || live_names(self.names.as_mut()))
    }
}

/// Names of what lives; none if nobody answers.
fn live_names(client: Option<&mut Client>) -> Vec<(Kind, String)> {
    let Some(client) = client else { return Vec::new() };
    let mut names = Vec::new();
    if client.send(&session::request(&["names".into()])).is_ok() {
        while let Ok(Some(answer)) = client.next() {
            match answer {
                Answer::Name { kind, name } => names.push((kind, name)),
                Answer::End { .. } => break,
                _ => {}
            }
        }
    }
    names
}

/// True if a person sits at both ends.
pub(crate) fn is_for_a_person() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_news_unless_somebody_asked_for_it() {
        let event = |event: &str, target: &str, level| Event {
            ts_ns: 0,
            level,
            event: event.into(),
            target: target.into(),
            pid: None,
            msg: String::new(),
            lost: 0,
        };
        let mut filter = Filter::default();
        let told = [
            event("started", "a", Level::Info),
            event("stopping", "a", Level::Info),
            event("exited", "b", Level::Info),
            event("killed", "a", Level::Info),
            event("started", "a", Level::Info),
            event("killed", "a", Level::Info),
            event("ended", "a", Level::Warning),
            event("refused", "", Level::Error),
        ];
        assert_eq!(told.map(|event| filter.is_news(&event)), [false, false, true, false, false, true, true, false]);
    }
}
