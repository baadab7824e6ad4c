//! What an owner does with the jobs of a [`Runner`] that run: to call off one or all, and to hold them for a while.

use std::path::PathBuf;
use std::time::Instant;

use super::outcome::End;
use super::runner::{Runner, Waiting};
use crate::Error;

impl Runner {
    /// Has all jobs from now on run in `directory`.
    pub fn run_in(&mut self, directory: PathBuf) {
        self.directory = Some(directory);
    }

    /// The numbers of the jobs that run, each with the process id of its first process, which is that of its group too.
    pub fn jobs(&self) -> impl Iterator<Item = (u64, u32)> {
        self.slots.iter().flatten().map(|slot| (slot.running.job.seq, slot.running.pid()))
    }

    /// Calls off job number `seq` alone: one that runs is ended as by [`cancel`](Self::cancel), or at once if `hard`.
    pub fn cancel_job(&mut self, seq: u64, now: Instant, hard: bool) {
        if let Some(at) = self.queue.iter().position(|waiting| waiting.job.seq == seq)
            && let Some(waiting) = self.queue.remove(at)
        {
            return self.unstarted(waiting.job, 0, waiting.attempts, End::Cancelled);
        }
        for at in 0..self.slots.len() {
            if let Some(slot) = self.slots[at].as_mut().filter(|slot| slot.running.job.seq == seq) {
                slot.running.cancel(now, hard);
                self.set_timer(at);
            }
        }
    }

    /// Starts nothing more, and asks what runs to end: SIGTERM to each process group, and SIGKILL after the grace.
    pub fn cancel(&mut self, now: Instant) {
        self.end(now, false);
    }

    /// Starts nothing more, and ends what runs: SIGKILL to each process group.
    pub fn kill(&mut self, now: Instant) {
        self.end(now, true);
    }

    /// Forgets that there was room for fewer jobs at once than were asked for: others may have left meanwhile.
    pub fn forget_shortage(&mut self) {
        self.limit = self.slots.len();
    }

    /// Stops the process group of every job (SIGSTOP). Until [`resume`](Self::resume) no other is started, and the time of
    /// jobs stands still.
    pub fn pause(&mut self, now: Instant) {
        if !self.is_paused {
            self.is_paused = true;
            self.for_each_slot(|running| running.pause(now));
        }
    }

    /// Has all jobs go on.
    ///
    /// # Errors
    /// The system's, if it has no room even for one job.
    pub fn resume(&mut self, now: Instant) -> Result<(), Error> {
        if self.is_paused {
            self.is_paused = false;
            self.for_each_slot(|running| running.resume(now));
        }
        self.fill(now)
    }

    fn end(&mut self, now: Instant, hard: bool) {
        self.is_cancelled = true;
        for Waiting { job, attempts } in std::mem::take(&mut self.queue) {
            self.unstarted(job, 0, attempts, End::Cancelled);
        }
        for at in 0..self.slots.len() {
            if let Some(slot) = &mut self.slots[at] {
                slot.running.cancel(now, hard);
                self.set_timer(at);
            }
        }
    }

    fn for_each_slot(&mut self, act: impl Fn(&mut super::running::Running)) {
        for at in 0..self.slots.len() {
            if let Some(slot) = &mut self.slots[at] {
                act(&mut slot.running);
                self.set_timer(at);
            }
        }
    }
}
