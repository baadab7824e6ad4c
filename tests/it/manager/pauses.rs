//! Time stands still for what is paused.

use super::harness::{Server, state};
use crate::sandbox::{Sandbox, wait_for};

/// Sends commands in one piece, so that nothing lies between the first and the last of them.
fn at_once(server: &mut Server, commands: &[&[&str]]) {
    let lines: String = commands.iter().map(|words| format!("{}\n", server.client.request(words))).collect();
    server.client.write(lines.as_bytes()).unwrap();
    commands.iter().for_each(|_| drop(server.client.reply().exited(0)));
}

#[test]
fn a_time_limit_stands_still_during_a_pause() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let create = ["create", "process", "p1", "--timeout", "700ms", "--", "sleep", "1000"];
    at_once(&mut server, &[&create, &["pause", "p1"]]);
    let left = |server: &mut Server| server.client.show("p1")["details"]["timeout_left_s"].as_f64().unwrap();
    let before = left(&mut server);
    assert!(before > 0.0);
    // One with the same limit that is not paused comes to its end meanwhile.
    server.client.sleeper("yardstick --timeout 700ms");
    server.client.ask("wait yardstick").exited(143);
    assert_eq!(left(&mut server), before);
    assert_eq!(server.client.show("p1")["status"], "paused");
    server.client.ask("resume p1").exited(0);
    server.client.ask("wait p1").exited(143);
    let why = server.client.why("p1");
    assert!(why.contains("its time is up"), "{why}");
    server.exit();
}

#[test]
fn a_restart_stands_still_during_a_pause() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let script = "echo run >> runs; [ $(wc -l < runs) = 1 ] && exit 1; exec sleep 1000";
    server.client.shell("p1 --restart on-failure --backoff 700ms..700ms", script);
    server.client.wait_for_status("p1", "backoff");
    assert_eq!(server.client.ask("pause p1").exited(0).only("done")["processes"], 0);
    let left = |server: &mut Server| server.client.show("p1")["details"]["restart_in_s"].as_f64().unwrap();
    let before = left(&mut server);
    server.client.sleeper("yardstick --timeout 700ms");
    server.client.ask("wait yardstick").exited(143);
    assert_eq!(left(&mut server), before);
    assert_eq!(sandbox.read("runs").lines().count(), 1);
    server.client.ask("resume p1").exited(0);
    server.client.wait_for_status("p1", "running");
    wait_for("the second run", || (sandbox.read("runs").lines().count() == 2).then_some(()));
    server.exit();
}

#[test]
fn a_pause_of_what_has_ended_is_refused() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("p1", "exit 4");
    server.client.ask("wait p1").exited(4);
    for verb in ["pause", "resume", "terminate", "kill", "signal HUP"] {
        let reply = server.client.ask(&format!("{verb} p1")).exited(3);
        assert_eq!(reply.refused("not-running"), "p1 is not running: it exited with 4", "{verb}");
    }
    server.exit();
}

/// A pause of a paused one, and a resume of one that runs, change nothing and succeed.
#[test]
fn a_second_pause_is_no_second_pause() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let pid = server.client.sleeper("p1");
    for verb in ["pause", "pause", "resume", "resume", "pause"] {
        server.client.ask(&format!("{verb} p1")).exited(0);
        assert_eq!(state(pid) == Some('T'), verb == "pause");
    }
    let why = server.client.why("p1");
    assert_eq!(why.matches("\npaused: ").count(), 2, "{why}");
    server.exit();
}
