//! The line that a person types: a small editor on a terminal, replaceable by any other that has [`Prompt::read_line`].
//!
//! The terminal is raw only while a line is edited, so a command that runs meets it as it was, with Ctrl-C and Ctrl-Z
//! as signals. One poll waits for keys, signals and news at once, and nothing is echoed in between.

pub(crate) mod editor;
mod history;
mod keys;
mod screen;

use std::env;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use console::Term;
use ipcpipe::sys::terminal::{self, Raw};
use ipcpipe::sys::wait::{self, Interest};

use self::editor::{Completion, Editor, Step};
use self::history::History;
use self::screen::Screen;

const PROMPT: &str = "> ";

/// What a person did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Typed a line.
    Line(Vec<u8>),
    /// Gave the line up.
    Cancelled,
    /// Wants no more: Ctrl-D, a closed terminal, or something that ends the waiting.
    End,
}

/// What goes on beside the typing.
pub(crate) trait Beside {
    /// Descriptors that become readable when there is something to take.
    fn fds(&self) -> Vec<BorrowedFd<'_>>;
    /// What happened.
    fn take(&mut self) -> News;
    /// What could go on from this text.
    fn complete(&mut self, text: &str) -> Completion;
}

/// What happened beside the typing.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Lines to print, each with its newline.
    pub(crate) text: String,
    /// Somebody interrupted from outside.
    pub(crate) cancel: bool,
    /// There is nothing left to type for.
    pub(crate) end: bool,
}

/// A terminal and what was typed on it.
#[derive(Debug)]
pub(crate) struct Prompt {
    editor: Editor,
    history: History,
    screen: Screen,
    /// Bytes that were read and are no key yet, or keys of the next line.
    waiting: Vec<u8>,
    dumb: bool,
}

impl Prompt {
    /// A prompt on standard input and output.
    pub(crate) fn new() -> Self {
        let history = History::of_user();
        let editor = Editor::new(history.load());
        let dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        Self { editor, history, screen: Screen::default(), waiting: Vec::new(), dumb }
    }

    /// Reads a line.
    pub(crate) fn read_line(&mut self, beside: &mut dyn Beside) -> io::Result<Input> {
        if self.dumb {
            return self.read_plainly(beside);
        }
        let mut raw = Raw::enter(io::stdin().as_fd())?;
        let input = self.edit(&mut raw, beside)?;
        if let Input::Line(line) = &input {
            let line = String::from_utf8_lossy(line);
            if self.editor.remember(&line) {
                self.history.add(&line);
            }
        }
        Ok(input)
    }

    fn edit(&mut self, raw: &mut Raw, beside: &mut dyn Beside) -> io::Result<Input> {
        self.redraw()?;
        loop {
            while let Some(key) = keys::take(&mut self.waiting) {
                let step = self.editor.press(key, &mut |text| beside.complete(text));
                if let Some(input) = self.follow(step, raw)? {
                    return Ok(input);
                }
            }
            // What was pasted comes in many pieces; the line is drawn when the last one is there.
            if wait::look(io::stdin().as_fd(), Interest::Read)?.ready && self.fill()? {
                continue;
            }
            self.redraw()?;
            let [typed, happened] = wait_beside(beside)?;
            if happened && let Some(input) = self.news(beside)? {
                return Ok(input);
            }
            if typed && !self.fill()? {
                return self.leave("\n", Input::End);
            }
        }
    }

    fn follow(&mut self, step: Step, raw: &mut Raw) -> io::Result<Option<Input>> {
        match step {
            Step::More => {}
            Step::Line(line) => {
                // The editor is empty by now, and the line stays on the screen as it was typed.
                let drawn = self.screen.draw(PROMPT, &line, line.len(), width());
                write(&drawn)?;
                return self.leave("\n", Input::Line(line.into_bytes())).map(Some);
            }
            Step::Cancelled => return self.leave("^C\n", Input::Cancelled).map(Some),
            Step::End => return self.leave("\n", Input::End).map(Some),
            Step::Clear => write("\x1b[H\x1b[2J")?,
            Step::Suspend => {
                write("\n")?;
                self.screen = Screen::default();
                raw.pause(terminal::suspend)?;
            }
            Step::Candidates(words) => self.print_above(&format!("{}\n", words.join("  ")))?,
        }
        Ok(None)
    }

    fn news(&mut self, beside: &mut dyn Beside) -> io::Result<Option<Input>> {
        let news = beside.take();
        if !news.text.is_empty() {
            self.print_above(&news.text)?;
        }
        match news {
            News { end: true, .. } => self.leave("\n", Input::End).map(Some),
            News { cancel: true, .. } => {
                self.editor.press(keys::Key::Cancel, &mut |_| Completion::default());
                self.leave("\n", Input::Cancelled).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn leave(&mut self, text: &str, input: Input) -> io::Result<Input> {
        self.screen = Screen::default();
        write(text)?;
        Ok(input)
    }

    fn redraw(&mut self) -> io::Result<()> {
        let (line, cursor) = self.editor.state();
        let drawn = self.screen.draw(PROMPT, line, cursor, width());
        write(&drawn)
    }

    /// Prints lines where the line was, which moves down.
    fn print_above(&mut self, text: &str) -> io::Result<()> {
        let erased = self.screen.erase();
        write(&format!("{erased}{text}"))?;
        self.redraw()
    }

    /// Reads what was typed; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 4096];
        // A terminal that was closed answers EIO, which is an end too.
        let length = io::stdin().lock().read(&mut chunk).unwrap_or_default();
        self.waiting.extend(&chunk[..length]);
        Ok(length > 0)
    }

    /// A terminal that knows no escapes edits its line by itself.
    fn read_plainly(&mut self, beside: &mut dyn Beside) -> io::Result<Input> {
        write(PROMPT)?;
        loop {
            if let Some(end) = self.waiting.iter().position(|byte| *byte == b'\n') {
                let rest = self.waiting.split_off(end + 1);
                return Ok(Input::Line(std::mem::replace(&mut self.waiting, rest)));
            }
            let [typed, happened] = wait_beside(beside)?;
            if happened {
                let news = beside.take();
                if news.end || news.cancel {
                    write("\n")?;
                    return Ok(if news.end { Input::End } else { Input::Cancelled });
                }
                write(&format!("\n{}{PROMPT}", news.text))?;
            }
            if typed && !self.fill()? {
                write("\n")?;
                return Ok(Input::End);
            }
        }
    }
}

/// Waits for keys and for what goes on beside them.
fn wait_beside(beside: &dyn Beside) -> io::Result<[bool; 2]> {
    let stdin = io::stdin();
    let mut fds = vec![(stdin.as_fd(), Interest::Read)];
    fds.extend(beside.fds().into_iter().map(|fd| (fd, Interest::Read)));
    let ready = wait::wait_many(&fds, None)?;
    Ok([ready[0].any(), ready[1..].iter().any(|fd| fd.any())])
}

fn width() -> usize {
    Term::stdout().size_checked().map_or(80, |(_, columns)| columns.into())
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
