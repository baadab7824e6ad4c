//! The worker's side: jobs come, are run one after the other, and their results go back.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::mp::glance::Glance;
use crate::mp::pool::protocol::{self, Kind};
use crate::mp::process::catch;
use crate::mp::socket::Socket;
use crate::mp::task::{self, Entry};
use crate::mp::wire::{self, Handle, Message};
use crate::mp::{Error, Result};
use crate::sys::shared::Region;

/// Results wait about this long for company, which is some times what it costs to send them and to wake who waits.
const PATIENCE: Duration = Duration::from_micros(250);
/// To look at the clock costs as much as a short job: of jobs shorter than this, so many see one look.
const SHORT: Duration = Duration::from_micros(1);
const STRIDE: u32 = 16;
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
    let mut desk = Desk::new(&mut socket, &notes);
    let mut glance = Glance::default();
    loop {
        let next = glance.at(|| desk.socket.try_receive().transpose());
        match next.unwrap_or_else(|| desk.socket.receive()) {
            Ok(jobs) => desk.work(entry, jobs).map_err(text)?,
            // The pool has nothing more to do, or is gone.
            Err(_) => return Ok(()),
        }
    }
}

struct Desk<'a> {
    socket: &'a mut Socket,
    notes: &'a Region,
    begun: u64,
    results: Vec<u8>,
    /// When the work began whose time was not reported yet.
    began: Instant,
    sent: Instant,
    /// When the clock was looked at, for how many jobs that is to do, and how many of them are left.
    looked: Instant,
    stride: u32,
    left: u32,
}

impl<'a> Desk<'a> {
    fn new(socket: &'a mut Socket, notes: &'a Region) -> Self {
        let now = Instant::now();
        Self { socket, notes, begun: 0, results: Vec::new(), began: now, sent: now, looked: now, stride: 1, left: 1 }
    }

    fn work(&mut self, entry: &Entry, jobs: Message) -> Result<()> {
        self.began = Instant::now();
        (self.sent, self.looked) = (self.began, self.began);
        let Message { bytes, mut fds } = jobs;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let args = protocol::take_job(&mut rest)?;
            // A job with descriptors comes alone.
            self.run(entry, args, std::mem::take(&mut fds))?;
        }
        self.send(Vec::new())
    }

    fn run(&mut self, entry: &Entry, args: &[u8], fds: Vec<OwnedFd>) -> Result<()> {
        // Only this process writes it.
        self.begun += 1;
        self.notes.atomic_u64(BEGUN).store(self.begun, Ordering::Release);
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
        if self.results.len() >= ENOUGH || self.has_waited() {
            return self.send(Vec::new());
        }
        Ok(())
    }

    /// True when the results should wait no longer.
    fn has_waited(&mut self) -> bool {
        self.left -= 1;
        if self.left > 0 {
            return false;
        }
        let now = Instant::now();
        self.stride = if now - self.looked < SHORT * self.stride { STRIDE } else { 1 };
        (self.looked, self.left) = (now, self.stride);
        now - self.sent >= PATIENCE
    }

    fn send(&mut self, fds: Vec<OwnedFd>) -> Result<()> {
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
fn call(entry: &Entry, args: &[u8], fds: Vec<OwnedFd>, results: &mut Vec<u8>, start: usize) -> (Kind, Vec<OwnedFd>) {
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
