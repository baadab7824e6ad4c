//! Cooperative threads.

use std::fs;

use super::harness::{Server, pid_of, script, thread_name};
use crate::sandbox::{Sandbox, wait_for};

/// CPU time of one thread, in ticks of the kernel.
fn ticks(pid: u32, tid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/task/{tid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2).map(|it| it.parse::<u64>().unwrap()).sum()
}

#[test]
fn a_busy_thread_parks_and_goes_on() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let manager = server.pid();
    let create = "create thread counter --task primes 1000000000000";
    let tid = pid_of(server.client.ask(create).exited(0).only("done"));
    assert_eq!(thread_name(manager, tid), "counter");
    wait_for("work", || (ticks(manager, tid) > 2).then_some(()));
    assert_eq!(server.client.ask("pause counter").exited(0).only("done")["status"], "paused");
    let before = ticks(manager, tid);
    server.client.ask("create process yardstick -- sleep 0.1").exited(0);
    server.client.ask("wait yardstick").exited(0);
    assert_eq!(ticks(manager, tid), before, "it works while it is paused");
    assert_eq!(server.client.show("counter")["status"], "paused");
    server.client.ask("resume counter").exited(0);
    wait_for("more work", || (ticks(manager, tid) > before + 1).then_some(()));
    assert!(server.client.ask("kill counter").exited(1).refused("failed").contains("never killed"));
    assert_eq!(server.client.ask("terminate counter").exited(0).only("done")["status"], "stopped");
    wait_for("its end", || (!fs::exists(format!("/proc/{manager}/task/{tid}")).unwrap()).then_some(()));
    let why = server.client.why("counter");
    for status in ["running: created by", "paused: ", "running: resumed by", "stopped: "] {
        assert!(why.contains(status), "{status} in\n{why}");
    }
    server.exit();
}

#[test]
fn a_paused_thread_can_be_ended() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.ask("create thread t1").exited(0);
    server.client.ask("pause t1").exited(0);
    assert_eq!(server.client.ask("terminate t1").exited(0).only("done")["status"], "stopped");
    assert!(server.client.ask("pause t1").exited(3).refused("not-running").contains("was stopped"));
    server.exit();
}

/// primes and sum, with their results.
#[test]
fn tasks_have_results() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    for (name, task, result) in [
        ("p", "primes 1M", "78498 primes below 1000000"),
        ("q", "primes 0", "0 primes below 0"),
        ("s", "sum 100", "the sum of 1 to 100 is 5050"),
    ] {
        server.client.ask(&format!("create thread {name} --task {task}")).exited(0);
        assert_eq!(server.client.ask(&format!("wait {name}")).exited(0).only("done")["status"], "done");
        assert_eq!(server.client.show(name)["result"], result);
        assert!(server.client.why(name).contains(result));
        // The name is free again.
        server.client.ask(&format!("create thread {name}")).exited(0);
    }
    server.exit();
}

#[test]
fn a_task_that_makes_no_sense_is_a_usage_error() {
    let sandbox = Sandbox::new();
    for line in [
        "create thread t1 --task fly",
        "create thread t1 --task primes",
        "create thread t1 --task sum x",
        "create thread t1 5",
        "create thread t1 --task sum 5 --every 1s",
    ] {
        let run = script(&sandbox, "", format!("{line}\n")).exited(2);
        assert_eq!(run.stdout, "", "{line}");
    }
}

/// `quit` waits for a thread that has an end, and not for one that has none.
#[test]
fn quit_waits_for_a_task_with_an_end() {
    let sandbox = Sandbox::new();
    let text = "create thread s --task sum 3M\ncreate thread t\nquit\n";
    let run = script(&sandbox, "", text).exited(0);
    assert!(run.stdout.contains("waiting for s (Ctrl-C: end now)\n"), "{}", run.stdout);
    assert!(run.stdout.ends_with("manager ended, 1 thread stopped\n"), "{}", run.stdout);
}
