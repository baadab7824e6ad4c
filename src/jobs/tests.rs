//! The machine with real programs.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::*;
use crate::Error;
use crate::sys::child::Status;
use crate::sys::proc;
use crate::sys::testing::eventually;
use crate::sys::wait::{self, Interest};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

fn policy(workers: usize) -> Policy {
    Policy {
        workers: NonZeroUsize::new(workers).unwrap(),
        retries: 0,
        timeout: None,
        grace: LONG,
        streams: Streams::Captured,
        environment: vec![("MARK".into(), "marked".into())],
    }
}

/// A runner of `script`, in which `$1` is the input.
fn runner(script: &str, policy: Policy) -> Runner {
    let words = ["sh", "-c", script, "sh", "{}"].map(OsString::from);
    Runner::new(Template::new(words).unwrap(), policy).unwrap()
}

fn job(seq: u64, input: &str) -> Job {
    Job { seq, input: input.into() }
}

/// Goes on until `number` jobs are over.
fn until(runner: &mut Runner, number: usize) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let end = Instant::now() + LONG;
    while outcomes.len() < number {
        assert!(Instant::now() < end, "{outcomes:?}");
        let deadline = runner.deadline().into_iter().chain([end]).min();
        wait::wait([(runner.as_fd(), Interest::Read)], deadline).unwrap();
        outcomes.extend(runner.turn(Instant::now()).unwrap());
    }
    outcomes.sort_by_key(|outcome| outcome.job.seq);
    outcomes
}

/// Runs `inputs` to their end, and gives what came of each.
fn all(runner: &mut Runner, inputs: &[&str]) -> Vec<Outcome> {
    for (seq, input) in (1..).zip(inputs) {
        runner.submit(job(seq, input), Instant::now()).unwrap();
    }
    let outcomes = until(runner, inputs.len());
    assert!(runner.is_idle() && runner.deadline().is_none());
    outcomes
}

/// True if something was read of a job that runs.
fn hears_something(runner: &Runner) -> bool {
    runner.slots.iter().flatten().any(|slot| slot.running.has_output())
}

fn text(output: Output) -> String {
    String::from_utf8(output.into_bytes().unwrap()).unwrap()
}

fn ended(outcome: &Outcome) -> Option<Status> {
    match outcome.end {
        End::Ended(status) => Some(status),
        _ => None,
    }
}

fn is_gone(pid: u32) -> bool {
    proc::stat(pid).is_none_or(|stat| stat.is_zombie())
}

#[test]
fn outcomes_tell_of_both_streams_of_the_status_and_of_the_environment() {
    let script = "echo out $1 $IPCPIPE_SEQ $MARK; echo err $1 >&2; exit $1";
    let outcomes = all(&mut runner(script, policy(2)), &["0", "3", "0"]);
    for (at, outcome) in outcomes.into_iter().enumerate() {
        let code = if at == 1 { 3 } else { 0 };
        assert_eq!(ended(&outcome), Some(Status::Exited(code)));
        assert_eq!((outcome.succeeded(), outcome.failed(), outcome.attempts), (code == 0, code != 0, 1));
        assert!((1..=2).contains(&outcome.slot));
        assert_eq!(text(outcome.stdout), format!("out {code} {} marked\n", at + 1));
        assert_eq!(text(outcome.stderr), format!("err {code}\n"));
    }
}

#[test]
fn no_more_run_at_once_than_may_and_a_slot_is_used_again() {
    let mut runner = runner("echo $IPCPIPE_SLOT", policy(2));
    assert!(runner.has_room());
    for seq in 1..=20 {
        runner.submit(job(seq, ""), Instant::now()).unwrap();
        assert!(runner.running() <= 2 && (seq < 2 || !runner.has_room()));
    }
    let outcomes = until(&mut runner, 20);
    assert!(outcomes.iter().all(|outcome| outcome.slot <= 2));
    for outcome in outcomes {
        assert_eq!(format!("{}\n", outcome.slot), text(outcome.stdout));
    }
    assert_eq!((runner.statistics().succeeded, runner.statistics().over()), (20, 20));
}

#[test]
fn a_shortage_halves_what_runs_at_once_until_it_is_forgotten() {
    let mut runner = runner("sleep 1000", policy(6));
    for seq in 1..=4 {
        runner.submit(job(seq, ""), Instant::now()).unwrap();
    }
    runner.shrink(Error::refused("cannot start", "a job", "no room")).unwrap();
    assert!(!runner.has_room() && runner.take_shortage().is_some() && runner.take_shortage().is_none());
    runner.forget_shortage();
    assert!(runner.has_room());
    runner.submit(job(5, ""), Instant::now()).unwrap();
    assert_eq!(runner.running(), 5);
    runner.kill(Instant::now());
    assert_eq!(until(&mut runner, 5).len(), 5);
}

#[test]
fn a_job_that_fails_is_tried_again_and_only_then_over() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("echo x >>{}/$1; test $(wc -l <{0}/$1) -ge $1", dir.path().display());
    let mut runner = runner(&script, Policy { retries: 2, ..policy(4) });
    let outcomes = all(&mut runner, &["1", "2", "3", "4"]);
    let attempts: Vec<_> = outcomes.iter().map(|outcome| (outcome.attempts, outcome.succeeded())).collect();
    assert_eq!(attempts, [(1, true), (2, true), (3, true), (3, false)]);
    let statistics = runner.statistics();
    assert_eq!((statistics.succeeded, statistics.failed, statistics.retried), (3, 1, 5));
}

#[test]
fn a_timeout_ends_the_whole_group_however_deaf_it_is() {
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1000; done' & echo $$; wait; wait";
    let times = (Duration::from_millis(200), Duration::from_millis(20));
    let mut runner = runner(script, Policy { timeout: Some(times.0), grace: times.1, ..policy(1) });
    let outcome = all(&mut runner, &[""]).pop().unwrap();
    assert!(matches!(outcome.end, End::TimedOut(Status::Killed(9))), "{outcome:?}");
    assert!(!outcome.has_survivors && outcome.elapsed >= times.0 + times.1);
    let pids: Vec<u32> = text(outcome.stdout).lines().map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.len() == 2 && pids.into_iter().all(is_gone));
    assert_eq!(runner.statistics().timed_out, 1);
}

#[test]
fn a_member_that_takes_its_time_to_end_is_waited_for() {
    // Its leader dies of SIGTERM at once.
    let script = "sh -c 'trap \"sleep 0.05; echo done; exit\" TERM; echo; while :; do sleep 0.01; done' & wait";
    let mut runner = runner(script, policy(1));
    runner.submit(job(1, ""), Instant::now()).unwrap();
    eventually(|| runner.turn(Instant::now()).unwrap().is_empty() && hears_something(&runner));
    runner.cancel(Instant::now());
    let outcome = until(&mut runner, 1).pop().unwrap();
    assert!(matches!(outcome.end, End::Cancelled) && !outcome.has_survivors);
    assert_eq!(text(outcome.stdout), "\ndone\n");
}

#[test]
fn cancelled_jobs_have_an_outcome_too_and_nothing_is_started_any_more() {
    let mut runner = runner("sleep 1000", policy(2));
    for seq in 1..=5 {
        runner.submit(job(seq, ""), Instant::now()).unwrap();
    }
    runner.cancel(Instant::now());
    assert!(!runner.has_room());
    let outcomes = until(&mut runner, 5);
    assert!(outcomes.iter().all(|outcome| matches!(outcome.end, End::Cancelled) && !outcome.failed()));
    assert_eq!(outcomes.iter().map(|outcome| outcome.attempts).collect::<Vec<_>>(), [1, 1, 0, 0, 0]);
    assert_eq!((runner.statistics().cancelled, runner.is_idle()), (5, true));
}

#[test]
fn a_kill_does_not_ask() {
    let mut runner = runner("trap '' TERM; echo; while :; do sleep 1000; done", policy(1));
    runner.submit(job(1, ""), Instant::now()).unwrap();
    eventually(|| runner.turn(Instant::now()).unwrap().is_empty() && hears_something(&runner));
    runner.cancel(Instant::now());
    runner.kill(Instant::now());
    assert!(matches!(until(&mut runner, 1)[0].end, End::Cancelled));
}

#[test]
fn long_output_is_all_there() {
    let outcomes = all(&mut runner("head -c $1 /dev/zero; head -c $1 /dev/zero >&2", policy(2)), &["5000000", "7"]);
    let lengths: Vec<_> = outcomes.iter().map(|it| [it.stdout.len(), it.stderr.len()]).collect();
    assert_eq!(lengths, [[5_000_000; 2], [7; 2]]);
    assert!(outcomes[0].stdout.in_memory() <= 1 << 20);
}

#[test]
fn what_a_job_leaves_behind_lives_and_does_not_hold_it_up() {
    let outcome = all(&mut runner("sleep 1000 & echo $!", policy(1)), &[""]).pop().unwrap();
    assert!(outcome.succeeded());
    let pid: u32 = text(outcome.stdout).trim().parse().unwrap();
    assert!(!is_gone(pid));
    std::process::Command::new("kill").arg(pid.to_string()).status().unwrap();
    eventually(|| is_gone(pid));
}

#[test]
fn what_cannot_be_started_is_an_outcome_and_a_missing_program_an_error() {
    let of = |words: &[&str]| Runner::new(Template::new(words.iter().map(OsString::from)).unwrap(), policy(1));
    assert_eq!(of(&["no-such-program"]).unwrap_err().raw_os_error(), Some(2));
    let outcomes = all(&mut of(&["{}"]).unwrap(), &["no-such-program", "/etc/passwd", "true", "a\0b"]);
    let refused = |outcome: &Outcome| match &outcome.end {
        End::Refused(error) => Some(Outcome::refusal_status(error)),
        _ => None,
    };
    assert_eq!(outcomes.iter().map(refused).collect::<Vec<_>>(), [Some(127), Some(126), None, Some(126)]);
    let long = "x".repeat(1 << 20);
    assert_eq!(all(&mut of(&["true", "{}"]).unwrap(), &[&long]).iter().map(refused).collect::<Vec<_>>(), [Some(126)]);
}

#[test]
fn a_job_dies_of_what_it_dies_of() {
    let outcomes = all(&mut runner("kill -$1 $$", policy(1)), &["9", "15"]);
    let ends: Vec<_> = outcomes.iter().map(ended).collect();
    assert_eq!(ends, [Some(Status::Killed(9)), Some(Status::Killed(15))]);
    let lines: Vec<_> = outcomes.iter().map(|it| Entry::of(it, &["x y".into()]).unwrap()).collect();
    assert_eq!(lines.iter().map(|it| (it.seq, it.exit, it.signal)).collect::<Vec<_>>(), [(1, 0, 9), (2, 0, 15)]);
    assert!(lines.iter().all(|it| !it.succeeded() && it.command == "'x y'"));
}
