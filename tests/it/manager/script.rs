//! Scripts: what ends them, and what does not.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use nix::sys::signal::Signal;

use super::harness::script;
use crate::sandbox::{Running, Sandbox, wait_for};

/// The end of the input at any place is an end and no error.
#[test]
fn an_empty_input_is_an_empty_script() {
    let sandbox = Sandbox::new();
    for text in ["", "\n", "\n\n# nothing\n  ; ;\n", "# no newline"] {
        let run = script(&sandbox, "", text).exited(0);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""), "{text:?}");
    }
    // The last line needs no newline.
    assert!(script(&sandbox, "", "create process p1\nexit").exited(0).stdout.contains("process p1 started"));
}

/// A script stops at the first error, takes everything with it, and says where.
#[test]
fn a_script_stops_at_the_first_error() {
    let sandbox = Sandbox::new();
    let text = "create process p1 -- sleep 1000\n\npause p9\ncreate process p2\n";
    let run = script(&sandbox, "", text).exited(3);
    assert_eq!(run.stderr, "ipcpipe: stdin:3: there is no process, thread or pool p9; did you mean p1?\n");
    assert!(!run.stdout.contains("p2"), "{}", run.stdout);
    let run = script(&sandbox, "-k", text.replace("p2", "p2 -- true")).exited(3);
    assert!(run.stdout.contains("process p2 started"), "{}", run.stdout);
}

/// The status of `wait` says nothing by itself.
#[test]
fn a_script_that_stops_without_a_word_says_where() {
    let sandbox = Sandbox::new();
    let text = "create process a -- sh -c 'exit 5'\nwait a\n";
    assert_eq!(script(&sandbox, "", text).exited(5).stderr, "");
    assert_eq!(script(&sandbox, "", format!("{text}\n# the end\n")).exited(5).stderr, "");
    let said = "ipcpipe: stdin:2: stopped: 'wait a' had status 5; -k goes on\n";
    assert_eq!(script(&sandbox, "", format!("{text}\nlist\n")).exited(5).stderr, said);
    assert_eq!(script(&sandbox, "-k", format!("{text}\nlist\n")).exited(5).stderr, "");
    std::fs::write(sandbox.path("inner"), format!("{text}list\n")).unwrap();
    let said = "ipcpipe: inner:2: stopped: 'wait a' had status 5\n";
    assert_eq!(script(&sandbox, "", "source inner\n").exited(5).stderr, said);
}

#[test]
fn a_command_for_nobody_says_so() {
    let sandbox = Sandbox::new();
    let run =
        script(&sandbox, "", "create process e1 -- true\nwait e1\npause 'e*'\nterminate all\nsave all\n").exited(0);
    assert_eq!(run.stderr, "ipcpipe: stdin:3: nothing to pause\nipcpipe: stdin:4: nothing to terminate\n");
    assert!(run.stdout.ends_with("saved 0 commands to all\n"), "{}", run.stdout);
    let run = script(&sandbox, "", "create process e1\nsave all\nexit\n").exited(0);
    assert!(run.stdout.contains("saved 1 command to all\n"), "{}", run.stdout);
    assert_eq!(script(&sandbox, "--quiet", "pause all\nsave all\n").exited(0).stderr, "");
}

#[test]
fn a_script_with_a_manager_of_its_own_cannot_detach() {
    let sandbox = Sandbox::new();
    assert!(script(&sandbox, "", "detach\n").exited(2).stderr.contains("there is a manager of its own here"));
    sandbox.run("manager detach").exited(2).said("there is none to leave here");
}

/// A usage error is an object for whoever asked for objects, wherever he asked.
#[test]
fn usage_errors_are_json_too() {
    let sandbox = Sandbox::new();
    for args in [
        "manager bogus --format json",
        "manager --format json --bogus",
        "manager serve --bogus --format=json",
        "manager list --format json --bogus",
        "manager create process b --format json --",
    ] {
        let run = sandbox.run(args).exited(2);
        let error: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!((&error["type"], &error["code"]), (&"error".into(), &"usage".into()), "{args}");
        assert_eq!(run.stderr, "", "{args}");
    }
    let run = script(&sandbox, "--format json", "create 'p1\n").exited(2);
    assert!(run.stdout.contains("\"type\":\"error\"") && run.stderr.is_empty(), "{}", run.stderr);
}

#[test]
fn a_garbage_line_is_one_error() {
    let sandbox = Sandbox::new();
    let garbage: [&[u8]; 6] = [b"\xff\xfe\x00\x01", b"%$&/()", b"create 'p1", b"\x1b[2J", b"pause \xff", b"--frob"];
    for line in garbage {
        let run = script(&sandbox, "", [line, b"\ncreate process p1\n"].concat()).exited(2);
        assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1), "{}", run.stderr);
        assert!(!run.stderr.contains('\u{1b}') && !run.stderr.contains('\0'), "{:?}", run.stderr);
        let run = script(&sandbox, "-k", [line, b"\ncreate process p1\nexit\n"].concat()).exited(2);
        assert!(run.stdout.starts_with("process p1 started"), "{}", run.stdout);
    }
}

#[test]
fn a_line_of_a_mebibyte_is_one_error_and_the_next_line_counts() {
    let sandbox = Sandbox::new();
    let million = "x".repeat(1 << 20);
    for line in [million.clone(), format!("create process {million}"), format!("create process p0 -- echo {million}")] {
        let run = script(&sandbox, "-k", format!("{line}\ncreate process p1\nexit\n"));
        assert!(matches!(run.status.code(), Some(1 | 2)), "{:?}", run.status);
        assert!(run.stdout.starts_with("process p1 started"), "{}", run.stdout);
        assert!(run.stderr.len() < 4096, "{} bytes of error", run.stderr.len());
    }
    // A comment may be as long as it likes.
    script(&sandbox, "", format!("# {million}\nlist\n")).exited(0);
}

/// A signal ends a script with everything that it has started.
#[test]
fn a_signal_ends_a_script_and_what_it_started() {
    let sandbox = Sandbox::new();
    for (signal, code) in [(Signal::SIGINT, Some(130)), (Signal::SIGTERM, None), (Signal::SIGHUP, None)] {
        for text in ["create process p1 -- sleep 1000\nwait p1\n", "create process p1 -- sleep 1000\n"] {
            let mut run = Running::of(sandbox.command(["manager"]).stdin(Stdio::piped()));
            std::io::Write::write_all(run.input(), text.as_bytes()).unwrap();
            wait_for("the process", || (sandbox.inhabitants().len() == 2).then_some(()));
            wait_for("sleep", || sandbox.inhabitants().iter().any(|it| it.name == "sleep").then_some(()));
            run.signal(signal);
            let run = run.finish();
            match code {
                Some(code) => drop(run.exited(code)),
                None => drop(run.died_of(signal)),
            }
            assert!(sandbox.inhabitants().is_empty());
        }
    }
}

/// `source`, `time` and `help`, which the client does by itself.
#[test]
fn a_script_may_include_others() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("inner"), "create process inner\n").unwrap();
    std::fs::write(sandbox.path("bad"), "list\nfrobnicate\n").unwrap();
    std::fs::write(sandbox.path("loop"), "source loop\n").unwrap();
    let run = script(&sandbox, "", "source inner\ntime pause inner\nhelp pause\nexit\n").exited(0);
    assert!(run.stdout.contains("process inner paused (1 process)"), "{}", run.stdout);
    assert!(run.stderr.contains("took ") && run.stdout.contains("Pause; done when"), "{}", run.stderr);
    assert!(script(&sandbox, "", "source bad\n").exited(2).stderr.contains("bad:2: "));
    assert!(script(&sandbox, "", "source loop\n").exited(1).stderr.contains("include"));
    assert!(script(&sandbox, "", "source nowhere\n").exited(1).stderr.contains("No such file or directory"));
}

/// `--quiet` leaves out what was done as asked, and nothing else.
#[test]
fn quiet_is_quiet_about_success() {
    let sandbox = Sandbox::new();
    let run =
        script(&sandbox, "--quiet", "create process p1\npause p1\nresume p1\nterminate p1\nforget p1\n").exited(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    assert_eq!(script(&sandbox, "--quiet", "pause p1\n").exited(3).stderr.lines().count(), 1);
}

/// Whoever reads a script may have seen enough before its processes have ended.
#[test]
fn an_end_is_waited_for_without_a_reader() {
    let sandbox = Sandbox::new();
    let mut command =
        sandbox.command(["manager", "-c", "create process p -- sh -c 'until test -e go; do sleep 0.01; done'"]);
    let mut run = Running::of(&mut command);
    let mut lines = BufReader::new(run.output()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("process p started"));
    assert!(lines.next().unwrap().unwrap().starts_with("waiting for p"));
    drop(lines);
    std::fs::write(sandbox.path("go"), "").unwrap();
    let run = run.finish().exited(0);
    assert_eq!(run.stderr, "");
}
