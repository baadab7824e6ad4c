//! The control socket: lines of JSON in both directions, whatever comes.

use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::harness::{Client, SOCKET, Server};
use crate::sandbox::{Running, Sandbox, wait_for};

#[test]
fn the_socket_is_for_its_user_alone() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox);
    let mode = |name: &str| std::fs::symlink_metadata(sandbox.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(SOCKET), mode("run/ipcpipe")), (0o600, 0o700));
    if nix::unistd::geteuid().is_root() {
        // Even where the modes would let somebody else in, the uid of the peer does not.
        for (name, mode) in [("", 0o755), ("run", 0o755), ("run/ipcpipe", 0o755), (SOCKET, 0o666)] {
            std::fs::set_permissions(sandbox.path(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        let python = "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
            s.settimeout(60)\ntry:\n s.sendall(b'{\"v\":1,\"cmd\":[\"exit\"]}\\n')\n print(s.recv(1000))\n\
            except (BrokenPipeError, ConnectionResetError): print(b'')\n";
        let path = sandbox.path(SOCKET);
        let args = ["--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", python];
        let mut command = std::process::Command::new("setpriv");
        command.args(args).arg(&path).current_dir("/").stdin(std::process::Stdio::null());
        if std::path::Path::new("/usr/bin/python3").exists() {
            let run = Running::of(&mut command).finish().exited(0);
            assert!(!run.stdout.contains("ended") && !run.stdout.contains("\"exit\":0"), "{}", run.stdout);
        }
    }
    server.exit();
}

#[test]
fn garbage_is_refused_and_the_connection_goes_on() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let million = [&b"{\"v\":1,\"cmd\":[\""[..], &vec![b'x'; 1 << 20], b"\"]}"].concat();
    let lines: [&[u8]; 12] = [
        b"garbage",
        b"{}",
        b"[]",
        b"null",
        b"{\"v\":1}",
        b"{\"v\":1,\"cmd\":[]}",
        b"{\"v\":1,\"cmd\":\"list\"}",
        b"{\"v\":1,\"cmd\":[\"frobnicate\"]}",
        b"{\"v\":99,\"cmd\":[\"list\"]}",
        b"\xff\xfe\x00",
        b"{\"v\":1,\"cmd\":[\"help\"]}",
        &million,
    ];
    for line in lines {
        let shown = String::from_utf8_lossy(&line[..line.len().min(40)]).into_owned();
        server.client.write(&[line, b"\n"].concat()).unwrap();
        let reply = server.client.reply();
        assert_eq!((&reply.only("error")["code"], &reply.end["exit"]), (&"usage".into(), &2.into()), "{shown}");
        server.client.ask("list").exited(0);
    }
    server.exit();
}

#[test]
fn an_id_comes_back_with_the_end() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    for id in ["7", "\"a b\"", "[1,{\"x\":null}]", "{\"deep\":true}"] {
        server.client.write(format!("{{\"v\":1,\"cmd\":[\"show\",\"x\"],\"id\":{id}}}\n").as_bytes()).unwrap();
        let reply = server.client.reply().exited(3);
        assert_eq!(reply.end["id"], serde_json::from_str::<Value>(id).unwrap());
    }
    server.exit();
}

/// Ctrl-C of a client ends what it waits for, and nothing else.
#[test]
fn an_interrupt_ends_a_wait_and_not_the_manager() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.sleeper("p1");
    for command in [&["wait", "p1"][..], &["logs", "-f", "p1"], &["events", "-f", "-n", "0"]] {
        server.client.send(command);
        server.client.write(b"{\"v\":1,\"interrupt\":true}\n").unwrap();
        let reply = server.client.reply().exited(130);
        reply.refused("interrupted");
        assert_eq!(server.client.show("p1")["status"], "running");
    }
    // One that comes when nothing is under way ends nothing.
    server.client.write(b"{\"v\":1,\"interrupt\":true}\n").unwrap();
    server.client.ask("list").exited(0);
    server.exit();
}

/// A client that sends all it has and closes its side gets all answers.
#[test]
fn a_closed_side_is_no_reason_to_lose_answers() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox);
    let mut client = Client::connect(&sandbox);
    let stream = UnixStream::connect(sandbox.path(SOCKET)).unwrap();
    drop(stream);
    let request = format!("{}\n", client.request(&["create", "process", "p1"]));
    client.write(request.repeat(3).as_bytes()).unwrap();
    client.shut_down(Shutdown::Write);
    client.reply().exited(0);
    client.reply().exited(1).refused("name-taken");
    client.reply().exited(1).refused("name-taken");
    assert_eq!(client.next(), None);
    server.exit();
}

#[test]
fn a_path_that_is_too_long_is_reported_as_such() {
    let sandbox = Sandbox::new();
    let long = "d".repeat(120);
    for args in [format!("serve --socket /tmp/{long}"), format!("list --socket /tmp/{long}")] {
        let run = sandbox.run(&format!("manager {args}"));
        assert_ne!(run.status.code(), Some(0));
        assert!(run.stderr.contains("107"), "{args}: {}", run.stderr);
    }
}

/// A second manager at the same place is refused, and a socket that a dead one has left is taken over.
#[test]
fn a_place_is_one_managers_until_it_dies() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox);
    let second = sandbox.run("manager serve").exited(1).said("a manager is running there");
    assert!(second.stderr.contains("attach"), "{}", second.stderr);
    sandbox.run("manager serve --detach").exited(1).said("a manager is running there");
    server.kill();
    wait_for("its end", || sandbox.inhabitants().is_empty().then_some(()));
    assert!(sandbox.path(SOCKET).exists());
    sandbox.run("manager list").exited(4).said("no manager is running");
    Server::start(&sandbox).exit();
    assert!(!sandbox.path(SOCKET).exists());
}

/// A file that is no socket is nobody's to remove.
#[test]
fn a_file_at_the_place_of_the_socket_stays() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("precious"), "precious").unwrap();
    assert_ne!(sandbox.run("manager serve --socket precious").status.code(), Some(0));
    assert_eq!(sandbox.read("precious"), "precious");
}

/// Who has reached a manager may end it at once, and it ends in order.
#[test]
fn a_manager_that_answers_heeds_signals() {
    for _ in 0..20 {
        let sandbox = Sandbox::new();
        let server = Server::start(&sandbox);
        server.run().signal(Signal::SIGTERM);
        server.finish();
        assert!(!sandbox.path(SOCKET).exists());
    }
}

/// Many connections that come and go leave no descriptor.
#[test]
fn clients_that_have_gone_leave_nothing() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let before = server.descriptors();
    for round in 0..100 {
        let mut client = Client::connect(&sandbox);
        match round % 4 {
            0 => drop(client.ask("list").exited(0)),
            1 => client.write(b"{\"v\":1,\"cmd\":[\"li").unwrap(),
            2 => client.send(&["events", "-f"]),
            _ => {}
        }
    }
    wait_for("the end of the clients", || (server.descriptors() == before).then_some(()));
    server.exit();
}
