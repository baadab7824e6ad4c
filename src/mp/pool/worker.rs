//! The worker's side: jobs come, are run one after the other, and their results go back.

use std::time::{Duration, Instant};

use crate::mp::pool::protocol::{self, Kind};
use crate::mp::process::catch;
use crate::mp::socket::Socket;
use crate::mp::task::{self, Entry};
use crate::mp::wire::{self, Handle, Message};
use crate::mp::{Error, Result};
use crate::sys::shared::Region;

/// Results wait no longer than this for company. It is about what it costs to send them.
const PATIENCE: Duration = Duration::from_micros(20);
/// So many bytes of results go at once.
const ENOUGH: usize = 32 << 10;

/// Where in the region of a worker the number of jobs stands that it has begun.
pub(super) const BEGUN: usize = 0;
/// The size of that region.
pub(super) const NOTES: usize = 8;

/// Runs the jobs that come over `socket`, with the task of that name, until the pool closes it. `first` is the name of a
/// task, with its arguments, that is run before.
pub(super) fn serve(
    job: String,
    first: Option<(String, Vec<u8>)>,
    socket: Handle,
    notes: Handle,
) -> Result<(), String> {
    let text = |error: Error| error.to_string();
    let mut socket = Socket::from_fd(socket.into_fd().map_err(text)?);
    let notes = Region::open(notes.into_fd().map_err(text)?, NOTES).map_err(|error| error.to_string())?;
    let find = |name: &str| task::find(name).ok_or_else(|| format!("no task {name} in this program"));
    if let Some((name, args)) = first {
        find(&name)?.run(&args, &mut Vec::new()).map_err(text)?;
    }
    let entry = find(&job)?;
    let mut desk =
        Desk { socket: &mut socket, notes: &notes, results: Vec::new(), began: Instant::now(), sent: Instant::now() };
    loop {
        match desk.socket.receive() {
            Ok(jobs) => desk.work(entry, jobs).map_err(text)?,
            // The pool has nothing more to do, or is gone.
            Err(_) => return Ok(()),
        }
    }
}

struct Desk<'a> {
    socket: &'a mut Socket,
    notes: &'a Region,
    results: Vec<u8>,
    /// When the work began whose time was not reported yet.
    began: Instant,
    sent: Instant,
}

impl Desk<'_> {
    fn work(&mut self, entry: &Entry, jobs: Message) -> Result<()> {
        self.began = Instant::now();
        self.sent = self.began;
        let Message { bytes, mut fds } = jobs;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let args = protocol::take_job(&mut rest)?;
            // A job with descriptors comes alone.
            self.run(entry, args, std::mem::take(&mut fds))?;
        }
        self.send(Vec::new())
    }

    fn run(&mut self, entry: &Entry, args: &[u8], fds: Vec<std::os::fd::OwnedFd>) -> Result<()> {
        self.notes.atomic_u64(BEGUN).fetch_add(1, std::sync::atomic::Ordering::Release);
        if self.results.is_empty() {
            self.results.extend_from_slice(&[0; 8]);
        }
        let mut out = Vec::new();
        protocol::put_result(&mut self.results, |results| {
            let start = results.len();
            let (kind, fds) = call(entry, args, fds, results, start);
            out = fds;
            kind
        });
        if !out.is_empty() {
            return self.send(out);
        }
        // What is done is told before the next job, which may be the one that kills this process.
        if self.results.len() >= ENOUGH || self.sent.elapsed() >= PATIENCE {
            return self.send(Vec::new());
        }
        Ok(())
    }

    fn send(&mut self, fds: Vec<std::os::fd::OwnedFd>) -> Result<()> {
        if self.results.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        let busy = (now - self.began).as_nanos() as u64;
        self.results[..8].copy_from_slice(&busy.to_le_bytes());
        let bytes = std::mem::take(&mut self.results);
        let message = Message { bytes, fds };
        self.socket.send(&message)?;
        self.results = message.bytes;
        self.results.clear();
        (self.began, self.sent) = (now, Instant::now());
        Ok(())
    }
}

/// Runs one job, and appends what came of it, in place of anything that a panic left half written.
fn call(
    entry: &Entry,
    args: &[u8],
    fds: Vec<std::os::fd::OwnedFd>,
    results: &mut Vec<u8>,
    start: usize,
) -> (Kind, Vec<std::os::fd::OwnedFd>) {
    let outcome = catch(|| wire::exchange(fds, || entry.run(args, results)));
    let (kind, fds) = match outcome {
        Ok(Ok(fds)) => return (Kind::Returned, fds),
        Ok(Err(error)) => {
            results.truncate(start);
            results.extend_from_slice(error.to_string().as_bytes());
            (Kind::Failed, Vec::new())
        }
        Err(panic) => {
            results.truncate(start);
            let encoded = wire::encode(&panic, results);
            debug_assert!(encoded.is_ok(), "text can be encoded");
            (Kind::Panicked, Vec::new())
        }
    };
    (kind, fds)
}
