//! What is to be counted: files, what is below directories, standard input, and made-up texts.

use std::fs::{self, File};
use std::io::{self, BufRead as _, Read, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};

use ipcpipe::count::{Progress, read_sample};
use ipcpipe::sys::fd::memory_file;
use ipcpipe::sys::input::Interruptible;
use ipcpipe::sys::wake::Waker;
use ipcpipe::{Error, OneLine};

use crate::manager::grammar::{CountArgs, Sample};

/// A text that is to be counted.
#[derive(Debug)]
pub(super) struct Input {
    /// What it is called.
    pub(super) name: String,
    from: From,
}

#[derive(Debug)]
enum From {
    Stdin,
    Path(PathBuf),
    /// A file in memory, which stays open for its path to be good.
    Sample(File),
    /// A text that is made while it is counted.
    Made(Sample),
}

/// Bytes of the largest sample that is held in memory.
const HELD: u64 = 256 << 20;

/// How an input is opened.
pub(super) enum Way {
    /// As a file, by its path.
    Path(PathBuf),
    /// As a stream that can be stopped.
    Stream(Box<dyn Read + Send>),
}

impl Input {
    fn path(path: PathBuf) -> Self {
        Self { name: OneLine::path(&path).to_string(), from: From::Path(path) }
    }

    /// Its size, as far as that is known before it is counted.
    pub(super) fn size(&self) -> Option<u64> {
        let metadata = match &self.from {
            From::Stdin => return None,
            From::Path(path) => fs::metadata(path).ok()?,
            From::Sample(file) => file.metadata().ok()?,
            From::Made(sample) => return Some(sample.size),
        };
        metadata.is_file().then_some(metadata.len()).filter(|size| *size > 0)
    }

    /// The path by which another process finds it; None for what is no file.
    pub(super) fn public_path(&self) -> Option<PathBuf> {
        match &self.from {
            From::Stdin | From::Made(_) => None,
            From::Path(path) => Some(path.clone()),
            From::Sample(file) => Some(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()),
        }
    }

    /// Opens it; what never ends by itself ends when `stop` is woken.
    pub(super) fn open(&self, stop: &Waker) -> Result<Way, Error> {
        let failed = |error| Error::os("cannot open", &self.name, error);
        let stream = |reader: Interruptible| Way::Stream(Box::new(reader));
        match &self.from {
            From::Stdin => {
                let file = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
                Ok(stream(Interruptible::new(file, stop.clone())))
            }
            From::Path(path) => match fs::metadata(path).map_err(failed)? {
                kind if kind.is_file() || kind.is_dir() => Ok(Way::Path(path.clone())),
                _ => Interruptible::open(path, stop.clone()).map(stream).map_err(failed),
            },
            From::Sample(_) => Ok(Way::Path(self.public_path().unwrap_or_default())),
            From::Made(Sample { size, seed }) => Ok(Way::Stream(Box::new(read_sample(*size, *seed)))),
        }
    }
}

/// All that `args` name. What cannot be found out is told to `complain` and left out. Where `progress` is stopped nothing
/// is made any more.
pub(super) fn inputs(
    args: &CountArgs,
    progress: &Progress,
    complain: &mut dyn FnMut(Error),
) -> Result<Vec<Input>, Error> {
    let mut found = Vec::new();
    if let Some(wanted) = args.sample {
        found.push(sample(wanted, progress)?);
    }
    for path in &args.files {
        if path.as_os_str() == "-" {
            found.push(Input { name: "standard input".into(), from: From::Stdin });
        } else if path.is_dir() {
            if args.recursive {
                below(path, &mut found, complain);
            } else {
                let error = Error::refused("cannot count", OneLine::path(path), "it is a directory");
                complain(error.hint("--recursive counts all files below it"));
            }
        } else {
            found.push(Input::path(path.clone()));
        }
    }
    Ok(found)
}

/// The regular files below `dir`, in the order of their names. Links are not followed: they may lead back.
fn below(dir: &Path, found: &mut Vec<Input>, complain: &mut dyn FnMut(Error)) {
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return complain(Error::os("cannot read directory", OneLine::path(dir), error)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => below(&entry.path(), found, complain),
            Ok(kind) if kind.is_file() => found.push(Input::path(entry.path())),
            _ => {}
        }
    }
}

/// The sample, which is held in memory unless it is too large, or nobody wants it any more.
fn sample(wanted: Sample, progress: &Progress) -> Result<Input, Error> {
    let Sample { size, seed } = wanted;
    let plural = if size == 1 { "" } else { "s" };
    let name = format!("sample of {size} byte{plural}, seed {seed}");
    if size > HELD {
        return Ok(Input { name, from: From::Made(wanted) });
    }
    let held = hold(wanted, progress).map_err(|error| Error::os("cannot make a", &name, error))?;
    Ok(Input { name, from: held.map_or(From::Made(wanted), From::Sample) })
}

/// A file in memory that holds the sample; None if `progress` was stopped meanwhile.
fn hold(Sample { size, seed }: Sample, progress: &Progress) -> io::Result<Option<File>> {
    let mut file = File::from(memory_file("sample")?);
    let mut text = read_sample(size, seed);
    while !progress.is_stopped() {
        let made = text.fill_buf()?;
        if made.is_empty() {
            return Ok(Some(file));
        }
        file.write_all(made)?;
        let length = made.len();
        text.consume(length);
    }
    Ok(None)
}
