//! Many processes, and what becomes of their numbers and descriptors.

use std::collections::BTreeMap;

use serde_json::Value;

use super::harness::{Dialogue, Server, descriptors, state, zombies};
use crate::sandbox::{Running, Sandbox, cpu_ticks, processes, wait_for};

/// D55 of the reliability rows, and more of them.
#[test]
fn two_hundred_processes_leave_nothing() {
    let sandbox = Sandbox::new();
    let mut talk = Dialogue::start(&sandbox, "");
    talk.ask("create process first -- true");
    talk.ask("wait first");
    talk.ask("show first");
    let manager = talk.pid();
    let before = descriptors(manager);
    let many = 200;
    let mut pids = Vec::new();
    for number in 0..many {
        talk.say(&format!("create process p{number} -- sleep 1000"));
    }
    for _ in 0..many {
        let created = talk.hear();
        assert_eq!(created["done"], "created", "{created}");
        pids.push(created["pid"].as_u64().unwrap() as u32);
    }
    for (verb, done, is_paused) in [("pause", "paused", true), ("resume", "resumed", false)] {
        talk.say(&format!("{verb} all"));
        let answers: Vec<Value> = (0..many).map(|_| talk.hear()).collect();
        assert!(answers.iter().all(|it| it["done"] == done), "{answers:?}");
        assert!(pids.iter().all(|&pid| (state(pid) == Some('T')) == is_paused));
    }
    talk.say("terminate all");
    let mut ended = BTreeMap::new();
    for _ in 0..many {
        let answer = talk.hear();
        *ended.entry(format!("{} {} {}", answer["done"], answer["signal"], answer["processes"])).or_insert(0) += 1;
    }
    talk.ask("show first");
    assert_eq!(ended, BTreeMap::from([(r#""ended" "SIGTERM" 1"#.into(), many)]));
    assert!(pids.iter().all(|&pid| state(pid).is_none()));
    assert_eq!(zombies(manager), 0);
    assert!(!processes().iter().any(|it| it.parent == manager), "no children");
    assert_eq!(descriptors(manager), before);
    talk.say("exit");
    talk.finish().exited(0);
}

/// D55 as it stands: fifty, and then the end of the input with all of them alive.
#[test]
fn fifty_processes_end_with_an_exit() {
    let sandbox = Sandbox::new();
    let mut text: String = (0..50).map(|number| format!("create process p{number} -- sleep 1000\n")).collect();
    text += "pause all\nresume all\npause p1*\nexit\n";
    let run = super::harness::script(&sandbox, "--quiet", text).exited(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("manager ended, 50 processes stopped\n", ""));
}

#[test]
fn an_idle_manager_uses_no_time() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    for number in 0..10 {
        server.client.sleeper(&format!("p{number}"));
    }
    server.client.ask("pause p1 p2").exited(0);
    server.client.ask("create thread t1 --every 1000s").exited(0);
    let mut follower = super::harness::Client::connect(&sandbox);
    follower.send(&["logs", "-f", "p*"]);
    server.client.ask("create process second -- sleep 1").exited(0);
    let before = cpu_ticks(server.pid());
    server.client.ask("wait second").exited(0);
    let used = cpu_ticks(server.pid()) - before;
    assert!(used <= 1, "{used} ticks in a second of nothing");
    server.exit();
}

#[test]
fn a_process_has_no_descriptor_that_is_not_its_own() {
    const LIST: &str = "ls -l /proc/self/fd";
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    server.client.ask("create process guarded --daemon").exited(0);
    server.client.sleeper("one");
    server.client.shell("two", &format!("{LIST}; echo that is all; exec sleep 1000"));
    server.client.wait_for_line("two", "that is all");
    let open = |lines: &[String]| lines.iter().filter(|line| line.contains(" -> ")).count();
    // What the test runner hands on to everybody is not the manager's to close.
    let own = Running::of(&mut sandbox.shell(LIST)).finish();
    let own: Vec<String> = own.stdout.lines().map(str::to_owned).collect();
    assert_eq!(open(&server.client.logs("two")), open(&own), "{:?}", server.client.logs("two"));
    server.exit();
}

/// The exact words for a command that does not exist; and the name stays free.
#[test]
fn a_missing_command_is_named_and_its_name_stays_free() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox);
    let before = server.descriptors();
    let run = sandbox.run("manager create process web -- ./server 8080").exited(1);
    assert_eq!(run.stderr, "ipcpipe: web: ./server: No such file or directory\n");
    std::fs::write(sandbox.path("server"), "").unwrap();
    let run = sandbox.run("manager create process web -- ./server 8080").exited(1);
    assert_eq!(run.stderr, "ipcpipe: web: ./server: Permission denied\n");
    let run = sandbox.run("manager create process web --cwd nowhere -- true").exited(1);
    assert!(run.stderr.starts_with("ipcpipe: web: ") && run.stderr.contains("No such file or directory"));
    assert_eq!(sandbox.run("manager list --format json").exited(0).stdout, "");
    wait_for("no new descriptor", || (server.descriptors() == before).then_some(()));
    sandbox.run("manager create process web -- sleep 1000").exited(0);
    server.exit();
}
