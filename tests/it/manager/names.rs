//! Names of every kind: a clear answer or it works, and never a crash.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::harness::{Server, pid_of};
use crate::sandbox::{Running, Sandbox};

#[test]
fn a_name_that_could_be_something_else_is_refused() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let long = "x".repeat(1024);
    for (name, says) in [
        ("", "at least one character"),
        (long.as_str(), "at most 255 bytes"),
        ("a\nb", "no line breaks"),
        ("a\u{1b}[31m", "no line breaks or other control characters"),
        (" a", "blank"),
        ("-x", ""),
        ("--", ""),
        ("#1", "looks like an ID"),
        ("4711", "looks like a process id"),
        ("a*", "none of"),
        ("a:b", "none of"),
        ("all", "word of the grammar"),
        ("process", "word of the grammar"),
    ] {
        for kind in ["process", "thread"] {
            let reply = server.client.tell(&["create", kind, name]).exited(2);
            let message = reply.refused("usage");
            assert!(message.contains(says) && !message.contains('\n') && !message.contains('\u{1b}'), "{message:?}");
        }
    }
    assert!(server.client.ask("list").exited(0).answers.is_empty());
    server.exit();
}

#[test]
fn a_name_with_blanks_or_letters_of_any_script_works_everywhere() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let longest = "y".repeat(255);
    for name in ["web server", "größe", "a-b.c@d", "it's \"so\"", "日本語", "1a", "$HOME", "a;b", longest.as_str()]
    {
        let pid = pid_of(server.client.tell(&["create", "process", name]).exited(0).only("done"));
        for verb in ["pause", "resume", "show", "why", "logs", "terminate", "wait", "forget"] {
            server.client.tell(&[verb, "process", name]).exited(if verb == "wait" { 143 } else { 0 });
        }
        assert!(super::harness::is_gone(pid));
        server.client.tell(&["create", "thread", name]).exited(0);
        server.client.tell(&["terminate", "thread", name]).exited(0);
    }
    server.exit();
}

#[test]
fn bytes_that_are_no_text_are_refused_as_a_name_and_passed_on_as_an_argument() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let odd = OsStr::from_bytes(b"p\xff1");
    for words in [&["create", "process"][..], &["create", "thread"], &["pause"], &["terminate", "process"]] {
        let args = ["manager"].iter().chain(words).map(OsStr::new).chain([odd]);
        let run = Running::of(&mut sandbox.command(args)).finish().exited(2);
        assert!(run.stderr.starts_with("ipcpipe: ") && run.stderr.lines().count() == 1, "{}", run.stderr);
        assert!(std::str::from_utf8(run.stderr.as_bytes()).is_ok());
    }
    let args = ["manager", "create", "process", "p1", "--", "printf", "%s"].map(OsStr::new);
    Running::of(&mut sandbox.command(args.iter().chain(&[odd]))).finish().exited(0);
    server.client.ask("wait p1").exited(0);
    let line = server.client.ask("logs p1").exited(0).only("line").clone();
    assert_eq!(line["text"], serde_json::json!([b'p', 255, b'1']));
    // As bytes on the socket.
    server.client.write(b"{\"v\":1,\"cmd\":[\"create\",\"process\",[112,255]]}\n").unwrap();
    server.client.reply().exited(2).refused("usage");
    server.exit();
}

#[test]
fn names_near_to_the_unknown_one_are_offered_and_no_others() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    for name in ["worker-1", "worker-2", "database"] {
        server.client.sleeper(name);
    }
    let hint = |server: &mut Server, name: &str| server.client.tell(&["pause", name]).exited(3).only("error").clone();
    let near = hint(&mut server, "worker-3");
    assert_eq!(near["hint"], serde_json::json!(["worker-1", "worker-2"]));
    let far = hint(&mut server, "zzzzzz");
    assert!(far["hint"].is_null() && far["target"] == "zzzzzz", "{far}");
    let run = sandbox.run("manager pause databse").exited(3);
    assert_eq!(run.stderr, "ipcpipe: there is no process, thread or pool databse; did you mean database?\n");
    let run = sandbox.run("manager paus database").exited(2);
    assert!(run.stderr.contains("pause"), "{}", run.stderr);
    // One that is missing does not keep the others from it.
    let reply = server.client.ask("pause worker-1 nobody worker-2").exited(3);
    assert_eq!((reply.all("done").len(), reply.all("error").len()), (2, 1));
    server.exit();
}

/// A process and a thread may have one name; then the noun says which is meant.
#[test]
fn a_noun_tells_a_process_from_a_thread_of_its_name() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.sleeper("twin");
    server.client.ask("create thread twin").exited(0);
    assert_eq!(server.client.ask("pause process twin").exited(0).only("done")["kind"], "process");
    assert_eq!(server.client.ask("show thread twin").exited(0).only("thread")["status"], "running");
    let reply = server.client.ask("show twin");
    assert!(reply.all("error").len() == 1 || reply.answers.len() == 2, "{reply:?}");
    server.client.ask("terminate thread twin").exited(0);
    assert_eq!(server.client.ask("show process twin").exited(0).only("process")["status"], "paused");
    server.exit();
}
