//! Finding and removing what dead runs left behind, and nothing else.
//!
//! A sweep runs with the user's rights, so it must not be led astray: a run directory is opened once, without
//! following links, and everything in it is reached through that descriptor. Of its files only the lock, the
//! list of names, FIFOs and sockets are ever removed.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use super::names::KernelName;
use super::rundir::{LOCK, NAMES};
use crate::Error;
use crate::sys::runtime::Base;

/// What a dead run left behind.
#[derive(Clone, Debug)]
pub struct Leftover {
    /// The dead run's id, which is part of each of its names.
    pub run: String,
    /// The process id of its launcher, if it is known. Another process may have it by now.
    pub pid: Option<u32>,
    /// Its names that still exist.
    pub names: Vec<KernelName>,
    /// Its directory, if that was to be removed and is still there, because it holds what no run puts there.
    pub stays: Option<PathBuf>,
}

/// Finds what provably belongs to dead runs of this user and, unless `dry_run`, removes it. Live runs and
/// foreign files are left alone. Never blocks.
///
/// # Errors
/// When a base directory of ours cannot be read.
pub fn clean(dry_run: bool) -> Result<Vec<Leftover>, Error> {
    let mut found = Vec::new();
    for base in Base::all() {
        let base = base.path();
        let is_ours = base.symlink_metadata().is_ok_and(|it| it.is_dir() && it.uid() == geteuid().as_raw());
        if !is_ours {
            continue;
        }
        let entries = match fs::read_dir(base) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries.map_err(|error| Error::os("cannot read", base.display(), error))?,
        };
        found.extend(entries.flatten().filter_map(|entry| clean_run(&entry.path(), dry_run)));
        if !dry_run {
            let _ = fs::remove_dir(base);
        }
    }
    Ok(found)
}

fn clean_run(path: &Path, dry_run: bool) -> Option<Leftover> {
    let id = path.file_name()?.to_str()?;
    if id.len() != 16 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let dir = Dir::open(path)?;
    let mut leftover = Leftover { run: id.to_owned(), pid: None, names: Vec::new(), stays: None };
    // Held until the end of this function, so that two sweeps never meet in one directory. Without a lock there is
    // nothing but the directory to remove: a run makes its lock first, and a sweep removes it last.
    let lock = match dir.read(LOCK) {
        Ok((lock, pid)) => {
            lock.try_lock().ok()?;
            leftover.pid = pid.trim().parse().ok();
            leftover.names = names_of(&dir, path, id);
            Some(lock)
        }
        Err(Errno::ENOENT) => None,
        Err(_) => return None,
    };
    if !dry_run {
        leftover.names.iter().for_each(|name| dir.remove_name(name));
        if lock.is_some() {
            dir.remove(NAMES);
            dir.remove(LOCK);
        }
        leftover.stays = fs::remove_dir(path).is_err().then(|| path.to_owned());
    }
    Some(leftover)
}

/// A run directory, held open: whatever its name comes to mean, this is the one that was looked at.
struct Dir(OwnedFd);

impl Dir {
    /// None unless it is a directory of ours.
    fn open(path: &Path) -> Option<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let dir = File::from(open(path, flags, Mode::empty()).ok()?);
        (dir.metadata().ok()?.uid() == geteuid().as_raw()).then(|| Self(dir.into()))
    }

    /// Opens and reads a regular file; one that is something else does not block or lead away.
    fn read(&self, name: &str) -> Result<(File, String), Errno> {
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(&self.0, name, flags, Mode::empty())?);
        if !file.metadata().is_ok_and(|found| found.is_file()) {
            return Err(Errno::EINVAL);
        }
        let mut text = String::new();
        // What is no text holds no name of ours.
        let _ = (&mut file).take(MAX_TEXT).read_to_string(&mut text);
        Ok((file, text))
    }

    fn remove(&self, name: &str) {
        let _ = unlinkat(self.0.as_fd(), name, UnlinkatFlags::NoRemoveDir);
    }

    /// Removes a name that [`names_of`] has found.
    fn remove_name(&self, name: &KernelName) {
        match name {
            KernelName::File(path) => {
                let name = path.file_name().and_then(|name| CString::new(name.as_bytes()).ok());
                if let Some(name) = name.filter(|name| self.is_fifo_or_socket(name)) {
                    let _ = unlinkat(self.0.as_fd(), name.as_c_str(), UnlinkatFlags::NoRemoveDir);
                }
            }
            KernelName::Queue(_) | KernelName::Segment(_) => drop(name.remove()),
        }
    }

    fn is_fifo_or_socket(&self, name: &CString) -> bool {
        fstatat(self.0.as_fd(), name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(|found| {
            let kind = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
            kind == SFlag::S_IFIFO || kind == SFlag::S_IFSOCK
        })
    }
}

/// Three links of at most a hundred bytes are far less.
const MAX_TEXT: u64 = 64 * 1024;

/// The names that a dead run has made and that are still there. A line that does not carry the run's own id is not
/// believed.
fn names_of(dir: &Dir, path: &Path, id: &str) -> Vec<KernelName> {
    let prefix = format!("/ipcpipe.{id}.");
    let noted = dir.read(NAMES).map(|(_, text)| text).unwrap_or_default();
    let objects = noted.lines().filter_map(|line| {
        let (kind, name) = line.split_once(' ')?;
        let is_believed = name.starts_with(&prefix) && !name[1..].contains('/');
        match kind {
            "mq" if is_believed => Some(KernelName::Queue(name.to_owned())),
            "shm" if is_believed => Some(KernelName::Segment(name.to_owned())),
            _ => None,
        }
    });
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_fifo() || kind.is_socket()));
    objects.chain(files.map(|entry| KernelName::File(entry.path()))).filter(KernelName::exists).collect()
}
