//! Where the manager's log goes: nowhere, to a file, or to a log server.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Error;
use crate::manager::date::rfc3339;
use crate::manager::protocol::{Event, Level};
use crate::manager::rotate::RotatedFile;
use crate::sys::socket::{connect_now, path_flaw};

/// Bytes that wait for a log server. What does not fit is lost and counted.
const LONGEST_QUEUE: usize = 1024 * 1024;

/// Time from one attempt to reach the log server to the next.
const RETRY: Duration = Duration::from_secs(1);

/// Where a log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sink {
    /// Nowhere.
    #[default]
    Off,
    /// To a file, which is rotated at 10 MiB.
    File(PathBuf),
    /// To the log server that listens at this path.
    Unix(PathBuf),
}

impl Sink {
    /// Understands `off`, `unix:PATH` and `FILE`. A file called `off` is `./off`.
    ///
    /// # Errors
    /// One clause that says what is wrong.
    pub fn parse(text: &OsStr) -> Result<Self, String> {
        match text.as_bytes() {
            b"" => Err("it is empty; give off, FILE or unix:PATH".to_owned()),
            b"off" => Ok(Self::Off),
            bytes => match bytes.strip_prefix(b"unix:") {
                Some(path) => {
                    let path = PathBuf::from(OsStr::from_bytes(path));
                    path_flaw(&path).map_or(Ok(Self::Unix(path)), Err)
                }
                None => Ok(Self::File(text.into())),
            },
        }
    }

    /// What [`parse`](Self::parse) understands as this sink from any directory.
    ///
    /// # Errors
    /// The system's, if there is no working directory that a path could start from.
    pub fn text(&self) -> Result<OsString, Error> {
        let whole = |path: &Path| {
            std::path::absolute(path).map_err(|error| Error::os("cannot find the directory of", path.display(), error))
        };
        match self {
            Self::Off => Ok("off".into()),
            Self::File(path) => whole(path).map(Into::into),
            Self::Unix(path) => {
                let mut text = OsString::from("unix:");
                text.push(whole(path)?);
                Ok(text)
            }
        }
    }
}

/// One line of a log.
#[derive(Debug, Serialize)]
pub(crate) struct Record<'a> {
    /// RFC 3339.
    ts: String,
    level: Level,
    event: &'a str,
    /// Process id of the manager whose event it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    manager: Option<u32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    msg: &'a str,
    /// Lines before this one that did not get through.
    #[serde(skip_serializing_if = "is_zero")]
    lost: u64,
}

impl<'a> Record<'a> {
    /// A record of what happened at `ts_ns`, nanoseconds since the epoch.
    pub(crate) fn new(ts_ns: u64, level: Level, event: &'a str, msg: &'a str) -> Self {
        Self { ts: rfc3339(ts_ns), level, event, manager: None, target: "", pid: None, msg, lost: 0 }
    }

    fn of(event: &'a Event, lost: u64) -> Self {
        let record = Self::new(event.ts_ns, event.level, &event.event, &event.msg);
        Self { manager: Some(std::process::id()), target: &event.target, pid: event.pid, lost, ..record }
    }

    /// The line for it, newline included.
    pub(crate) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("a record has only strings and numbers");
        line.push(b'\n');
        line
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A log that is written. Nothing here waits for a log server.
#[derive(Debug)]
pub(crate) struct Log(Kind);

#[derive(Debug)]
enum Kind {
    Off,
    File(RotatedFile),
    Unix(Remote),
}

impl Log {
    /// Opens what `sink` names. A log server need not run yet.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(crate) fn open(sink: &Sink) -> Result<Self, Error> {
        Ok(Self(match sink {
            Sink::Off => Kind::Off,
            Sink::File(path) => Kind::File(RotatedFile::open(path)?),
            Sink::Unix(path) => Kind::Unix(Remote::new(path)),
        }))
    }

    /// Writes a line for `event`, or queues it for the log server.
    ///
    /// # Errors
    /// The first of a series of errors of a file.
    pub(crate) fn write(&mut self, event: &Event) -> Result<(), Error> {
        match &mut self.0 {
            Kind::Off => Ok(()),
            Kind::File(file) => file.write(&Record::of(event, file.lost()).line()),
            Kind::Unix(remote) => {
                remote.push(event);
                remote.flush(Instant::now());
                Ok(())
            }
        }
    }

    /// Sends what the log server takes at `now`. To be called when [`Log::waits_for`] is writable or [`Log::deadline`] has
    /// come.
    pub(crate) fn flush(&mut self, now: Instant) {
        if let Kind::Unix(remote) = &mut self.0 {
            remote.flush(now);
        }
    }

    /// The descriptor to wait for until it takes more; None while nothing is queued or no server is there.
    pub(crate) fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            Kind::Unix(Remote { stream: Some(stream), queue, .. }) if !queue.is_empty() => Some(stream.as_fd()),
            _ => None,
        }
    }

    /// When to call [`Log::flush`] because the server may be back; None while nothing is queued or it is there.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.0 {
            Kind::Unix(Remote { stream: None, queue, next_try, .. }) if !queue.is_empty() => *next_try,
            _ => None,
        }
    }
}

/// A log server as its client sees it.
#[derive(Debug)]
struct Remote {
    path: PathBuf,
    stream: Option<UnixStream>,
    /// Whole lines, so that a line that broke off with its connection is sent again as a whole.
    queue: VecDeque<Vec<u8>>,
    queued_bytes: usize,
    /// Bytes of the first line that this connection has taken.
    sent: usize,
    lost: u64,
    next_try: Option<Instant>,
}

impl Remote {
    fn new(path: &Path) -> Self {
        let queue = VecDeque::new();
        Self { path: path.to_owned(), stream: None, queue, queued_bytes: 0, sent: 0, lost: 0, next_try: None }
    }

    fn push(&mut self, event: &Event) {
        let line = Record::of(event, self.lost).line();
        if self.queued_bytes + line.len() > LONGEST_QUEUE {
            self.lost += 1;
            return;
        }
        self.lost = 0;
        self.queued_bytes += line.len();
        self.queue.push_back(line);
    }

    fn flush(&mut self, now: Instant) {
        if self.queue.is_empty() || !self.connect(now) {
            return;
        }
        if self.send().is_err() {
            self.stream = None;
            self.sent = 0;
        }
    }

    /// True if there is a connection, if need be a new one.
    fn connect(&mut self, now: Instant) -> bool {
        if self.stream.is_none() && self.next_try.is_none_or(|at| at <= now) {
            self.next_try = Some(now + RETRY);
            self.stream = connect_now(&self.path).ok();
        }
        self.stream.is_some()
    }

    fn send(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        while let Some(line) = self.queue.front() {
            match stream.write(&line[self.sent..]) {
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            if self.sent == line.len() {
                self.queued_bytes -= line.len();
                self.sent = 0;
                self.queue.pop_front();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};
    use std::os::unix::net::UnixListener;

    use super::*;

    fn event(msg: &str) -> Event {
        Event {
            ts_ns: 1_795_190_400_123_456_789,
            level: Level::Info,
            event: "paused".into(),
            target: "p1".into(),
            pid: Some(42),
            msg: msg.into(),
            lost: 0,
        }
    }

    #[test]
    fn a_sink_is_what_is_typed() {
        let parse = |text: &str| Sink::parse(OsStr::new(text));
        assert_eq!(parse("off"), Ok(Sink::Off));
        assert_eq!(parse("./off"), Ok(Sink::File("./off".into())));
        assert_eq!(parse("unix:/run/l"), Ok(Sink::Unix("/run/l".into())));
        assert!(parse("").is_err() && parse("unix:").is_err());
        assert!(parse(&format!("unix:/{}", "x".repeat(107))).unwrap_err().contains("108 bytes"));
    }

    #[test]
    fn a_line_of_a_file_is_what_the_manual_shows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Log::open(&Sink::File(path.clone())).unwrap();
        log.write(&event("p1 paused\n")).unwrap();
        log.write(&Event { target: String::new(), pid: None, ..event("up") }).unwrap();
        let me = std::process::id();
        let expected = format!(
            "{{\"ts\":\"2026-11-20T16:00:00.123456789Z\",\"level\":\"info\",\"event\":\"paused\",\"manager\":{me},\
            \"target\":\"p1\",\"pid\":42,\"msg\":\"p1 paused\\n\"}}\n\
            {{\"ts\":\"2026-11-20T16:00:00.123456789Z\",\"level\":\"info\",\"event\":\"paused\",\"manager\":{me},\
            \"msg\":\"up\"}}\n"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        Log::open(&Sink::Off).unwrap().write(&event("")).unwrap();
    }

    #[test]
    fn a_server_that_is_late_gets_what_was_queued() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut log = Log::open(&Sink::Unix(path.clone())).unwrap();
        assert_eq!(log.deadline(), None);
        log.write(&event("one")).unwrap();
        assert!(log.waits_for().is_none());
        let deadline = log.deadline().expect("a queued line has a time to be tried again");
        let listener = UnixListener::bind(&path).unwrap();
        log.write(&event("two")).unwrap();
        log.flush(Instant::now());
        assert!(log.waits_for().is_none(), "not more than once a second");
        log.flush(deadline);
        let mut lines = BufReader::new(listener.accept().unwrap().0).lines();
        assert!(lines.next().unwrap().unwrap().contains("one"));
        assert!(lines.next().unwrap().unwrap().contains("two"));
        assert!(log.waits_for().is_none() && log.deadline().is_none());
    }

    #[test]
    fn a_line_that_broke_off_is_sent_again_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let mut remote = Remote::new(&path);
        let now = Instant::now();
        let long = "x".repeat(400_000);
        remote.push(&event(&long));
        remote.push(&event("after"));
        remote.flush(now);
        let mut first = listener.accept().unwrap().0;
        first.read_exact(&mut [0; 1000]).unwrap();
        assert!(remote.sent > 0, "the line is longer than the kernel's buffer");
        drop(first);
        remote.flush(now);
        assert!(remote.stream.is_none());
        remote.flush(now + RETRY);
        let mut second = BufReader::new(listener.accept().unwrap().0);
        second.get_ref().set_nonblocking(true).unwrap();
        let mut got = Vec::new();
        while !remote.queue.is_empty() || !got.ends_with(b"\n") {
            remote.flush(now);
            if let Err(error) = second.read_to_end(&mut got) {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
            }
        }
        let lines: Vec<&[u8]> = got.split_inclusive(|&byte| byte == b'\n').collect();
        assert_eq!(lines, [Record::of(&event(&long), 0).line(), Record::of(&event("after"), 0).line()]);
    }

    #[test]
    fn what_does_not_fit_is_counted_in_the_next_line_that_does() {
        let dir = tempfile::tempdir().unwrap();
        let mut remote = Remote::new(&dir.path().join("s"));
        let long = "x".repeat(300_000);
        for _ in 0..5 {
            remote.push(&event(&long));
        }
        assert_eq!((remote.queue.len(), remote.lost), (3, 2));
        remote.push(&event("short"));
        let last = String::from_utf8(remote.queue.back().unwrap().clone()).unwrap();
        assert!(last.contains("\"lost\":2"), "{last}");
        assert_eq!(remote.lost, 0);
    }
}
