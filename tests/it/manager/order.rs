//! `--after`: who starts when, and who never does.

use super::harness::{Server, state};
use crate::sandbox::Sandbox;

#[test]
fn a_process_starts_when_the_other_was_started() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    // The other need not be there yet.
    let reply = server.client.ask("create process web --after db -- sleep 1000").exited(0);
    assert_eq!([&reply.only("done")["status"], &reply.only("done")["note"]], ["waiting", "waits for db:started"]);
    assert!(reply.only("done")["pid"].is_null());
    server.client.sleeper("db");
    let web = server.client.wait_for_status("web", "running");
    assert!(web["pid"].is_u64());
    assert!(server.client.why("web").contains("running: what it comes after has happened"));
    server.exit();
}

#[test]
fn a_process_starts_when_the_other_is_ready() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell(
        "db --ready log:listening",
        "while [ ! -e go ]; do sleep 0.01; done; echo now listening on 1; exec sleep 1000",
    );
    server.client.ask("create process web --after db:ready -- sleep 1000").exited(0);
    assert_eq!(server.client.show("db")["status"], "starting");
    assert_eq!(server.client.show("web")["status"], "waiting");
    std::fs::write(sandbox.path("go"), "").unwrap();
    let web = server.client.wait_for_status("web", "running");
    let db = server.client.show("db");
    assert_eq!(db["status"], "running");
    assert!(db["details"]["started_ns"].as_u64() < web["details"]["started_ns"].as_u64());
    server.exit();
}

#[test]
fn a_process_starts_when_the_other_has_ended_well() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("migrate --ok-codes 0,3", "while [ ! -e go ]; do sleep 0.01; done; exit 3");
    server.client.ask("create process web --after migrate:ok -- sleep 1000").exited(0);
    assert_eq!(server.client.show("web")["status"], "waiting");
    std::fs::write(sandbox.path("go"), "").unwrap();
    server.client.wait_for_status("web", "running");
    assert_eq!(server.client.show("migrate")["code"], 3);
    server.exit();
}

#[test]
fn a_process_after_one_that_failed_has_failed() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("migrate", "while [ ! -e go ]; do sleep 0.01; done; exit 3");
    server.client.ask("create process web --after migrate:ok -- touch started").exited(0);
    server.client.ask("create process top --after web:ready -- touch started").exited(0);
    std::fs::write(sandbox.path("go"), "").unwrap();
    assert_eq!(server.client.ask("wait web").exited(1).only("done")["status"], "failed");
    assert_eq!(server.client.show("web")["reason"], "migrate exited with 3 and will not become ok");
    server.client.ask("wait top").exited(1);
    assert_eq!(server.client.show("top")["status"], "failed");
    // One that comes too late is refused at once, and its name stays free.
    let refused = server.client.ask("create process late --after migrate:ok -- true").exited(1);
    assert_eq!(refused.refused("failed"), "late: migrate exited with 3 and will not become ok");
    server.client.sleeper("late");
    assert!(!sandbox.path("started").exists());
    server.exit();
}

#[test]
fn a_circle_is_refused_when_it_is_closed() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let refused = server.client.ask("create process a --after a -- true").exited(1);
    assert_eq!(refused.refused("failed"), "a would wait for itself: a comes after a");
    server.client.ask("create process a --after b -- true").exited(0);
    server.client.ask("create process b --after c:ready -- true").exited(0);
    let refused = server.client.ask("create process c --after x --after a:ok -- true").exited(1);
    assert_eq!(refused.refused("failed"), "c would wait for itself: c comes after a comes after b comes after c");
    // Without the circle it is welcome, and then all three go their way.
    server.client.ask("create process c -- sleep 1000").exited(0);
    server.client.ask("wait a b").exited(0);
    server.exit();
}

#[test]
fn one_that_waits_can_be_ended_and_paused() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.ask("create process a --after x -- sleep 1000").exited(0);
    server.client.ask("create process b --after x -- sleep 1000").exited(0);
    assert_eq!(server.client.ask("terminate a").exited(0).only("done")["status"], "stopped");
    assert_eq!(server.client.ask("pause b").exited(0).only("done")["status"], "paused");
    server.client.sleeper("x");
    assert_eq!(server.client.show("a")["status"], "stopped");
    assert_eq!(server.client.show("b")["status"], "paused");
    server.client.ask("resume b").exited(0);
    let b = server.client.wait_for_status("b", "running");
    assert_ne!(state(super::harness::pid_of(&b)), Some('T'));
    server.exit();
}

#[test]
fn several_conditions_have_to_hold_at_once() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let reply = server.client.ask("create process top --after a --after b:ok -- sleep 1000").exited(0);
    assert_eq!(reply.only("done")["note"], "waits for a:started, b:ok");
    server.client.sleeper("a");
    assert_eq!(server.client.show("top")["status"], "waiting");
    server.client.shell("b", "exit 0");
    server.client.wait_for_status("top", "running");
    server.exit();
}
