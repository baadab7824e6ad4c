//! Prints what jobs have written, piece after piece, and never waits: a reader that is slow, or a terminal that was
//! stopped, must not keep `map` from hearing Ctrl-C or from ending a job whose time is up.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::{AsFd, BorrowedFd};

use ipcpipe::Error;
use ipcpipe::jobs::{Entry, Output};
use ipcpipe::sys::wait::{self, Interest};

use super::log::JobLog;

/// A pipe that can be written takes so many bytes without blocking (PIPE_BUF in pipe(7)).
const BITE: usize = 4096;
/// Bytes that are taken from a piece at once.
const CHUNK: usize = 64 << 10;
/// Bites in a row; then somebody else is heard.
const IN_A_ROW: usize = 64;
/// Pieces, and bytes in them, that may wait before no more jobs are started.
const MOST: usize = 256;
const MOST_BYTES: u64 = 8 << 20;

/// Where a piece goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Stdout,
    Stderr,
}

/// Something to be printed, or to be done when all before it was printed.
#[derive(Debug)]
pub(super) enum Piece {
    /// What a job has written; with `tag`, each line behind it.
    Output { output: Output, to: Target, tag: Option<Vec<u8>> },
    /// A text of ours.
    Text(Target, Vec<u8>),
    /// A line of the job log.
    Log(Entry),
}

/// Why printing cannot go on.
#[derive(Debug)]
pub(super) enum Stop {
    /// Standard output takes nothing any more.
    Stdout(io::Error),
    /// The job log takes nothing, or an output that was put aside cannot be read.
    Other(Error),
}

/// What prints.
#[derive(Debug)]
pub(super) struct Printer {
    streams: [Stream; 2],
    log: JobLog,
    queue: VecDeque<Piece>,
    /// How far the first piece was read, and whether a line begins there.
    at: u64,
    line_begins: bool,
    /// What was read of it, and is to be written.
    chunk: Vec<u8>,
    written: usize,
    to: Target,
}

#[derive(Debug)]
struct Stream {
    file: File,
    /// Writes to a regular file do not wait for a reader.
    is_regular: bool,
    is_broken: bool,
}

impl Stream {
    fn new(fd: impl AsFd) -> io::Result<Self> {
        let file = File::from(fd.as_fd().try_clone_to_owned()?);
        let is_regular = file.metadata()?.is_file();
        Ok(Self { file, is_regular, is_broken: false })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_regular {
            return self.file.write(bytes);
        }
        if !wait::look(self.file.as_fd(), Interest::Write)?.any() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.file.write(&bytes[..bytes.len().min(BITE)])
    }
}

impl Printer {
    /// A printer with nothing to do, on the standard streams and a log.
    pub(super) fn new(log: JobLog) -> io::Result<Self> {
        io::stdout().flush()?;
        Ok(Self {
            streams: [Stream::new(io::stdout())?, Stream::new(io::stderr())?],
            log,
            queue: VecDeque::new(),
            at: 0,
            line_begins: true,
            chunk: Vec::new(),
            written: 0,
            to: Target::Stdout,
        })
    }

    /// The log.
    pub(super) fn log(&self) -> &JobLog {
        &self.log
    }

    /// Prints `piece` when all before it was printed.
    pub(super) fn push(&mut self, piece: Piece) {
        self.queue.push_back(piece);
    }

    /// True if nothing is left to print.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.chunk.is_empty()
    }

    /// True if so much is left that nothing more should be made.
    pub(super) fn is_full(&self) -> bool {
        let bytes = |piece: &Piece| match piece {
            Piece::Output { output, .. } => output.len(),
            Piece::Text(_, text) => text.len() as u64,
            Piece::Log(_) => 0,
        };
        self.queue.len() >= MOST || self.queue.iter().map(bytes).sum::<u64>() >= MOST_BYTES
    }

    /// Forgets what is left.
    pub(super) fn discard(&mut self) {
        self.queue.clear();
        self.chunk.clear();
    }

    /// What can be written when it goes on, if anything is left.
    pub(super) fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        (!self.is_empty()).then(|| self.streams[self.to as usize].file.as_fd())
    }

    /// Prints as much as can be without waiting, and not too much at once.
    pub(super) fn print(&mut self) -> Result<(), Stop> {
        for _ in 0..IN_A_ROW {
            if self.chunk.is_empty() && !self.load()? {
                return Ok(());
            }
            let stream = &mut self.streams[self.to as usize];
            match stream.write(&self.chunk[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if self.to == Target::Stdout => return Err(Stop::Stdout(error)),
                Err(_) => stream.is_broken = true,
            }
            // There is nobody to tell that nobody reads complaints.
            if self.written == self.chunk.len() || self.streams[self.to as usize].is_broken {
                self.chunk.clear();
                self.written = 0;
            }
        }
        Ok(())
    }

    /// Takes the next bytes to be written; false if there are none.
    fn load(&mut self) -> Result<bool, Stop> {
        while let Some(piece) = self.queue.front() {
            match piece {
                Piece::Log(entry) => self.log.add(entry).map_err(Stop::Other)?,
                Piece::Text(to, text) => {
                    self.to = *to;
                    self.chunk.extend(text);
                }
                Piece::Output { output, to, tag } => {
                    self.to = *to;
                    self.chunk.resize(CHUNK, 0);
                    let read = output.read_at(self.at, &mut self.chunk);
                    let read = read.map_err(|error| Stop::Other(Error::os("cannot read", "an output", error)))?;
                    self.chunk.truncate(read);
                    self.at += read as u64;
                    if let Some(tag) = tag {
                        self.line_begins = tagged(&mut self.chunk, tag, self.line_begins);
                    }
                    if read > 0 {
                        return Ok(true);
                    }
                }
            }
            self.queue.pop_front();
            (self.at, self.line_begins) = (0, true);
            if !self.chunk.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Puts `tag` before each line that begins in `chunk`; true if one begins behind it.
fn tagged(chunk: &mut Vec<u8>, tag: &[u8], mut begins: bool) -> bool {
    let mut tagged = Vec::with_capacity(chunk.len() + tag.len());
    for line in chunk.split_inclusive(|byte| *byte == b'\n') {
        if begins {
            tagged.extend(tag);
        }
        tagged.extend(line);
        begins = line.ends_with(b"\n");
    }
    *chunk = tagged;
    begins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_stands_before_each_line_wherever_the_text_is_cut() {
        let text = b"one\ntwo\n\nthree";
        for cut in 0..=text.len() {
            let (mut first, mut second) = (text[..cut].to_vec(), text[cut..].to_vec());
            let begins = tagged(&mut first, b"t\t", true);
            tagged(&mut second, b"t\t", begins);
            assert_eq!([first, second].concat(), b"t\tone\nt\ttwo\nt\t\nt\tthree", "{cut}");
        }
    }
}
