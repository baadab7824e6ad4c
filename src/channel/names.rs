//! Names in the machine's namespaces, from creation to removal.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mqueue::mq_unlink;

use crate::error::OneLine;

/// The name of a kernel object that outlives the process that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelName {
    /// A FIFO or a socket: a file in the run directory.
    File(PathBuf),
    /// A message queue: `/name`, visible where a mqueue file system is mounted.
    Queue(String),
    /// A shared-memory segment: `/name`, a file in `/dev/shm`.
    Segment(String),
}

impl KernelName {
    /// Where a person finds it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self {
            KernelName::File(path) => path.clone(),
            KernelName::Queue(name) => Path::new("/dev/mqueue").join(name.trim_start_matches('/')),
            KernelName::Segment(name) => Path::new("/dev/shm").join(name.trim_start_matches('/')),
        }
    }

    /// The last part of the name, which says which link it is.
    pub(crate) fn as_os_str(&self) -> &OsStr {
        match self {
            KernelName::File(path) => path.as_os_str(),
            KernelName::Queue(name) | KernelName::Segment(name) => OsStr::new(name),
        }
    }

    /// Removes the name; the object lives on for those who have it open. A name that is gone is no error.
    /// True if it was there.
    pub(crate) fn remove(&self) -> bool {
        match self {
            KernelName::File(path) => fs::remove_file(path).is_ok(),
            KernelName::Queue(name) => mq_unlink(OsStr::from_bytes(name.as_bytes())) == Ok(()),
            KernelName::Segment(_) => fs::remove_file(self.path()).is_ok(),
        }
    }

    /// True if the object is there.
    pub(crate) fn exists(&self) -> bool {
        use nix::mqueue::{MQ_OFlag, mq_close, mq_open};
        match self {
            KernelName::File(path) => path.symlink_metadata().is_ok(),
            KernelName::Queue(name) => {
                match mq_open(name.as_str(), MQ_OFlag::O_RDONLY, nix::sys::stat::Mode::empty(), None) {
                    Ok(queue) => mq_close(queue).is_ok(),
                    Err(errno) => errno != Errno::ENOENT,
                }
            }
            KernelName::Segment(_) => self.path().symlink_metadata().is_ok(),
        }
    }
}

impl fmt::Display for KernelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            KernelName::File(_) => "file",
            KernelName::Queue(_) => "message queue",
            KernelName::Segment(_) => "segment",
        };
        write!(f, "{kind} {}", OneLine::path(&self.path()))
    }
}
