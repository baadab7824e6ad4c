//! A text, and the queue of its pieces.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::count::{Cutter, Io, TextFile, wide};
use crate::spread::Feed;
use crate::sys::fd::duplicate;
use crate::{Error, OneLine};

/// The size that files of /sys say they have, whatever they hold. What is no larger is not worth sharing out.
const PAGE: u64 = 4096;

/// A text that several processes count.
pub struct Text<'a> {
    pub(super) name: String,
    /// Its size, if it is known.
    pub(super) size: Option<u64>,
    data: Data<'a>,
}

enum Data<'a> {
    File(File),
    Stream(Box<dyn Read + Send + 'a>),
}

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Text").field("name", &self.name).field("size", &self.size).finish_non_exhaustive()
    }
}

impl<'a> Text<'a> {
    /// The file at `path`: of a regular one what it holds now, of others, and of those that are small or without a
    /// size, as in /proc, all that they yield.
    ///
    /// # Errors
    /// When it cannot be opened, or is a directory.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = OneLine::path(path).to_string();
        let file = File::open(path).map_err(|error| Error::os("cannot open", &name, error))?;
        let metadata = file.metadata().map_err(|error| Error::os("cannot count", &name, error))?;
        match metadata.len() {
            _ if metadata.is_dir() => Err(Error::refused("cannot count", name, "it is a directory")),
            size if size > PAGE && metadata.is_file() => Ok(Self { name, size: Some(size), data: Data::File(file) }),
            _ => Ok(Self::stream(&name, Box::new(file))),
        }
    }

    /// What `reader` yields, under `name` in errors.
    #[must_use]
    pub fn stream(name: &str, reader: Box<dyn Read + Send + 'a>) -> Self {
        Self { name: name.to_owned(), size: None, data: Data::Stream(reader) }
    }

    /// The name and the size of the file that workers get open at their standard input; None if bytes travel.
    #[must_use]
    pub fn file(&self, feed: Feed) -> Option<(&str, u64)> {
        let size = self.size.filter(|_| feed == Feed::Path && matches!(self.data, Data::File(_)));
        size.map(|size| (self.name.as_str(), size))
    }

    /// Cuts the text for workers that are fed by `feed`, in pieces of `piece` bytes.
    pub(super) fn cut(self, feed: Feed, piece: u64) -> Result<Pieces<'a>, Error> {
        let Self { name, size, data } = self;
        let whole = match (&data, size) {
            (Data::File(file), Some(size)) => {
                // To look at its first bytes, and at whether it is the same in the end.
                Some(TextFile::new(duplicate(file, &name)?.into(), name.clone(), size, Io::Read)?)
            }
            _ => None,
        };
        let (way, file) = match (data, feed) {
            (Data::File(file), Feed::Path) if size.is_some() => {
                (Way::Parts(AtomicU64::new(0)), Some(OwnedFd::from(file)))
            }
            (Data::File(file), _) => (Way::read(Box::new(file.take(size.unwrap_or(u64::MAX)))), None),
            (Data::Stream(reader), _) => (Way::read(reader), None),
        };
        Ok(Pieces { name, size, piece, way, file, whole })
    }
}

/// The pieces of a text, which are taken one by one.
pub(super) struct Pieces<'a> {
    pub(super) name: String,
    size: Option<u64>,
    piece: u64,
    way: Way<'a>,
    /// The file that workers read themselves.
    pub(super) file: Option<OwnedFd>,
    /// The file that all pieces are of.
    whole: Option<TextFile>,
}

enum Way<'a> {
    /// Where the next part begins.
    Parts(AtomicU64),
    Read(Mutex<(Cutter, Box<dyn Read + Send + 'a>)>),
}

impl<'a> Way<'a> {
    fn read(reader: Box<dyn Read + Send + 'a>) -> Self {
        Self::Read(Mutex::new((Cutter::new(), reader)))
    }
}

/// What a worker is to count next.
pub(super) enum Next {
    /// A part of the file that it has open.
    Part([u64; 2]),
    /// What is in the buffer, and begins here.
    Piece(u64),
}

impl Pieces<'_> {
    /// The next piece, unless there is none that begins before `end`.
    pub(super) fn next(&self, end: u64, buffer: &mut Vec<u8>) -> Result<Option<Next>, Error> {
        match &self.way {
            Way::Parts(cursor) => {
                let size = self.size.unwrap_or(0);
                let start = cursor.fetch_add(self.piece, Ordering::Relaxed);
                Ok((start < size && start <= end).then(|| Next::Part([start, size.min(start + self.piece)])))
            }
            Way::Read(stream) => {
                let (cutter, reader) = &mut *locked(stream);
                let next = cutter.next(reader, self.piece as usize, buffer);
                let start = next.map_err(|error| Error::os("cannot read", &self.name, error))?;
                if cutter.is_wide() {
                    return Err(wide(&self.name));
                }
                Ok(start.filter(|&start| start <= end).map(Next::Piece))
            }
        }
    }

    /// The size of the text, once all of it was taken.
    pub(super) fn size(&self) -> Option<u64> {
        match &self.way {
            Way::Read(stream) if self.size.is_none() => locked(stream).0.size(),
            _ => self.size,
        }
    }

    /// To be asked when all was counted.
    ///
    /// # Errors
    /// When it turned out to be no longer the text that it was: see [`TextFile::check`].
    pub(super) fn check(&self) -> Result<(), Error> {
        if let (Way::Read(stream), Some(size)) = (&self.way, self.size)
            && locked(stream).0.size().is_some_and(|seen| seen < size)
        {
            let why = "the file became shorter while it was counted";
            return Err(Error::refused("cannot count", &self.name, why));
        }
        self.whole.as_ref().map_or(Ok(()), TextFile::check)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
