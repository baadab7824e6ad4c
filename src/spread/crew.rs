//! The workers as processes: started, at their places, and gone.

use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Error;
use crate::channel::{BUDGET_IS_SPENT, Endpoint, Geometry, Run, clean};
use crate::spread::roster::Roster;
use crate::spread::wire::{FAULT, Head, Inbox, Post, READY};
use crate::spread::{Options, Station};
use crate::sys::child::{Child, Status};
use crate::sys::fd::{self, duplicate};
use crate::sys::handle::Handle;
use crate::sys::signal::{Blocked, REQUESTS};
use crate::sys::wait::{self, Interest};

/// A worker, as the lead sees it. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Member {
    name: String,
    child: Child,
    handle: Arc<Handle>,
    post: Option<Post>,
    inbox: Inbox,
    was_killed: Arc<AtomicBool>,
}

/// How long a process that has let go of its links may take to be dead.
const LAST_BREATH: Duration = Duration::from_secs(2);

/// Starts `number` workers, which find `file` at their standard input, and waits until all have attached their links. The
/// names of the links are gone after that.
/// Those who do not answer are killed by `roster`.
pub(super) fn start(
    number: usize,
    options: &Options,
    file: Option<&OwnedFd>,
    roster: &Roster,
) -> Result<(Vec<Member>, Run), Error> {
    // What dead runs left is not ours to fail on.
    let _ = clean(false);
    let mut run = Run::new();
    let mut started = Vec::new();
    {
        let _waiting = Blocked::new(&REQUESTS).map_err(|error| Error::os("cannot block", "signals", error))?;
        let work = geometry(number, file.is_some());
        for number in 0..number {
            started.push(Started::start(number, &mut run, options, work, file, roster)?);
        }
    }
    // A socket's receiver waits for its sender, so whoever sends goes first, here as in the workers.
    let halves = started.into_iter().map(Started::attach_work).collect::<Result<Vec<_>, _>>()?;
    let mut crew = halves.into_iter().map(Half::attach_results).collect::<Result<Vec<_>, _>>()?;
    for member in &mut crew {
        member.is_ready()?;
    }
    run.release();
    run.unlink();
    Ok((crew, run))
}

/// How much a link to a worker holds. Bytes go there only where workers do not read them.
fn geometry(workers: usize, they_read: bool) -> Geometry {
    match they_read {
        true => Geometry::small(),
        // All queues of a user have 800 KiB together, and those of one count leave some to others.
        false => Geometry { message_bytes: (QUEUES / workers.max(1)).clamp(1024, 8192), ..Geometry::default() },
    }
}

/// What to do where a link cannot be made: each worker has two, and of queues all that a user has count.
fn advise(error: Error) -> Error {
    match error.has_hint(BUDGET_IS_SPENT) {
        true => error.hint(
            "the limit RLIMIT_MSGQUEUE on your bytes in queues is used up: use fewer workers, raise it with 'ulimit -q', \
             or use --backend pipe; 'ipcpipe clean' removes queues of runs that died",
        ),
        false => error,
    }
}

/// Bytes of one message of each queue, all queues together.
const QUEUES: usize = 16 << 10;

/// A process, and the lead's ends of its links.
struct Started {
    name: String,
    child: Child,
    handle: Arc<Handle>,
    was_killed: Arc<AtomicBool>,
    work: Endpoint,
    results: Endpoint,
}

impl Started {
    fn start(
        number: usize,
        run: &mut Run,
        options: &Options,
        geometry: Geometry,
        file: Option<&OwnedFd>,
        roster: &Roster,
    ) -> Result<Self, Error> {
        let work = run.link(options.backend, &format!("work-{number}"), geometry).map_err(advise)?;
        let results = run.link(options.backend, &format!("result-{number}"), Geometry::small());
        let results = results.map_err(advise)?;
        let name = format!("count-{number}");
        let station = Station {
            name: name.clone(),
            launcher: std::process::id(),
            from: work.receiver.to_text(),
            to: results.sender.to_text(),
        };
        let mut command = Command::new(&options.program);
        command.arg0(&name).args(&options.args).args(station.to_args()).stdout(Stdio::null());
        command.stdin(match file {
            None => Stdio::null(),
            Some(file) => duplicate(file, "the text for a worker")?.into(),
        });
        let child = Child::spawn(&mut command, work.receiver.fds().chain(results.sender.fds()))?;
        let handle = child
            .handle()
            .map(Arc::new)
            .map_err(|error| Error::os("cannot hold", &name, error).hint(fd::RAISE_LIMIT))?;
        let was_killed = roster.enter(handle.clone(), child.pid());
        Ok(Self { name, child, handle, was_killed, work: work.sender, results: results.receiver })
    }

    fn attach_work(self) -> Result<Half, Error> {
        let Self { name, child, handle, was_killed, work, results } = self;
        let post = work.attach_sender().map(Post);
        Ok(Half { name, child, handle, was_killed, post: post?, results })
    }
}

/// A worker whose results cannot be heard yet.
struct Half {
    name: String,
    child: Child,
    handle: Arc<Handle>,
    was_killed: Arc<AtomicBool>,
    post: Post,
    results: Endpoint,
}

impl Half {
    fn attach_results(self) -> Result<Member, Error> {
        let Self { name, child, handle, was_killed, post, results } = self;
        let inbox = Inbox::new(results.attach_receiver()?);
        Ok(Member { name, child, handle, post: Some(post), inbox, was_killed })
    }
}

impl Member {
    fn is_ready(&mut self) -> Result<(), Error> {
        self.hear(READY, &mut Vec::new()).map(|_| ())
    }

    /// Sends a message.
    pub(super) fn send(&mut self, kind: u64, place: [u64; 2], bytes: &[u8]) -> Result<(), Error> {
        let sent = self.post.as_mut().map(|post| post.send(kind, place, bytes));
        match sent {
            Some(Ok(())) => Ok(()),
            // It may have said why it goes.
            _ => Err(self.last_words()),
        }
    }

    /// Tells it that there is no more work.
    pub(super) fn dismiss(&mut self) -> Result<(), Error> {
        match self.post.take().map(|post| post.0.finish()) {
            Some(Ok(())) => Ok(()),
            _ => Err(self.last_words()),
        }
    }

    /// Waits for a message of `kind`, with its bytes in `bytes`.
    pub(super) fn hear(&mut self, kind: u64, bytes: &mut Vec<u8>) -> Result<Head, Error> {
        match self.inbox.next(bytes, || self.handle.has_ended()) {
            Ok(Some(head)) if head.kind == kind => Ok(head),
            Ok(Some(head)) if head.kind == FAULT => Err(self.fault(bytes)),
            Ok(Some(_)) => Err(self.error("it sent what was not asked for".to_owned())),
            Ok(None) => Err(self.lost("its end of the link is closed")),
            Err(error) => Err(self.lost(&error.to_string())),
        }
    }

    /// Why a worker does not listen any more.
    fn last_words(&mut self) -> Error {
        let mut bytes = Vec::new();
        match self.inbox.next(&mut bytes, || self.handle.has_ended()) {
            Ok(Some(head)) if head.kind == FAULT => self.fault(&bytes),
            _ => self.lost("it does not listen"),
        }
    }

    fn fault(&self, text: &[u8]) -> Error {
        self.error(String::from_utf8_lossy(text).into_owned())
    }

    /// The error for a worker that has died, or is of no use any more because of `why`.
    fn lost(&mut self, why: &str) -> Error {
        let _ = wait::wait([(self.handle.as_fd(), Interest::Read)], wait::deadline_in(LAST_BREATH));
        if self.was_killed.load(Ordering::Relaxed) {
            return self.error("it did not answer when it was to stop, and was killed".to_owned());
        }
        match self.child.try_reap().map(|ended| ended.status) {
            Some(status @ (Status::Killed(_) | Status::Exited(_))) => self.error(format!("it died: {status}")),
            // Where somebody else reaps, as the manager of a prompt does, nobody knows how.
            Some(Status::Lost) => self.error("it died".to_owned()),
            None => self.error(why.to_owned()),
        }
    }

    fn error(&self, why: String) -> Error {
        Error::refused("cannot count with worker", format!("{} (pid {})", self.name, self.child.pid()), why)
    }

    /// Waits for the end of a worker that has nothing left to do.
    pub(super) fn end(self) {
        // Whoever is still there after this is killed: the drop reaps in any case.
        let _ = wait::wait([(self.handle.as_fd(), Interest::Read)], wait::deadline_in(LAST_BREATH));
    }
}
