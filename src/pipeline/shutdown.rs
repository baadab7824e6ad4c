//! When to drain and when to kill: a pure machine of three phases.
//!
//! ```text
//! Running --request, fault--> Draining --second request, grace over--> Killing
//!    `-------------- a stage failed while starting -----------------------^
//! ```

use std::time::{Duration, Instant};

/// Signals of one Ctrl-C or one timeout(1) arrive within this time, by several ways; a person needs longer
/// to press the key again.
const ONE_REQUEST: Duration = Duration::from_millis(250);

/// What the launcher has come to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// A signal to the launcher itself.
    OwnRequest,
    /// A signal to a stage, relayed; never a second request, as the launcher may have got the same.
    RelayedRequest,
    /// A stage died, or cannot go on with its work.
    Fault,
    /// A stage ended before all were ready.
    StartFailed,
    /// The clock has moved.
    Tick,
    /// The launcher was stopped and continues: time that nobody could use does not count.
    Continued,
}

/// What it does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    /// Close the stop line.
    Drain,
    /// SIGKILL to all that are left.
    Kill,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Draining { until: Option<Instant>, first_request: Option<Instant> },
    Killing { forced: bool },
}

/// The machine.
#[derive(Debug)]
pub(super) struct Shutdown {
    phase: Phase,
    grace: Duration,
}

impl Shutdown {
    pub(super) fn new(grace: Duration) -> Self {
        Self { phase: Phase::Running, grace }
    }

    pub(super) fn on(&mut self, input: Input, now: Instant) -> Action {
        use Phase::{Draining, Killing, Running};
        let (phase, action) = match (self.phase, input) {
            (Running, Input::OwnRequest | Input::RelayedRequest) => (self.draining(now, Some(now)), Action::Drain),
            (Running, Input::Fault) => (self.draining(now, None), Action::Drain),
            (Running, Input::StartFailed) | (Draining { .. }, Input::StartFailed) => {
                (Killing { forced: false }, Action::Kill)
            }
            (Draining { first_request: Some(first), .. }, Input::OwnRequest)
                if now.duration_since(first) >= ONE_REQUEST =>
            {
                (Killing { forced: true }, Action::Kill)
            }
            (Draining { until, first_request: None }, Input::OwnRequest) => {
                (Draining { until, first_request: Some(now) }, Action::Nothing)
            }
            (Draining { until: Some(until), .. }, Input::Tick) if now >= until => {
                (Killing { forced: true }, Action::Kill)
            }
            (Draining { first_request, .. }, Input::Continued) => (self.draining(now, first_request), Action::Nothing),
            (phase, _) => (phase, Action::Nothing),
        };
        self.phase = phase;
        action
    }

    fn draining(&self, now: Instant, first_request: Option<Instant>) -> Phase {
        Phase::Draining { until: now.checked_add(self.grace), first_request }
    }

    /// When the grace is over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Draining { until, .. } => until,
            Phase::Running | Phase::Killing { .. } => None,
        }
    }

    /// True if stages were killed that might have drained.
    pub(super) fn was_forced(&self) -> bool {
        self.phase == Phase::Killing { forced: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Drain, Kill, Nothing};
    use Input::{Continued, Fault, OwnRequest, RelayedRequest, StartFailed, Tick};

    /// Plays inputs at milliseconds, with a grace of 5000 ms, and answers the actions that were not Nothing.
    fn play(inputs: &[(u64, Input)]) -> (Vec<(u64, Action)>, bool) {
        let start = Instant::now();
        let mut machine = Shutdown::new(Duration::from_secs(5));
        let actions = inputs.iter().map(|&(at, input)| (at, machine.on(input, start + Duration::from_millis(at))));
        let actions = actions.filter(|(_, action)| *action != Nothing).collect();
        (actions, machine.was_forced())
    }

    /// A claim, what happens at which millisecond, what is done about it, and whether that was by force.
    type Case = (&'static str, &'static [(u64, Input)], &'static [(u64, Action)], bool);

    #[test]
    fn the_table() {
        let cases: &[Case] = &[
            ("one request drains", &[(0, OwnRequest), (4999, Tick)], &[(0, Drain)], false),
            ("a relay drains", &[(0, RelayedRequest)], &[(0, Drain)], false),
            ("a fault drains", &[(0, Fault), (1, Fault)], &[(0, Drain)], false),
            ("grace over kills", &[(0, OwnRequest), (5000, Tick)], &[(0, Drain), (5000, Kill)], true),
            ("a second request kills", &[(0, OwnRequest), (250, OwnRequest)], &[(0, Drain), (250, Kill)], true),
            ("an echo is no second request", &[(0, OwnRequest), (249, OwnRequest)], &[(0, Drain)], false),
            ("a relay is no second request", &[(0, OwnRequest), (900, RelayedRequest)], &[(0, Drain)], false),
            ("the first request after a fault is the first", &[(0, Fault), (900, OwnRequest)], &[(0, Drain)], false),
            (
                "and the next one kills",
                &[(0, Fault), (1, OwnRequest), (900, OwnRequest)],
                &[(0, Drain), (900, Kill)],
                true,
            ),
            ("a failed start kills at once", &[(0, StartFailed), (1, OwnRequest)], &[(0, Kill)], false),
            ("it kills while draining too", &[(0, OwnRequest), (1, StartFailed)], &[(0, Drain), (1, Kill)], false),
            (
                "a pause renews the grace",
                &[(0, OwnRequest), (9000, Continued), (9001, Tick), (14000, Tick)],
                &[(0, Drain), (14000, Kill)],
                true,
            ),
            ("time alone does nothing", &[(0, Tick), (99999, Tick), (99999, Continued)], &[], false),
            (
                "killing is for good",
                &[(0, OwnRequest), (5000, Tick), (9000, Tick), (9000, OwnRequest)],
                &[(0, Drain), (5000, Kill)],
                true,
            ),
        ];
        for (claim, inputs, actions, forced) in cases {
            assert_eq!(play(inputs), (actions.to_vec(), *forced), "{claim}");
        }
    }
}
