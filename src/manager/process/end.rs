//! What follows when a process ended: its final state, or another run by its restart policy.

use std::time::{Duration, Instant};

use super::stop::signal_name;
use super::{End, Process};
use crate::manager::context::Context;
use crate::manager::countdown::Countdown;
use crate::manager::policy::{Decision, Run};
use crate::manager::protocol::{Level, Status};
use crate::manager::spec::duration_text;
use crate::sys::clock;

impl Process {
    /// The leader was reaped. During an end that was asked for, the rest of the tree decides what follows.
    pub(super) fn leader_ended(&mut self, cx: &mut Context<'_>) {
        self.drain_pipes(cx);
        if *self.status() != Status::Stopping {
            self.held = false;
            self.pause = None;
            let ok = matches!(self.end(), Some(End::Exited(code)) if self.spec.ok_codes.contains(&code));
            self.follow_policy(cx, ok, "");
        }
    }

    fn end(&self) -> Option<End> {
        self.run.as_ref().and_then(|run| run.end)
    }

    /// Starts it again if its policy says so; otherwise this was its last run.
    pub(super) fn follow_policy(&mut self, cx: &mut Context<'_>, ok: bool, because: &str) {
        let how = format!("{}{because}", self.end_text());
        let lasted =
            self.run.as_ref().map_or_else(Default::default, |run| cx.now.saturating_duration_since(run.started));
        let run = Run { ok, lasted, ended: cx.now };
        let (policy, backoff) = (self.spec.restart, self.spec.backoff);
        if cx.ending {
            return self.conclude(cx, &how);
        }
        match self.restarts.decide(policy, backoff, run, jitter()) {
            Decision::Rest => self.conclude(cx, &how),
            Decision::GiveUp(limit) => {
                let reason = format!("{how} after {limit}");
                self.turn_to(
                    cx,
                    Status::Failed { reason },
                    Level::Error,
                    "failed",
                    &format!("{how}; limit of restarts"),
                );
            }
            Decision::Again(delay) => {
                self.backoff = Some(Countdown::new(delay, cx.now));
                let policy = self.spec.restart.text();
                let cause = format!("{how}; restart in {} by {policy}", duration_text(rounded(delay)));
                self.turn_to(cx, Status::Backoff, Level::Warning, "ended", &cause);
            }
        }
    }

    /// It has ended for good.
    pub(super) fn conclude(&mut self, cx: &mut Context<'_>, cause: &str) {
        let (status, event) = match self.end() {
            Some(End::Exited(code)) => (Status::Exited { code }, "exited"),
            Some(End::Killed(signal)) => (Status::Killed { signal: signal_name(signal) }, "killed"),
            Some(End::Unknown) | None => (Status::Gone, "ended"),
        };
        let asked_for = *self.status() == Status::Stopping;
        let well = matches!(&status, Status::Exited { code } if self.spec.ok_codes.contains(code));
        let level = if asked_for || well { Level::Info } else { Level::Warning };
        self.turn_to(cx, status, level, event, cause);
    }

    /// How the last run ended: `exited with 3`.
    pub(crate) fn end_text(&self) -> String {
        match self.end() {
            Some(End::Exited(code)) => format!("exited with {code}"),
            Some(End::Killed(signal)) => format!("ended by {}", signal_name(signal)),
            Some(End::Unknown) => "ended; its exit status went to its new parent".to_owned(),
            None => "never ran".to_owned(),
        }
    }

    /// The exit status that a shell would show for it: its own, or 128 and the signal.
    pub(crate) fn shell_status(&self) -> u8 {
        match self.end() {
            Some(End::Exited(code)) => u8::try_from(code).unwrap_or(1),
            Some(End::Killed(signal)) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
            Some(End::Unknown) | None => 1,
        }
    }

    /// When the last run ended.
    pub(super) fn ended_at(&self) -> Option<Instant> {
        self.run.as_ref().and_then(|run| run.ended)
    }
}

/// Between 0 and 1. The low digits of the clock are chance enough to keep restarts apart.
fn jitter() -> f64 {
    (clock::realtime_ns() % 1009) as f64 / 1009.0
}

fn rounded(delay: Duration) -> Duration {
    Duration::from_millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
}
