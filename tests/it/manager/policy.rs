//! The options of `create process`: restarts, time limits, signals, surroundings.

use serde_json::json;

use super::harness::{Client, Server, is_gone, pid_of};
use crate::sandbox::{Sandbox, wait_for};

/// A restart storm is bounded by its intensity: one run and three restarts, and no more.
#[test]
fn a_restart_storm_is_bounded() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("p1 --restart always:3/60s --backoff 1ms..2ms", "echo run >> runs; exit 1");
    server.client.ask("wait p1").exited(1);
    let row = server.client.show("p1");
    assert_eq!((&row["status"], &row["restarts"]), (&"failed".into(), &3.into()));
    assert_eq!(row["reason"], "exited with 1 after 3 restarts within 60s");
    assert_eq!(sandbox.read("runs").lines().count(), 4);
    let why = server.client.why("p1");
    assert_eq!(why.matches("backoff: exited with 1; restart in ").count(), 3, "{why}");
    assert!(why.contains("by always:3/60s") && why.ends_with("failed: exited with 1; limit of restarts\n"), "{why}");
    // A person may try again.
    server.client.ask("restart p1");
    server.client.ask("wait p1");
    assert!(sandbox.read("runs").lines().count() >= 5);
    server.exit();
}

#[test]
fn a_policy_tells_failure_from_success() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let runs = |server: &mut Server, options: &str, code: u8| {
        server.client.shell(&format!("p1 --backoff 1ms..1ms {options}"), &format!("exit {code}"));
        let reply = server.client.ask("wait p1");
        (server.client.show("p1")["restarts"].as_u64().unwrap(), reply.end["exit"].as_u64().unwrap())
    };
    assert_eq!(runs(&mut server, "", 3), (0, 3));
    assert_eq!(runs(&mut server, "--restart on-failure:2/60s", 0), (0, 0));
    assert_eq!(runs(&mut server, "--restart on-failure:2/60s", 3).0, 2);
    assert_eq!(runs(&mut server, "--restart on-failure:2/60s --ok-codes 0,3", 3), (0, 0));
    assert_eq!(runs(&mut server, "--restart always:2/60s", 0).0, 2);
    server.exit();
}

/// A second restart while one is under way joins it.
#[test]
fn a_second_restart_joins_the_first() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    // It ends when it is allowed to, so that both requests meet in one end.
    let script = "echo run >> runs; trap 'touch asked; while [ ! -e go ]; do sleep 0.01; done; exit 0' TERM; \
        echo up; while :; do sleep 0.01; done";
    let first_pid = server.client.shell("p1 --grace 1000s", script);
    server.client.wait_for_line("p1", "up");
    let mut second = Client::connect(&sandbox);
    server.client.send(&["restart", "p1"]);
    wait_for("the first request", || sandbox.path("asked").exists().then_some(()));
    second.send(&["restart", "p1"]);
    // Commands of a connection wait for each other, so a third one sees that the second has been heard.
    let mut third = Client::connect(&sandbox);
    assert_eq!(third.show("p1")["status"], "stopping");
    std::fs::write(sandbox.path("go"), "").unwrap();
    for client in [&mut server.client, &mut second] {
        let reply = client.reply().exited(0);
        let done = reply.only("done");
        assert_eq!([&done["done"], &done["name"]], ["restarted", "p1"]);
        assert_ne!(pid_of(done), first_pid);
    }
    let row = third.show("p1");
    assert_eq!((&row["restarts"], &row["status"]), (&1.into(), &"running".into()));
    wait_for("the second run", || (sandbox.read("runs").lines().count() == 2).then_some(()));
    third.ask("kill p1").exited(0);
    assert_eq!(sandbox.read("runs").lines().count(), 2);
    server.exit();
}

#[test]
fn a_time_limit_ends_a_process_and_why_says_so() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.sleeper("p1 --timeout 50ms");
    server.client.ask("wait p1").exited(143);
    let why = server.client.why("p1");
    assert!(why.contains("its time is up"), "{why}");
    assert_eq!(server.client.show("p1")["signal"], "SIGTERM");
    // A limit counts for each run, and its end is a failure.
    server.client.sleeper("p2 --timeout 10ms --restart on-failure:2/60s --backoff 1ms..1ms");
    server.client.ask("wait p2");
    let row = server.client.show("p2");
    assert_eq!((&row["status"], &row["restarts"]), (&"failed".into(), &2.into()));
    server.exit();
}

#[test]
fn surroundings_are_as_they_were_asked_for() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("a dir")).unwrap();
    let mut server = Server::start(&sandbox);
    let script = "pwd; echo \"$A|$B\"; echo err >&2; cat";
    let here = ["create", "process", "here", "--", "sh", "-c", script];
    let there = ["create", "process", "there", "--cwd", "a dir", "--env", "A=1 2", "--env", "B==x", "--", "sh", "-c"];
    let there: Vec<_> = there.into_iter().chain([script]).collect();
    for words in [&here[..], &there] {
        server.client.tell(words).exited(0);
    }
    server.client.ask("wait all").exited(0);
    let root = sandbox.path("").canonicalize().unwrap();
    let lines = server.client.logs("here");
    assert_eq!(lines.len(), 3, "nothing comes from stdin: {lines:?}");
    assert!(lines.contains(&root.to_str().unwrap().to_owned()) && lines.contains(&"|".to_owned()), "{lines:?}");
    let lines = server.client.logs("there");
    assert!(lines.contains(&root.join("a dir").to_str().unwrap().to_owned()), "{lines:?}");
    assert!(lines.contains(&"1 2|=x".to_owned()), "{lines:?}");
    let reply = server.client.ask("logs there").exited(0);
    let streams: Vec<_> = reply.all("line").iter().map(|it| (it["stream"].clone(), it["text"] == "err")).collect();
    assert!(streams.iter().all(|(stream, is_err)| *stream == if *is_err { "stderr" } else { "stdout" }), "{streams:?}");
    // The environment is nobody's business, be it one's own.
    let told = format!("{:?}{:?}", server.client.ask("list"), server.client.ask("show all"));
    assert!(!told.contains("1 2") && !told.contains("IT_SANDBOX") && !told.contains("IPCPIPE_PROCESS"), "{told}");
    server.exit();
}

#[test]
fn a_process_is_stopped_by_its_own_signal() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let script = "trap 'echo usr1; exit 5' USR1; trap '' TERM; echo up; while :; do sleep 0.01; done";
    server.client.shell("p1 --stop-signal USR1 --grace 1000s", script);
    server.client.wait_for_line("p1", "up");
    assert_eq!(server.client.ask("terminate p1").exited(0).only("done")["code"], 5);
    assert!(server.client.logs("p1").contains(&"usr1".to_owned()));
    server.exit();
}

#[test]
fn a_grace_ends_in_a_kill() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let script = "trap '' TERM; echo up; while :; do sleep 0.01; done";
    let first = server.client.shell("p1 --grace 20ms", script);
    let second = server.client.shell("p2 --grace 1000s", script);
    for name in ["p1", "p2"] {
        server.client.wait_for_line(name, "up");
    }
    assert_eq!(server.client.ask("terminate p1").exited(0).only("done")["signal"], "SIGKILL");
    assert_eq!(server.client.ask("terminate p2 --grace 20ms").exited(0).only("done")["signal"], "SIGKILL");
    assert!(is_gone(first) && is_gone(second));
    server.exit();
}

/// A terminate with a long grace that is under way can be hurried.
#[test]
fn an_end_that_takes_too_long_is_hurried() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("p1 --grace 1000s", "trap '' TERM; echo up; while :; do sleep 0.01; done");
    server.client.wait_for_line("p1", "up");
    server.client.send(&["terminate", "p1"]);
    let mut second = Client::connect(&sandbox);
    second.wait_for_status("p1", "stopping");
    assert_eq!(second.ask("kill p1").exited(0).only("done")["signal"], "SIGKILL");
    assert_eq!(server.client.reply().exited(0).only("done")["done"], "ended");
    server.exit();
}

#[test]
fn values_that_make_no_sense_are_usage_errors() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    for option in [
        "--restart sometimes",
        "--restart always:x/60s",
        "--backoff 2s..1s",
        "--timeout soon",
        "--stop-signal FOO",
        "--stop-signal 0",
        "--ok-codes 256",
        "--env novalue",
        "--after a:done",
        "--ready maybe",
        "--ready tcp:example.org:80",
        "--every 0",
    ] {
        let reply = server.client.ask(&format!("create process p1 {option}")).exited(2);
        assert_eq!(reply.only("error")["code"], "usage", "{option}");
    }
    assert_eq!(json!(server.client.ask("list").exited(0).answers), json!([]));
    server.exit();
}
