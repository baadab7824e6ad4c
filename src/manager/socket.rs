//! The listening control socket: where a manager is found, by one user and at one place at a time.
//!
//! Beside the socket lies `<path>.lock`, which the manager holds locked (flock(2)) for life. The lock, which the kernel
//! releases however a manager ends, proves that a socket without a holder is a dead manager's.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error as ThisError;

use crate::Error;
use crate::sys::proc;
use crate::sys::runtime::{Base, Refusal, open_private_file, retry_while_missing};
use crate::sys::socket::{connect_now, is_exhaustion, listen_private, own_uid, path_flaw, peer_pid, peer_uid};

/// How long a place may stay taken by one that does not listen or is dead, and the time between two looks at it.
const LEFTOVERS: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(1);

const WHAT: &str = "cannot make the control socket";

/// Where the manager of this user listens if nothing else is said: `manager.sock` in the base directory, which is
/// `$XDG_RUNTIME_DIR/ipcpipe`, or `ipcpipe-<uid>` in the temporary directory. Makes nothing, does not block.
///
/// # Errors
/// When somebody else has made that directory, so that what is in it is not to be trusted.
pub fn default_path() -> Result<PathBuf, Error> {
    let base = Base::choose();
    match base.check() {
        Err(Refusal::Foreign(why)) => {
            Err(Refusal::Foreign(why).explain("cannot use the directory of the control socket", base.path()))
        }
        // Without a directory there is no manager, which is for the one who connects to say.
        Err(Refusal::System(_)) | Ok(()) => Ok(base.path().join("manager.sock")),
    }
}

/// What a person should know about the place of [`default_path`]: that it is not where the environment wanted it.
#[must_use]
pub fn default_path_remark() -> Option<String> {
    Base::choose().remark().map(str::to_owned)
}

/// Why there is no [`Socket`].
#[derive(Debug, ThisError)]
pub enum BindError {
    /// A live manager has the place.
    #[error("a manager is running already")]
    Busy,
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Error),
}

/// A listening control socket. Dropping it removes its name, its lock and, if it is empty then, the base directory.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the name that was made.
    made: (u64, u64),
    lock: NameLock,
    /// The base directory, if the socket is in it.
    base: Option<Base>,
}

/// What [`Socket::accept`] found.
#[derive(Debug)]
pub(crate) enum Accept {
    /// A client of this user.
    Client(UnixStream),
    /// Nobody is waiting.
    Nobody,
    /// Somebody is waiting, and there is no descriptor or memory for him now. The socket stays ready for reading, so the
    /// loop leaves it out of its waits for a while: until a connection is closed, or a tenth of a second has passed.
    Exhausted,
}

impl Socket {
    /// Listens at `path`, mode 0600, and takes over what a dead manager has left there. Makes the base directory if that
    /// is where `path` is; any other directory has to exist.
    ///
    /// Waits, two seconds at most, only where the place is taken and nobody alive listens there: a manager is about to, or
    /// ends, or was killed while it started a process. What that will be is still a copy of the manager, and holds its lock
    /// and its socket until it calls execve(2).
    ///
    /// # Errors
    /// [`BindError::Busy`] when a manager listens there. A path of more than 107 bytes, a file that is no socket, a socket
    /// that another program listens on, and the system's errors.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        if let Some(flaw) = path_flaw(path) {
            return Err(Error::refused(WHAT, path.display(), flaw).hint("choose a shorter one with --socket").into());
        }
        let deadline = Instant::now() + LEFTOVERS;
        loop {
            let listener = Listener::at(path);
            let bound = Self::bind_now(path);
            // The two things that a dead one leaves go one after the other, in whatever order.
            let may_go = match (&bound, listener) {
                (Err(BindError::Busy), Listener::Alive) | (Ok(_), _) => false,
                (Err(BindError::Busy), _) | (Err(_), Listener::Dead) => true,
                (Err(_), _) => false,
            };
            if !may_go || Instant::now() >= deadline {
                return bound;
            }
            thread::sleep(LOOK);
        }
    }

    fn bind_now(path: &Path) -> Result<Self, BindError> {
        let base = Some(Base::choose()).filter(|base| path.parent() == Some(base.path()));
        let lock = retry_while_missing(|| {
            base.as_ref().map_or(Ok(()), Base::make)?;
            Ok(NameLock::take(path)?)
        });
        let lock = match lock {
            Ok(Some(lock)) => lock,
            Ok(None) => return Err(BindError::Busy),
            Err(refusal) => return Err(refusal.explain(WHAT, path).into()),
        };
        match listen_over_the_dead(path) {
            Ok((listener, made)) => Ok(Self { listener, path: path.to_owned(), made, lock, base }),
            Err(error) => {
                lock.remove();
                base.iter().for_each(Base::remove_if_empty);
                Err(error.into())
            }
        }
    }

    /// Takes the next client without waiting. Clients of other users are dropped, except root's.
    pub(crate) fn accept(&self) -> Accept {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) if peer_uid(&stream).is_ok_and(|uid| uid == own_uid() || uid == 0) => {
                    return Accept::Client(stream);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Accept::Nobody,
                Err(error) if is_exhaustion(&error) => return Accept::Exhausted,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(_) => return Accept::Exhausted,
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.path.symlink_metadata().is_ok_and(|found| identity(&found) == self.made) {
            let _ = fs::remove_file(&self.path);
        }
        self.lock.remove();
        self.base.iter().for_each(Base::remove_if_empty);
    }
}

/// Who made the socket at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listener {
    Alive,
    /// It listens all the same: others have it too.
    Dead,
    Nobody,
}

impl Listener {
    fn at(path: &Path) -> Self {
        let Ok(stream) = connect_now(path) else { return Self::Nobody };
        // Who cannot be seen, in another pid namespace, is taken for alive.
        let has_ended = |pid| proc::stat(pid).is_none_or(|stat| stat.is_zombie());
        if peer_pid(&stream).is_some_and(has_ended) { Self::Dead } else { Self::Alive }
    }
}

/// Listens at `path`, to which the caller holds the lock.
fn listen_over_the_dead(path: &Path) -> Result<(UnixListener, (u64, u64)), Error> {
    let failed = |error: io::Error| Error::os(WHAT, path.display(), error);
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(Error::refused(WHAT, path.display(), "a file that is no socket has this name"));
        }
        Ok(_) => match connect_now(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // Whoever listens there holds no lock of ours, so it is no manager, and its socket is not ours to take.
            _ => return Err(Error::refused(WHAT, path.display(), "another program uses this socket")),
        },
    }
    let listener = listen_private(path).map_err(failed)?;
    let made = identity(&path.symlink_metadata().map_err(failed)?);
    Ok((listener, made))
}

/// The lock beside a name, held.
#[derive(Debug)]
struct NameLock {
    path: PathBuf,
    file: File,
}

impl NameLock {
    /// Takes the lock of `name`; None if somebody holds it.
    fn take(name: &Path) -> io::Result<Option<Self>> {
        let mut path = OsString::from(name);
        path.push(".lock");
        let path = PathBuf::from(path);
        loop {
            let file = open_private_file(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Its last holder may have removed it between the opening and the locking: then it locks nothing.
            match path.symlink_metadata() {
                Ok(found) if identity(&found) == identity(&file.metadata()?) => {
                    return Ok(Some(Self { path, file }));
                }
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }

    /// Removes the file while it is locked, so that nobody can lock a file that is about to go and be wrong about it. Where
    /// somebody has removed it before, another manager's may have its name.
    fn remove(&self) {
        let (named, held) = (self.path.symlink_metadata(), self.file.metadata());
        if named.is_ok_and(|named| held.is_ok_and(|held| identity(&named) == identity(&held))) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixDatagram;
    use std::process::{Command, Stdio};
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::SeqCst;
    use std::thread;

    use super::*;
    use crate::sys::fd::Inheritable;

    fn entries(dir: &Path) -> Vec<OsString> {
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn one_manager_at_a_place_and_nothing_left_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.sock");
        let socket = Socket::bind(&path).unwrap();
        assert_eq!(socket.path(), path);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(matches!(Socket::bind(&path), Err(BindError::Busy)));
        assert!(UnixStream::connect(&path).is_ok(), "the refused one did no harm");
        drop(socket);
        assert!(entries(dir.path()).is_empty());
        drop(Socket::bind(&path).unwrap());
    }

    #[test]
    fn however_many_come_and_go_there_is_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.sock");
        let (alive, bound) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        match Socket::bind(&path) {
                            Ok(socket) => {
                                assert_eq!(alive.fetch_add(1, SeqCst), 0);
                                assert!(UnixStream::connect(&path).is_ok(), "nobody has taken the name away");
                                bound.fetch_add(1, SeqCst);
                                alive.fetch_sub(1, SeqCst);
                                drop(socket);
                            }
                            Err(BindError::Busy) => {}
                            Err(BindError::Other(error)) => panic!("{error}"),
                        }
                    }
                });
            }
        });
        assert!(bound.into_inner() > 0);
        assert!(entries(dir.path()).is_empty());
    }

    #[test]
    fn what_the_dead_left_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.sock");
        drop(UnixListener::bind(&path).unwrap());
        fs::write(dir.path().join("m.sock.lock"), "").unwrap();
        let socket = Socket::bind(&path).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop(socket);
        assert!(entries(dir.path()).is_empty());
    }

    /// What a killed manager was about to start is a copy of it between fork and execve(2); here, a child that has been given
    /// its descriptors.
    #[test]
    fn what_a_killed_manager_was_about_to_start_is_waited_for() {
        const MAKER: &str = "IPCPIPE_TEST_MAKES_A_SOCKET";
        if let Some(path) = std::env::var_os(MAKER) {
            let socket = Socket::bind(Path::new(&path)).unwrap();
            let _given = Inheritable::new([socket.as_fd(), socket.lock.file.as_fd()]).unwrap();
            // It lives as long as its input does.
            Command::new("cat").spawn().unwrap();
            std::process::exit(0);
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.sock");
        let name = "manager::socket::tests::what_a_killed_manager_was_about_to_start_is_waited_for";
        let mut maker = Command::new(std::env::current_exe().unwrap());
        maker.args(["--exact", name]).env(MAKER, &path).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut maker = maker.spawn().unwrap();
        let input = maker.stdin.take();
        assert!(maker.wait().unwrap().success());
        assert_eq!(Listener::at(&path), Listener::Dead);
        assert!(matches!(Socket::bind_now(&path), Err(BindError::Busy)));
        let bound = thread::scope(|scope| {
            // Long enough for the other to have found the place taken once.
            scope.spawn(|| {
                (0..100).for_each(|_| assert_eq!(Listener::at(&path), Listener::Dead));
                drop(input);
            });
            Socket::bind(&path)
        });
        let _socket = bound.unwrap();
        assert_eq!(Listener::at(&path), Listener::Alive);
    }

    #[test]
    fn what_is_no_dead_manager_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let refusal = |name: &str| match Socket::bind(&dir.path().join(name)) {
            Err(BindError::Other(error)) => error.to_string(),
            other => panic!("{other:?}"),
        };
        fs::write(dir.path().join("file"), "precious").unwrap();
        symlink("file", dir.path().join("link")).unwrap();
        let _live = UnixListener::bind(dir.path().join("live")).unwrap();
        let _datagram = UnixDatagram::bind(dir.path().join("datagram")).unwrap();
        for (name, why) in [("file", "no socket"), ("link", "no socket"), ("live", "another"), ("datagram", "another")]
        {
            let message = refusal(name);
            assert!(message.contains(why) && message.contains(name), "{message}");
        }
        assert_eq!(entries(dir.path()), ["datagram", "file", "link", "live"]);
        assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"precious");
        assert!(refusal("missing/m.sock").contains("No such file"));
        symlink("file", dir.path().join("led.lock")).unwrap();
        refusal("led");
    }

    #[test]
    fn a_path_that_fits_no_address_is_refused_with_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let fill = |length: usize| dir.path().join("x".repeat(length - dir.path().as_os_str().len() - 1));
        let message = Socket::bind(&fill(108)).unwrap_err().to_string();
        assert!(message.contains("108 bytes") && message.contains("107"), "{message}");
        assert!(Socket::bind(&fill(107)).is_ok());
    }

    #[test]
    fn a_name_that_somebody_else_has_made_since_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.sock");
        let socket = Socket::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        drop(socket);
        assert_eq!(entries(dir.path()), ["m.sock"]);
    }

    #[test]
    fn clients_are_taken_one_by_one_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.sock");
        let socket = Socket::bind(&path).unwrap();
        assert!(matches!(socket.accept(), Accept::Nobody));
        let clients = [UnixStream::connect(&path).unwrap(), UnixStream::connect(&path).unwrap()];
        for mut client in clients {
            let Accept::Client(mut stream) = socket.accept() else { panic!("nobody") };
            client.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
        assert!(matches!(socket.accept(), Accept::Nobody));
    }
}
