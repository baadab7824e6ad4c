//! `ipcpipe manager demo`: each technique of the lessons as a short run.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::sandbox::{Finished, Running, Sandbox, wait_for};

/// All demos, as issue and lessons name them.
const NAMES: [&str; 19] = [
    "process-shm",
    "process-queue",
    "joinable-queue",
    "thread-list",
    "thread-queue",
    "pipe",
    "kill",
    "struct",
    "pool",
    "daemon",
    "non-daemon",
    "spawn",
    "lock",
    "semaphore",
    "condition",
    "manager",
    "shared-list",
    "value",
    "pipeline",
];

/// What a demo said, in a sandbox that is empty afterwards.
fn demo(name: &str) -> Value {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&format!("manager --format json demo {name}")).exited(0);
    let shown: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&shown["v"], &shown["type"], &shown["name"]), (&1.into(), &"demo".into(), &name.into()));
    assert!(shown["elapsed_s"].as_f64().unwrap() > 0.0, "{shown}");
    shown
}

/// The lines of a demo without who said them.
fn lines(shown: &Value) -> Vec<&str> {
    let lines = shown["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
    lines.map(|line| line.split_once("): ").map_or(line, |(_, said)| said)).collect()
}

/// Fails unless demo `name` says each of `expected` as a part of some line, and comes to `result`.
#[track_caller]
fn says(name: &str, expected: &[&str], result: &str) {
    let shown = demo(name);
    for text in expected {
        assert!(lines(&shown).iter().any(|line| line.contains(text)), "{name} does not say {text:?}: {shown:#}");
    }
    assert_eq!(shown["result"], result);
}

#[test]
fn a17_demo_process_shm() {
    let zeros = format!("{:?}", [0.0; 10]);
    let ones = format!("sees what the child wrote, without a copy: {:?}", [1.0; 10]);
    says("process-shm", &["made /dev/shm/", &zeros, &ones, "exists: false"], "10 numbers increased by a child");
}

#[test]
fn a18_demo_process_queue() {
    let shown = demo("process-queue");
    let received = lines(&shown).into_iter().filter(|line| line.starts_with("received"));
    assert!(received.eq((0..10).map(|i| format!("received Message {i}"))), "{shown:#}");
    assert!(lines(&shown).iter().any(|line| line.contains("no thread has to carry them")), "{shown:#}");
    assert_eq!(shown["result"], "10 messages in order, then END");
}

#[test]
fn a19_demo_thread_list() {
    let shown = demo("thread-list");
    let list = *lines(&shown).last().unwrap();
    for item in (0..5).flat_map(|i| [format!("Thread-0: {i}"), format!("Thread-1: {i}")]) {
        assert!(list.split(", ").any(|it| it == item), "{item} is not in {list}");
    }
    assert_eq!(shown["result"], "10 items appended by 2 threads");
}

#[test]
fn a20_demo_thread_queue() {
    let last = ["received Message 0", "received Message 9"];
    says("thread-queue", &last, "10 messages in order, then END");
}

#[test]
fn d9_demo_spawn() {
    says("spawn", &["worker 3; the counter is 0 here", "results [1, 4, 9]"], "3 processes started, run and joined");
}

#[test]
fn d4_demo_kill() {
    let killed = ["after 100 ms Process-1 is alive: true", "alive: false", "was killed by SIGTERM"];
    says("kill", &killed, "a process that would run for ever is gone");
}

#[test]
fn d2_demo_joinable_queue() {
    let said = [
        "168 primes below 1000, the largest is Some(997)",
        "550 primes below 4000",
        "all tasks are done, 0 unfinished",
    ];
    let result = "4 tasks done by 2 processes, though a third one died with one of them";
    says("joinable-queue", &said, result);
}

#[test]
fn d3_demo_pipe() {
    let said = ["within 10 ms: false", "Word(\"three\") is answered with 5", "Number(12) is answered with 144"];
    says("pipe", &said, "4 requests answered over a pipe in both directions");
}

#[test]
fn d5_demo_struct() {
    let result = "a product of 2 x 2 numbers computed by a method in another process";
    says("struct", &["[[2.0, 1.0], [4.0, 3.0]]"], result);
}

#[test]
fn d6_demo_pool() {
    let order = r#"["hello John", "hello Mary", "hello April", "hello Murry", "hello George"]"#;
    says("pool", &[order, "there is no such name", "the callback got ["], "9 jobs by 2 workers");
}

#[test]
fn d7_demo_non_daemon() {
    says("non-daemon", &["step 3 of 3"], "a process made 3 of 3 steps before its parent went on");
}

#[test]
fn d8_demo_daemon() {
    says("daemon", &["beat 1 (daemon: true)", "sends SIGKILL to"], "2 of 2 daemons ended with their parents");
}

#[test]
fn b24_demo_value_loses_nothing_with_its_lock() {
    let shown = demo("value");
    assert!(shown["result"].as_str().unwrap().starts_with("2 x 100000 increments make 200000 with the lock, "));
}

#[test]
fn b15_demo_manager_updates_and_loses_nothing() {
    says("manager", &["by update: 600"], "3 processes shared 4 objects, and update lost 0 of 600");
}

#[test]
fn c8_demo_shared_list() {
    let said = ["found howdy, -273.154, 100, none", "sees hello, -273.154, true, none", "do not fit"];
    says("shared-list", &said, "4 items of 4 types, 2 of them changed by a child");
}

#[test]
fn b32_demos_of_synchronisation() {
    let lock = "6 turns of 3 processes, 0 meetings inside, and a dead holder who kept nobody out";
    says("lock", &["got the lock within 20 ms: false", "was told: a process died", "took it again: true"], lock);
    says("semaphore", &["2 permits are there again", "one more is refused"], "5 processes, at most 2 at once");
    says("condition", &["puts a pot there", "takes a pot"], "3 pots put and taken, 0 left");
}

#[test]
fn c1_demo_pipeline() {
    let said = ["count 5   sum ", "produced 5   logged 5   counted 5   reported 5   lost 0"];
    says("pipeline", &said, "5 numbers through four processes over sockets");
}

/// A spawn that fails half-way leaves processes that wait for what will never be started.
#[test]
fn no_demo_hangs_for_want_of_descriptors() {
    for limit in [8, 10, 13, 16, 18, 21] {
        let sandbox = Sandbox::new();
        let script = format!("ulimit -n {limit}; exec \"$IPCPIPE\" manager --format json demo all");
        let all = Running::of(&mut sandbox.shell(&script)).finish().exited(1);
        assert_eq!(names(&all).len(), NAMES.len(), "with {limit} descriptors");
        for line in all.stdout.lines() {
            let shown: Value = serde_json::from_str(line).unwrap();
            assert!(shown["result"].is_string() || shown["error"] != "it ended without a result", "{limit}: {shown}");
        }
    }
}

#[test]
fn a_demo_whose_audience_is_killed_leaves_nobody() {
    // Not those whose memory has a name, which stays where nobody is left to remove it, nor those without processes.
    let with_names = ["process-shm", "shared-list", "thread-list", "thread-queue"];
    for name in NAMES.into_iter().filter(|name| !with_names.contains(name)) {
        let sandbox = Sandbox::new();
        // Another one follows, should this one end too fast to be seen.
        let run = sandbox.start(&format!("manager demo {name} all"));
        wait_for("the demo to have processes", || (sandbox.inhabitants().len() > 2).then_some(()));
        run.signal(Signal::SIGKILL);
        run.finish().died_of(Signal::SIGKILL);
        wait_for("the demo's processes to end", || sandbox.inhabitants().is_empty().then_some(()));
        sandbox.assert_tidy();
    }
}

/// The names in a list of JSON objects, a line each.
fn names(run: &Finished) -> Vec<String> {
    let objects = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    objects.map(|object| object["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn d10_every_technique_has_a_demo() {
    let sandbox = Sandbox::new();
    let mut listed = names(&sandbox.run("manager demo --list --format json").exited(0));
    listed.sort();
    let mut expected = NAMES;
    expected.sort_unstable();
    assert_eq!(listed, expected);
    let text = sandbox.run("manager demo --list").exited(0).stdout;
    assert_eq!(text.lines().count(), NAMES.len());
    assert!(text.contains("\nvalue           two processes count"), "{text}");
}

#[test]
fn d10_all_demos_run_and_leave_nothing() {
    let sandbox = Sandbox::new();
    let queues = || std::fs::read_dir("/dev/mqueue").map_or(0, Iterator::count);
    let before = queues();
    let all = sandbox.run("manager demo all --format json").exited(0);
    assert_eq!(names(&all).len(), NAMES.len());
    assert!(all.stdout.lines().all(|line| line.contains("\"result\":")), "{}", all.stdout);
    wait_for("queues to go away", || (queues() <= before).then_some(()));
    // The sandbox looks for processes, segments and temporary files when it goes.
}

#[test]
fn a_demo_shows_its_source() {
    let source = Sandbox::new().run("manager demo --show value").exited(0).stdout;
    assert!(source.starts_with("//! value: ") && source.contains("pub(super) fn run()"), "{source}");
}

#[test]
fn a_demo_begins_with_what_it_shows_and_ends_with_its_result_and_time() {
    let sandbox = Sandbox::new();
    let text = sandbox.run("manager demo spawn struct").exited(0).stdout;
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("spawn: every process"), "{text}");
    assert!(lines[1].starts_with("  MainProcess (pid "), "{text}");
    assert!(lines.iter().any(|line| line.starts_with("spawn: 3 processes started, run and joined in ")), "{text}");
    assert!(lines.last().unwrap().starts_with("2 demos in "), "{text}");
    let quiet = sandbox.run("manager demo -q spawn").exited(0).stdout;
    assert!(quiet.starts_with("spawn: 3 processes") && quiet.lines().count() == 1, "{quiet}");
}

#[test]
fn an_unknown_demo_is_answered_with_the_nearest() {
    let sandbox = Sandbox::new();
    sandbox.run("manager demo pol").exited(2).said("demo: there is no demo 'pol'; did you mean 'pool'?");
    sandbox.run("manager demo").exited(2).said("demo: which one? 'demo --list' names them");
}

#[test]
fn a_manager_runs_no_demo_but_its_prompt_does() {
    let sandbox = Sandbox::new();
    let mut script = sandbox.command(["manager", "-c", "demo struct; demo spawn"]);
    let text = Running::of(&mut script).finish().exited(0).stdout;
    assert!(text.contains("\nstruct: a product") && text.contains("\nspawn: 3 processes"), "{text}");
}

#[test]
fn ctrl_c_ends_a_demo_and_leaves_nothing() {
    for name in ["kill", "daemon", "manager", "process-shm", "pipeline", "pool"] {
        let sandbox = Sandbox::new();
        let run = sandbox.start(&format!("manager demo {name} all"));
        wait_for("the demo to have processes", || (sandbox.inhabitants().len() > 2).then_some(()));
        run.signal(Signal::SIGINT);
        run.finish().died_of(Signal::SIGINT);
        sandbox.assert_tidy();
    }
}
