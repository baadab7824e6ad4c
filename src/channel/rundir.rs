//! Run directories: where a run's names are noted, for sweep.rs to find should the run be killed.
//!
//! A run owns `<base>/<id>/`, mode 0700, with a `lock` file that its process holds locked for life
//! (flock(2), which the kernel releases however the process ends) and a `names` file with the queues and
//! segments it made; FIFOs and sockets lie in the directory itself. A directory whose lock can be taken
//! belongs to a dead run, or to one that has made nothing yet: such a one finds its lock gone and starts again.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::names::KernelName;
use crate::Error;
use crate::sys::runtime::{Base, create_private_file, make_private_dir, retry_while_missing};

pub(super) const LOCK: &str = "lock";
pub(super) const NAMES: &str = "names";

/// The directory of a live run, ours.
#[derive(Debug)]
pub(crate) struct RunDir {
    id: String,
    path: PathBuf,
    base: Base,
    names: File,
    _lock: File,
}

impl RunDir {
    /// Makes and locks a directory with a random id.
    pub(crate) fn create() -> Result<Self, Error> {
        let base = Base::choose();
        // Another run that ends removes the base when it is empty, and one that cleans may take a directory away that is
        // not locked yet.
        retry_while_missing(|| {
            base.make()?;
            let id = random_id()?;
            let path = base.path().join(&id);
            make_private_dir(&path)?;
            match fill(&path) {
                Ok((lock, names)) => Ok(Self { id, path, base: base.clone(), names, _lock: lock }),
                Err(error) => {
                    remove_run(&path);
                    base.remove_if_empty();
                    Err(error.into())
                }
            }
        })
        .map_err(|refusal| refusal.explain("cannot make run directory", base.path()))
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn remark(&self) -> Option<&str> {
        self.base.remark()
    }

    /// Notes a name that cannot be found by looking into the directory.
    pub(crate) fn note(&mut self, name: &KernelName) -> Result<(), Error> {
        let line = match name {
            KernelName::File(_) => return Ok(()),
            KernelName::Queue(name) => format!("mq {name}\n"),
            KernelName::Segment(name) => format!("shm {name}\n"),
        };
        self.names
            .write_all(line.as_bytes())
            .map_err(|error| Error::os("cannot note names in", self.path.display(), error))
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        remove_run(&self.path);
        self.base.remove_if_empty();
    }
}

/// Puts the lock, held, and the empty list of names into a new directory.
fn fill(dir: &Path) -> io::Result<(File, File)> {
    let mut lock = create_private_file(&dir.join(LOCK))?;
    lock.lock()?;
    // Between the creation and the lock a clean-up may have taken it for a dead run's and removed it.
    if dir.join(LOCK).symlink_metadata()?.ino() != lock.metadata()?.ino() {
        return Err(ErrorKind::NotFound.into());
    }
    writeln!(lock, "{}", std::process::id())?;
    Ok((lock, create_private_file(&dir.join(NAMES))?))
}

fn random_id() -> io::Result<String> {
    let mut bytes = [0u8; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

/// Removes a run directory from which all names are gone. It needs no descriptor, so it works when there are none left.
fn remove_run(path: &Path) {
    let _ = fs::remove_file(path.join(NAMES));
    let _ = fs::remove_file(path.join(LOCK));
    let _ = fs::remove_dir(path);
}
