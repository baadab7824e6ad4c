//! What a user's processes share: the private base directory where they find each other, and private files.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::unistd::geteuid;

use crate::Error;

/// Why a directory is not made or not used.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The system refused.
    System(io::Error),
    /// What is there is not ours, and why not.
    Foreign(String),
}

impl Refusal {
    /// The error for a person: `what` failed on `path`.
    pub(crate) fn explain(self, what: &'static str, path: &Path) -> Error {
        match self {
            Self::System(error) => Error::os(what, path.display(), error),
            Self::Foreign(why) => Error::refused(what, path.display(), why)
                .hint("remove it, or set XDG_RUNTIME_DIR to a directory of yours"),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// The base directory: `$XDG_RUNTIME_DIR/ipcpipe`, or `ipcpipe-<uid>` in the temporary directory. Naming one makes
/// nothing.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    path: PathBuf,
    remark: Option<String>,
}

impl Base {
    /// Every place where a process of this user may have left something.
    pub(crate) fn all() -> impl Iterator<Item = Base> {
        let runtime = runtime_dir().and_then(Result::ok).map(|dir| Base::below(&dir));
        runtime.into_iter().chain([Self::temporary()])
    }

    /// The base to use now.
    pub(crate) fn choose() -> Self {
        match runtime_dir() {
            Some(Ok(dir)) => Self::below(&dir),
            None => Self::temporary(),
            Some(Err(why)) => {
                let base = Self::temporary();
                let remark = format!("XDG_RUNTIME_DIR {why}; using {}", base.path.display());
                Self { remark: Some(remark), ..base }
            }
        }
    }

    fn below(runtime_dir: &Path) -> Self {
        Self { path: runtime_dir.join("ipcpipe"), remark: None }
    }

    fn temporary() -> Self {
        Self { path: env::temp_dir().join(format!("ipcpipe-{}", geteuid())), remark: None }
    }

    /// Where it is, or would be.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What a person should know when it is not the one that the environment names.
    pub(crate) fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    /// Makes the base if it is missing, and makes sure that it is a directory of ours that nobody else enters.
    pub(crate) fn make(&self) -> Result<(), Refusal> {
        match make_private_dir(&self.path) {
            Err(Refusal::System(error)) if error.kind() == ErrorKind::AlreadyExists => self.check(),
            other => other,
        }
    }

    /// Makes sure that what is there is a directory of ours, and shuts it for others. Fails with NotFound when
    /// nothing is there.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let found = self.path.symlink_metadata()?;
        if !found.is_dir() {
            return Err(Refusal::Foreign("it is no directory".to_owned()));
        }
        if found.uid() != geteuid().as_raw() {
            return Err(Refusal::Foreign(format!("it belongs to uid {}, not to you (uid {})", found.uid(), geteuid())));
        }
        if found.mode() & 0o077 != 0 {
            fs::set_permissions(&self.path, Permissions::from_mode(0o700))?;
        }
        Ok(())
    }

    /// Leaves nothing behind when the last user of the base ends; does nothing, as it should, while others are there.
    pub(crate) fn remove_if_empty(&self) {
        let _ = fs::remove_dir(&self.path);
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

/// Makes a directory that only this user enters.
pub(crate) fn make_private_dir(path: &Path) -> Result<(), Refusal> {
    DirBuilder::new().mode(0o700).create(path)?;
    // The umask may have taken bits away that we need ourselves.
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    Ok(())
}

/// Makes a file, mode 0600, where nothing is yet, and opens it for writing.
pub(crate) fn create_private_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(O_NOFOLLOW).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Opens a file for appending, and makes it with mode 0600 if it is missing.
///
/// A symbolic link is refused, so that nobody can lead the writer to a file of his choice. A FIFO that nobody reads is
/// refused instead of waited for; whether the file is a regular one is the caller's to check.
pub(crate) fn open_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path)
}

/// Repeats `attempt` while something vanishes under it: another process that ends removes the base when it is empty,
/// and one that cleans may take a directory away that is not locked yet.
pub(crate) fn retry_while_missing<T>(mut attempt: impl FnMut() -> Result<T, Refusal>) -> Result<T, Refusal> {
    for _ in 0..100 {
        match attempt() {
            Err(Refusal::System(error)) if error.kind() == ErrorKind::NotFound => {}
            other => return other,
        }
    }
    attempt()
}
