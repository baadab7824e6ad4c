//! `--ready`: the four ways of a process to show that it can be used.

use std::net::TcpListener;

use serde_json::Value;

use super::harness::{Client, Server};
use crate::sandbox::{Sandbox, wait_for};

/// Sends READY=1 as sd_notify(3) does, when the file `go` is there.
const NOTIFY: &str = "
import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ['NOTIFY_SOCKET'])
s.send(b'STATUS=loading')
while not os.path.exists('go'): time.sleep(0.01)
s.send(b'READY=1\\nSTATUS=serving')
print('sent', flush=True)
time.sleep(1000)
";

fn status(client: &mut Client) -> Value {
    client.show("p1")["status"].clone()
}

#[test]
fn a_line_of_output_makes_ready() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    // On either stream, and in pieces.
    let script = "echo not yet; while [ ! -e go ]; do sleep 0.01; done; printf 'up and ' >&2; printf 'run' >&2; sleep 0.05; \
        echo 'ning now' >&2; exec sleep 1000";
    let words = ["create", "process", "p1", "--ready", "log:and running", "--", "sh", "-c", script];
    server.client.tell(&words).exited(0);
    server.client.wait_for_line("p1", "not yet");
    assert_eq!(status(&mut server.client), "starting");
    std::fs::write(sandbox.path("go"), "").unwrap();
    server.client.wait_for_status("p1", "running");
    server.exit();
}

#[test]
fn a_notification_makes_ready() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let words = ["create", "process", "p1", "--ready", "notify", "--", "python3", "-c", NOTIFY];
    server.client.tell(&words).exited(0);
    wait_for("its words", || (server.client.show("p1")["details"]["says"] == "loading").then_some(()));
    assert_eq!(status(&mut server.client), "starting");
    std::fs::write(sandbox.path("go"), "").unwrap();
    let row = server.client.wait_for_status("p1", "running");
    assert_eq!(row["details"]["says"], "serving");
    // Somebody else's environment has nothing of it.
    server.client.shell("p2", "echo ${NOTIFY_SOCKET-none}");
    server.client.ask("wait p2").exited(0);
    assert_eq!(server.client.logs("p2"), ["none"]);
    server.exit();
}

#[test]
fn an_open_port_makes_ready() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    // A port that is free now: nothing else of this test listens.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    server.client.shell(&format!("p1 --ready tcp:localhost:{port}"), "echo up; exec sleep 1000");
    server.client.wait_for_line("p1", "up");
    assert_eq!(status(&mut server.client), "starting");
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    server.client.wait_for_status("p1", "running");
    drop(listener);
    server.exit();
}

#[test]
fn a_command_that_succeeds_makes_ready() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let words = ["create", "process", "p1", "--ready", "exec:echo asked >> asked; test -e go", "--", "sleep", "1000"];
    server.client.tell(&words).exited(0);
    wait_for("two questions", || {
        std::fs::read_to_string(sandbox.path("asked")).ok().filter(|text| text.lines().count() >= 2)
    });
    assert_eq!(status(&mut server.client), "starting");
    std::fs::write(sandbox.path("go"), "").unwrap();
    server.client.wait_for_status("p1", "running");
    server.exit();
}

/// A probe that hangs goes with its process, and so does the socket for notifications.
#[test]
fn a_probe_ends_with_its_process() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.tell(&["create", "process", "p1", "--ready", "exec:sleep 1000", "--", "sleep", "1000"]).exited(0);
    server.client.ask("create process p2 --ready notify -- sleep 1000").exited(0);
    wait_for("the probe", || (sandbox.inhabitants().len() == 4).then_some(()));
    let notify = || {
        let names = std::fs::read_dir(sandbox.path("run/ipcpipe")).unwrap().flatten();
        names.filter(|it| it.file_name().to_string_lossy().starts_with("notify")).count()
    };
    assert_eq!(notify(), 1);
    server.client.ask("terminate all").exited(0);
    wait_for("the end of the probe", || (sandbox.inhabitants().len() == 1).then_some(()));
    assert_eq!(notify(), 0);
    server.exit();
}

/// What ends before it is ready was never ready.
#[test]
fn an_end_comes_before_ready() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("db --ready log:never", "exit 0");
    server.client.ask("create process web --after db:ready -- touch started");
    server.client.ask("wait web");
    let reply = server.client.ask("list").exited(0);
    assert!(reply.answers.iter().all(|row| row["name"] != "web" || row["status"] == "failed"), "{reply:?}");
    server.exit();
    assert!(!sandbox.path("started").exists());
}
