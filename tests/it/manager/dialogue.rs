//! The seed's own dialogue, as a script.

use serde_json::Value;

use super::harness::{Dialogue, is_gone, pid_of, script, state, thread_name};
use crate::sandbox::Sandbox;

const SEED: &str = "create process p1\ncreate thread t1\npause process p1\nlist process\nlist thread\n\
    resume process p1\nterminate process p1\nlist process\nexit\n";

/// Done when 1, A16.
#[test]
fn the_dialogue_of_the_seed_is_a_script() {
    let sandbox = Sandbox::new();
    let run = script(&sandbox, "", SEED).exited(0);
    assert_eq!(run.stderr, "");
    let lines: Vec<&str> = run.stdout.lines().collect();
    let expected: [&[&str]; 12] = [
        &["process p1 started, pid "],
        &["thread t1 started, tid "],
        &["process p1 paused (1 process)"],
        &["ID  NAME  KIND", "STATUS"],
        &[" 1  p1 ", "process", "Paused", "tick --every 1s"],
        &["ID  NAME  KIND", "STATUS"],
        &[" 2  t1 ", "thread", "Running", "tick --every 1s"],
        &["process p1 resumed"],
        &["process p1 ended by SIGTERM in ", " ms (1 process, none left)"],
        &["ID  NAME  KIND", "STATUS"],
        &[" 1  p1 ", "process", "Killed(SIGTERM)", "tick --every 1s"],
        &["manager ended, 1 thread stopped"],
    ];
    assert_eq!(lines.len(), expected.len(), "{}", run.stdout);
    for (line, parts) in lines.iter().zip(expected) {
        assert!(parts.iter().all(|part| line.contains(part)), "{line:?} is not {parts:?}");
    }
}

/// Done when 1: what the answers say is what `/proc` says.
#[test]
fn every_step_of_the_dialogue_is_true_when_it_is_answered() {
    let sandbox = Sandbox::new();
    let mut talk = Dialogue::start(&sandbox, "");
    let created = talk.ask("create process p1");
    let pid = pid_of(&created);
    assert_eq!([&created["done"], &created["status"]], ["created", "running"]);
    assert!(matches!(state(pid), Some('R' | 'S' | 'D')));

    let thread = talk.ask("create thread t1");
    assert_eq!([&thread["kind"], &thread["status"]], ["thread", "running"]);
    assert_eq!(thread_name(talk.pid(), pid_of(&thread)), "t1");

    let paused = talk.ask("pause process p1");
    assert_eq!((&paused["done"], &paused["processes"]), (&"paused".into(), &1.into()));
    assert_eq!(state(pid), Some('T'));
    let row = talk.ask("list process");
    assert_eq!((&row["type"], &row["status"], pid_of(&row)), (&"process".into(), &"paused".into(), pid));
    let row = talk.ask("list thread");
    assert_eq!([&row["type"], &row["name"], &row["status"]], ["thread", "t1", "running"]);
    assert_eq!(row["tid"], thread["pid"]);

    assert_eq!(talk.ask("resume process p1")["done"], "resumed");
    assert_ne!(state(pid), Some('T'));
    let ended = talk.ask("terminate process p1");
    assert_eq!([&ended["done"], &ended["status"], &ended["signal"]], ["ended", "killed", "SIGTERM"]);
    assert!(is_gone(pid) && state(pid).is_none(), "not reaped");
    let row = talk.ask("list process");
    assert_eq!([&row["name"], &row["status"], &row["signal"]], ["p1", "killed", "SIGTERM"]);

    let end = talk.ask("exit");
    assert_eq!((&end["type"], &end["processes"], &end["threads"]), (&"ended".into(), &0.into(), &1.into()));
    assert_eq!(talk.finish().exited(0).stdout, "");
}

/// Done when 1, with `--format json`: one object a line, and never the environment of a process.
#[test]
fn the_dialogue_is_one_json_object_a_line() {
    let sandbox = Sandbox::new();
    let run = script(&sandbox, "--format json", SEED).exited(0);
    let objects: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<String> = objects.iter().map(|it| format!("{} {}", it["type"], it["status"])).collect();
    let expected = [
        r#""done" "running""#,
        r#""done" "running""#,
        r#""done" "paused""#,
        r#""process" "paused""#,
        r#""thread" "running""#,
        r#""done" "running""#,
        r#""done" "killed""#,
        r#""process" "killed""#,
        r#""ended" null"#,
    ];
    assert_eq!(told, expected);
    assert!(objects.iter().all(|it| it["v"] == 1), "{}", run.stdout);
    assert!(!run.stdout.contains(sandbox.path("").to_str().unwrap()), "{}", run.stdout);
}

/// The same words from an argument and from a file.
#[test]
fn a_script_may_be_an_argument_or_a_file() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("seed"), format!("# the seed's own\n{SEED}")).unwrap();
    let argument = SEED.replace('\n', "; ");
    for args in [["-c", argument.as_str()], ["-f", "seed"]] {
        let mut command = sandbox.command(["manager", args[0], args[1]]);
        let run = crate::sandbox::Running::of(&mut command).finish().exited(0);
        assert!(run.stdout.ends_with("manager ended, 1 thread stopped\n"), "{}", run.stdout);
        assert_eq!(run.stdout.lines().count(), 12);
    }
}
