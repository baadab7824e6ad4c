//! How `map` and its jobs end before their time, and that nobody is left then.

use std::os::unix::process::ExitStatusExt as _;

use nix::sys::signal::Signal;

use super::*;
use crate::manager::{CTRL_C, Terminal};

/// A job of three: a leader, a child, and a grandchild that does not heed SIGTERM.
const FAMILY: &str = "sh -c 'trap \"\" TERM; echo $$ >>pids; while :; do sleep 1000; done' & echo $! >/dev/null; \
    echo $$ >>pids; sleep 1000 & echo $! >>pids; wait";

#[test]
fn a_timeout_ends_the_whole_group() {
    let sandbox = Sandbox::new();
    let args =
        ["--timeout", "300ms", "--grace", "50ms", "-w", "2", "--", "sh", "-c", FAMILY, "sh", "{}", ":::", "a", "b"];
    let run = fed(&sandbox, args, b"").exited(1);
    assert!(pids(&sandbox, "pids", 6).into_iter().all(is_gone));
    run.said("job 1 (a) failed: it took longer than 300ms (killed by SIGTERM)").said("2 of 2 jobs failed");
    // What is in time is left alone.
    fed(&sandbox, ["--timeout", "1m", "--", "true", ":::", "a"], b"").exited(0);
}

#[test]
fn a_request_to_end_ends_all_jobs_and_map_dies_of_it() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let sandbox = Sandbox::new();
        let script = "trap 'echo ended $1 >>ended; exit' TERM; echo $$ >>pids; while :; do sleep 0.01; done";
        let mut run = map(&sandbox, ["-w", "2", "--", "sh", "-c", script, "sh"]);
        run.input().write_all(b"a\nb\nc\n").unwrap();
        let jobs = pids(&sandbox, "pids", 2);
        run.signal(signal);
        let run = run.finish().died_of(signal);
        assert!(jobs.into_iter().all(is_gone));
        assert_eq!((sandbox.read("ended").lines().count(), run.stdout.as_str()), (2, ""));
        run.said("0 of 2 jobs failed, 2 ended early");
    }
}

#[test]
fn a_second_request_asks_no_more() {
    let sandbox = Sandbox::new();
    let mut run = map(&sandbox, ["-w", "2", "--grace", "1h", "--format", "json", "--", "sh", "-c", FAMILY, "sh"]);
    run.input().write_all(b"a\nb\nc\n").unwrap();
    let jobs = pids(&sandbox, "pids", 6);
    run.signal(Signal::SIGINT);
    let heeds = |pid: &&u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n");
    wait_for("the first request to arrive", || (!jobs.iter().filter(heeds).any(|pid| !is_gone(*pid))).then_some(()));
    run.signal(Signal::SIGINT);
    let run = run.finish().died_of(Signal::SIGINT);
    assert!(jobs.into_iter().all(is_gone));
    let objects = objects(&run);
    assert_eq!(objects.len(), 3);
    assert!(objects[..2].iter().all(|job| job["reason"] == "cancelled"));
    assert_eq!((&objects[2]["cancelled"], &objects[2]["stopped_by"]), (&2.into(), &"SIGINT".into()));
}

#[test]
fn a_reader_who_does_not_read_does_not_keep_it_from_hearing() {
    let sandbox = Sandbox::new();
    let mut command =
        sandbox.command(["manager", "map", "--", "sh", "-c", "echo $$ >>pids; yes | head -c 9000000", "sh"]);
    let mut run = Running::of(command.stdin(Stdio::piped()));
    let unread = run.output();
    run.input().write_all(&b"x\n".repeat(1000)).unwrap();
    // So much waits for its reader that no more is started.
    wait_for("jobs that rest", || {
        let number = || fs::read_to_string(sandbox.path("pids")).map_or(0, |text| text.lines().count());
        let children = || processes().into_iter().filter(|it| it.parent == run.pid() && it.name == "sh").count();
        (number() > 0 && children() == 0 && number() < 1000).then_some(())
    });
    run.signal(Signal::SIGINT);
    run.finish().died_of(Signal::SIGINT);
    drop(unread);
}

#[test]
fn a_reader_who_has_seen_enough_ends_it() {
    let sandbox = Sandbox::new();
    let line = "yes | $IPCPIPE manager map -w 4 -- sh -c 'echo $1; sleep 0.01' sh | head -1; echo ${PIPESTATUS[1]}";
    assert_eq!(shell(&sandbox, line).exited(0).stdout, "y\n141\n");
    let run = shell(&sandbox, "$IPCPIPE manager map -- echo ::: a >/dev/full").exited(255);
    run.said("cannot write to stdout: No space left on device");
}

#[test]
fn a_failure_halts_the_others_as_asked() {
    let sandbox = Sandbox::new();
    let script = "case $1 in bad) until test -e long; do sleep 0.01; done; exit 1;; \
        long) echo >long; until test -e end; do sleep 0.01; done;; esac; echo $1";
    let run = |halt: &str| {
        let _ = fs::remove_file(sandbox.path("long"));
        let inputs = ["long", "bad", "next", "next"];
        let args = ["-w", "2", "--halt", halt, "--joblog", "log", "--", "sh", "-c", script, "sh", "{}", ":::"];
        map(&sandbox, args.into_iter().chain(inputs))
    };
    let failed = || fs::read_to_string(sandbox.path("log")).is_ok_and(|log| log.contains("sh bad"));
    let now = run("now").finish().exited(1);
    assert_eq!(now.stdout, "");
    now.said("1 of 2 jobs failed, 1 ended early");
    fs::remove_file(sandbox.path("log")).unwrap();
    let soon = run("soon");
    wait_for("the failure", || failed().then_some(()));
    fs::write(sandbox.path("end"), "").unwrap();
    assert_eq!(soon.finish().exited(1).stdout, "long\n");
    assert_eq!(run("never").finish().exited(1).stdout.lines().count(), 3);
}

#[test]
fn jobs_do_not_outlive_a_map_that_is_killed() {
    let sandbox = Sandbox::new();
    let script = "echo $$ >>pids; setsid sh -c 'echo $$ >>pids; trap \"\" TERM HUP; sleep 1000' & sleep 1000 & wait";
    let mut run = map(&sandbox, ["-w", "3", "--", "sh", "-c", script, "sh"]);
    run.input().write_all(b"a\nb\nc\nd\n").unwrap();
    let jobs = pids(&sandbox, "pids", 6);
    run.signal(Signal::SIGKILL);
    run.finish().died_of(Signal::SIGKILL);
    wait_for("their end", || jobs.iter().all(|pid| is_gone(*pid)).then_some(()));
    sandbox.assert_tidy();
}

#[test]
fn a_job_without_its_environment_does_not_outlive_a_map_that_is_killed() {
    let sandbox = Sandbox::new();
    let script = "echo $$ >>pids; exec env -i sh -c 'sleep 1000 & wait'";
    let mut run = map(&sandbox, ["-w", "3", "--", "sh", "-c", script, "sh"]);
    run.input().write_all(b"a\nb\nc\nd\n").unwrap();
    let jobs = pids(&sandbox, "pids", 3);
    let guard = || processes().into_iter().find(|it| it.parent == run.pid() && it.name == "guard");
    let guard = wait_for("the guard", guard);
    // The guard has heard of them when it holds them.
    wait_for("the guard to hold them", || {
        let open = fs::read_dir(format!("/proc/{}/fd", guard.pid)).unwrap().flatten();
        (open.filter(holds_pidfd).count() == 3).then_some(())
    });
    let members =
        || processes().into_iter().filter(|it| jobs.contains(&it.parent)).map(|it| it.pid).collect::<Vec<_>>();
    let members = wait_for("their children", || Some(members()).filter(|it| it.len() == 3));
    run.signal(Signal::SIGKILL);
    run.finish().died_of(Signal::SIGKILL);
    wait_for("their end", || jobs.iter().chain(&members).all(|pid| is_gone(*pid)).then_some(()));
}

fn holds_pidfd(entry: &fs::DirEntry) -> bool {
    fs::read_link(entry.path()).is_ok_and(|it| it.to_string_lossy().contains("pidfd"))
}

#[test]
fn what_a_job_leaves_behind_outlives_a_map_that_ends_by_itself() {
    let sandbox = Sandbox::new();
    let run = fed(&sandbox, ["--", "sh", "-c", "sleep 1000 & echo $!", "sh", ":::", "a"], b"").exited(0);
    let left: u32 = run.stdout.trim().parse().unwrap();
    assert!(!is_gone(left));
    send(left, Signal::SIGKILL);
}

#[test]
fn ctrl_c_at_a_terminal_ends_it_and_a_bar_is_drawn_there() {
    let sandbox = Sandbox::new();
    let script = "echo $$ >>pids; test $1 = a || sleep 1000";
    let program = [env!("CARGO_BIN_EXE_ipcpipe"), "manager", "map", "-w", "1", "--"];
    let words = [&program[..], &["sh", "-c", script, "sh", "{}", ":::", "a", "b", "c"]].concat();
    let mut terminal = Terminal::run(&sandbox, &words);
    terminal.sees("1 of 3 jobs, 1 running");
    terminal.types(CTRL_C);
    let (status, _) = terminal.finish();
    assert_eq!(status.signal(), Some(Signal::SIGINT as i32));
    assert!(pids(&sandbox, "pids", 2).into_iter().all(is_gone));
}
