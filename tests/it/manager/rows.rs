//! The rows A1 to A16 of the seed's manager, one after the other.

use std::fs;

use super::harness::{Server, is_gone, pid_of, script, state, thread_name};
use crate::sandbox::{Sandbox, process, wait_for};

/// A named process, with a command or with the built-in job.
#[test]
fn a1_a_process_has_a_name_and_a_command_or_the_built_in_job() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let pid = server.client.sleeper("web");
    // The kernel lets the one who spawned go on before the words of the new program are in place.
    let words = || fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|words| !words.is_empty());
    assert_eq!(wait_for("its words", words), b"sleep\x001000\0");
    let job = pid_of(server.client.ask("create process p1 --every 7s").exited(0).only("done"));
    assert_eq!(process(job).unwrap().parent, server.pid());
    assert_eq!(server.client.show("p1")["command"], serde_json::json!(["tick", "--every", "7s"]));
    server.exit();
}

/// A named thread, with a real number and name in the kernel.
#[test]
fn a2_a_thread_has_a_name_that_the_kernel_knows() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let tid = pid_of(server.client.ask("create thread t1").exited(0).only("done"));
    assert_eq!(thread_name(server.pid(), tid), "t1");
    server.exit();
}

/// A name that is taken is refused, and nothing is started.
#[test]
fn a3_a_taken_name_starts_nothing() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let pid = server.client.sleeper("p1");
    let tid = pid_of(server.client.ask("create thread t1").exited(0).only("done"));
    let lived = sandbox.inhabitants().len();
    let refused = server.client.ask("create process p1 -- touch made").exited(1);
    assert_eq!(refused.refused("name-taken"), format!("the name p1 is taken (pid {pid})"));
    let refused = server.client.ask("create thread t1").exited(1);
    assert_eq!(refused.refused("name-taken"), format!("the name t1 is taken (tid {tid})"));
    assert_eq!(server.client.ask("list").exited(0).answers.len(), 2);
    assert_eq!(sandbox.inhabitants().len(), lived);
    server.exit();
    assert!(!sandbox.path("made").exists());
}

/// Names, pids, tids, IDs and patterns all lead to the same target.
#[test]
fn a4_names_lead_to_numbers_and_numbers_to_names() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let pid = server.client.sleeper("web-1").to_string();
    let tid = pid_of(server.client.ask("create thread t1").exited(0).only("done")).to_string();
    for target in ["web-1", &pid, "#1", "web-*", "w?b-[0-9]", "process all"] {
        let reply = server.client.ask(&format!("show {target}")).exited(0);
        assert_eq!(reply.only("process")["name"], "web-1", "{target}");
    }
    for target in ["t1", &tid, "#2", "t*", "thread all"] {
        let reply = server.client.ask(&format!("show {target}")).exited(0);
        assert_eq!(reply.only("thread")["name"], "t1", "{target}");
    }
    assert_eq!(server.client.ask("show all").exited(0).answers.len(), 2);
    server.exit();
}

/// Pause and resume by name and by pid; in the seed a typed pid never matched.
#[test]
fn a5_a_process_is_paused_by_name_or_pid() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let pid = server.client.sleeper("p1");
    for target in ["p1", &pid.to_string()] {
        assert_eq!(server.client.ask(&format!("pause process {target}")).exited(0).only("done")["done"], "paused");
        assert_eq!(state(pid), Some('T'), "{target}");
        assert_eq!(server.client.show("p1")["status"], "paused");
        assert_eq!(server.client.ask(&format!("resume process {target}")).exited(0).only("done")["done"], "resumed");
        assert_ne!(state(pid), Some('T'), "{target}");
        assert_eq!(server.client.show("p1")["status"], "running");
    }
    server.exit();
}

/// Pause and resume of a thread by name and by tid.
#[test]
fn a6_a_thread_is_paused_by_name_or_tid() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let tid = pid_of(server.client.ask("create thread t1 --every 1ms").exited(0).only("done"));
    for target in ["t1", &tid.to_string()] {
        assert_eq!(server.client.ask(&format!("pause thread {target}")).exited(0).only("done")["done"], "paused");
        // What is parked writes nothing.
        let lines = server.client.logs("t1").len();
        server.client.ask("create process yardstick -- sleep 0.05").exited(0);
        server.client.ask("wait yardstick").exited(0);
        assert_eq!(server.client.logs("t1").len(), lines, "{target}");
        assert_eq!(server.client.show("t1")["status"], "paused");
        assert_eq!(server.client.ask(&format!("resume thread {target}")).exited(0).only("done")["done"], "resumed");
        server.client.wait_for_line("t1", &format!("tick {}", lines + 1));
        server.client.ask("forget yardstick").exited(0);
    }
    server.exit();
}

/// Terminate signals and reaps, and then the name is free.
#[test]
fn a7_a_terminated_process_is_reaped_and_its_name_is_free() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let first = server.client.sleeper("p1");
    let ended = server.client.ask("terminate p1").exited(0);
    assert_eq!([&ended.only("done")["done"], &ended.only("done")["signal"]], ["ended", "SIGTERM"]);
    assert_eq!(state(first), None, "gone, and no zombie");
    assert!(server.client.tell(&["pause", &first.to_string()]).exited(3).refused("not-found").contains("no process"));
    let second = server.client.sleeper("p1");
    assert_ne!(first, second);
    assert_eq!(server.client.ask(&format!("stop {second}")).exited(0).only("done")["name"], "p1");
    assert!(is_gone(second));
    server.exit();
}

/// Threads are asked to stop and never killed.
#[test]
fn a8_a_thread_is_never_killed() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let tid = pid_of(server.client.ask("create thread t1").exited(0).only("done"));
    let refused = server.client.ask("kill t1").exited(1);
    assert!(refused.refused("failed").contains("threads are never killed"));
    assert!(server.client.ask("signal KILL t1").exited(1).refused("failed").contains("signals are sent to processes"));
    assert_eq!(server.client.show("t1")["status"], "running");
    assert_eq!(server.client.ask("terminate thread t1").exited(0).only("done")["status"], "stopped");
    assert!(!fs::exists(format!("/proc/{}/task/{tid}", server.pid())).unwrap());
    server.exit();
}

/// The list, in which a process that has ended is no running one.
#[test]
fn a9_the_list_tells_the_living_from_the_dead() {
    let sandbox = Sandbox::new();
    let text = "create process p1 -- sleep 1000\ncreate process p2 -- sh -c 'exit 3'\n\
        create process p3 -- sh -c 'kill -9 $$'\ncreate thread t1\nwait p2\nwait p3\npause p1\nlist\nlist process\nlist thread\nexit\n";
    let run = script(&sandbox, "-k", text);
    let rows = |of: &str| run.stdout.lines().filter(|line| line.contains(of)).count();
    let columns = run.stdout.lines().find(|line| line.starts_with("ID")).unwrap();
    let columns: Vec<&str> = columns.split_whitespace().collect();
    assert_eq!(columns, ["ID", "NAME", "KIND", "PID", "STATUS", "UPTIME", "CPU", "RSS", "RESTARTS", "COMMAND"]);
    let table: Vec<Vec<&str>> = run.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    for (name, status, times) in
        [("p1", "Paused", 2), ("p2", "Exited(3)", 2), ("p3", "Killed(SIGKILL)", 2), ("t1", "Running", 2)]
    {
        let found = table.iter().filter(|row| row.get(1) == Some(&name) && row.get(4) == Some(&status)).count();
        assert_eq!(found, times, "{name}: {}", run.stdout);
    }
    assert_eq!(rows("ID  NAME"), 3, "{}", run.stdout);
}

/// An unknown name is an error with the nearest ones, and the manager lives.
#[test]
fn a10_an_unknown_name_is_answered_with_the_nearest() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.sleeper("web-server");
    for verb in ["pause", "resume", "terminate", "wait", "show", "why", "logs", "restart", "kill", "forget"] {
        let reply = server.client.ask(&format!("{verb} web-serve")).exited(3);
        assert!(reply.refused("not-found").contains("web-serve"), "{reply:?}");
        assert_eq!(reply.only("error")["hint"], serde_json::json!(["web-server"]));
        assert_eq!(reply.only("error")["target"], "web-serve");
    }
    assert_eq!(server.client.show("web-server")["status"], "running");
    server.exit();
}

/// The built-in job writes a line, works for a second, and so on.
#[test]
fn a11_the_built_in_job_writes_a_line_each_period() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.ask("create process p1").exited(0);
    server.client.ask("create process p2 --every 5ms").exited(0);
    server.client.wait_for_line("p2", "tick 3");
    server.client.wait_for_line("p1", "tick 1");
    assert_eq!(server.client.show("p1")["command"], serde_json::json!(["tick", "--every", "1s"]));
    assert_eq!(server.client.logs("p2")[..3], ["tick 1", "tick 2", "tick 3"]);
    server.exit();
}

/// Commands wait in a queue and are carried out in their order.
#[test]
fn a12_commands_are_carried_out_in_their_order() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let pid = server.client.sleeper("p1");
    let mut lines = String::new();
    for number in 0..150 {
        for verb in ["pause", "resume"] {
            lines += &format!("{{\"v\":1,\"cmd\":[\"{verb}\",\"p1\"],\"id\":\"{verb} {number}\"}}\n");
        }
    }
    lines += "{\"v\":1,\"cmd\":[\"pause\",\"p1\"]}\n";
    server.client.write(lines.as_bytes()).unwrap();
    for number in 0..150 {
        for (verb, done) in [("pause", "paused"), ("resume", "resumed")] {
            let reply = server.client.reply().exited(0);
            assert_eq!(reply.end["id"], format!("{verb} {number}"));
            assert_eq!(reply.only("done")["done"], done);
        }
    }
    server.client.reply().exited(0);
    assert_eq!(state(pid), Some('T'));
    server.exit();
}

/// A command that is too short is answered with what it lacks.
#[test]
fn a13_a_command_that_is_too_short_is_told_what_it_lacks() {
    let sandbox = Sandbox::new();
    for (line, says) in [
        ("create process", "create process: <NAME> is missing"),
        ("create thread", "create thread: <NAME> is missing"),
        ("create", "create"),
        ("pause", "pause: <TARGET>"),
        ("pause process", "pause"),
        ("terminate", "terminate: <TARGET>"),
        ("signal HUP", "signal: <TARGET>"),
    ] {
        let run = script(&sandbox, "", format!("{line}\n")).exited(2);
        assert!(run.stderr.starts_with("ipcpipe: stdin:1: ") && run.stderr.contains(says), "{line}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
}

/// A14: `exit` ends the manager, with a message.
#[test]
fn a14_exit_ends_the_manager_with_a_message() {
    let sandbox = Sandbox::new();
    let run = script(&sandbox, "", "create process p1\nexit\ncreate process p2\n").exited(0);
    assert!(run.stdout.ends_with("manager ended, 1 process stopped\n"), "{}", run.stdout);
    assert!(!run.stdout.contains("p2"));
}

/// Every operation is in the log of events, for a person and as JSON lines.
#[test]
fn a15_every_operation_is_logged() {
    let sandbox = Sandbox::new();
    let mut server = Server::start_with(&sandbox, "--log events.jsonl");
    let words = ["create process p1", "create thread t1", "pause all", "resume all", "restart p1", "signal USR1 p1"];
    for line in words {
        server.client.ask(line).exited(0);
    }
    server.client.ask("wait p1").exited(128 + 10);
    server.client.ask("terminate t1").exited(0);
    let reply = server.client.ask("events").exited(0);
    let happened = |target: &str| -> Vec<String> {
        let of = |it: &&&serde_json::Value| it["target"] == target;
        reply.all("event").iter().filter(of).map(|it| it["event"].as_str().unwrap().to_owned()).collect()
    };
    let (process, thread) = (happened("p1"), happened("t1"));
    let p1 = ["started", "pausing", "paused", "resumed", "stopping", "started", "signalled", "killed"];
    assert_eq!(process, p1);
    for event in ["started", "paused", "resumed", "stopped"] {
        assert!(thread.iter().any(|it| it == event), "{event}: {thread:?}");
    }
    server.exit();
    let log = sandbox.read("events.jsonl");
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|it| it["ts"].is_string() && it["level"].is_string() && it["msg"].is_string()), "{log}");
    let of_p1: Vec<_> = lines.iter().filter(|it| it["target"] == "p1").map(|it| it["event"].clone()).collect();
    assert_eq!(of_p1, p1);
    assert_eq!((&lines[0]["event"], &lines[lines.len() - 1]["event"]), (&"started".into(), &"ended".into()));
}
