//! Ending a process tree, and proving that it is gone.
//!
//! The stop signal goes to the group and to members that have left it; SIGCONT follows if it is paused, because a signal
//! stays pending on a stopped process. After the grace everything is stopped, so that nothing forks any more, looked at
//! again, and killed; and so on until a look finds nobody.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{Leader, Process};
use crate::manager::context::Context;
use crate::manager::protocol::{Level, Status};
use crate::manager::tree::signal_outside;
use crate::sys::handle::Handle;
use crate::sys::proc::{self, Stat};
use crate::sys::signal::{self, CONT, KILL, STOP};

/// How often a tree is stopped and walked until nobody new turns up, before it is killed as it is.
const ROUNDS: usize = 8;

/// How long a killed process may take to go before it is called a survivor: one in the middle of a system call on a dead
/// disk goes when that returns.
const PATIENCE: Duration = Duration::from_secs(5);

/// The number of no process group.
const NO_GROUP: u32 = 0;

const FIRST_LOOK: Duration = Duration::from_millis(1);
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// What an end is for, which decides what follows on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It is to stay down.
    Asked,
    /// It is to be started again.
    Restart,
    /// It ran longer than it may.
    Timeout,
    /// Only what an earlier run left is to go before the next one starts.
    Leftovers,
}

/// An end that is under way.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) purpose: Purpose,
    asked: Instant,
    /// Kill from then on.
    kill_at: Instant,
    killing_since: Option<Instant>,
    look_at: Instant,
    pause: Duration,
    /// Everybody of the tree that was ever seen, by pid and start time.
    covered: BTreeSet<(u32, u64)>,
    survivors: Vec<u32>,
}

impl Stop {
    pub(super) fn next_look(&self) -> Instant {
        self.look_at
    }
}

/// What an end has done, for those who asked for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Account {
    /// Processes that it covered.
    pub(crate) processes: u32,
    /// How long it took.
    pub(crate) took: Duration,
}

/// How long the ended may take to go, and by which signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Instead of the process's own grace.
    pub(crate) grace: Option<Duration>,
    /// SIGKILL at once.
    pub(crate) kill: bool,
}

impl Process {
    /// Asks it to end, or hurries an end that is under way. True unless there is nothing to end: it is over, and no
    /// process of its tree lives.
    pub(crate) fn terminate(&mut self, cx: &mut Context<'_>, manner: Manner, asker: &str) -> bool {
        let manner_text = if manner.kill { "killed" } else { "terminated" };
        let cause = format!("{manner_text} by {asker}");
        if let Some(stop) = &mut self.stop {
            stop.purpose = Purpose::Asked;
            let kill_at = if manner.kill { cx.now } else { manner.grace.map_or(stop.kill_at, |grace| cx.now + grace) };
            stop.kill_at = stop.kill_at.min(kill_at);
            stop.look_at = cx.now;
            return true;
        }
        let idle = self.run.as_ref().is_none_or(|run| run.leader.is_none());
        if idle && self.members(cx.leaders).is_empty() {
            return self.is_live() && {
                self.backoff = None;
                self.held = false;
                self.last_stop = Some(Account { processes: 0, took: Duration::ZERO });
                self.turn_to(cx, Status::Stopped, Level::Info, "stopped", &cause);
                true
            };
        }
        self.backoff = None;
        self.begin_stop(cx, Purpose::Asked, Some(manner), &cause);
        true
    }

    /// Ends it in order to start it again. One that is under way is joined.
    pub(crate) fn terminate_for_restart(&mut self, cx: &mut Context<'_>, asker: &str) {
        let cause = format!("restarted by {asker}");
        if let Some(stop) = &mut self.stop {
            if matches!(stop.purpose, Purpose::Asked | Purpose::Timeout) {
                stop.purpose = Purpose::Restart;
            }
            return;
        }
        self.backoff = None;
        if self.live_pid().is_none() && self.members(cx.leaders).is_empty() {
            self.restarts.asked_for();
            self.restart(cx, &cause);
        } else {
            self.begin_stop(cx, Purpose::Restart, None, &cause);
        }
    }

    pub(super) fn begin_stop(&mut self, cx: &mut Context<'_>, purpose: Purpose, manner: Option<Manner>, cause: &str) {
        let Manner { grace, kill } = manner.unwrap_or_default();
        let grace = if kill { Duration::ZERO } else { grace.unwrap_or(self.spec.grace) };
        let members = self.members(cx.leaders);
        let far = Duration::from_secs(100 * 365 * 24 * 3600);
        let mut stop = Stop {
            purpose,
            asked: cx.now,
            kill_at: cx.now + grace.min(far),
            killing_since: None,
            look_at: cx.now + FIRST_LOOK,
            pause: FIRST_LOOK,
            covered: BTreeSet::new(),
            survivors: Vec::new(),
        };
        stop.cover(&members);
        let was_held = std::mem::take(&mut self.held);
        self.pause = None;
        if kill || grace.is_zero() {
            stop.look_at = cx.now;
        } else {
            self.signal_all(&members, self.spec.stop_signal);
            // Somebody else may have stopped it, which nobody has looked for.
            if was_held || members.iter().any(Stat::is_stopped) {
                self.signal_all(&members, CONT);
            }
        }
        self.stop = Some(stop);
        self.turn_to(cx, Status::Stopping, Level::Info, "stopping", cause);
    }

    /// Signals the group and everybody of the tree outside it.
    pub(super) fn signal_all(&self, members: &[Stat], signal: i32) {
        if let Some(run) = &self.run {
            let group = run.handle.as_ref().map_or(NO_GROUP, |handle| {
                handle.signal_group(signal);
                run.root.pid
            });
            signal_outside(members, group, signal);
        }
    }

    pub(super) fn step_stop(&mut self, cx: &mut Context<'_>, leader_ended: bool) {
        let Some(mut stop) = self.stop.take_if(|stop| leader_ended || stop.look_at <= cx.now) else { return };
        // Only the pidfd says for certain that the leader has ended; a look at it costs one system call.
        self.reap(cx);
        let members = self.proven_members(cx.leaders);
        stop.cover(&members);
        if members.is_empty() && self.live_pid().is_none() && stop.all_covered_are_gone() {
            return self.finish_stop(cx, &stop);
        }
        if stop.kill_at <= cx.now {
            self.kill_tree(cx, &mut stop, members);
        }
        stop.look_at = cx.now + stop.pause;
        if stop.killing_since.is_none() {
            stop.look_at = stop.look_at.min(stop.kill_at);
        }
        stop.pause = (stop.pause * 2).min(LONGEST_LOOK);
        self.stop = Some(stop);
    }

    fn kill_tree(&mut self, cx: &mut Context<'_>, stop: &mut Stop, mut members: Vec<Stat>) {
        let since = *stop.killing_since.get_or_insert_with(|| {
            stop.pause = FIRST_LOOK;
            cx.now
        });
        for _ in 0..ROUNDS {
            self.signal_all(&members, STOP);
            let known = members.len();
            members = self.members(cx.leaders);
            if !stop.cover(&members) && members.len() <= known {
                break;
            }
        }
        self.signal_all(&members, KILL);
        if stop.survivors.is_empty() && cx.now.saturating_duration_since(since) > PATIENCE {
            stop.survivors = members.iter().map(|member| member.pid).collect();
            let cause = format!("{} of its tree survived SIGKILL for {} s", pids(&stop.survivors), PATIENCE.as_secs());
            self.turn_to(cx, Status::Stopping, Level::Error, "survived", &cause);
        }
    }

    fn finish_stop(&mut self, cx: &mut Context<'_>, stop: &Stop) {
        let processes = u32::try_from(stop.covered.len()).unwrap_or(u32::MAX);
        self.last_stop = Some(Account { processes, took: stop.asked.elapsed() });
        let how = self.end_text();
        let gone = if processes == 1 { "its only process" } else { &format!("all of its {processes} processes") };
        match stop.purpose {
            Purpose::Asked => self.conclude(cx, &format!("{how}; {gone} gone")),
            Purpose::Restart => {
                self.restarts.asked_for();
                self.restart(cx, &format!("{how}, and was to be started again"));
            }
            Purpose::Timeout => self.follow_policy(cx, false, " because its time was up"),
            Purpose::Leftovers => self.restart(cx, "what the last run left behind is gone"),
        }
    }

    /// Pids that survived SIGKILL in the end that is under way.
    pub(crate) fn survivors(&self) -> &[u32] {
        self.stop.as_ref().map_or(&[], |stop| &stop.survivors)
    }

    /// Reaps the leader if it has ended.
    pub(super) fn reap(&mut self, cx: &mut Context<'_>) {
        let Some(run) = &mut self.run else { return };
        let end = match &mut run.leader {
            None => return,
            Some(Leader::Child(child)) => child.try_reap().map(|ended| ended.status.into()),
            Some(Leader::Adopted) => run.handle.as_ref().is_none_or(Handle::has_ended).then_some(super::End::Unknown),
        };
        if let Some(end) = end {
            run.leader = None;
            run.end = Some(end);
            run.ended = Some(cx.now);
            cx.leaders.remove(&run.root.pid);
            if self.spec.daemon {
                cx.guardian.release(run.root.pid);
            }
            self.dismiss_probe(cx);
            self.leader_ended(cx);
        }
    }
}

impl Stop {
    /// Counts `members` in; true if somebody new is among them.
    fn cover(&mut self, members: &[Stat]) -> bool {
        let before = self.covered.len();
        self.covered.extend(members.iter().map(|member| (member.pid, member.start_ticks)));
        self.covered.len() > before
    }

    /// One that is just ending has lost its environment, and so its cookie, before it is a zombie.
    fn all_covered_are_gone(&self) -> bool {
        let lives = |&(pid, start_ticks): &(u32, u64)| {
            proc::stat(pid).is_some_and(|stat| stat.start_ticks == start_ticks && !stat.is_zombie())
        };
        !self.covered.iter().any(lives)
    }
}

/// `pid 4711` or `pids 4711, 4712`.
pub(crate) fn pids(list: &[u32]) -> String {
    let numbers: Vec<String> = list.iter().map(ToString::to_string).collect();
    format!("{} {}", if list.len() == 1 { "pid" } else { "pids" }, numbers.join(", "))
}

/// The word for the signal that has ended a process.
pub(super) fn signal_name(number: i32) -> String {
    signal::name(number)
}
