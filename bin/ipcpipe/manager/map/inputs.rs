//! Where inputs come from: words of the command line, or a stream that is read as jobs need it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::vec;

use ipcpipe::sys::input::open_without_waiting;
use ipcpipe::{Error, OneLine};

use crate::manager::grammar::MapArgs;

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;
/// The longest input in bytes: more than any program takes, and a bound for what is held of a stream without ends.
const LONGEST: usize = 1 << 20;

/// The inputs, one after the other.
#[derive(Debug)]
pub(super) struct Inputs {
    from: From,
    skip_empty: bool,
}

#[derive(Debug)]
enum From {
    Words(vec::IntoIter<OsString>),
    Stream(Stream),
}

/// What there is now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Input(OsString),
    /// It has to be read first.
    Later,
    End,
}

impl Inputs {
    /// Those that `args` name: `words` if there are, or a file, or standard input.
    pub(super) fn open(args: &MapArgs, words: Option<Vec<OsString>>) -> Result<Self, Error> {
        let from = match (words, &args.arg_file) {
            (Some(words), _) => From::Words(words.into_iter()),
            (None, Some(path)) if path.as_os_str() != "-" => From::Stream(Stream::open(path, args.null)?),
            (None, _) => {
                let name = "standard input";
                let file = io::stdin().as_fd().try_clone_to_owned();
                let file = file.map_err(|error| Error::os("cannot open", name, error))?;
                From::Stream(Stream::new(file.into(), name.into(), args.null))
            }
        };
        Ok(Self { from, skip_empty: args.no_run_if_empty })
    }

    /// The next one, if it is there.
    pub(super) fn next(&mut self) -> Result<Next, Error> {
        loop {
            let next = match &mut self.from {
                From::Words(words) => words.next().map_or(Next::End, Next::Input),
                From::Stream(stream) => stream.next()?,
            };
            match next {
                Next::Input(input) if self.skip_empty && input.is_empty() => {}
                next => return Ok(next),
            }
        }
    }

    /// How many are still to come, if that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match &self.from {
            From::Words(words) => Some(words.len() as u64),
            From::Stream(_) => None,
        }
    }

    /// What is readable when there is more.
    pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
        match &self.from {
            From::Words(_) => None,
            From::Stream(stream) => Some(stream.file.as_fd()),
        }
    }

    /// Reads what is there; blocks if nothing is.
    pub(super) fn read(&mut self) -> Result<(), Error> {
        match &mut self.from {
            From::Words(_) => Ok(()),
            From::Stream(stream) => stream.read().map_err(|error| Error::os("cannot read", &stream.name, error)),
        }
    }
}

/// Bytes that an end byte divides.
#[derive(Debug)]
struct Stream {
    file: File,
    name: String,
    end: u8,
    held: Vec<u8>,
    /// What was taken of `held`, and up to where it has no end byte.
    taken: usize,
    searched: usize,
    has_ended: bool,
}

impl Stream {
    fn open(path: &Path, null: bool) -> Result<Self, Error> {
        let name = OneLine::path(path).to_string();
        let file = open_without_waiting(path).map_err(|error| Error::os("cannot open", &name, error))?;
        Ok(Self::new(file, name, null))
    }

    fn new(file: File, name: String, null: bool) -> Self {
        let end = if null { 0 } else { b'\n' };
        Self { file, name, end, held: Vec::new(), taken: 0, searched: 0, has_ended: false }
    }

    fn next(&mut self) -> Result<Next, Error> {
        let found = self.held[self.searched..].iter().position(|byte| *byte == self.end);
        let Some(found) = found else {
            self.searched = self.held.len();
            let rest = self.held.len() - self.taken;
            return match () {
                () if rest > LONGEST => Err(self.endless()),
                () if !self.has_ended => Ok(Next::Later),
                () if rest > 0 => Ok(Next::Input(self.take(self.held.len()))),
                () => Ok(Next::End),
            };
        };
        let at = self.searched + found;
        let input = self.take(at);
        self.taken = at + 1;
        self.searched = self.taken;
        Ok(Next::Input(input))
    }

    fn take(&mut self, to: usize) -> OsString {
        let input = self.held[self.taken..to].to_vec();
        self.taken = to;
        OsString::from_vec(input)
    }

    fn endless(&self) -> Error {
        let why = format!("an input is longer than {LONGEST} bytes, and no program takes that");
        let error = Error::refused("cannot read", &self.name, why);
        if self.end == 0 { error.hint("without -0 inputs end with a newline") } else { error }
    }

    fn read(&mut self) -> io::Result<()> {
        self.held.drain(..self.taken);
        self.searched -= self.taken;
        self.taken = 0;
        let length = self.held.len();
        self.held.resize(length + CHUNK, 0);
        let read = self.file.read(&mut self.held[length..]);
        self.held.truncate(length + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(read) => {
                self.has_ended = read == 0;
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
