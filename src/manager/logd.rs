//! The log server: one process that many write their logs to, into one file of JSON lines.
//!
//! Clients connect to `<dir>/logd.sock` and write lines; they are told nothing. What they write goes to
//! `<dir>/log.jsonl`, line by line and each line whole.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::IgnoredAny;

use crate::Error;
use crate::manager::protocol::Level;
use crate::manager::rotate::{KEEP, MAX_BYTES, RotatedFile};
use crate::manager::sink::Record;
use crate::manager::socket::{Accept, BindError, Socket};
use crate::sys::runtime::{Refusal, make_private_dir};
use crate::sys::wait::{self, Interest};

/// How many clients are served at a time. More wait until one of them goes.
pub const MAX_CLIENTS: usize = 256;

/// The longest line in bytes without its newline. Of a longer one, the rest is dropped.
pub const LONGEST_LINE: usize = 64 * 1024;

/// How long nobody is accepted when there was no descriptor for one.
const PAUSE: Duration = Duration::from_millis(100);

/// What is read at once from one client, in bytes.
const CHUNK: usize = 16 * 1024;

/// How often each client is read from at the end: more than the kernel holds for it, and not for ever.
const LAST_READS: usize = 256;

/// How many times as many clients as are served at once are looked at at the end: all that the kernel queues.
const LAST_ROUNDS: usize = 1 + 4096 / MAX_CLIENTS;

/// What a log server is told.
#[derive(Clone, Debug)]
pub struct LogdOptions {
    /// Where its socket and its files are. It is made if it is missing, though not what it lies in.
    pub dir: PathBuf,
    /// Size in bytes that the file does not exceed.
    pub max_bytes: u64,
    /// How many older files are kept.
    pub keep: u32,
}

impl LogdOptions {
    /// Files in `dir` of 10 MiB, of which five older ones are kept.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), max_bytes: MAX_BYTES, keep: KEEP }
    }
}

/// Serves until `stop` can be read or hangs up. Then what has arrived is written, and the socket is removed.
///
/// Whenever `reopen` can be read, one read takes what is there and the file is opened anew.
///
/// No client can end it, and neither can a full disk: lines that cannot be written are counted, and the next one that can
/// be follows a line that tells the number.
///
/// # Errors
/// When it cannot start: a log server runs in this directory already, the path of the socket is too long, the file cannot
/// be opened; the system's.
pub fn serve(options: LogdOptions, stop: BorrowedFd<'_>, reopen: Option<BorrowedFd<'_>>) -> Result<(), Error> {
    let LogdOptions { dir, max_bytes, keep } = options;
    let failed = |error: io::Error| Error::os("cannot serve logs in", dir.display(), error);
    match make_private_dir(&dir) {
        Err(Refusal::System(error)) if error.kind() == ErrorKind::AlreadyExists => {}
        other => other.map_err(|refusal| refusal.explain("cannot make", &dir))?,
    }
    let socket = Socket::bind(&dir.join("logd.sock")).map_err(|error| match error {
        BindError::Busy => Error::refused("cannot serve logs in", dir.display(), "a log server runs there already"),
        BindError::Other(error) => error,
    })?;
    let log = LineFile(RotatedFile::open_with(&dir.join("log.jsonl"), max_bytes, keep)?);
    let reopen = reopen.map(|fd| fd.try_clone_to_owned()).transpose().map_err(failed)?.map(File::from);
    let mut server = Server { socket, log, reopen, clients: Vec::new(), is_exhausted: false };
    while server.turn(stop).map_err(failed)? {}
    server.finish();
    Ok(())
}

struct Server {
    socket: Socket,
    log: LineFile,
    reopen: Option<File>,
    clients: Vec<Client>,
    /// There was no descriptor for somebody who is waiting.
    is_exhausted: bool,
}

impl Server {
    /// Waits for something to do and does it; false when it is time to stop.
    fn turn(&mut self, stop: BorrowedFd<'_>) -> io::Result<bool> {
        // Whoever cannot be accepted now would wake the loop again and again.
        let accepts = !self.is_exhausted && self.clients.len() < MAX_CLIENTS;
        let listens = if accepts { Interest::Read } else { Interest::HangUp };
        let mut fds = vec![(stop, Interest::Read), (self.socket.as_fd(), listens)];
        fds.extend(self.clients.iter().map(|client| (client.stream.as_fd(), Interest::Read)));
        fds.extend(self.reopen.iter().map(|fd| (fd.as_fd(), Interest::Read)));
        let deadline = if self.is_exhausted { wait::deadline_in(PAUSE) } else { None };
        let woken = wait::wait_many(&fds, deadline)?;
        self.is_exhausted = false;
        if woken[0].any() {
            return Ok(false);
        }
        let (of_clients, of_reopen) = woken[2..].split_at(self.clients.len());
        if of_reopen.iter().any(|it| it.any()) {
            self.reopen();
        }
        let mut of_clients = of_clients.iter();
        let log = &mut self.log;
        // One read each, so that a client that never stops writing does not keep the others from it.
        self.clients.retain_mut(|client| {
            let has_something = of_clients.next().is_some_and(|it| it.any());
            !has_something || client.read(log) != Read::Ended
        });
        if woken[1].ready {
            self.accept();
        }
        Ok(true)
    }

    fn accept(&mut self) {
        while self.clients.len() < MAX_CLIENTS {
            match self.socket.accept() {
                Accept::Client(stream) if stream.set_nonblocking(true).is_ok() => {
                    self.clients.push(Client { stream, line: Vec::new(), is_cut: false });
                }
                Accept::Client(_) => {}
                Accept::Nobody => return,
                Accept::Exhausted => {
                    self.is_exhausted = true;
                    return;
                }
            }
        }
    }

    fn reopen(&mut self) {
        let ended = self.reopen.as_mut().is_none_or(|fd| matches!(fd.read(&mut [0; 64]), Ok(0)));
        if ended {
            self.reopen = None;
            return;
        }
        // The old file stays in use where the new one cannot be opened: a line in the wrong place is better than none.
        let _ = self.log.0.reopen();
    }

    /// Writes what has arrived by now.
    fn finish(&mut self) {
        // Those that were served make room for those that still wait.
        for _ in 0..LAST_ROUNDS {
            self.accept();
            if self.clients.is_empty() {
                return;
            }
            for mut client in self.clients.drain(..) {
                let _ = (0..LAST_READS).find(|_| client.read(&mut self.log) != Read::Something);
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    Something,
    Nothing,
    Ended,
}

struct Client {
    stream: UnixStream,
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// The rest of the line does not count.
    is_cut: bool,
}

impl Client {
    /// Reads once. A line that is not complete when the client ends is dropped: nobody knows what it should have been.
    fn read(&mut self, log: &mut LineFile) -> Read {
        let mut chunk = [0; CHUNK];
        match self.stream.read(&mut chunk) {
            Ok(0) => return Read::Ended,
            Ok(length) => self.take(&chunk[..length], log),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Read::Nothing,
            Err(_) => return Read::Ended,
        }
        Read::Something
    }

    fn take(&mut self, bytes: &[u8], log: &mut LineFile) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            let fits = text.len().min(LONGEST_LINE - self.line.len());
            self.line.extend_from_slice(&text[..fits]);
            self.is_cut |= fits < text.len();
            if text.len() < piece.len() {
                log.write(&self.line, self.is_cut);
                self.line.clear();
                self.is_cut = false;
            }
        }
    }
}

/// The file of JSON lines.
struct LineFile(RotatedFile);

impl LineFile {
    /// Writes one line of a client, wrapped where it is not an object already, so that the file has nothing else.
    fn write(&mut self, line: &[u8], is_cut: bool) {
        let text = String::from_utf8_lossy(line);
        let mut piece = match self.0.lost() {
            0 => Vec::new(),
            lost => record("lost", &format!("{lost} lines could not be written")),
        };
        if is_cut {
            piece.extend(record("cut", &text));
        } else if is_object(line) {
            piece.extend_from_slice(line);
            piece.push(b'\n');
        } else if !text.trim().is_empty() {
            piece.extend(record("garbage", &text));
        }
        if !piece.is_empty() {
            // There is nobody to tell it to but the file.
            let _ = self.0.write(&piece);
        }
    }
}

fn record(event: &str, msg: &str) -> Vec<u8> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ns = u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX);
    Record::new(now_ns, Level::Warning, event, msg).line()
}

fn is_object(line: &[u8]) -> bool {
    // The parser does not look into the strings that it skips, so what is no UTF-8 has to be found before.
    let text = str::from_utf8(line).unwrap_or_default();
    text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
#[path = "logd_tests.rs"]
mod tests;
