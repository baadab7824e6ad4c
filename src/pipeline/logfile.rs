//! How the launcher opens the log file: once, safely, and before any stage starts.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc::{ELOOP, ENXIO, O_NOFOLLOW, O_NONBLOCK};

use super::summary::{LogFile, Recovery};
use crate::Error;
use crate::stage::log::{LogFormat, cut_torn, recover};
use crate::sys::fd::set_nonblocking;

/// A log file, open for appending and locked against a second writer until every copy is closed.
#[derive(Debug)]
pub struct OpenLog {
    file: File,
    path: PathBuf,
    format: LogFormat,
    /// Bytes of earlier runs, all of them whole records.
    pub earlier_bytes: u64,
    /// Bytes of earlier runs that will be dropped to start afresh.
    pub truncated_bytes: u64,
    /// Bytes of a torn last record of an earlier run, which were cut off.
    pub cut_bytes: u64,
}

impl OpenLog {
    /// Opens or creates `path`, to append to it or, with `truncate`, for a stage that will start it afresh.
    ///
    /// A symbolic link is refused, so that nobody can lead the log to a file of his choice; so are a directory, a
    /// FIFO and a socket. A character device such as `/dev/null` is written as it is.
    ///
    /// # Errors
    /// The system's or one of these refusals; "another run writes it" when it is locked.
    pub fn open(path: &Path, format: LogFormat, truncate: bool) -> Result<Self, Error> {
        let failed = |error: io::Error| explain(path, error);
        let flags = O_NOFOLLOW | O_NONBLOCK;
        let file =
            OpenOptions::new().read(true).append(true).create(true).custom_flags(flags).open(path).map_err(failed)?;
        let kind = file.metadata().map_err(failed)?.file_type();
        if !kind.is_file() && !kind.is_char_device() {
            return Err(refused(path, "it is neither a regular file nor a character device"));
        }
        set_nonblocking(&file, false).map_err(failed)?;
        if kind.is_file() {
            lock(&file, path)?;
        }
        let mut log = Self { file, path: path.to_owned(), format, earlier_bytes: 0, truncated_bytes: 0, cut_bytes: 0 };
        if kind.is_file() {
            log.look(truncate).map_err(failed)?;
        }
        Ok(log)
    }

    /// The stage that writes the file truncates it, once the run stands: one that cannot start must not cost a log.
    fn look(&mut self, truncate: bool) -> io::Result<()> {
        if truncate {
            self.truncated_bytes = self.file.metadata()?.len();
        } else {
            let mut start = [0; 16];
            let length = self.file.read_at(&mut start, 0)?;
            if !self.format.may_begin_with(&start[..length]) {
                let why = format!("it begins like no {} log", self.format.name());
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            self.cut_bytes = cut_torn(&self.file, self.format, 0)?;
            self.earlier_bytes = self.file.metadata()?.len();
        }
        Ok(())
    }

    /// True if `other` is this very file, under whatever name: what is read from it would come from what is written.
    ///
    /// # Errors
    /// EBADF: a descriptor is not open.
    pub fn is_same_as(&self, other: impl AsFd) -> io::Result<bool> {
        let (ours, theirs) = (self.file.metadata()?, File::from(other.as_fd().try_clone_to_owned()?).metadata()?);
        Ok(ours.is_file() && (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()))
    }

    /// True if another file, or none, has taken the name by now.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let inode = |metadata: io::Result<Metadata>| metadata.map(|it| (it.dev(), it.ino())).ok();
        inode(self.file.metadata()) != inode(self.path.symlink_metadata())
    }

    /// A second descriptor of the same open file, for the stage that writes it.
    ///
    /// # Errors
    /// EMFILE.
    pub fn for_stage(&self) -> Result<File, Error> {
        self.file.try_clone().map_err(|error| explain(&self.path, error))
    }

    /// What the summary says of it before it knows how much was written.
    #[must_use]
    pub fn describe(&self) -> LogFile {
        LogFile { path: self.path.clone(), format: self.format, bytes: 0 }
    }

    /// What this run has left in the file after log died: cuts a torn last record and counts the whole ones.
    #[must_use]
    pub fn recover(&self) -> Recovery {
        let records = recover(&self.file, self.format, self.earlier_bytes).map_or(0, |found| found.records);
        let length = self.file.metadata().map_or(0, |metadata| metadata.len());
        Recovery { records, bytes: length.saturating_sub(self.earlier_bytes) }
    }
}

fn lock(file: &File, path: &Path) -> Result<(), Error> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(refused(path, "another run writes it").hint("give each run a file of its own with --log"))
        }
        Err(TryLockError::Error(error)) => Err(explain(path, error)),
    }
}

fn refused(path: &Path, why: &str) -> Error {
    Error::refused("cannot write log", path.display(), why)
}

fn explain(path: &Path, error: io::Error) -> Error {
    match error.raw_os_error() {
        Some(ELOOP) => {
            refused(path, "it is a symbolic link, which could lead anywhere").hint("give --log the file itself")
        }
        Some(ENXIO) => refused(path, "it is a FIFO or a socket"),
        _ if error.kind() == io::ErrorKind::InvalidData => {
            refused(path, &error.to_string()).hint("give --log another file, or --truncate to start it afresh")
        }
        _ => Error::os("cannot write log", path.display(), error),
    }
}
