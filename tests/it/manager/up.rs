//! `up`: the processes of a Procfile.

use std::fs;
use std::io::{BufRead, BufReader, Read};

use nix::sys::signal::Signal;

use super::harness::Server;
use crate::sandbox::{Running, Sandbox, wait_for};

/// Each notes its start and its end in one file, in the order in which they happen. What `up` itself says may come later.
const PROCFILE: &str = "\
# Three of them; the order is not that of the file.
top: --after web:started -- echo start top >> order; trap 'echo stop top >> order; exit 0' TERM; echo up; while :; do sleep 0.01; done
web: --after db:ready -- echo start web >> order; trap 'echo stop web >> order; exit 0' TERM; echo up; while :; do sleep 0.01; done
db: --ready log:listening -- echo start db >> order; trap 'echo stop db >> order; exit 0' TERM; echo listening; while :; do sleep 0.01; done
";

fn order(sandbox: &Sandbox) -> Vec<String> {
    fs::read_to_string(sandbox.path("order")).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Done when 3.
#[test]
fn three_processes_come_up_in_order_and_go_down_in_reverse() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("Procfile"), PROCFILE).unwrap();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let _ = fs::remove_file(sandbox.path("order"));
        let mut run = sandbox.start("manager up -f Procfile");
        let mut output = BufReader::new(run.output());
        let mut ups = 0;
        while ups < 2 {
            let mut line = String::new();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "it ended");
            ups += usize::from(line.ends_with(" | up\n"));
        }
        // Web starts when db is ready, and top when web was started: those two may meet.
        let started = wait_for("three starts", || Some(order(&sandbox)).filter(|it| it.len() == 3));
        assert_eq!(started[0], "start db");
        run.signal(signal);
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        let run = run.finish().exited(0);
        assert_eq!(run.stderr, "");
        // The last line of the file goes first.
        assert_eq!(order(&sandbox)[3..], ["stop db", "stop web", "stop top"]);
        assert!(sandbox.inhabitants().is_empty());
        assert!(rest.contains("db  | process db exited with 0 in "), "{rest}");
    }
}

#[test]
fn output_is_prefixed_and_the_first_failure_is_the_status() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("Procfile"), "a: echo one; exit 0\nbcd: echo two; exit 3\ne: echo three >&2; exit 4\n")
        .unwrap();
    let run = sandbox.run("manager up").exited(3);
    for line in ["a   | one", "bcd | two", "e   | three"] {
        assert!(
            run.stdout.lines().any(|it| it.ends_with(line) && it.len() == line.len() + 9),
            "{line}: {}",
            run.stdout
        );
    }
}

#[test]
fn a_second_interrupt_ends_what_does_not_want_to_end() {
    let sandbox = Sandbox::new();
    let stubborn = "p1: --grace 1000s -- trap 'touch asked' TERM; touch up; while :; do sleep 0.01; done\n";
    fs::write(sandbox.path("Procfile"), stubborn).unwrap();
    let run = sandbox.start("manager up");
    wait_for("the start", || sandbox.path("up").exists().then_some(()));
    run.signal(Signal::SIGINT);
    wait_for("the first request", || sandbox.path("asked").exists().then_some(()));
    run.signal(Signal::SIGINT);
    run.finish().exited(0);
    assert!(sandbox.inhabitants().is_empty());
}

#[test]
fn a_procfile_that_makes_no_sense_leaves_nothing_running() {
    let sandbox = Sandbox::new();
    for (text, says) in [
        ("a: exec sleep 1000\nb\n", "Procfile:2: expected NAME: COMMAND"),
        ("a: exec sleep 1000\nb: --frob -- true\n", "Procfile:2: create process: unexpected '--frob'"),
        ("a: exec sleep 1000\na: true\n", "Procfile:2: the name a is taken by line 1"),
        ("a: --after b -- touch made\nb: --after a -- true\n", "Procfile:2: b would wait for itself"),
        ("a: touch made\nb: --cwd /nowhere -- true\n", "Procfile:2: b: "),
        (
            "web: touch made\nb: --after wbe -- true\n",
            "Procfile:2: there is no wbe in this file to come after; did you mean web?",
        ),
    ] {
        fs::write(sandbox.path("Procfile"), text).unwrap();
        let run = sandbox.run("manager up");
        assert!(matches!(run.status.code(), Some(1 | 2)), "{:?}", run.status);
        assert!(run.stderr.contains(says), "{says}: {}", run.stderr);
        assert!(sandbox.inhabitants().is_empty());
    }
    sandbox.run("manager up -f nowhere").exited(1).said("nowhere");
    fs::write(sandbox.path("Procfile"), "# nobody\n").unwrap();
    sandbox.run("manager up").exited(0);
}

/// What no command asked for: a start in turn, readiness, and a restart.
#[test]
fn what_happens_by_itself_is_told_once() {
    let sandbox = Sandbox::new();
    let text = "db: --ready log:listening -- sleep 0.2; echo listening; exec sleep 0.5\n\
        web: --after db:ready --restart on-failure --backoff 1ms..1ms -- test -e again && exit 0; touch again; exit 3\n";
    fs::write(sandbox.path("Procfile"), text).unwrap();
    let run = sandbox.run("manager up").exited(0);
    for (line, times) in [
        ("db  | process db started, pid ", 1),
        ("web | process web waits for db:ready", 1),
        ("db  | process db ready: it is ready by log:listening", 1),
        ("web | process web started, pid ", 2),
        ("web | process web ended: exited with 3; restart in ", 1),
        ("web | process web exited", 1),
        ("db  | process db exited", 1),
    ] {
        assert_eq!(run.stdout.matches(line).count(), times, "{line}: {}", run.stdout);
    }
}

/// The terminal's Ctrl-C reaches everybody of the foreground group, and the processes are in groups of their own.
#[test]
fn a_killed_up_leaves_its_processes_to_the_next_manager_or_nobody() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("Procfile"), "a: --daemon -- touch up; exec sleep 1000\n").unwrap();
    let run: Running = sandbox.start("manager up");
    wait_for("the start", || sandbox.path("up").exists().then_some(()));
    run.signal(Signal::SIGKILL);
    run.finish().died_of(Signal::SIGKILL);
    wait_for("the end of the daemon", || sandbox.inhabitants().is_empty().then_some(()));
    Server::start(&sandbox).exit();
}
