//! The job log: what an earlier run has done, and what this one does.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use ipcpipe::jobs::{Entry, HEADER};
use ipcpipe::{Error, OneLine};

use crate::manager::grammar::MapArgs;

/// The log, and what it said at the beginning.
#[derive(Debug, Default)]
pub(super) struct JobLog {
    file: Option<File>,
    name: String,
    /// Jobs that are not run again, each with the command that it had.
    done: HashMap<u64, String>,
    /// Lines that tell of no job.
    strange: usize,
}

impl JobLog {
    /// Opens the log that `args` name, if they do: a new one, or one to go on with.
    pub(super) fn open(args: &MapArgs) -> Result<Self, Error> {
        let Some(path) = &args.joblog else { return Ok(Self::default()) };
        let mut log = Self { name: OneLine::path(path).to_string(), ..Self::default() };
        let goes_on = args.resume || args.resume_failed;
        let file = File::options().read(true).write(true).create(true).truncate(!goes_on).open(path);
        let mut file = file.map_err(|error| log.failed("cannot open", error))?;
        let mut text = Vec::new();
        if goes_on {
            file.read_to_end(&mut text).map_err(|error| log.failed("cannot read", error))?;
        }
        (log.done, log.strange) = log.read(&text, args.resume_failed)?;
        // Half a line is left of a run that was killed while it wrote it; that job is run again.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let begin = |file: &mut File| -> io::Result<()> {
            file.set_len(whole as u64)?;
            file.seek(SeekFrom::End(0))?;
            if whole == 0 { writeln!(file, "{HEADER}") } else { Ok(()) }
        };
        // A pipe or a terminal has no length.
        let is_file = file.metadata().is_ok_and(|it| it.is_file());
        let begun = if is_file { begin(&mut file) } else { writeln!(file, "{HEADER}") };
        begun.map_err(|error| log.failed("cannot write", error))?;
        log.file = Some(file);
        Ok(log)
    }

    /// Jobs that `text` has, but for those that failed if they are to run again, and how many lines tell of none. The last
    /// line about a job counts.
    fn read(&self, text: &[u8], without_failed: bool) -> Result<(HashMap<u64, String>, usize), Error> {
        let text = String::from_utf8_lossy(text);
        let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        if lines.next().is_some_and(|header| header != HEADER) {
            let error = Error::refused("cannot resume from", &self.name, "it is no job log");
            return Err(error.hint("its first line would be 'Seq, Host, Starttime, ...' with tabs"));
        }
        let (mut done, mut strange) = (HashMap::new(), 0);
        for line in lines {
            match Entry::parse(line) {
                None => strange += usize::from(!line.trim().is_empty()),
                Some(entry) if without_failed && !entry.succeeded() => drop(done.remove(&entry.seq)),
                Some(entry) => drop(done.insert(entry.seq, entry.command)),
            }
        }
        Ok((done, strange))
    }

    /// True if job `seq` is done already; and if its command was another one then.
    pub(super) fn has(&self, seq: u64, command: impl FnOnce() -> String) -> Option<Known> {
        self.done.get(&seq).map(|logged| if *logged == command() { Known::Same } else { Known::Other })
    }

    /// What a person should know of it.
    pub(super) fn remark(&self) -> Option<String> {
        let lines = if self.strange == 1 { "1 line of" } else { &format!("{} lines of", self.strange) };
        let says = || format!("{lines} {} cannot be read; what jobs they told of are run again", self.name);
        (self.strange > 0).then(says)
    }

    /// True if nothing can be in it or come to it.
    pub(super) fn is_off(&self) -> bool {
        self.file.is_none()
    }

    /// Adds a line, in one piece.
    pub(super) fn add(&mut self, entry: &Entry) -> Result<(), Error> {
        let line = format!("{}\n", entry.line());
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(line.as_bytes()));
        written.map_err(|error| self.failed("cannot write", error))
    }

    fn failed(&self, what: &'static str, error: io::Error) -> Error {
        Error::os(what, &self.name, error)
    }
}

/// How the log knows a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// By this command.
    Same,
    /// By another one.
    Other,
}
