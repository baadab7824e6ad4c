//! A manager that is short of something, cut off from its place, or killed at the wrong moment.

use std::fs;

use nix::sys::signal::Signal;

use super::harness::{Client, SOCKET, Server, is_gone, state};
use crate::sandbox::{Running, Sandbox, send, wait_for};

/// A manager under the limits that bash's `ulimit` sets with `options`.
fn limited(sandbox: &Sandbox, options: &str) -> (Running, Client) {
    let run = Running::of(&mut sandbox.shell(&format!("ulimit {options}; exec \"$IPCPIPE\" manager serve")));
    (run, Client::connect(sandbox))
}

/// A manager that may be killed, with options of `serve`.
fn mortal(sandbox: &Sandbox, options: &str) -> (Running, Client) {
    let run = sandbox.start(&format!("manager serve {options}"));
    (run, Client::connect(sandbox))
}

fn kill(run: Running) {
    run.signal(Signal::SIGKILL);
    run.finish().died_of(Signal::SIGKILL);
}

fn exit(run: Running, mut client: Client) {
    client.ask("exit").exited(0);
    run.finish().exited(0);
}

#[test]
fn short_of_descriptors_it_refuses_and_still_tells_the_truth() {
    let sandbox = Sandbox::new();
    let (run, mut client) = limited(&sandbox, "-n 64");
    let script = "setsid sleep 1000 >/dev/null 2>&1 & exec sleep 1000";
    let mut started = 0;
    let message = loop {
        let name = format!("p{started}");
        let reply = client.tell(&["create", "process", &name, "--", "sh", "-c", script]);
        if reply.end["exit"] != 0 {
            break reply.refused("failed").to_owned();
        }
        client.wait_for_tree(&name, 2);
        started += 1;
    };
    assert!(message.contains("Too many open files") && message.contains("ulimit -n"), "{message}");
    assert!(started > 1, "{started}");
    let others: Vec<Client> = (0..40).map(|_| Client::connect(&sandbox)).collect();
    assert_eq!(client.ask("pause p0").exited(0).only("done")["processes"], 2);
    let pids = client.wait_for_tree("p0", 2);
    assert_eq!(client.ask("terminate p0").exited(0).only("done")["processes"], 2);
    assert!(pids.into_iter().all(is_gone));
    drop(others);
    client.ask("terminate all").exited(0);
    client.sleeper("again");
    exit(run, client);
    sandbox.assert_tidy();
}

#[test]
fn clients_that_read_nothing_do_not_end_it_where_descriptors_are_few() {
    let sandbox = Sandbox::new();
    let (run, mut client) = limited(&sandbox, "-n 64");
    client.shell("loud", "yes x | head -c 1000000; exec sleep 1000");
    wait_for("much output", || (client.show("loud")["details"]["output_bytes"].as_u64()? > 0).then_some(()));
    let connect = |_| {
        let mut deaf = Client::connect(&sandbox);
        // One that is refused gets no further, and need not.
        let _ = deaf.write(b"{\"v\":1,\"cmd\":[\"logs\",\"loud\"]}\n".repeat(20).as_slice());
        deaf
    };
    let deaf: Vec<Client> = (0..36).map(connect).collect();
    client.ask("list").exited(0);
    client.ask("list").exited(0);
    drop(deaf);
    exit(run, client);
    sandbox.assert_tidy();
}

#[test]
fn a_limit_on_the_length_of_files_costs_lines_and_not_the_manager() {
    let sandbox = Sandbox::new();
    let (run, mut client) = limited(&sandbox, "-f 8");
    client.shell("loud --log-file log", "head -c 100000 /dev/zero; exec sleep 1000");
    wait_for("the failure", || {
        let events = client.ask("events").exited(0);
        let failures = events.all("event").into_iter().filter(|event| event["event"] == "log-failed");
        let told: Vec<&str> = failures.map(|event| event["msg"].as_str().unwrap()).collect();
        told.iter().any(|msg| msg.contains("File too large")).then_some(())
    });
    exit(run, client);
    sandbox.assert_tidy();
}

#[test]
fn a_terminate_that_is_overtaken_by_a_restart_is_answered() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("web --grace 300ms", "trap '' TERM; echo ready; while :; do sleep 0.01; done");
    server.client.wait_for_line("web", "ready");
    let mut other = Client::connect(&sandbox);
    other.send(&["terminate", "web"]);
    server.client.wait_for_status("web", "stopping");
    server.client.ask("restart web").exited(0);
    assert!(other.reply().exited(1).refused("failed").contains("restarted"));
    server.exit();
    sandbox.assert_tidy();
}

#[test]
fn what_somebody_else_has_stopped_hears_the_request_to_end() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let pid = server.client.shell("web", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
    server.client.wait_for_line("web", "ready");
    send(pid, Signal::SIGSTOP);
    wait_for("the stop", || (state(pid) == Some('T')).then_some(()));
    let reply = server.client.ask("terminate web").exited(0);
    assert_eq!(reply.only("done")["status"], "exited", "{reply:?}");
    server.exit();
    sandbox.assert_tidy();
}

#[test]
fn killed_while_it_creates_it_leaves_nobody_unknown() {
    let sandbox = Sandbox::new();
    for round in 0..3 {
        let (run, mut client) = mortal(&sandbox, "");
        for n in 0..40 {
            let daemon: &[&str] = if n % 2 == 0 { &["--daemon"] } else { &[] };
            let name = format!("p{n}");
            let words: Vec<&str> = [&["create", "process", &name], daemon, &["--", "sleep", "1000"]].concat();
            client.send(&words);
        }
        for _ in 0..=round * 10 {
            client.reply().exited(0);
        }
        kill(run);
        let (second, mut client) = mortal(&sandbox, "--adopt");
        let rows = client.ask("list process").exited(0);
        let pids = rows.all("process").into_iter().filter_map(|row| row["pid"].as_u64());
        let known: Vec<u32> = pids.map(|pid| pid as u32).chain([second.pid()]).collect();
        // Everybody else is a daemon, and the guard ends it.
        let others = || sandbox.inhabitants().into_iter().filter(|it| !known.contains(&it.pid)).count();
        wait_for("the end of the daemons", || (others() == 0).then_some(()));
        exit(second, client);
    }
    sandbox.assert_tidy();
}

#[test]
fn it_takes_nothing_from_one_that_has_got_its_place() {
    let sandbox = Sandbox::new();
    let (first, mut before) = mortal(&sandbox, "");
    let place = sandbox.path(SOCKET);
    fs::remove_dir_all(place.parent().unwrap()).unwrap();
    let (second, mut after) = mortal(&sandbox, "");
    let pid = after.sleeper("kept");
    before.sleeper("other");
    exit(first, before);
    after.ask("list").exited(0);
    kill(second);
    let (third, mut last) = mortal(&sandbox, "--adopt");
    assert_eq!(last.show("kept")["pid"], pid);
    exit(third, last);
    sandbox.assert_tidy();
}

#[test]
fn a_journal_that_is_no_text_is_passed_over() {
    let sandbox = Sandbox::new();
    let (run, _client) = mortal(&sandbox, "");
    kill(run);
    fs::write(sandbox.path(format!("{SOCKET}.state")), b"\xff\xfe\n\xff").unwrap();
    let (second, client) = mortal(&sandbox, "--adopt");
    exit(second, client);
    sandbox.assert_tidy();
}

#[test]
fn a_guard_that_was_stopped_does_not_keep_it_from_ending() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.sleeper("web --daemon");
    let is_guard = |pid: u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.ends_with(b"\0guard\0"));
    let manager = server.run().pid();
    let guard = sandbox.inhabitants().into_iter().find(|it| it.parent == manager && is_guard(it.pid));
    send(guard.expect("a guard").pid, Signal::SIGSTOP);
    server.exit();
    sandbox.assert_tidy();
}
