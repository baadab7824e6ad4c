//! The log server (E11), and the output of processes.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::harness::{Client, Server};
use crate::sandbox::{Running, Sandbox, wait_for};

fn log_server(sandbox: &Sandbox, options: &str) -> Running {
    let run = sandbox.start(&format!("manager logd --dir logs {options}"));
    wait_for("the log server", || UnixStream::connect(sandbox.path("logs/logd.sock")).ok());
    run
}

/// A manager at a socket of its own that logs to the log server.
fn logging(sandbox: &Sandbox, name: &str) -> (Running, Client) {
    let run = sandbox.start(&format!("manager --socket {name} serve --log unix:logs/logd.sock"));
    let client = Client::connect_at(sandbox, &sandbox.path(name));
    (run, client)
}

/// The lines of the log, each of which has to be JSON.
fn log(sandbox: &Sandbox) -> Vec<Value> {
    let text = fs::read_to_string(sandbox.path("logs/log.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn wait_for_event(sandbox: &Sandbox, event: &str, target: &str) -> Value {
    wait_for(&format!("{event} of {target}"), || {
        log(sandbox).into_iter().find(|line| line["event"] == event && line["target"] == target)
    })
}

/// E11: one log of two managers; the server is killed and comes back, and outlives its clients.
#[test]
fn e11_a_log_server_has_the_lines_of_all_and_survives_its_clients() {
    let sandbox = Sandbox::new();
    let server = log_server(&sandbox, "");
    let (first, mut one) = logging(&sandbox, "one.sock");
    let (second, mut two) = logging(&sandbox, "two.sock");
    one.sleeper("of-one");
    two.sleeper("of-two");
    let line = wait_for_event(&sandbox, "started", "of-one");
    for field in ["ts", "level", "event", "target", "msg"] {
        assert!(line[field].is_string(), "{field} in {line}");
    }
    assert!(line["pid"].is_u64());
    wait_for_event(&sandbox, "started", "of-two");

    // What is logged while nobody listens comes later.
    server.signal(Signal::SIGKILL);
    server.finish();
    one.ask("pause of-one").exited(0);
    two.ask("terminate of-two").exited(0);
    let server = log_server(&sandbox, "");
    wait_for_event(&sandbox, "paused", "of-one");
    wait_for_event(&sandbox, "killed", "of-two");

    // A client that is killed in the middle of a line takes nothing with it but that line.
    let mut rude = UnixStream::connect(sandbox.path("logs/logd.sock")).unwrap();
    rude.write_all(b"{\"event\":\"foreign\",\"target\":\"x\"}\nno json\n{\"event\":\"ha").unwrap();
    drop(rude);
    wait_for_event(&sandbox, "foreign", "x");
    second.signal(Signal::SIGKILL);
    second.finish().died_of(Signal::SIGKILL);
    one.ask("exit").exited(0);
    first.finish().exited(0);
    wait_for_event(&sandbox, "killed", "of-one");
    server.signal(Signal::SIGTERM);
    server.finish().exited(0);
    let lines = log(&sandbox);
    assert!(lines.iter().any(|line| line["event"] == "garbage" && line["msg"] == "no json"));
    assert!(!lines.iter().any(|line| line["event"] == "ha"));
    // Nothing of the first life was lost or told twice.
    for (event, target) in [("started", "of-one"), ("started", "of-two"), ("paused", "of-one"), ("killed", "of-two")] {
        let told = lines.iter().filter(|it| it["event"] == event && it["target"] == target).count();
        assert_eq!(told, 1, "{event} of {target}");
    }
    assert!(!sandbox.path("logs/logd.sock").exists());
    for left in ["two.sock", "two.sock.state"] {
        let _ = fs::remove_file(sandbox.path(left));
    }
}

/// E11: the files rotate, each line whole, and no more of them than were asked for.
#[test]
fn the_files_of_a_log_server_rotate() {
    let sandbox = Sandbox::new();
    let server = log_server(&sandbox, "--max-bytes 2000 --keep 3");
    let (manager, mut client) = logging(&sandbox, "one.sock");
    for round in 0..60 {
        let name = format!("p{round}");
        client.ask(&format!("create process {name} -- true")).exited(0);
        client.ask(&format!("wait {name}")).exited(0);
    }
    client.ask("exit").exited(0);
    manager.finish().exited(0);
    wait_for("the last line", || log(&sandbox).iter().any(|line| line["event"] == "ended").then_some(()));
    server.signal(Signal::SIGINT);
    server.finish().exited(0);
    let mut files: Vec<_> = fs::read_dir(sandbox.path("logs")).unwrap().map(|it| it.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["log.jsonl", "log.jsonl.1", "log.jsonl.2", "log.jsonl.3"]);
    for file in files {
        let text = fs::read_to_string(sandbox.path("logs").join(file)).unwrap();
        assert!(text.len() <= 2000 && text.ends_with('\n'), "{} bytes", text.len());
        assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{text}");
    }
}

#[test]
fn a_second_log_server_in_a_directory_is_refused() {
    let sandbox = Sandbox::new();
    let server = log_server(&sandbox, "");
    sandbox.run("manager logd --dir logs").exited(1).said("a log server runs there already");
    server.signal(Signal::SIGTERM);
    server.finish().exited(0);
}

/// A log of its own: whole lines, and a file that cannot be written is said at the start.
#[test]
fn a_log_file_that_cannot_be_made_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.run("manager serve --log nowhere/log").exited(1).said("nowhere/log");
    sandbox.run("manager serve --detach --log nowhere/log").exited(1).said("nowhere/log");
    sandbox.run("manager list").exited(4);
}

/// The output of a process: kept within bounds, in a file as well, of any bytes and any length.
#[test]
fn output_is_kept_within_bounds_and_passed_on_byte_for_byte() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.shell("p1 --log-file out", r"printf 'a\377b\n\n\033[1mbold\n'; echo err >&2; printf 'no newline'");
    server.client.ask("wait p1").exited(0);
    let file = fs::read(sandbox.path("out")).unwrap();
    let has = |part: &[u8]| file.windows(part.len()).any(|it| it == part);
    assert!(has(b"a\xffb\n") && has(b"\x1b[1mbold\n") && has(b"err\n"), "{:?}", String::from_utf8_lossy(&file));
    let run = Running::of(&mut sandbox.shell("$IPCPIPE manager logs p1 | od -An -c")).finish().exited(0);
    assert!(run.stdout.contains("a 377   b  \\n  \\n 033"), "{}", run.stdout);

    // Ten megabytes of short lines, of which a mebibyte is kept, and a line that is longer than any buffer.
    server.client.shell(
        "loud",
        "yes 0123456789abcdef | head -c 10000000; head -c 200000 /dev/zero | tr '\\0' x; echo; echo end",
    );
    server.client.ask("wait loud").exited(0);
    let row = server.client.show("loud");
    let kept = row["details"]["output_bytes"].as_u64().unwrap();
    assert!((100_000..=1 << 20).contains(&kept), "{kept}");
    let reply = server.client.ask("logs loud").exited(0);
    let lines = reply.all("line");
    assert!(lines.len() < 500_000, "{}", lines.len());
    assert_eq!(lines[lines.len() - 1]["text"], "end");
    assert!(lines.iter().any(|line| line["cut"] == true));
    server.exit();
}
