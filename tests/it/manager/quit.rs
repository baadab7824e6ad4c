//! The ends of a manager: quit, clear and exit (E12 to E14), who is waited for (D7) and who is not (D8).

use nix::sys::signal::Signal;

use super::harness::{Client, Server, is_gone, pid_of, script};
use crate::sandbox::{Sandbox, process, send, wait_for};

/// D4: a wait with a limit.
#[test]
fn a_wait_with_a_limit_comes_back() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.sleeper("p1");
    let reply = server.client.ask("wait p1 --timeout 20ms").exited(124);
    assert_eq!(reply.refused("timed-out"), "p1 has not ended in time");
    assert_eq!(server.client.show("p1")["status"], "running");
    assert_eq!(sandbox.run("manager wait p1 --timeout 1ms").exited(124).stderr, "ipcpipe: p1 has not ended in time\n");
    server.client.ask("terminate p1").exited(0);
    server.client.ask("wait p1 --timeout 20ms").exited(143);
    server.exit();
}

/// `wait` passes on the status of the first that ended badly.
#[test]
fn a_wait_passes_on_the_first_bad_status() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("three", "exit 3");
    server.client.shell("nine", "kill -9 $$");
    server.client.shell("good", "exit 0");
    for (target, status) in [("three", 3), ("nine", 137), ("good", 0)] {
        sandbox.run(&format!("manager wait {target}")).exited(status);
    }
    sandbox.run("manager wait good three").exited(3);
    server.client.ask("wait good good").exited(0);
    server.exit();
}

/// D7, E12: quit waits for what is no daemon, and takes no new work.
#[test]
fn quit_waits_for_everybody_but_daemons() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("worker", "while [ ! -e go ]; do sleep 0.01; done; echo done > done");
    let daemon = server.client.sleeper("helper --daemon");
    let mut second = Client::connect(&sandbox);
    second.send(&["quit"]);
    let waiting = second.next().unwrap();
    assert_eq!(waiting["names"], serde_json::json!(["worker"]));
    let refused = server.client.ask("create process late -- touch late").exited(1);
    assert_eq!(refused.refused("ending"), "late was not created: the manager is ending");
    assert_eq!(server.client.ask("restart worker").exited(1).refused("ending"), "the manager is ending");
    assert!(!is_gone(daemon));
    assert_eq!(server.client.show("worker")["status"], "running");
    std::fs::write(sandbox.path("go"), "").unwrap();
    let reply = second.reply().exited(0);
    assert_eq!((&reply.only("ended")["processes"], &reply.only("ended")["threads"]), (&1.into(), &0.into()));
    server.finish();
    assert!(is_gone(daemon) && sandbox.path("done").exists() && !sandbox.path("late").exists());
}

/// D7 in a script: the end of the input is a quit.
#[test]
fn the_end_of_the_input_is_a_quit() {
    let sandbox = Sandbox::new();
    let text = "create process worker -- sh -c 'sleep 0.1; echo done > done'\ncreate process helper --daemon";
    let run = script(&sandbox, "", text).exited(0);
    assert!(run.stdout.contains("waiting for worker") || sandbox.path("done").exists(), "{}", run.stdout);
    assert_eq!(sandbox.read("done"), "done\n");
}

/// E13: clear ends as quit does.
#[test]
fn clear_waits_as_quit_does() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("worker", "while [ ! -e go ]; do sleep 0.01; done");
    let mut second = Client::connect(&sandbox);
    second.send(&["clear"]);
    assert_eq!(second.next().unwrap()["names"], serde_json::json!(["worker"]));
    std::fs::write(sandbox.path("go"), "").unwrap();
    second.reply().exited(0);
    server.finish();
}

/// E14: exit waits for nothing and says what it has cut short.
#[test]
fn exit_counts_what_it_cuts_short() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.sleeper("one");
    server.client.sleeper("two --daemon");
    server.client.shell("stubborn --grace 1000s", "trap '' TERM; echo up; while :; do sleep 0.01; done");
    server.client.wait_for_line("stubborn", "up");
    server.client.ask("create process later --after nobody -- true").exited(0);
    server.client.shell("over", "exit 0");
    server.client.ask("wait over").exited(0);
    server.client.ask("create thread t1").exited(0);
    server.client.ask("pause one t1").exited(0);
    let reply = server.client.ask("exit").exited(0);
    let ended = reply.only("ended");
    assert_eq!((&ended["processes"], &ended["threads"]), (&4.into(), &1.into()), "{ended}");
    server.finish();
}

/// An exit hurries a quit that waits.
#[test]
fn exit_hurries_a_quit() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let pid = server.client.sleeper("p1");
    let mut second = Client::connect(&sandbox);
    second.send(&["quit"]);
    second.next().unwrap();
    server.client.ask("exit").exited(0);
    assert_eq!(second.reply().exited(0).only("ended")["processes"], 1);
    server.finish();
    assert!(is_gone(pid));
}

#[test]
fn quit_with_a_limit_becomes_an_exit() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let pid = server.client.sleeper("p1");
    let reply = server.client.ask("quit --timeout 20ms").exited(0);
    assert_eq!(reply.only("ended")["processes"], 1);
    server.finish();
    assert!(is_gone(pid));
}

/// SIGTERM is a quit with a limit; the second one an exit.
#[test]
fn signals_end_a_server() {
    let sandbox = Sandbox::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut server = Server::start(&sandbox);
        server.client.sleeper("helper --daemon");
        server.run().signal(signal);
        server.finish();
    }
    let mut server = Server::start(&sandbox);
    let pid = server.client.sleeper("p1");
    server.run().signal(Signal::SIGTERM);
    wait_for("the quit", || {
        let reply = server.client.ask("create process p2 -- true");
        (reply.end["exit"] == 1 && reply.refused("ending").contains("ending")).then_some(())
    });
    server.run().signal(Signal::SIGTERM);
    server.finish();
    assert!(is_gone(pid));
}

/// D8: a manager that is killed leaves no daemon behind, not even grandchildren in sessions of their own; the others live.
#[test]
fn a_killed_manager_leaves_no_daemon() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let tree = "trap '' TERM HUP; setsid sh -c '(sleep 1000 &); exec sleep 1000' & exec sleep 1000";
    server.client.shell("helper --daemon", tree);
    let doomed = wait_for("the tree", || {
        let pids = server.client.wait_for_tree("helper", 3);
        pids.iter().all(|&pid| process(pid).is_some_and(|it| it.name == "sleep")).then_some(pids)
    });
    server.client.ask("create process ticker --daemon").exited(0);
    server.client.ask("pause ticker").exited(0);
    let spared = server.client.sleeper("worker");
    let start = process(spared).unwrap().start;
    server.kill();
    wait_for("the end of the daemons", || doomed.iter().all(|&pid| is_gone(pid)).then_some(()));
    wait_for("the end of all but one", || (sandbox.inhabitants().len() == 1).then_some(()));
    assert_eq!(process(spared).map(|it| it.start), Some(start));
    send(spared, Signal::SIGKILL);
    clean(&sandbox);
}

/// What a killed manager leaves is taken away by the next one that ends well.
fn clean(sandbox: &Sandbox) {
    let server = Server::start(sandbox);
    server.exit();
}

/// D8: even if the guard was killed before, and replaced.
#[test]
fn a_guard_that_was_killed_is_replaced() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let doomed = server.client.sleeper("helper --daemon");
    let manager = server.pid();
    let guard = || {
        let children = crate::sandbox::processes();
        children.into_iter().find(|it| it.parent == manager && it.name == "guard" && it.state != 'Z')
    };
    let first = wait_for("the guard", guard);
    send(first.pid, Signal::SIGKILL);
    wait_for("another guard", || guard().filter(|it| it.pid != first.pid));
    assert_eq!(pid_of(&server.client.show("helper")), doomed);
    server.kill();
    wait_for("the end of the daemon", || is_gone(doomed).then_some(()));
    wait_for("the end of all", || sandbox.inhabitants().is_empty().then_some(()));
    clean(&sandbox);
}
