//! Pausing, resuming and ending a pool: each is begun at once and true when a later look has proved it.

use std::time::Duration;

use super::engine::Engine;
use super::{LOOK, Pool, Stop, driver};
use crate::manager::context::Context;
use crate::manager::protocol::{Level, Status};

impl Pool {
    /// Stops everybody who works for it.
    pub(crate) fn pause(&mut self, cx: &mut Context<'_>, asker: &str) {
        if self.is_held() {
            return;
        }
        self.asker = asker.to_owned();
        self.engine.pause(cx.now);
        self.look_at = Some(cx.now);
        self.turn_to(cx, Status::Pausing, Level::Info, "pausing", &format!("paused by {asker}"));
        self.look(cx);
    }

    /// Lets everybody go on.
    pub(crate) fn resume(&mut self, cx: &mut Context<'_>, asker: &str) {
        if !self.is_held() {
            return;
        }
        self.engine.resume(cx.now);
        self.look_at = None;
        let status = if cx.ending { Status::Closing } else { Status::Running };
        self.turn_to(cx, status, Level::Info, "resumed", &format!("resumed by {asker}"));
    }

    /// Ends it: what is not done is cancelled. Commands have their grace unless it is `hard`. False if it has ended already.
    pub(crate) fn terminate(&mut self, cx: &mut Context<'_>, hard: bool, asker: &str) -> bool {
        if !self.is_live() {
            return false;
        }
        match &mut self.stop {
            Some(stop) if stop.hard || !hard => return true,
            Some(stop) => stop.hard = true,
            None => {
                let workers = u32::try_from(self.engine.crew().len()).unwrap_or(u32::MAX);
                let jobs = self.batches.pending();
                self.stop = Some(Stop { asked: cx.now, workers, jobs, took: Duration::ZERO, hard });
                self.turn_to(cx, Status::Stopping, Level::Info, "stopping", &format!("terminated by {asker}"));
            }
        }
        self.engine.stop(cx.now, hard);
        self.look_at = Some(cx.now);
        true
    }

    /// Takes no more jobs; it goes on until those that it has are done.
    pub(crate) fn close(&mut self, cx: &mut Context<'_>, cause: &str) {
        if *self.status() == Status::Running {
            self.turn_to(cx, Status::Closing, Level::Info, "closing", cause);
        }
    }

    /// Looks whether what was asked for is true by now.
    pub(super) fn look(&mut self, cx: &mut Context<'_>) {
        if self.look_at.is_none_or(|at| at > cx.now) {
            return;
        }
        self.look_at = cx.now.checked_add(LOOK);
        if *self.status() == Status::Pausing && self.engine.is_still() {
            self.look_at = None;
            let cause = format!("paused by {}; all of it is stopped", self.asker);
            self.turn_to(cx, Status::Paused, Level::Info, "paused", &cause);
        } else if *self.status() == Status::Stopping && self.engine.is_over() {
            self.finish(cx);
        }
    }

    fn finish(&mut self, cx: &mut Context<'_>) {
        self.look_at = None;
        self.end_jobs(cx);
        if let Some(stop) = &mut self.stop {
            stop.took = cx.now.saturating_duration_since(stop.asked);
        }
        self.retire(cx);
        self.turn_to(cx, Status::Stopped, Level::Info, "stopped", "all of it has ended");
    }

    /// Notes that it could not be started.
    pub(super) fn fail(&mut self, cx: &mut Context<'_>, reason: &str) {
        self.end_jobs(cx);
        self.retire(cx);
        self.turn_to(cx, Status::Failed { reason: reason.to_owned() }, Level::Error, "failed", reason);
    }

    /// Notes that nobody will do the jobs that are left.
    fn end_jobs(&mut self, cx: &mut Context<'_>) {
        for (batch, job) in self.batches.pending_jobs() {
            if self.batches.end(batch, job, driver::cancelled(), cx.now) {
                self.tell_done(cx, batch);
            }
        }
        for batch in self.batches.seal(&[], cx.now) {
            self.tell_done(cx, batch);
        }
    }

    fn retire(&mut self, cx: &mut Context<'_>) {
        self.ended = Some(cx.now);
        if let Engine::Commands(commands) = &self.engine {
            cx.guardian.release(commands.root.pid);
        }
        // A process of its own that a job may still have goes with it.
        self.engine = Engine::Ended;
    }
}
