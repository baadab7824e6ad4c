//! Where answers go: text for a person, or the lines of the protocol for a program.

use std::ffi::OsString;
use std::io::{self, Write};

use ipcpipe::manager::protocol::{Answer, BatchRow, BatchState, Code, PoolRow, Refusal};

use super::grammar::{Form, Options};
use super::{render, words};
use crate::message;

/// How the answers to one command are shown.
#[derive(Debug, Default)]
pub(crate) struct View {
    json: bool,
    quiet: bool,
    shape: Shape,
    rows: Vec<render::Row>,
    pools: Vec<PoolRow>,
    batches: Vec<BatchRow>,
    /// Something was said about what was asked for, done or not.
    pub(crate) answered: bool,
    /// It was said why something was not done.
    pub(crate) refused: bool,
    /// Stands before errors: the file and line that they are about.
    pub(crate) place: Option<String>,
}

/// What the command is, as far as its answers look different for it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As they come.
    #[default]
    Lines,
    /// Rows are a table.
    Table,
    /// Rows of pools are a table.
    Pools,
    /// Rows of batches are a table.
    Batches,
    /// Jobs are given to one batch in several requests, so its rows are kept and told as one.
    Submission,
    /// Rows are described at length.
    Show,
    /// Lines of output bear the name of their writer.
    Prefixed,
    /// Commands are kept, for a file.
    Script(Vec<u8>),
    /// A manager that ends as it should is no news.
    Silent,
}

impl View {
    /// Shows answers as `options` say.
    pub(crate) fn new(options: &Options, shape: Shape, place: Option<String>) -> Self {
        let json = options.format == Some(Form::Json);
        Self { json, quiet: options.quiet, shape, place, ..Self::default() }
    }

    /// Shows one answer.
    pub(crate) fn show(&mut self, answer: Answer) -> io::Result<()> {
        if let (Answer::Command { words }, Shape::Script(script)) = (&answer, &mut self.shape) {
            script.extend(words::join(words.iter().cloned().map(OsString::from)).bytes());
            script.push(b'\n');
            return Ok(());
        }
        self.answered = true;
        self.refused |= matches!(answer, Answer::Error(_));
        let told = match &answer {
            Answer::Done(_) => !self.quiet,
            // What was done as asked for, or the title over results.
            Answer::Batch(_) if self.shape == Shape::Lines => self.json || !self.quiet,
            Answer::Ended { processes: 0, threads: 0, jobs: 0 } => !self.quiet && self.shape != Shape::Silent,
            _ => true,
        };
        match answer {
            _ if !told => Ok(()),
            Answer::Batch(row) if self.shape == Shape::Submission => {
                self.batches.push(row);
                Ok(())
            }
            answer if self.json => write(answer.line().as_bytes()),
            Answer::Error(refusal) => {
                self.complain(&refusal);
                Ok(())
            }
            Answer::Process(row) if self.shape == Shape::Show => write(render::show_process(&row).as_bytes()),
            Answer::Thread(row) if self.shape == Shape::Show => write(render::show_thread(&row).as_bytes()),
            Answer::Pool(row) if self.shape == Shape::Show => write(render::show_pool(&row).as_bytes()),
            Answer::Pool(row) if self.shape == Shape::Pools => {
                self.pools.push(row);
                Ok(())
            }
            Answer::Pool(row) => {
                self.rows.push(render::Row::from(&row));
                Ok(())
            }
            Answer::Batch(row) if self.shape == Shape::Batches => {
                self.batches.push(row);
                Ok(())
            }
            Answer::Process(row) => {
                self.rows.push(render::Row::from(&*row));
                Ok(())
            }
            Answer::Thread(row) => {
                self.rows.push(render::Row::from(&row));
                Ok(())
            }
            answer => {
                if let Answer::Line(line) = &answer
                    && line.lost > 0
                {
                    self.remark(&format!("{} lines of {} before this one are not kept", line.lost, line.name));
                }
                write(&render::line(&answer, self.shape == Shape::Prefixed))
            }
        }
    }

    /// Shows what was kept back until the end.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        match self.shape {
            Shape::Pools if !self.json => return write(render::pool_table(&self.pools).as_bytes()),
            Shape::Batches if !self.json => return write(render::batch_table(&self.batches).as_bytes()),
            _ => {}
        }
        if self.json || (rows.is_empty() && self.shape != Shape::Table) {
            Ok(())
        } else {
            write(render::table(&rows).as_bytes())
        }
    }

    /// The number of the batch to which jobs were given.
    pub(crate) fn batch(&self) -> Option<u64> {
        self.batches.first().map(|row| row.batch)
    }

    /// Tells of the batch to which jobs were given in several requests, as if it had been one.
    pub(crate) fn tell_of_submission(&mut self) -> io::Result<()> {
        let jobs = self.batches.iter().map(|row| row.jobs).sum();
        let Some(row) = self.batches.pop() else { return Ok(()) };
        self.shape = Shape::Lines;
        self.show(Answer::Batch(BatchRow { jobs, state: BatchState::Submitted, ..row }))
    }

    /// What was kept for a file.
    pub(crate) fn into_script(self) -> Vec<u8> {
        match self.shape {
            Shape::Script(script) => script,
            _ => Vec::new(),
        }
    }

    /// Says why something was not done: on stderr, or as an object among the others.
    pub(crate) fn refuse(&self, refusal: Refusal) -> io::Result<()> {
        if self.json {
            return write(Answer::Error(refusal).line().as_bytes());
        }
        self.complain(&refusal);
        Ok(())
    }

    /// Tells a person on stderr what is no answer.
    pub(crate) fn remark(&self, text: &str) {
        if !self.json && !self.quiet {
            let place = self.place.as_ref().map_or_else(String::new, |place| format!("{place}: "));
            crate::say(&format!("{}\n", message(format!("{place}{text}"))));
        }
    }

    fn complain(&self, refusal: &Refusal) {
        // Whoever pressed Ctrl-C knows; the exit status tells the others.
        if refusal.code == Code::Interrupted {
            return;
        }
        let text = render::error(refusal);
        let whole = self.place.as_ref().map_or_else(|| text.clone(), |place| format!("{place}: {text}"));
        crate::say(&format!("{}\n", message(whole)));
    }
}

/// Writes to stdout in one piece, byte for byte: what a process wrote is its own.
pub(crate) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}
