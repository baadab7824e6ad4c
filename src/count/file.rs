//! A file whose size is known: any part of it can be counted by anybody.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use crate::count::counter::{is_wide, wide};
use crate::count::io::{Choice, Io};
use crate::count::{Counter, Edge, Seams, split};
use crate::sys::map::{Mapping, Window};
use crate::{Error, OneLine};

/// Bytes that one pread(2) gets: they have to fit the second-level cache beside the tables.
const READ: u64 = 256 << 10;
/// The same of a part that is shorter than 1 MiB, mostly a whole text: to get the memory for more takes the kernel longer
/// than to count it.
const READ_OF_FEW: u64 = 64 << 10;
/// Bytes of a file that a thread has in its address space at once: few enough for the kernel's tables of them.
const SPAN: u64 = 1 << 30;
/// Bytes of a window that are counted at once, and copied if need be: they have to fit the first-level cache.
const LOOK: u64 = 32 << 10;
/// Bytes at either end of the text that are looked at before and after it is counted.
const END: u64 = 64;
/// Bytes on either side of a part that decide where characters are cut; see [`split::boundary`].
const AROUND: u64 = 3;

/// Bytes of a window on a file that so many threads count: enough to make its system calls cheap, few enough to leave the
/// memory alone, of which all windows together take their part.
///
/// When a window closes, the processors of all threads of a process have to forget it, and wait for each other.
pub(super) fn window(workers: usize) -> u64 {
    if workers <= 2 { 8 << 20 } else { 4 << 20 }
}

/// A regular file that is counted up to the size that it had when it was opened.
#[derive(Debug)]
pub struct TextFile {
    file: File,
    name: String,
    size: u64,
    /// When it was written to for the last time before it was counted.
    written: (i64, i64),
    /// How it began and ended then.
    ends: [Vec<u8>; 2],
    io: Io,
    choice: Choice,
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

    /// Takes `file`, a regular one, of which the first `size` bytes are the text; `name` is what errors call it.
    ///
    /// # Errors
    /// When it cannot be read, or is not UTF-8 by its first bytes.
    pub fn new(file: File, name: String, size: u64, io: Io) -> Result<Self, Error> {
        let metadata = file.metadata().map_err(|error| Error::os("cannot count", &name, error))?;
        let (written, ends, choice) = (written(&metadata), Default::default(), Choice::new(io, size));
        let mut file = Self { file, name, size, written, ends, io, choice };
        file.ends = file.read_ends()?;
        if is_wide(&file.ends[0]) { Err(wide(&file.name)) } else { Ok(file) }
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
        self.choice.chosen()
    }

    /// Bytes that the next piece should have at most, while it is not known which way of reading is the cheaper one.
    pub(super) fn trial(&self) -> Option<u64> {
        self.choice.trial()
    }

    /// To be asked when all was counted: was it one text? What grows at its end, as a log does, is.
    ///
    /// # Errors
    /// When the file has become shorter, or was written to and is as long as before, or longer with other bytes at the ends
    /// of what was counted: parts of it are then of another text than the others, as after a cut that was filled up again
    /// with zeros. That a file grew and was changed in its middle cannot be known.
    pub fn check(&self) -> Result<(), Error> {
        let now = self.file.metadata().map_err(|error| Error::os("cannot count", &self.name, error))?;
        if now.len() < self.size {
            return Err(self.has_shrunk());
        }
        // Who began to write before it was opened does not change the time any more.
        let is_as_long = written(&now) == self.written || now.len() > self.size;
        if is_as_long && self.read_ends()? == self.ends { Ok(()) } else { Err(changed(&self.name)) }
    }

    fn read_ends(&self) -> Result<[Vec<u8>; 2], Error> {
        ends(self.size, |at, end| self.read(at, end))
    }

    /// Who counts parts of it. Every thread has one.
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        Reader { file: self, mapping: None, buffer: Vec::new() }
    }

    /// `part` and what decides about its ends.
    fn around(&self, part: &Range<u64>) -> Range<u64> {
        part.start.saturating_sub(AROUND)..(part.end + AROUND).min(self.size)
    }

    /// Maps what comes from `part` on, as much of it as there may be.
    fn map(&self, part: &Range<u64>) -> io::Result<Mapping> {
        let more = part.start..part.end.max(self.size.min(part.start + SPAN));
        Mapping::new(self.file.as_fd(), &more).or_else(|_| Mapping::new(self.file.as_fd(), part))
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> Result<(), Error> {
        self.file.read_exact_at(buffer, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.has_shrunk(),
            _ => Error::os("cannot read", &self.name, error),
        })
    }

    /// Fails if the file has become shorter. A page that is cut in two reads as zeros behind the cut, so the window alone
    /// does not know.
    fn is_whole(&self, window: &Window<'_>) -> Result<(), Error> {
        let size = self.file.metadata().map_err(|error| Error::os("cannot count", &self.name, error))?.len();
        if window.is_intact() && size >= self.size { Ok(()) } else { Err(self.has_shrunk()) }
    }

    fn has_shrunk(&self) -> Error {
        Error::refused("cannot count", &self.name, "the file became shorter while it was counted")
    }
}

/// Counts parts of a [`TextFile`], and keeps what memory it takes from one to the next.
#[derive(Debug)]
pub struct Reader<'a> {
    file: &'a TextFile,
    mapping: Option<Mapping>,
    buffer: Vec<u8>,
}

impl Reader<'_> {
    /// Counts the characters that begin in `part` of the file, and adds the ends of the piece to `seams`.
    ///
    /// # Errors
    /// When the file cannot be read or mapped, or has become shorter than it was.
    pub fn count(&mut self, part: Range<u64>, counter: &mut Counter, seams: &mut Seams) -> Result<(), Error> {
        let file = self.file;
        let part = part.start.min(file.size)..part.end.min(file.size);
        if file.io == Io::Auto && !counter.looks_once() {
            file.choice.settle(Io::Read);
        }
        file.choice.with(part.end - part.start, |io| {
            let edge = match io {
                Io::Mmap => self.count_mapped(&part, counter)?,
                Io::Read | Io::Auto => self.count_read(&part, counter)?,
            };
            seams.add(edge);
            Ok(())
        })
    }

    fn count_read(&mut self, part: &Range<u64>, counter: &mut Counter) -> Result<Edge, Error> {
        let file = self.file;
        let mut walk = Walk { file, counter, edge: None, buffer: &mut self.buffer };
        let size = if part.end - part.start < 1 << 20 { READ_OF_FEW } else { READ };
        for step in steps(part, size) {
            let fill = |at, buffer: &mut [u8]| file.read(at, buffer);
            if !walk.copied(&step, fill, Counter::go_on)? {
                break;
            }
        }
        Ok(walk.finish(part))
    }

    fn count_mapped(&mut self, part: &Range<u64>, counter: &mut Counter) -> Result<Edge, Error> {
        let file = self.file;
        // What is left of a window that was cut is not to be seen again.
        let mapping = match self.mapping.take().filter(|it| it.covers(part)).map_or_else(|| file.map(part), Ok) {
            Ok(mapping) => mapping,
            Err(error) if file.io == Io::Mmap => return Err(Error::os("cannot map", &file.name, error)),
            Err(_) => {
                // No room, or a file system that cannot: the other way works as well.
                file.choice.settle(Io::Read);
                return self.count_read(part, counter);
            }
        };
        let window = mapping.window(part).map_err(|error| Error::os("cannot map", &file.name, error))?;
        let all = window.bytes(0, (part.end - part.start) as usize);
        let mut walk = Walk { file, counter, edge: None, buffer: &mut self.buffer };
        for step in steps(part, LOOK) {
            let around = file.around(&step);
            // A few bytes of the next page would bring all of it into memory, and it may be a large one.
            let is_inside = part.start <= around.start && around.end <= part.end;
            let fill = |at: u64, buffer: &mut [u8]| {
                if !is_inside {
                    return file.read(at, buffer);
                }
                window.copy((at - part.start) as usize, buffer);
                Ok(())
            };
            let goes_on = if !walk.counter.looks_once() {
                walk.copied(&step, fill, Counter::go_on)?
            } else if walk.shared(&step, all, part.start) || is_inside && walk.rest_of_shared(&step, all, part.start) {
                true
            } else {
                walk.copied(&step, fill, Counter::rest)?
            };
            if !goes_on {
                break;
            }
        }
        let edge = walk.finish(part);
        file.is_whole(&window)?;
        drop(window);
        self.mapping = Some(mapping);
        Ok(edge)
    }
}

/// Bytes of the smallest page.
const PAGE: usize = 4096;

/// Room in `buffer` for `part` of a file, as far behind the beginning of a page as the part is in the file. A copy from one
/// place in a page to another that is a few bytes on takes two to four times as long: a processor that compares no more than
/// 12 bits of two addresses takes each load for one of what it has just stored.
fn placed<'a>(buffer: &'a mut Vec<u8>, part: &Range<u64>) -> &'a mut [u8] {
    let length = (part.end - part.start) as usize;
    buffer.resize(buffer.len().max(length + PAGE), 0);
    let wanted = (part.start % PAGE as u64) as usize;
    let at = (wanted + PAGE - buffer.as_ptr().addr() % PAGE) % PAGE;
    &mut buffer[at..at + length]
}

/// The first and the last bytes of the `size` that `read` gives.
fn ends<E>(size: u64, mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>) -> Result<[Vec<u8>; 2], E> {
    let length = size.min(END);
    let mut ends = [vec![0; length as usize], vec![0; length as usize]];
    for (end, at) in ends.iter_mut().zip([0, size - length]) {
        read(at, end)?;
    }
    Ok(ends)
}

/// True if `bytes`, which were read from `file`, are still its text: nobody has written to it since it was `before`, or
/// only to its end. See [`TextFile::check`].
pub(super) fn is_still(file: &File, before: &Metadata, bytes: &[u8]) -> io::Result<bool> {
    let now = file.metadata()?;
    if written(&now) == written(before) {
        return Ok(true);
    }
    let size = bytes.len() as u64;
    let of_bytes = |at: u64, end: &mut [u8]| {
        end.copy_from_slice(&bytes[at as usize..][..end.len()]);
        Ok::<_, io::Error>(())
    };
    Ok(now.len() > size && ends(size, |at, end| file.read_exact_at(end, at))? == ends(size, of_bytes)?)
}

/// The error for the file `name` if it was not one text all the time.
pub(crate) fn changed(name: &str) -> Error {
    Error::refused("cannot count", name, "the file was changed while it was counted")
}

/// When a file was written to.
fn written(metadata: &Metadata) -> (i64, i64) {
    (metadata.mtime(), metadata.mtime_nsec())
}

/// `part` in steps of `size`.
fn steps(part: &Range<u64>, size: u64) -> impl Iterator<Item = Range<u64>> {
    let end = part.end;
    (part.start..end).step_by(size as usize).map(move |start| start..end.min(start + size))
}

/// One way through a part of a file.
struct Walk<'a> {
    file: &'a TextFile,
    counter: &'a mut Counter,
    /// What was counted so far; None before the first step, as only that knows where the first character begins.
    edge: Option<Edge>,
    buffer: &'a mut Vec<u8>,
}

impl Walk<'_> {
    /// Counts the characters that begin in `step`, in a copy of it, with `count`; false if that was the last one.
    fn copied(
        &mut self,
        step: &Range<u64>,
        fill: impl FnOnce(u64, &mut [u8]) -> Result<(), Error>,
        count: impl FnOnce(&mut Counter, &mut Edge, &[u8]) -> bool,
    ) -> Result<bool, Error> {
        let around = self.file.around(step);
        let copy = placed(self.buffer, &around);
        fill(around.start, copy)?;
        let [from, to] = [step.start, step.end].map(|at| split::boundary(copy, (at - around.start) as usize));
        let edge = self.edge.get_or_insert_with(|| self.counter.begin(around.start + from as u64));
        Ok(count(self.counter, edge, &copy[from..to]))
    }

    /// Counts `step` without a copy if it is ASCII, else its letters and lines only; `shared` are the bytes from `start` on.
    fn shared(&mut self, step: &Range<u64>, shared: &[u8], start: u64) -> bool {
        let bytes = &shared[(step.start - start) as usize..(step.end - start) as usize];
        match &mut self.edge {
            Some(edge) => self.counter.shared(edge, bytes),
            None => {
                let mut edge = self.counter.begin(step.start);
                let is_ascii = self.counter.shared(&mut edge, bytes);
                self.edge = is_ascii.then_some(edge);
                is_ascii
            }
        }
    }

    /// Counts the rest of the characters that begin in `step`; `shared` are the bytes from `start` on. False if that takes a
    /// copy.
    fn rest_of_shared(&mut self, step: &Range<u64>, shared: &[u8], start: u64) -> bool {
        let cut = |at: u64| split::boundary_of_shared(shared, (at - start) as usize);
        // What was a character may be none by the second look.
        let from = cut(step.start);
        let to = cut(step.end).max(from);
        let edge = self.edge.get_or_insert_with(|| self.counter.begin(start + from as u64));
        self.counter.rest_of_shared(edge, &shared[from..to])
    }

    fn finish(self, part: &Range<u64>) -> Edge {
        self.edge.unwrap_or_else(|| self.counter.begin(part.start))
    }
}
