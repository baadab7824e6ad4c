//! Whether a process is ready: asked again and again, or told.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Process;
use crate::Error;
use crate::manager::context::Context;
use crate::manager::protocol::{Level, Status};
use crate::manager::ready::{NotifySocket, TcpProbe};
use crate::manager::spec::{ProcessSpec, Ready};
use crate::sys::child::{Child, Status as ChildStatus};
use crate::sys::signal::KILL;

/// Time from one question to the next.
const PERIOD: Duration = Duration::from_millis(100);

/// A question that is not answered by then is asked again.
const LONGEST_ANSWER: Duration = Duration::from_secs(5);

/// A process's way to show that it is ready.
pub(super) struct Probe {
    way: Way,
    look_at: Option<Instant>,
}

enum Way {
    /// The output watches for the text by itself.
    Log,
    Notify(NotifySocket),
    Tcp(SocketAddr, Option<TcpProbe>),
    Exec(String, Option<Child>),
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("look_at", &self.look_at).finish_non_exhaustive()
    }
}

/// What a probe found out in one step.
#[derive(Debug, Default)]
struct Findings {
    ready: bool,
    says: Option<String>,
}

impl Probe {
    pub(super) fn new(ready: &Ready, cx: &Context<'_>, id: u64) -> Result<Self, Error> {
        let way = match ready {
            Ready::Log(_) => Way::Log,
            Ready::Notify => {
                Way::Notify(NotifySocket::bind(&cx.setup.directory.join(format!("notify.{}.{id}", cx.setup.tag)))?)
            }
            Ready::Tcp(address) => Way::Tcp(*address, None),
            Ready::Exec(command) => Way::Exec(command.clone(), None),
        };
        let asks = matches!(way, Way::Tcp(..) | Way::Exec(..));
        Ok(Self { way, look_at: asks.then_some(cx.now) })
    }

    /// The path for NOTIFY_SOCKET.
    pub(super) fn notify_path(&self) -> Option<&Path> {
        match &self.way {
            Way::Notify(socket) => Some(socket.path()),
            _ => None,
        }
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.way {
            Way::Notify(socket) => Some(socket.as_fd()),
            Way::Exec(_, Some(child)) => Some(child.as_fd()),
            _ => None,
        }
    }

    pub(super) fn next_look(&self) -> Option<Instant> {
        self.look_at
    }

    fn step(&mut self, cx: &mut Context<'_>, spec: &ProcessSpec, told: bool) -> Findings {
        let due = self.look_at.is_some_and(|at| at <= cx.now);
        match &mut self.way {
            Way::Notify(socket) if told => {
                let mut findings = Findings::default();
                for message in socket.receive() {
                    findings.ready |= message.ready;
                    findings.says = message.status.or(findings.says);
                }
                findings
            }
            Way::Tcp(address, attempt) if due => {
                let answer = attempt.as_mut().and_then(TcpProbe::finish);
                if attempt.is_none() || answer == Some(false) {
                    *attempt = TcpProbe::start(*address).ok();
                }
                self.look_at = Some(cx.now + PERIOD);
                Findings { ready: answer == Some(true), says: None }
            }
            Way::Exec(command, child) if due || told => {
                let (ready, look_at) = ask(cx, spec, command, child);
                self.look_at = Some(look_at);
                Findings { ready, says: None }
            }
            _ => Findings::default(),
        }
    }

    /// Takes back what a probe that is no longer needed has running.
    fn dismiss(&mut self, cx: &mut Context<'_>) {
        if let Way::Exec(_, child) = &mut self.way
            && let Some(child) = child.take()
        {
            child.signal_group(KILL);
            cx.leaders.remove(&child.pid());
        }
    }
}

/// Starts the command if it does not run, or looks how it ended: (ready, when to look again).
fn ask(cx: &mut Context<'_>, spec: &ProcessSpec, command: &str, slot: &mut Option<Child>) -> (bool, Instant) {
    let Some(child) = slot else {
        *slot = spawn(spec, command).ok();
        cx.leaders.extend(slot.as_ref().map(Child::pid));
        return (false, cx.now + LONGEST_ANSWER);
    };
    let Some(ended) = child.try_reap() else {
        child.signal_group(KILL);
        return (false, cx.now + PERIOD);
    };
    cx.leaders.remove(&child.pid());
    *slot = None;
    (ended.status == ChildStatus::Exited(0), cx.now + PERIOD)
}

fn spawn(spec: &ProcessSpec, command: &str) -> Result<Child, Error> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).envs(spec.env.iter().map(|(key, value)| (key, value)));
    if let Some(cwd) = &spec.cwd {
        shell.current_dir(cwd);
    }
    shell.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Child::spawn(&mut shell, [])
}

impl Process {
    /// Notes that it has become ready, if it has.
    pub(super) fn step_probe(&mut self, cx: &mut Context<'_>, told: bool) {
        let seen = self.output.has_seen();
        let Some(run) = &mut self.run else { return };
        let Some(probe) = &mut run.probe else { return };
        let findings = probe.step(cx, &self.spec, told);
        let by_text = seen && matches!(probe.way, Way::Log);
        let ready = !run.ready && run.leader.is_some() && (findings.ready || by_text);
        if findings.says.is_some() {
            self.says = findings.says;
        }
        if !ready {
            return;
        }
        run.ready = true;
        // A service may go on to tell its status, so its socket stays.
        if !matches!(probe.way, Way::Notify(_)) {
            run.probe = None;
        }
        if *self.status() == Status::Starting {
            let how = self.spec.ready.as_ref().map_or_else(String::new, Ready::text);
            self.turn_to(cx, Status::Running, Level::Info, "ready", &format!("it is ready by {how}"));
        }
    }

    /// Ends what the probe has running.
    pub(super) fn dismiss_probe(&mut self, cx: &mut Context<'_>) {
        if let Some(mut probe) = self.run.as_mut().and_then(|run| run.probe.take()) {
            probe.dismiss(cx);
        }
    }
}
