//! Clients: who is connected, what each has under way, and whose turn it is.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::manager::connection::{Connection, Incoming};
use crate::manager::pending::Job;
use crate::manager::protocol::{Answer, Code, Refusal};
use crate::manager::supervisor::Manager;
use crate::sys::fd::is_reserved;
use crate::sys::socket::peer_pid;
use crate::sys::wait::{Interest, wait};

/// Clients at once; one more is told so.
const MOST_CLIENTS: usize = 256;

/// Requests of one client that are carried out in one turn, so that one who writes thousands does not keep the others
/// waiting.
const PER_TURN: usize = 64;

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(super) connection: Connection,
    /// Who it is, for those who ask why.
    pub(super) label: String,
    pub(super) job: Option<Job>,
    /// No other client has or had this number.
    pub(super) number: u64,
}

impl Client {
    pub(super) fn new(stream: UnixStream, label: String) -> std::io::Result<Self> {
        static CLIENTS: AtomicU64 = AtomicU64::new(0);
        let number = CLIENTS.fetch_add(1, Ordering::Relaxed);
        Ok(Self { connection: Connection::new(stream)?, label, job: None, number })
    }

    /// A client from the control socket; None if it had to be turned away.
    pub(super) fn of_peer(stream: UnixStream, present: usize) -> Option<Self> {
        let label = peer_pid(&stream).map_or_else(|| "a client".to_owned(), |pid| format!("a client, pid {pid}"));
        let mut client = Self::new(stream, label).ok()?;
        let message = if present >= MOST_CLIENTS {
            format!("{MOST_CLIENTS} clients are connected; try again later")
        } else if is_reserved(client.connection.as_fd()) {
            "the manager may not open more files; end a client or a process, or raise its limit ('ulimit -n')"
                .to_owned()
        } else {
            return Some(client);
        };
        client.connection.send(Answer::Error(Refusal::new(Code::Failed, message)));
        client.connection.send(Answer::End { exit: Code::Failed.exit(), id: None });
        None
    }

    pub(super) fn watch<'a>(&'a self, mut each: impl FnMut(BorrowedFd<'a>, Interest)) {
        let interest = match (self.connection.wants_read(), self.connection.wants_write()) {
            (true, true) => Interest::Both,
            (true, false) => Interest::Read,
            (false, true) => Interest::Write,
            (false, false) => Interest::HangUp,
        };
        each(self.connection.as_fd(), interest);
    }

    pub(super) fn hear(&mut self) {
        self.connection.receive();
        self.connection.flush();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.job.as_ref().and_then(Job::deadline)
    }

    /// Sends what is left to be sent, until `end` at most.
    pub(super) fn send_rest(&mut self, end: Instant) {
        while self.connection.wants_write() {
            let ready = wait([(self.connection.as_fd(), Interest::Write)], Some(end));
            if !ready.is_ok_and(|[client]| client.ready) {
                return;
            }
            self.connection.flush();
        }
    }

    pub(super) fn stays(&mut self) -> bool {
        self.connection.flush();
        !self.connection.is_closed()
    }
}

impl Manager {
    /// Carries on what is under way, and begins what was asked for.
    pub(super) fn serve_clients(&mut self) {
        for at in 0..self.clients.len() {
            for _ in 0..PER_TURN {
                if !self.serve(at) {
                    break;
                }
            }
            // More may have been read than was served, and poll(2) will not say so again.
            self.busy |= self.serve(at);
        }
    }

    /// One step for one client; false if it has to wait for something.
    fn serve(&mut self, at: usize) -> bool {
        if let Some(job) = self.clients[at].job.take() {
            let interrupted = self.clients[at].connection.peek_interrupt();
            let unfinished = if interrupted { self.interrupt(at, job) } else { self.carry_on(at, job) };
            self.clients[at].job = unfinished;
            return self.clients[at].job.is_none();
        }
        match self.clients[at].connection.next() {
            None => false,
            Some(Incoming::Interrupt) => true,
            Some(Incoming::Refused(refusal)) => {
                self.finish(at, Some(refusal), None);
                true
            }
            Some(Incoming::Request(request)) => {
                self.clients[at].job = self.begin(at, request);
                true
            }
        }
    }

    fn interrupt(&mut self, at: usize, job: Job) -> Option<Job> {
        let refusal = Refusal::new(Code::Interrupted, "interrupted");
        self.finish(at, Some(refusal), job.id);
        None
    }

    /// Ends an answer with a refusal, or well.
    pub(super) fn finish(&mut self, at: usize, refusal: Option<Refusal>, id: Option<serde_json::Value>) {
        let exit = refusal.as_ref().map_or(0, |refusal| refusal.code.exit());
        if let Some(refusal) = refusal {
            self.clients[at].connection.send(Answer::Error(refusal));
        }
        self.clients[at].connection.send(Answer::End { exit, id });
    }
}
