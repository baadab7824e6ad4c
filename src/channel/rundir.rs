//! Run directories: where a run's names are noted, for sweep.rs to find should the run be killed.
//!
//! A run owns `<base>/<id>/`, mode 0700, with a `lock` file that its process holds locked for life
//! (flock(2), which the kernel releases however the process ends) and a `names` file with the queues and
//! segments it made; FIFOs and sockets lie in the directory itself. A directory whose lock can be taken
//! belongs to a dead run, or to one that has made nothing yet: such a one finds its lock gone and starts again.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc::O_NOFOLLOW;
use nix::unistd::geteuid;

use super::names::KernelName;
use crate::Error;

pub(super) const LOCK: &str = "lock";
pub(super) const NAMES: &str = "names";

/// The directory of a live run, ours.
#[derive(Debug)]
pub(crate) struct RunDir {
    id: String,
    path: PathBuf,
    remark: Option<String>,
    names: File,
    _lock: File,
}

impl RunDir {
    /// Makes and locks a directory with a random id.
    pub(crate) fn create() -> Result<Self, Error> {
        let (base, remark) = Base::choose();
        // Another run that ends removes the base when it is empty, and one that cleans may take a directory away that is
        // not locked yet.
        retry_while_missing(|| {
            base.make()?;
            let id = random_id()?;
            let path = base.0.join(&id);
            make_private_dir(&path)?;
            match fill(&path) {
                Ok((lock, names)) => Ok(Self { id, path, remark: remark.clone(), names, _lock: lock }),
                Err(error) => {
                    remove_run(&path);
                    remove_empty_base(&path);
                    Err(error.into())
                }
            }
        })
        .map_err(|refusal| failed(&base.0, refusal))
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
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
        remove_empty_base(&self.path);
    }
}

fn failed(path: &Path, refusal: Refusal) -> Error {
    const WHAT: &str = "cannot make run directory";
    match refusal {
        Refusal::System(error) => Error::os(WHAT, path.display(), error),
        Refusal::Foreign(why) => {
            Error::refused(WHAT, path.display(), why).hint("remove it, or set XDG_RUNTIME_DIR to a directory of yours")
        }
    }
}

enum Refusal {
    System(io::Error),
    Foreign(String),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// Where run directories lie: `$XDG_RUNTIME_DIR/ipcpipe`, or `ipcpipe-<uid>` in the temporary directory.
pub(super) struct Base(PathBuf);

impl Base {
    /// Every place where a run of this user may have left something.
    pub(super) fn all() -> impl Iterator<Item = Base> {
        let runtime = runtime_dir().and_then(Result::ok).map(|dir| Base(dir.join("ipcpipe")));
        runtime.into_iter().chain([Self::temporary()])
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn temporary() -> Self {
        Self(env::temp_dir().join(format!("ipcpipe-{}", geteuid())))
    }

    /// The base for a new run, with a remark where it is not the one that the environment names.
    fn choose() -> (Self, Option<String>) {
        match runtime_dir() {
            Some(Ok(dir)) => (Self(dir.join("ipcpipe")), None),
            None => (Self::temporary(), None),
            Some(Err(why)) => {
                let base = Self::temporary();
                let remark = format!("XDG_RUNTIME_DIR {why}; using {}", base.0.display());
                (base, Some(remark))
            }
        }
    }

    /// Makes the base if it is missing, and makes sure that it is a directory of ours that nobody else enters.
    fn make(&self) -> Result<(), Refusal> {
        match make_private_dir(&self.0) {
            Err(Refusal::System(error)) if error.kind() == ErrorKind::AlreadyExists => self.check(),
            other => other,
        }
    }

    fn check(&self) -> Result<(), Refusal> {
        let found = self.0.symlink_metadata()?;
        if !found.is_dir() {
            return Err(Refusal::Foreign("it is no directory".to_owned()));
        }
        if found.uid() != geteuid().as_raw() {
            return Err(Refusal::Foreign(format!("it belongs to uid {}, not to you (uid {})", found.uid(), geteuid())));
        }
        if found.mode() & 0o077 != 0 {
            fs::set_permissions(&self.0, Permissions::from_mode(0o700))?;
        }
        Ok(())
    }
}

/// The user's runtime directory, or why the one that is named is not used. None if none is named.
fn runtime_dir() -> Option<Result<PathBuf, String>> {
    let dir = PathBuf::from(env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty())?);
    if !dir.is_absolute() {
        return Some(Err("is no absolute path".to_owned()));
    }
    Some(match dir.metadata() {
        Err(error) => Err(format!("{}: {}", dir.display(), crate::error::errno_text(&error))),
        Ok(found) if !found.is_dir() => Err(format!("{} is no directory", dir.display())),
        Ok(found) if found.uid() != geteuid().as_raw() => {
            Err(format!("{} belongs to uid {}", dir.display(), found.uid()))
        }
        Ok(_) => Ok(dir),
    })
}

fn make_private_dir(path: &Path) -> Result<(), Refusal> {
    DirBuilder::new().mode(0o700).create(path)?;
    // The umask may have taken bits away that we need ourselves.
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    Ok(())
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

fn create_private_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(O_NOFOLLOW).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

fn random_id() -> io::Result<String> {
    let mut bytes = [0u8; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

fn retry_while_missing<T>(mut attempt: impl FnMut() -> Result<T, Refusal>) -> Result<T, Refusal> {
    for _ in 0..100 {
        match attempt() {
            Err(Refusal::System(error)) if error.kind() == ErrorKind::NotFound => {}
            other => return other,
        }
    }
    attempt()
}

/// Removes a run directory from which all names are gone. It needs no descriptor, so it works when there are none left.
fn remove_run(path: &Path) {
    let _ = fs::remove_file(path.join(NAMES));
    let _ = fs::remove_file(path.join(LOCK));
    let _ = fs::remove_dir(path);
}

/// Leaves nothing behind when the last run ends; fails, as it should, while others are there.
fn remove_empty_base(run: &Path) {
    if let Some(base) = run.parent() {
        let _ = fs::remove_dir(base);
    }
}
