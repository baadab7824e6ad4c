//! Run directories: where a run's names are noted, and how the names of dead runs are found.
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

const LOCK: &str = "lock";
const NAMES: &str = "names";

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
struct Base(PathBuf);

impl Base {
    fn all() -> impl Iterator<Item = Base> {
        let runtime = runtime_dir().and_then(Result::ok).map(|dir| Base(dir.join("ipcpipe")));
        runtime.into_iter().chain([Self::temporary()])
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

/// Removes the directory of a dead run with whatever files are in it; run directories hold nothing deeper.
fn remove_dead(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let _ = fs::remove_file(entry.path());
    }
    let _ = fs::remove_dir(path);
}

/// Leaves nothing behind when the last run ends; fails, as it should, while others are there.
fn remove_empty_base(run: &Path) {
    if let Some(base) = run.parent() {
        let _ = fs::remove_dir(base);
    }
}

/// What a dead run left behind.
#[derive(Clone, Debug)]
pub struct Leftover {
    /// The dead run's id, which is part of each of its names.
    pub run: String,
    /// The process id of its launcher, if it is known. Another process may have it by now.
    pub pid: Option<u32>,
    /// Its names that still exist.
    pub names: Vec<KernelName>,
}

/// Finds what provably belongs to dead runs of this user and, unless `dry_run`, removes it. Live runs and
/// foreign files are left alone. Never blocks.
///
/// # Errors
/// When a base directory of ours cannot be read.
pub fn clean(dry_run: bool) -> Result<Vec<Leftover>, Error> {
    let mut found = Vec::new();
    for base in Base::all() {
        let ours = base.0.symlink_metadata().is_ok_and(|it| it.is_dir() && it.uid() == geteuid().as_raw());
        if !ours {
            continue;
        }
        let entries = match fs::read_dir(&base.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries.map_err(|error| Error::os("cannot read", base.0.display(), error))?,
        };
        found.extend(entries.flatten().filter_map(|entry| clean_run(&entry.path(), dry_run)));
        if !dry_run {
            let _ = fs::remove_dir(&base.0);
        }
    }
    Ok(found)
}

fn clean_run(dir: &Path, dry_run: bool) -> Option<Leftover> {
    let id = dir.file_name()?.to_str()?;
    if id.len() != 16 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    // Held until the end of this function, so that two sweeps never meet in one directory.
    let _lock = take_lock_of_the_dead(dir)?;
    let pid = fs::read_to_string(dir.join(LOCK)).ok().and_then(|text| text.trim().parse().ok());
    let names = names_of(dir, id);
    let leftover = Leftover { run: id.to_owned(), pid, names: names.into_iter().filter(KernelName::exists).collect() };
    if !dry_run {
        for name in &leftover.names {
            name.remove();
        }
        remove_dead(dir);
    }
    Some(leftover)
}

/// The lock of a run that is dead, which has none if it died before it made one; None while its process lives.
fn take_lock_of_the_dead(dir: &Path) -> Option<Option<File>> {
    match OpenOptions::new().read(true).write(true).custom_flags(O_NOFOLLOW).open(dir.join(LOCK)) {
        Ok(lock) => lock.try_lock().ok().map(|()| Some(lock)),
        Err(error) => (error.kind() == ErrorKind::NotFound && dir.is_dir()).then_some(None),
    }
}

/// The names that a dead run may have made. A line that does not carry the run's own id is not believed.
fn names_of(dir: &Path, id: &str) -> Vec<KernelName> {
    let prefix = format!("/ipcpipe.{id}.");
    let noted = fs::read_to_string(dir.join(NAMES)).unwrap_or_default();
    let objects = noted.lines().filter_map(|line| {
        let (kind, name) = line.split_once(' ')?;
        let believed = name.starts_with(&prefix) && !name[1..].contains('/');
        match kind {
            "mq" if believed => Some(KernelName::Queue(name.to_owned())),
            "shm" if believed => Some(KernelName::Segment(name.to_owned())),
            _ => None,
        }
    });
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    let files = files.filter(|entry| entry.file_name() != LOCK && entry.file_name() != NAMES);
    objects.chain(files.map(|entry| KernelName::File(entry.path()))).collect()
}
