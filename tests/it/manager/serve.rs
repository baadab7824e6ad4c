//! A manager without a terminal, and other terminals that talk to it.

use std::io::{BufRead, BufReader};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::harness::{Client, SOCKET, Server, is_gone, pid_of, state};
use crate::sandbox::{Running, Sandbox, process, send, wait_for};

const UNREACHABLE: &str = "ipcpipe: no manager is running; start one with `ipcpipe manager serve --detach`\n";

/// Done when 2.
#[test]
fn a_detached_manager_serves_other_terminals() {
    let sandbox = Sandbox::new();
    let said = sandbox.run("manager serve --detach").exited(0).stdout;
    assert!(said.starts_with("manager running, pid ") && said.trim_end().ends_with(SOCKET), "{said}");
    let manager: u32 = said.split([' ', ',']).find_map(|word| word.parse().ok()).unwrap();
    let at = process(manager).unwrap();

    let script = "trap 'exit 0' TERM; sleep 1000 & echo one; echo two; wait";
    let create = ["manager", "create", "process", "web", "--", "sh", "-c", script];
    let said = Running::of(&mut sandbox.command(create)).finish().exited(0).stdout;
    assert!(said.starts_with("process web started, pid "), "{said}");
    let mut client = Client::connect(&sandbox);
    let members = client.wait_for_tree("web", 2);

    let said = sandbox.run("manager pause web").exited(0).stdout;
    assert_eq!(said, "process web paused (2 processes)\n");
    assert!(members.iter().all(|&pid| state(pid) == Some('T')));
    let listed = sandbox.run("manager list --format json").exited(0).stdout;
    let row: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&row["status"], &row["name"], pid_of(&row)), (&"paused".into(), &"web".into(), members[0]));
    sandbox.run("manager resume web").exited(0);

    // A follower reads what there is and what comes; its death is its own.
    let mut follower = sandbox.start("manager logs -f web");
    let mut lines = BufReader::new(follower.output()).lines();
    let mut line = || lines.next().unwrap().unwrap();
    assert_eq!([line(), line()], ["one", "two"]);
    follower.signal(Signal::SIGKILL);
    follower.finish().died_of(Signal::SIGKILL);

    let why = sandbox.run("manager why web").exited(0).stdout;
    for cause in
        ["created by a client, pid ", "paused by a client, pid ", "all of its 2 processes are stopped", "resumed by"]
    {
        assert!(why.contains(cause), "{cause} in\n{why}");
    }
    let said = sandbox.run("manager terminate web").exited(0).stdout;
    assert!(said.contains("(2 processes, none left)"), "{said}");
    assert!(members.iter().all(|&pid| is_gone(pid)));
    assert_eq!(process(manager).map(|it| it.start), Some(at.start));
    assert_eq!(sandbox.run("manager quit").exited(0).stdout, "manager ended\n");
    wait_for("the end of the manager", || is_gone(manager).then_some(()));
    assert!(!sandbox.path("run/ipcpipe").exists());
    assert_eq!(sandbox.run("manager list").exited(4).stderr, UNREACHABLE);
}

#[test]
fn without_a_manager_there_is_a_hint() {
    let sandbox = Sandbox::new();
    for args in ["create process p1", "list", "quit", "wait p1", "logs -f p1", "attach"] {
        let run = sandbox.run(&format!("manager {args}")).exited(4);
        assert_eq!((run.stderr.as_str(), run.stdout.as_str()), (UNREACHABLE, ""), "{args}");
    }
    let run = sandbox.run("manager list --format json").exited(4);
    let error: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&error["type"], &error["code"]), (&"error".into(), &"unreachable".into()));
    // Help needs no manager, and a usage error is one with or without.
    assert!(sandbox.run("manager help").exited(0).stdout.contains("pause"));
    sandbox.run("manager create process").exited(2);
    // Completion stays silent.
    assert_eq!(sandbox.run("manager names").exited(0).stderr, "");
}

/// `logs -f` goes on with what is written later, and ends with its target.
#[test]
fn a_follower_sees_what_is_written_later() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("p1", "echo one; while [ ! -e go ]; do sleep 0.01; done; echo two; printf three");
    let mut follower = sandbox.start("manager logs -f p1");
    let mut lines = BufReader::new(follower.output()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "one");
    std::fs::write(sandbox.path("go"), "").unwrap();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(rest, ["two", "three"]);
    follower.finish().exited(0);
    assert_eq!(sandbox.run("manager logs p1 -n 2").exited(0).stdout, "two\nthree\n");
    server.exit();
}

/// Ctrl-C ends what a one-shot client waits for.
#[test]
fn an_interrupted_wait_ends_the_client_alone() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.sleeper("p1");
    for args in ["manager wait p1", "manager logs -f p1"] {
        let client = sandbox.start(args);
        let catches = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", client.pid())).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).unwrap();
            u64::from_str_radix(caught, 16).unwrap() & 2 != 0
        };
        wait_for("the client", || catches().then_some(()));
        client.signal(Signal::SIGINT);
        client.finish().exited(130);
    }
    assert_eq!(server.client.show("p1")["status"], "running");
    server.exit();
}

/// A script for a manager that goes on afterwards.
#[test]
fn an_attached_script_leaves_the_manager_running() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let mut run = Running::of(sandbox.command(["manager", "attach"]).stdin(std::process::Stdio::piped()));
    std::io::Write::write_all(run.input(), b"create process p1 -- sleep 1000\npause p1\n").unwrap();
    run.close_input();
    run.finish().exited(0);
    assert_eq!(server.client.show("p1")["status"], "paused");
    server.exit();
}

/// `serve --adopt`: what a killed manager has left is found by pid and start time.
#[test]
fn a_later_manager_adopts_what_a_killed_one_left() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let kept = server.client.shell("kept --env A=b", "trap 'exit 0' TERM; sleep 1000 & while :; do sleep 0.01; done");
    // The kernel hangs up on a stopped group that loses its parent, and makes it run on.
    let paused = server.client.shell("paused", "trap '' HUP; echo up; exec sleep 1000");
    server.client.wait_for_line("paused", "up");
    let gone = server.client.sleeper("gone");
    let daemon = server.client.sleeper("helper --daemon");
    server.client.ask("pause paused").exited(0);
    server.kill();
    wait_for("the end of the daemon", || is_gone(daemon).then_some(()));
    send(gone, Signal::SIGKILL);
    wait_for("its end", || is_gone(gone).then_some(()));

    let mut server = Server::start_with(&sandbox, "--adopt");
    let row = server.client.show("kept");
    assert_eq!((&row["status"], pid_of(&row)), (&"running".into(), kept));
    let row = server.client.wait_for_status("paused", "paused");
    assert_eq!((pid_of(&row), state(paused)), (paused, Some('T')));
    assert_eq!(server.client.show("gone")["status"], "gone");
    server.client.ask("show helper").exited(3);
    assert!(
        server
            .client
            .why("kept")
            .contains(&format!("taken over from an earlier manager, which had started pid {kept}"))
    );

    let reply = server.client.tell(&["pause", &kept.to_string()]).exited(0);
    assert!(reply.only("done")["processes"].as_u64().unwrap() >= 2);
    assert_eq!(state(kept), Some('T'));
    server.client.ask("resume kept").exited(0);
    server.client.ask("terminate kept").exited(0);
    assert!(is_gone(kept));
    server.client.ask("kill paused").exited(0);
    assert!(is_gone(paused));
    assert_eq!(sandbox.inhabitants().len(), 1, "the manager alone: {:?}", sandbox.inhabitants());
    server.client.ask("create process gone -- sleep 1000").exited(0);
    server.exit();
}

/// What a manager has to say at its start reaches whoever started it, in the foreground and in the background.
#[test]
fn a_manager_tells_what_an_earlier_one_left() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let pid = server.client.sleeper("kept");
    server.kill();
    wait_for("its end", || (sandbox.inhabitants().len() == 1).then_some(()));
    let told = format!("ipcpipe: an earlier manager left kept, pid {pid}; quit and serve --adopt takes it over\n");
    let server = Server::start(&sandbox);
    assert_eq!(server.exit().stderr, told);
    let run = sandbox.run("manager serve --detach").exited(0);
    assert_eq!(run.stderr, told);
    assert!(run.stdout.starts_with("manager running, pid "), "{}", run.stdout);
    sandbox.run("manager exit").exited(0);
    let server = Server::start_with(&sandbox, "--adopt");
    assert_eq!(server.exit().stderr, "");
    assert!(is_gone(pid));
}

/// Without `--adopt` it says what is left, and touches nobody.
#[test]
fn a_later_manager_says_what_is_left() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let pid = server.client.sleeper("kept");
    server.kill();
    wait_for("its end", || (sandbox.inhabitants().len() == 1).then_some(()));
    let mut server = Server::start(&sandbox);
    assert!(server.client.ask("list").exited(0).answers.is_empty());
    let reply = server.client.ask("events").exited(0);
    let told = reply.all("event").into_iter().find(|it| it["event"] == "left-behind").expect("an event");
    assert_eq!(told["msg"], format!("an earlier manager left kept, pid {pid}; quit and serve --adopt takes it over"));
    server.exit();
    assert!(!is_gone(pid));

    let mut server = Server::start_with(&sandbox, "--adopt");
    assert_eq!(server.client.show("kept")["pid"], pid);
    server.exit();
    assert!(is_gone(pid));
}
