//! A file that is appended to for ever and never gets too long.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::sys::runtime::open_private_file;

/// The size in bytes that a file does not exceed, unless one piece does alone.
pub(crate) const MAX_BYTES: u64 = 10 * 1024 * 1024;

/// How many older files stay beside it, as `path.1`, the youngest, and so on.
pub(crate) const KEEP: u32 = 5;

/// A file for logs, mode 0600 if it is made here.
///
/// Something that goes wrong is returned once. Then the file goes on trying without a word, until a piece was written or
/// the file was opened again.
#[derive(Debug)]
pub(crate) struct RotatedFile {
    path: PathBuf,
    file: File,
    size: u64,
    max_bytes: u64,
    keep: u32,
    has_failed: bool,
    lost: u64,
}

impl RotatedFile {
    /// Opens `path` to append to it, with [`MAX_BYTES`] and [`KEEP`].
    ///
    /// # Errors
    /// The system's; a symbolic link and what is neither a regular file nor a character device are refused.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with(path, MAX_BYTES, KEEP)
    }

    /// Opens `path` to append to it. It is renamed to `path.1` before it gets more than `max_bytes` long; `keep` such
    /// files are kept, and with none it begins afresh.
    ///
    /// # Errors
    /// As [`RotatedFile::open`].
    pub(crate) fn open_with(path: &Path, max_bytes: u64, keep: u32) -> Result<Self, Error> {
        let (file, size) = open(path)?;
        Ok(Self { path: path.to_owned(), file, size, max_bytes, keep, has_failed: false, lost: 0 })
    }

    /// Appends `piece`, all of it in one file. Blocks as a regular file does, only for the disk.
    ///
    /// # Errors
    /// The first of a series: later ones of the same series are dropped.
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        let length = piece.len() as u64;
        let is_full = self.size > 0 && self.size.saturating_add(length) > self.max_bytes;
        // A file that cannot be rotated is still written to: rather too long than too short.
        let rotated = if is_full { self.rotate() } else { Ok(()) };
        let written = self.append(piece);
        self.once(written.and(rotated))
    }

    /// Opens the path anew, for when somebody else has moved the file away.
    ///
    /// # Errors
    /// As [`RotatedFile::open`]; the old file stays in use then.
    pub(crate) fn reopen(&mut self) -> Result<(), Error> {
        (self.file, self.size) = open(&self.path)?;
        self.has_failed = false;
        Ok(())
    }

    /// Pieces that were not written since one was.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Goes on in another file.
    #[cfg(test)]
    pub(crate) fn move_to(&mut self, path: &Path) -> Result<(), Error> {
        self.path = path.to_owned();
        self.reopen()
    }

    fn append(&mut self, piece: &[u8]) -> Result<(), Error> {
        match self.file.write_all(piece) {
            Ok(()) => {
                self.size += piece.len() as u64;
                self.lost = 0;
                Ok(())
            }
            Err(error) => {
                self.lost += 1;
                // A full disk may have taken a part, onto which the next piece must not be glued.
                if self.file.metadata().is_ok_and(|found| found.is_file() && found.len() > self.size) {
                    let _ = self.file.set_len(self.size);
                }
                Err(Error::os("cannot write to", self.path.display(), error))
            }
        }
    }

    fn rotate(&mut self) -> Result<(), Error> {
        let failed = |error: io::Error| Error::os("cannot rotate", self.path.display(), error);
        let older = |number: u32| match number {
            0 => self.path.clone(),
            _ => {
                let mut path = OsString::from(&self.path);
                path.push(format!(".{number}"));
                PathBuf::from(path)
            }
        };
        if !self.file.metadata().map_err(failed)?.is_file() {
            return Ok(());
        }
        // Without a file of this name the renaming is done already, and it was the opening that failed.
        let to_rename = if self.path.symlink_metadata().is_ok() { self.keep } else { 0 };
        for number in (0..to_rename).rev() {
            match fs::rename(older(number), older(number + 1)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        if self.keep == 0 {
            self.file.set_len(0).map_err(failed)?;
        }
        (self.file, self.size) = open(&self.path)?;
        Ok(())
    }

    fn once(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        let is_known = self.has_failed;
        self.has_failed = result.is_err();
        if is_known { Ok(()) } else { result }
    }
}

fn open(path: &Path) -> Result<(File, u64), Error> {
    let failed = |error: io::Error| Error::os("cannot open", path.display(), error);
    let file = open_private_file(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() && !found.file_type().is_char_device() {
        let why = "it is neither a regular file nor a character device";
        return Err(Error::refused("cannot open", path.display(), why));
    }
    Ok((file, found.len()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn it_is_appended_to_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for _ in 0..2 {
            RotatedFile::open(&path).unwrap().write(b"line\n").unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), b"line\nline\n");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    }

    #[test]
    fn it_is_rotated_between_pieces_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut file = RotatedFile::open_with(&path, 10, 2).unwrap();
        for piece in ["aaaa\n", "bbbb\n", "cccc\n", "a piece that is too long\n", "dddd\n"] {
            file.write(piece.as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("log"), "dddd\n");
        assert_eq!(read("log.1"), "a piece that is too long\n");
        assert_eq!(read("log.2"), "cccc\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
        let mut single = RotatedFile::open_with(&path, 5, 0).unwrap();
        single.write(b"ee\n").unwrap();
        assert_eq!(read("log"), "ee\n");
    }

    #[test]
    fn it_is_opened_anew_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("log"), dir.path().join("moved"));
        let mut file = RotatedFile::open(&path).unwrap();
        fs::rename(&path, &moved).unwrap();
        file.write(b"old\n").unwrap();
        file.reopen().unwrap();
        file.write(b"new\n").unwrap();
        assert_eq!((fs::read(&moved).unwrap(), fs::read(&path).unwrap()), (b"old\n".to_vec(), b"new\n".to_vec()));
    }

    #[test]
    fn an_error_is_told_once_and_again_after_something_went_well() {
        let mut full = RotatedFile::open(Path::new("/dev/full")).unwrap();
        assert!(full.write(b"x\n").unwrap_err().to_string().contains("/dev/full: No space left"));
        assert!(full.write(b"x\n").is_ok());
        assert_eq!(full.lost(), 2);
        full.reopen().unwrap();
        assert!(full.write(b"x\n").is_err());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let in_the_way = dir.path().join("log.1");
        fs::create_dir(&in_the_way).unwrap();
        let mut file = RotatedFile::open_with(&path, 5, 1).unwrap();
        let told: Vec<bool> = (0..4).map(|_| file.write(b"line\n").is_err()).collect();
        assert_eq!(told, [false, true, false, false]);
        assert_eq!(fs::read(&path).unwrap(), b"line\n".repeat(4));
        fs::remove_dir(&in_the_way).unwrap();
        file.write(b"line\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"line\n");
    }

    #[test]
    fn what_is_no_file_of_its_own_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        symlink("elsewhere", dir.path().join("link")).unwrap();
        let _listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        for name in ["link", "socket", "."] {
            let error = RotatedFile::open(&dir.path().join(name)).unwrap_err().to_string();
            assert!(error.starts_with("cannot open"), "{error}");
        }
        assert!(RotatedFile::open(Path::new("/dev/null")).is_ok());
        assert!(!dir.path().join("elsewhere").exists());
    }
}
