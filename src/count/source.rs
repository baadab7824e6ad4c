//! Where a text comes from, and how it is counted from there.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;

use crate::count::counter::{is_wide, wide};
use crate::count::file::{changed, is_still};
use crate::count::parallel::{Data, Feed, READ};
use crate::count::{Io, Options, Outcome, Progress, Rules, TextFile};
use crate::{Error, OneLine};

/// Where a text comes from.
pub enum Source<'a> {
    /// A file of any kind. Of a regular one the size at opening is what counts; of others, and of those that have none,
    /// as in /proc, all that they yield.
    Path(&'a Path),
    /// Bytes in memory, and their name for errors.
    Bytes(&'a str, &'a [u8]),
    /// A stream, and its name for errors. A read that blocks delays the stop of the count.
    Reader(&'a str, Box<dyn Read + Send + 'a>),
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Bytes(name, _) => f.debug_tuple("Bytes").field(name).finish(),
            Self::Reader(name, _) => f.debug_tuple("Reader").field(name).finish(),
        }
    }
}

/// Counts the text of `source` by `rules`.
///
/// ```
/// use ipcpipe::count::{Options, Progress, Rules, Source, count};
/// let text = Source::Bytes("greeting", "Grüß Gott".as_bytes());
/// let outcome = count(text, &Rules::default(), &Options::default(), &Progress::new())?;
/// assert_eq!(outcome.count.letters[&'S'], 2);
/// # Ok::<(), ipcpipe::Error>(())
/// ```
///
/// # Errors
/// When the text cannot be read, is UTF-16 by its byte order mark, holds invalid UTF-8 and the rules are strict, or a file
/// was cut or changed while it was counted; when this processor lacks the kernel.
pub fn count(source: Source<'_>, rules: &Rules, options: &Options, progress: &Progress) -> Result<Outcome, Error> {
    match source {
        Source::Bytes(name, bytes) => count_bytes(name, bytes, rules, options, progress),
        Source::Reader(name, reader) => Feed::stream(name, reader, options).count(rules, options, progress),
        Source::Path(path) => {
            let name = OneLine::path(path).to_string();
            let file = File::open(path).map_err(|error| Error::os("cannot open", &name, error))?;
            let metadata = file.metadata().map_err(|error| Error::os("cannot count", &name, error))?;
            if metadata.is_dir() {
                return Err(Error::refused("cannot count", name, "it is a directory"));
            }
            match metadata.len() {
                0 => Feed::stream(&name, Box::new(file), options).count(rules, options, progress),
                _ if !metadata.is_file() => {
                    Feed::stream(&name, Box::new(file), options).count(rules, options, progress)
                }
                size if size < READ as u64 && options.io == Io::Auto => {
                    count_bytes(&name, &read(&file, &name, &metadata)?, rules, options, progress)
                }
                size => {
                    Feed::file(TextFile::new(file, name, size, options.io)?, options).count(rules, options, progress)
                }
            }
        }
    }
}

fn count_bytes(
    name: &str,
    bytes: &[u8],
    rules: &Rules,
    options: &Options,
    progress: &Progress,
) -> Result<Outcome, Error> {
    if is_wide(bytes) {
        return Err(wide(name));
    }
    Feed::new(name.to_owned(), Data::Bytes(bytes), Some(bytes.len() as u64), options).count(rules, options, progress)
}

/// Reads a small regular file, which was as `before` when it was opened. Some, as those of /sys, yield fewer bytes than
/// they are long.
fn read(mut file: &File, name: &str, before: &Metadata) -> Result<Vec<u8>, Error> {
    let size = before.len();
    let mut bytes = Vec::with_capacity(size as usize);
    let failed = |error| Error::os("cannot read", name, error);
    file.by_ref().take(size).read_to_end(&mut bytes).map_err(failed)?;
    if (bytes.len() as u64) < size && file.metadata().map_err(failed)?.len() < size {
        return Err(Error::refused("cannot count", name, "the file became shorter while it was counted"));
    }
    if is_still(file, before, &bytes).map_err(failed)? { Ok(bytes) } else { Err(changed(name)) }
}
