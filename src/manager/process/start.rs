//! Starting a process, and taking over one that runs already.

use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

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
        let probe = self.spec.ready.as_ref().map(|ready| Probe::new(ready, cx, self.id)).transpose()?;
        let mut command = command(&self.spec, &cx.setup.job, &cookie);
        if let Some(path) = probe.as_ref().and_then(Probe::notify_path) {
            command.env("NOTIFY_SOCKET", path);
        }
        check_directory(&self.spec)?;
        let mut child = self.spawn(cx, &mut command, &cookie)?;
        let pid = child.pid();
        let pipes = pipes(&mut child);
        let handle = child.handle().map_err(|error| Error::os("cannot hold", pid, error))?;
        // Its child is unreaped, so the kernel knows it however short its life was.
        let start_ticks = proc::stat(pid).map_or(0, |stat| stat.start_ticks);
        cx.leaders.insert(pid);
        let root = Root { pid, start_ticks, cookie };
        if self.spec.daemon {
            cx.guardian.hold(&root);
            cx.guardian.expect_nobody();
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

    /// The guard knows a daemon's cookie before there is a process that has it: a manager may be killed at any moment.
    fn spawn(&self, cx: &mut Context<'_>, command: &mut Command, cookie: &str) -> Result<Child, Error> {
        if self.spec.daemon {
            cx.guardian.expect(cookie);
        }
        let spawned = Child::spawn(command, []);
        if spawned.is_err() && self.spec.daemon {
            cx.guardian.expect_nobody();
        }
        spawned.map_err(|error| refused(&self.spec, error))
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
        let Some(handle) = Handle::open(record.pid, record.start_ticks) else {
            let cause = format!("pid {} had ended when this manager took over", record.pid);
            process.turn_to(cx, Status::Gone, Level::Warning, "gone", &cause);
            return process;
        };
        let pipes = [(Stream::Stdout, 1), (Stream::Stderr, 2)];
        let pipes = pipes
            .into_iter()
            .filter_map(|(stream, raw)| Some((stream, File::from(fd::tap(record.pid, raw)?))))
            .collect();
        let root = Root { pid: record.pid, start_ticks: record.start_ticks, cookie: record.cookie.clone() };
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
        let cause = format!("taken over from an earlier manager, which had started pid {}", record.pid);
        process.turn_to(cx, Status::Running, Level::Info, "adopted", &cause);
        if record.paused {
            process.begin_pause(cx, "it was paused when it was taken over");
        }
        process
    }

    /// What a later manager needs to find this process; None while it has none.
    pub(crate) fn record(&self, now: Instant) -> Option<Record> {
        let run = self.run.as_ref().filter(|run| run.leader.is_some())?;
        let words = self.spec.words();
        Some(Record {
            words: words.iter().map(|word| word.as_os_str().into()).collect(),
            pid: run.root.pid,
            start_ticks: run.root.start_ticks,
            started_ns: run.started_ns,
            cookie: run.root.cookie.clone(),
            restarts: self.restarts.total(),
            paused: self.held,
            timeout_left: run.timeout.map(|timeout| timeout.left(now)),
        })
    }
}

/// The instant of a date in the past, as far back as the clock goes.
fn started(now: Instant, started_ns: u64) -> Instant {
    let ago = std::time::Duration::from_nanos(clock::realtime_ns().saturating_sub(started_ns));
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
fn check_directory(spec: &ProcessSpec) -> Result<(), Error> {
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
