//! Starting a process, and taking over one that runs already.

use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Leader, Process, Run};
use crate::Error;
use crate::manager::command::Kind;
use crate::manager::context::{Context, Subject};
use crate::manager::countdown::Countdown;
use crate::manager::journal::Record;
use crate::manager::policy::Restarts;
use crate::manager::process::probe::Probe;
use crate::manager::protocol::{Code, Level, Refusal, Status, Stream};
use crate::manager::rotate::RotatedFile;
use crate::manager::spec::{ProcessSpec, Program, Ready, duration_text};
use crate::manager::tree::Root;
use crate::sys::child::Child;
use crate::sys::handle::Handle;
use crate::sys::{clock, fd, proc, signal};

/// The variable that all processes of a tree inherit, so that one that has left everything else is still known.
const COOKIE: &str = "IPCPIPE_PROCESS";

/// Descriptors that are open at most at one time of a start: the socket of a probe, the guard's pipe and pidfd, and for the
/// spawning /dev/null and both ends of three pipes, whose numbers the pidfds of the child get afterwards.
const OPENED: usize = 10;

impl Process {
    /// Starts it for the first time.
    ///
    /// # Errors
    /// Why it could not be started; then nothing of it exists.
    pub(crate) fn start(&mut self, cx: &mut Context<'_>, cause: &str) -> Result<(), Error> {
        if let (None, Some(path)) = (&self.log_file, &self.spec.log_file) {
            self.log_file = Some(RotatedFile::open(path)?);
        }
        self.launch(cx)?;
        self.announce(cx, cause);
        Ok(())
    }

    /// Starts it when everything that it comes after has happened.
    pub(crate) fn start_in_turn(&mut self, cx: &mut Context<'_>) {
        self.restart(cx, "what it comes after has happened");
    }

    /// It never starts, because what it comes after cannot happen any more.
    pub(crate) fn give_up(&mut self, cx: &mut Context<'_>, reason: &str) {
        let status = Status::Failed { reason: reason.to_owned() };
        self.turn_to(cx, status, Level::Error, "failed", "what it comes after did not happen");
    }

    /// Sends one signal to its process group, because `asker` wants it.
    ///
    /// # Errors
    /// A refusal if nobody was there to get it.
    pub(crate) fn signal(&mut self, cx: &mut Context<'_>, number: i32, asker: &str) -> Result<(), Refusal> {
        let name = self.name().to_owned();
        let reached = self.run.as_ref().and_then(|run| run.handle.as_ref()).is_some_and(|it| it.signal_group(number));
        if !reached {
            return Err(Refusal::new(Code::NotRunning, format!("{name} has no process now")).about(name));
        }
        let subject = Subject { kind: Kind::Process, name: &name, pid: self.pid() };
        cx.tell(Level::Info, "signalled", subject, &format!("{} by {asker}", signal::name(number)));
        Ok(())
    }

    /// Starts it again. If that fails it stays down, for a program that is gone does not come back by itself.
    pub(super) fn restart(&mut self, cx: &mut Context<'_>, cause: &str) {
        if let Err(error) = self.start(cx, cause) {
            let reason = error.to_string();
            self.turn_to(cx, Status::Failed { reason }, Level::Error, "failed", "it cannot be started");
        }
    }

    fn launch(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        let cookie = format!("{COOKIE}={}.{}", cx.setup.tag, self.id);
        fd::room_for(OPENED)
            .map_err(|error| Error::os("cannot start", &self.spec.name, error).hint(fd::RAISE_LIMIT))?;
        let probe = self.spec.ready.as_ref().map(|ready| Probe::new(ready, cx, self.id)).transpose()?;
        check(&self.spec)?;
        let mut command = command(&self.spec, &cx.setup.job, &cookie);
        if let Some(path) = probe.as_ref().and_then(Probe::notify_path) {
            command.env("NOTIFY_SOCKET", path);
        }
        self.foretell(cx, &cookie)?;
        let mut child = Child::spawn(&mut command, []).map_err(|error| refused(&self.spec, error))?;
        let pid = child.pid();
        let pipes = pipes(&mut child);
        let handle = child.handle().map_err(|error| Error::os("cannot hold", pid, error))?;
        // Its child is unreaped, so the kernel knows it however short its life was.
        let start_ticks = proc::stat(pid).map_or(0, |stat| stat.start_ticks);
        cx.leaders.insert(pid);
        let root = Root { pid, start_ticks, cookie };
        if self.spec.daemon {
            cx.guardian.hold(&root);
        }
        if let Some(Ready::Log(text)) = &self.spec.ready {
            self.output.watch_for(text.as_str());
        }
        let ready = probe.is_none();
        let timeout = self.spec.timeout.map(|timeout| Countdown::new(timeout, cx.now));
        self.run = Some(Run {
            root,
            is_adopted: false,
            handle: Some(handle),
            leader: Some(Leader::Child(child)),
            pipes,
            started: cx.now,
            started_ns: clock::realtime_ns(),
            ended: None,
            end: None,
            ready,
            probe,
            timeout,
        });
        Ok(())
    }

    /// Tells those who act when the manager is killed of a tree that is about to be: it may be killed before the tree has a
    /// pid that it knows.
    fn foretell(&self, cx: &mut Context<'_>, cookie: &str) -> Result<(), Error> {
        if self.spec.daemon {
            return cx.guardian.expect(cookie);
        }
        if let Some(journal) = cx.journal {
            let root = Root { pid: 0, start_ticks: 0, cookie: cookie.to_owned() };
            journal.announce(&self.record_of(&root, clock::realtime_ns(), self.spec.timeout));
        }
        Ok(())
    }

    fn announce(&mut self, cx: &mut Context<'_>, cause: &str) {
        self.held = false;
        self.pause = None;
        let status = if self.was_ready() { Status::Running } else { Status::Starting };
        self.turn_to(cx, status, Level::Info, "started", cause);
    }

    /// A process that a dead manager left, if it still runs; otherwise one that is listed as gone.
    pub(crate) fn adopt(cx: &mut Context<'_>, id: u64, spec: ProcessSpec, record: &Record) -> Self {
        let mut process = Self::new(id, spec, "an earlier manager");
        process.restarts = Restarts::with_total(record.restarts);
        let root = record.root();
        let Some(handle) = Handle::open(root.pid, root.start_ticks) else {
            let cause = match root.pid {
                0 => "it was about to be started when its manager was killed".to_owned(),
                pid => format!("pid {pid} had ended when this manager took over"),
            };
            process.turn_to(cx, Status::Gone, Level::Warning, "gone", &cause);
            return process;
        };
        let pipes = [(Stream::Stdout, 1), (Stream::Stderr, 2)];
        let pipes =
            pipes.into_iter().filter_map(|(stream, raw)| Some((stream, File::from(fd::tap(root.pid, raw)?)))).collect();
        if process.spec.daemon {
            cx.guardian.hold(&root);
        }
        process.run = Some(Run {
            root,
            is_adopted: true,
            handle: Some(handle),
            leader: Some(Leader::Adopted),
            pipes,
            started: started(cx.now, record.started_ns),
            started_ns: record.started_ns,
            ended: None,
            end: None,
            ready: true,
            probe: None,
            timeout: record.timeout_left.map(|left| Countdown::new(left, cx.now)),
        });
        let pid = process.pid().unwrap_or_default();
        let cause = format!("taken over from an earlier manager, which had started pid {pid}");
        process.turn_to(cx, Status::Running, Level::Info, "adopted", &cause);
        if record.paused {
            process.begin_pause(cx, "it was paused when it was taken over");
        }
        process
    }

    /// What a later manager needs to find this process; None while it has none.
    pub(crate) fn record(&self, now: Instant) -> Option<Record> {
        let run = self.run.as_ref().filter(|run| run.leader.is_some())?;
        Some(self.record_of(&run.root, run.started_ns, run.timeout.map(|timeout| timeout.left(now))))
    }

    fn record_of(&self, root: &Root, started_ns: u64, timeout_left: Option<Duration>) -> Record {
        Record {
            words: self.spec.words().iter().map(|word| word.as_os_str().into()).collect(),
            pid: root.pid,
            start_ticks: root.start_ticks,
            started_ns,
            cookie: root.cookie.clone(),
            restarts: self.restarts.total(),
            paused: self.held && root.pid != 0,
            timeout_left,
        }
    }
}

/// The instant of a date in the past, as far back as the clock goes.
fn started(now: Instant, started_ns: u64) -> Instant {
    let ago = Duration::from_nanos(clock::realtime_ns().saturating_sub(started_ns));
    now.checked_sub(ago).unwrap_or(now)
}

fn command(spec: &ProcessSpec, job: &[OsString], cookie: &str) -> Command {
    let mut words: Vec<OsString> = match &spec.program {
        Program::Command(words) => words.clone(),
        Program::Tick { every } => {
            let own = [format!("--name={}", spec.name), format!("--every={}", duration_text(*every))];
            let own = own.map(OsString::from);
            job.iter().cloned().chain(own).collect()
        }
    };
    let mut command = Command::new(words.remove(0));
    command.args(words).envs(spec.env.iter().map(|(key, value)| (key, value)));
    if let Some((key, value)) = cookie.split_once('=') {
        command.env(key, value);
    }
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    // A group of its own makes one signal reach all of it; no stdin, for nobody is there to type.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("NOTIFY_SOCKET");
    command
}

/// The kernel reports a missing directory exactly like a missing program, so it is looked at first.
fn check(spec: &ProcessSpec) -> Result<(), Error> {
    if spec.program.words().is_empty() {
        return Err(Error::refused("cannot start", &spec.name, "its command has no words"));
    }
    match &spec.cwd {
        Some(cwd) => match cwd.metadata() {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => Err(Error::refused("cannot work in", cwd.display(), "it is no directory")),
            Err(error) => Err(Error::os("cannot work in", cwd.display(), error)),
        },
        None => Ok(()),
    }
}

/// The reason without a verb, as shells give it: `./server: No such file or directory`.
fn refused(spec: &ProcessSpec, error: Error) -> Error {
    let errno = error.raw_os_error().map(std::io::Error::from_raw_os_error);
    match errno.filter(|errno| matches!(errno.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied)) {
        Some(errno) => {
            let program = spec.program.words().first().map(|word| word.to_string_lossy().into_owned());
            Error::os(program.unwrap_or_default(), "", errno)
        }
        None => error,
    }
}

fn pipes(child: &mut Child) -> Vec<(Stream, File)> {
    let (stdout, stderr) = child.take_output();
    let tagged = [(Stream::Stdout, stdout), (Stream::Stderr, stderr)];
    let open = tagged.into_iter().filter_map(|(stream, pipe)| Some((stream, File::from(pipe?))));
    // Fails only on a descriptor that is not open.
    open.inspect(|(_, pipe)| drop(fd::set_nonblocking(pipe, true))).collect()
}
