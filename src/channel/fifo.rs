//! The named pipe: how one is made and joined. Its data path is the byte stream's.

use std::fs::{File, OpenOptions, Permissions, set_permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use interprocess::os::unix::fifo_file::create_fifo;
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

use super::link::Geometry;
use super::pipe;
use crate::Error;
use crate::sys::fd::set_nonblocking;

/// Only the user who runs the program may open what it makes.
const MODE: u32 = 0o600;

/// Makes the FIFO at `path` and holds it open both ways. While the launcher holds it, no child's open
/// waits for another child, and no reader sees an end before the first writer has come.
pub(crate) fn create(path: &Path, geometry: Geometry) -> Result<OwnedFd, Error> {
    let failed = |error| Error::os("cannot create FIFO", path.display(), error);
    create_fifo(path, MODE).map_err(failed)?;
    // The umask may have taken bits away that the children need.
    set_permissions(path, Permissions::from_mode(MODE)).map_err(failed)?;
    let held = open(path, OpenOptions::new().read(true).write(true))?;
    pipe::enlarge(&held, geometry);
    Ok(held)
}

/// Opens the writing end. Fails at once, instead of waiting, when launcher and reader are both gone.
pub(crate) fn open_writer(path: &Path) -> Result<OwnedFd, Error> {
    open(path, OpenOptions::new().write(true))
}

/// Opens the reading end.
pub(crate) fn open_reader(path: &Path) -> Result<OwnedFd, Error> {
    open(path, OpenOptions::new().read(true))
}

fn open(path: &Path, options: &mut OpenOptions) -> Result<OwnedFd, Error> {
    let failed = |error| Error::os("cannot open FIFO", path.display(), error);
    let file: File = options.custom_flags(O_NONBLOCK | O_NOFOLLOW).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.file_type().is_fifo() {
        return Err(Error::refused("cannot open FIFO", path.display(), "something else has taken its place"));
    }
    set_nonblocking(&file, false).map_err(failed)?;
    Ok(file.into())
}
