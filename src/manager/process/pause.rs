//! Pausing a process tree, and proving that every process of it is stopped.

use std::time::{Duration, Instant};

use super::Process;
use crate::manager::context::Context;
use crate::manager::protocol::{Level, Status};
use crate::manager::tree::signal_outside;
use crate::sys::proc::Stat;
use crate::sys::signal::{CONT, STOP};

const FIRST_LOOK: Duration = Duration::from_micros(200);
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// The number of no process group.
const NO_GROUP: u32 = 0;

/// A pause that is under way.
#[derive(Debug)]
pub(super) struct Pause {
    look_at: Instant,
    wait: Duration,
    cause: String,
}

/// Stopped children that keep their parents from it: after vfork(2) a parent sleeps, deaf to signals, until its child has
/// come to its exec. Such a child has to go on for that moment; then the stop that waits for the parent takes it.
fn vforked(members: &[Stat]) -> Vec<Stat> {
    let sleeps = |pid: u32| members.iter().any(|member| member.pid == pid && member.state == 'D');
    members.iter().filter(|member| member.is_stopped() && sleeps(member.parent)).cloned().collect()
}

impl Pause {
    pub(super) fn next_look(&self) -> Instant {
        self.look_at
    }
}

impl Process {
    /// Tells it to pause; [`Status::Paused`] says when that is true. Nothing happens to one that is paused already.
    pub(crate) fn begin_pause(&mut self, cx: &mut Context<'_>, cause: &str) {
        if self.held || !self.is_live() || self.is_stopping() {
            return;
        }
        self.held = true;
        self.each_timer(|timer| timer.pause(cx.now));
        if self.live_pid().is_none() {
            return self.turn_to(cx, Status::Paused, Level::Info, "paused", &format!("{cause}; it has no process now"));
        }
        self.signal_all(&[], STOP);
        self.turn_to(cx, Status::Pausing, Level::Info, "pausing", cause);
        self.pause = Some(Pause { look_at: cx.now, wait: FIRST_LOOK, cause: cause.to_owned() });
        self.step_pause(cx);
    }

    /// Looks whether everything is stopped, and stops what is not: a process may fork until it is.
    pub(super) fn step_pause(&mut self, cx: &mut Context<'_>) {
        let Some(mut pause) = self.pause.take_if(|pause| pause.look_at <= cx.now) else { return };
        let members = self.proven_members(cx.leaders);
        let group = self.pid().unwrap_or_default();
        if !members.is_empty() && members.iter().all(|member| member.is_stopped()) {
            let n = members.len();
            let count = if n == 1 { "its only process is".to_owned() } else { format!("all of its {n} processes are") };
            let cause = format!("{}; {count} stopped", pause.cause);
            return self.turn_to(cx, Status::Paused, Level::Info, "paused", &cause);
        }
        let children = vforked(&members);
        if children.is_empty() {
            if members.iter().any(|member| member.group == group && !member.is_stopped()) {
                self.signal_all(&[], STOP);
            }
            let running: Vec<_> = members.into_iter().filter(|member| !member.is_stopped()).collect();
            signal_outside(&running, group, STOP);
        } else {
            signal_outside(&children, NO_GROUP, CONT);
        }
        pause.look_at = cx.now + pause.wait;
        pause.wait = (pause.wait * 2).min(LONGEST_LOOK);
        self.pause = Some(pause);
    }

    /// Lets it go on.
    pub(crate) fn resume(&mut self, cx: &mut Context<'_>, cause: &str) {
        if !std::mem::take(&mut self.held) {
            return;
        }
        self.pause = None;
        self.each_timer(|timer| timer.resume(cx.now));
        let members = self.members(cx.leaders);
        self.signal_all(&members, CONT);
        let status = match (self.live_pid(), &self.backoff) {
            (Some(_), _) if self.was_ready() => Status::Running,
            (Some(_), _) => Status::Starting,
            (None, Some(_)) => Status::Backoff,
            (None, None) => Status::Waiting,
        };
        self.turn_to(cx, status, Level::Info, "resumed", cause);
    }

    /// True between a pause and the resume.
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    fn each_timer(&mut self, change: impl Fn(&mut crate::manager::countdown::Countdown)) {
        let timeout = self.run.as_mut().and_then(|run| run.timeout.as_mut());
        timeout.into_iter().chain(self.backoff.as_mut()).for_each(change);
    }

    /// Notes what somebody else did to it with kill(1): a list that calls a stopped process running would lie.
    pub(crate) fn observe(&mut self, cx: &mut Context<'_>) {
        let Some(pid) = self.live_pid() else { return };
        let Some(stat) = crate::sys::proc::stat(pid) else { return };
        match self.status() {
            Status::Running | Status::Starting if stat.state == 'T' => {
                self.held = true;
                self.each_timer(|timer| timer.pause(cx.now));
                self.turn_to(cx, Status::Paused, Level::Warning, "paused", "somebody else stopped it");
            }
            Status::Paused if !stat.is_stopped() && !stat.is_zombie() => {
                self.held = false;
                self.each_timer(|timer| timer.resume(cx.now));
                let status = if self.was_ready() { Status::Running } else { Status::Starting };
                self.turn_to(cx, status, Level::Warning, "resumed", "somebody else continued it");
            }
            _ => {}
        }
    }
}
