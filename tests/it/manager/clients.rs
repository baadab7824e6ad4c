//! Several clients at once: nobody's answers are lost or mixed, and nobody holds up the others.

use std::fmt::Write as _;
use std::thread;

use serde_json::Value;

use super::harness::{Client, Server};
use crate::sandbox::{Running, Sandbox, wait_for};

const REQUESTS: usize = 5000;

/// Sends requests from one thread and reads the answers in another; every request has an ID and its own target.
fn storm(client: Client, name: &str) {
    let (mut reader, mut writer) = client.split();
    thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..REQUESTS {
                let mut line = String::new();
                match number % 5 {
                    0 => writeln!(line, "{{\"v\":1,\"id\":{number},\"cmd\":[\"show\",\"{name}\"]}}").unwrap(),
                    1 => writeln!(line, "{{\"v\":1,\"id\":{number},\"cmd\":[\"why\",\"{name}\"]}}").unwrap(),
                    2 => writeln!(line, "{{\"v\":1,\"id\":{number},\"cmd\":[\"pause\",\"{name}-{number}\"]}}").unwrap(),
                    3 => writeln!(line, "{{\"v\":1,\"id\":{number},\"cmd\":[\"logs\",\"{name}\"]}}").unwrap(),
                    _ => writeln!(line, "{{\"v\":1,\"id\":{number},\"cmd\":[\"nonsense-{name}\"]}}").unwrap(),
                }
                std::io::Write::write_all(&mut writer, line.as_bytes()).unwrap();
            }
        });
        for number in 0..REQUESTS {
            let reply = reader.reply();
            assert_eq!(reply.end["id"], number, "{reply:?}");
            let [name, other]: [Value; 2] = [name.into(), format!("{name}-{number}").into()];
            match number % 5 {
                0 => assert_eq!(reply.only("process")["name"], name),
                1 => assert!(reply.all("transition").iter().all(|it| it["name"] == name) && reply.answers.len() >= 2),
                2 => assert_eq!(reply.only("error")["target"], other),
                3 => assert_eq!((reply.answers.len(), &reply.only("line")["name"]), (1, &name)),
                _ => assert!(reply.refused("usage").contains(name.as_str().unwrap()), "{reply:?}"),
            }
        }
    });
}

#[test]
fn ten_thousand_requests_of_two_clients_are_answered_in_their_order() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    for name in ["one", "two"] {
        server.client.shell(name, &format!("echo {name}; exec sleep 1000"));
        server.client.wait_for_line(name, name);
    }
    let [one, two] = [Client::connect(&sandbox), Client::connect(&sandbox)];
    // A third one is killed in the middle, with an answer and a half on its way.
    let follower = sandbox.start("manager logs -f one");
    let mut rude = Client::connect(&sandbox);
    thread::scope(|scope| {
        scope.spawn(|| storm(one, "one"));
        scope.spawn(|| storm(two, "two"));
        follower.signal(nix::sys::signal::Signal::SIGKILL);
        rude.write("{\"v\":1,\"cmd\":[\"events\"]}\n".repeat(50).as_bytes()).unwrap();
        drop(rude);
    });
    follower.finish().died_of(nix::sys::signal::Signal::SIGKILL);
    assert_eq!(server.client.show("one")["status"], "running");
    server.exit();
}

#[test]
fn a_client_that_never_reads_does_not_hold_up_the_others() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell(
        "loud",
        "i=0; while [ $i -lt 3000 ]; do echo $i xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; i=$((i+1)); done",
    );
    server.client.ask("wait loud").exited(0);
    let mut silent = Client::connect(&sandbox);
    // More than any socket holds, and more requests than are read.
    let requests = format!("{}\n", silent.request(&["logs", "loud"])).repeat(200);
    silent.write(requests.as_bytes()).unwrap();
    let mut follower = Client::connect(&sandbox);
    follower.send(&["logs", "-f", "loud", "louder"]);
    for round in 0..50 {
        let name = format!("p{round}");
        server.client.sleeper(&name);
        server.client.ask(&format!("pause {name}")).exited(0);
        server.client.ask(&format!("terminate {name}")).exited(0);
    }
    // It was not forgotten either.
    let reply = silent.reply().exited(0);
    assert_eq!(reply.answers.len(), 3000);
    // And the end does not wait for it.
    server.exit();
    drop(silent);
}

/// A real client that is killed while it waits, and one that ends its reading early.
#[test]
fn a_client_that_is_killed_is_nobodys_trouble() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("p1", "while :; do echo line; done");
    for args in ["manager wait p1", "manager logs -f p1", "manager events -f"] {
        let client = sandbox.start(args);
        wait_for("the client", || sandbox.inhabitants().iter().any(|it| it.pid == client.pid()).then_some(()));
        client.signal(nix::sys::signal::Signal::SIGKILL);
        client.finish();
    }
    let run = Running::of(&mut sandbox.shell("$IPCPIPE manager logs -f p1 | head -n 3")).finish().exited(0);
    assert_eq!(run.stdout, "line\nline\nline\n");
    // What came before it was asked for is lost, and that is told apart from the lines.
    assert!(run.stderr.is_empty() || run.stderr.ends_with(" are not kept\n"), "{}", run.stderr);
    assert_eq!(server.client.show("p1")["status"], "running");
    server.exit();
}

/// Events and output are a stream of their own to each who wants them.
#[test]
fn every_follower_gets_every_event() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let mut followers: Vec<Client> = (0..3).map(|_| Client::connect(&sandbox)).collect();
    for follower in &mut followers {
        follower.send(&["events", "-f"]);
        assert_eq!(follower.next().unwrap()["event"], "started");
    }
    server.client.sleeper("p1");
    server.client.ask("pause p1").exited(0);
    server.client.ask("terminate p1").exited(0);
    for follower in &mut followers {
        let events: Vec<_> = (0..5).map(|_| follower.next().unwrap()["event"].as_str().unwrap().to_owned()).collect();
        assert_eq!(events, ["started", "pausing", "paused", "stopping", "killed"]);
    }
    server.exit();
}
