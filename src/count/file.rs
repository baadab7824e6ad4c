//! A file whose size is known: any part of it can be counted by anybody.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::count::counter::{is_wide, wide};
use crate::count::{Counter, Seams, split};
use crate::sys::map::Window;
use crate::{Error, OneLine};

/// How the bytes of a file get into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Io {
    /// Mapped, if the file can be and is at least 1 MiB long; else read.
    #[default]
    Auto,
    /// mmap(2) in windows of 4 MiB, which takes a quarter less processor time and not more memory. A file that is cut
    /// short meanwhile would raise SIGBUS, so a handler of it is installed, for good, when the first window is made.
    Mmap,
    /// pread(2).
    Read,
}

impl Io {
    /// The name that a person types.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Mmap => "mmap",
            Self::Read => "read",
        }
    }
}

impl std::str::FromStr for Io {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = [Self::Auto, Self::Mmap, Self::Read].into_iter().find(|it| it.name() == name);
        found.ok_or_else(|| Error::refused("cannot read files by", name, "there is no way of that name"))
    }
}

/// Bytes of a window on a file: enough to make its system calls cheap, few enough to leave the memory alone.
pub(super) const WINDOW: u64 = 4 << 20;
/// Bytes that one pread(2) gets: they have to fit the second-level cache beside the tables.
const READ: u64 = 128 << 10;
/// Bytes that are copied out of a window at once: they have to fit the first-level cache.
const COPY: u64 = 16 << 10;
/// Bytes on either side of a part that decide where characters are cut; see [`split::boundary`].
const AROUND: u64 = 3;

/// A regular file that is counted up to the size that it had when it was opened.
#[derive(Debug)]
pub struct TextFile {
    file: File,
    name: String,
    size: u64,
    is_mapped: AtomicBool,
    io: Io,
}

impl TextFile {
    /// Opens the regular file at `path`.
    ///
    /// # Errors
    /// When it cannot be opened, is no regular file, or is not UTF-8 by its first bytes.
    pub fn open(path: &Path, io: Io) -> Result<Self, Error> {
        let name = OneLine::path(path).to_string();
        let file = File::open(path).map_err(|error| Error::os("cannot open", &name, error))?;
        let metadata = file.metadata().map_err(|error| Error::os("cannot count", &name, error))?;
        if !metadata.is_file() {
            return Err(Error::refused("cannot count the parts of", name, "it is no regular file"));
        }
        Self::new(file, name, metadata.len(), io)
    }

    /// Takes `file`, a regular one of `size` bytes.
    pub(super) fn new(file: File, name: String, size: u64, io: Io) -> Result<Self, Error> {
        let is_mapped = AtomicBool::new(io == Io::Mmap || io == Io::Auto && size >= 1 << 20);
        let file = Self { file, name, size, is_mapped, io };
        let mut first = [0; 4];
        let known = size.min(4) as usize;
        file.read(0, &mut first[..known])?;
        if is_wide(&first[..known]) { Err(wide(&file.name)) } else { Ok(file) }
    }

    /// The name that errors have.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes that will be counted.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How bytes get into memory: never [`Io::Auto`].
    #[must_use]
    pub fn io(&self) -> Io {
        if self.is_mapped.load(Ordering::Relaxed) { Io::Mmap } else { Io::Read }
    }

    /// Counts the characters that begin in `part` of the file, and adds the ends of the piece to `seams`.
    ///
    /// # Errors
    /// When the file cannot be read or mapped, or has become shorter than it was.
    pub fn count(&self, part: Range<u64>, counter: &mut Counter, seams: &mut Seams) -> Result<(), Error> {
        let part = part.start.min(self.size)..part.end.min(self.size);
        let mut walk = Walk { file: self, part: part.clone(), counter, buffer: Vec::new() };
        if self.is_mapped.load(Ordering::Relaxed) {
            let around = self.around(&part);
            match Window::new(self.file.as_fd(), around.start, (around.end - around.start) as usize) {
                Ok(window) => {
                    let edge = walk.all(COPY, |at, buffer| {
                        window.copy((at - around.start) as usize, buffer);
                        Ok(())
                    })?;
                    self.is_whole(&window)?;
                    seams.add(edge);
                    return Ok(());
                }
                Err(error) if self.io == Io::Mmap => return Err(Error::os("cannot map", &self.name, error)),
                // No room, or a file system that cannot: the other way works as well.
                Err(_) => self.is_mapped.store(false, Ordering::Relaxed),
            }
        }
        seams.add(walk.all(READ, |at, buffer| self.read(at, buffer))?);
        Ok(())
    }

    /// `part` and what decides about its ends.
    fn around(&self, part: &Range<u64>) -> Range<u64> {
        part.start.saturating_sub(AROUND)..(part.end + AROUND).min(self.size)
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> Result<(), Error> {
        self.file.read_exact_at(buffer, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.has_shrunk(),
            _ => Error::os("cannot read", &self.name, error),
        })
    }

    /// Fails if the file has become shorter. A page that is cut in two reads as zeros behind the cut, so the window alone
    /// does not know.
    fn is_whole(&self, window: &Window) -> Result<(), Error> {
        let size = self.file.metadata().map_err(|error| Error::os("cannot count", &self.name, error))?.len();
        if window.is_intact() && size >= self.size { Ok(()) } else { Err(self.has_shrunk()) }
    }

    fn has_shrunk(&self) -> Error {
        Error::refused("cannot count", &self.name, "the file became shorter while it was counted")
    }
}

/// One way through a part of a file.
struct Walk<'a> {
    file: &'a TextFile,
    part: Range<u64>,
    counter: &'a mut Counter,
    buffer: Vec<u8>,
}

impl Walk<'_> {
    /// Counts the part in steps of `step` bytes, which `fill` gets.
    fn all(
        &mut self,
        step: u64,
        mut fill: impl FnMut(u64, &mut [u8]) -> Result<(), Error>,
    ) -> Result<super::Edge, Error> {
        let mut edge = None;
        let mut start = self.part.start;
        while start < self.part.end {
            let end = self.part.end.min(start + step);
            let around = self.file.around(&(start..end));
            self.buffer.resize((around.end - around.start) as usize, 0);
            fill(around.start, &mut self.buffer)?;
            let [from, to] = [start, end].map(|at| split::boundary(&self.buffer, (at - around.start) as usize));
            let edge = edge.get_or_insert_with(|| self.counter.begin(around.start + from as u64));
            if !self.counter.go_on(edge, &self.buffer[from..to]) {
                break;
            }
            start = end;
        }
        Ok(edge.unwrap_or_else(|| self.counter.begin(self.part.start)))
    }
}
