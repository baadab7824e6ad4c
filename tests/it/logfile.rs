//! The log file: appended to and said so, never led astray, never torn.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::sandbox::{Running, Sandbox, on_every_backend};

#[test]
fn c3_a_second_run_appends_and_says_so() {
    let sandbox = Sandbox::new();
    sandbox.run("-n 3 --interval 0 -o l --seed 1").exited(0);
    let first = sandbox.read("l");
    sandbox.run("-n 3 --interval 0 -o l --seed 1").exited(0).said("appending to l, which holds");
    assert_eq!(sandbox.read("l"), first.repeat(2));
    let run = sandbox.run("-n 3 --interval 0 -o l --seed 1 --truncate").exited(0);
    assert!(!run.stderr.contains("appending"));
    assert_eq!(sandbox.read("l"), first);
}

#[test]
fn every_format_holds_the_same_samples() {
    let sandbox = Sandbox::new();
    for format in ["text", "csv", "jsonl", "binary"] {
        for _ in 0..2 {
            let args = format!("-n 4 --interval 0 --seed 2 --log-format {format} -o {format} --format json");
            sandbox.run(&args).exited(0).conserved();
        }
    }
    for (format, other) in [("csv", "text"), ("jsonl", "csv"), ("text", "jsonl")] {
        let args = format!("-n 1 --log-format {format} -o {other}");
        sandbox.run(&args).exited(1).said(&format!("it begins like no {format} log"));
    }
    let text: Vec<f64> = sandbox.read("text").lines().map(|line| line.parse().unwrap()).collect();
    let csv = sandbox.read("csv");
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["seq", "time", "value"]);
    assert_eq!(rows[1..].iter().map(|row| row[2].parse::<f64>().unwrap()).collect::<Vec<_>>(), text);
    assert_eq!(rows[1..].iter().map(|row| row[0]).collect::<Vec<_>>(), ["1", "2", "3", "4", "1", "2", "3", "4"]);
    let objects: Vec<serde_json::Value> =
        sandbox.read("jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.iter().map(|it| it["value"].as_f64().unwrap()).collect::<Vec<_>>(), text);
    let bytes = fs::read(sandbox.path("binary")).unwrap();
    let binary: Vec<f64> = bytes.chunks_exact(8).map(|it| f64::from_le_bytes(it.try_into().unwrap())).collect();
    assert_eq!(binary, text);
}

#[test]
fn every_sync_policy_keeps_every_sample() {
    let sandbox = Sandbox::new();
    for fsync in ["never", "end", "always", "5ms"] {
        let args = format!("-n 50 --interval 1ms --fsync {fsync} -o {fsync} --format json");
        sandbox.run(&args).exited(0).conserved();
        assert_eq!(sandbox.read(fsync).lines().count(), 50);
    }
}

#[test]
fn what_is_no_log_is_refused_before_anything_starts() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("dir")).unwrap();
    mkfifo(&sandbox.path("fifo"), Mode::S_IRWXU).unwrap();
    fs::write(sandbox.path("victim"), "precious").unwrap();
    symlink("victim", sandbox.path("link")).unwrap();
    symlink("nowhere", sandbox.path("dangling")).unwrap();
    let cases = [
        ("/nonexistent/x", "cannot write log /nonexistent/x: No such file or directory"),
        ("dir", "cannot write log dir: Is a directory"),
        ("fifo", "cannot write log fifo: it is neither a regular file"),
        ("link", "cannot write log link: it is a symbolic link"),
        ("dangling", "cannot write log dangling: it is a symbolic link"),
    ];
    for (path, reason) in cases {
        let run = sandbox.run(&format!("-n 5 --interval 0 -o {path} --truncate --format json")).exited(1).said(reason);
        assert_eq!(run.summary()["stopped_by"], "error");
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
    assert_eq!(sandbox.read("victim"), "precious");
    assert!(!sandbox.path("nowhere").exists());
}

#[test]
fn two_runs_never_write_one_log() {
    let sandbox = Sandbox::new();
    let mut first = sandbox.start("--interval 5ms -o l --format json");
    first.wait_for_log(&sandbox.path("l"));
    sandbox.run("-n 1 -o l").exited(1).said("cannot write log l: another run writes it");
    first.signal(Signal::SIGINT);
    let summary = first.finish().died_of(Signal::SIGINT).conserved();
    assert_eq!(sandbox.read("l").lines().count() as u64, summary["logged"]);
}

#[test]
fn a_full_device_is_one_clear_line() {
    on_every_backend(|sandbox, backend| {
        for pace in ["--interval 0", "--interval 1ms"] {
            let args = format!("-b {backend} -n 100000 {pace} -o /dev/full --format json");
            let run = sandbox.run(&args).exited(1).said("No space left on device").said("write /dev/full at byte");
            let summary = run.summary();
            assert_eq!((&summary["logged"], &summary["stopped_by"]), (&0.into(), &"error".into()));
            assert_eq!(summary["lost"], summary["produced"]);
        }
    });
}

#[test]
fn a_file_that_may_not_grow_keeps_whole_lines() {
    let sandbox = Sandbox::new();
    let script = "ulimit -f 8; exec $IPCPIPE -n 100000 --interval 0 --seed 7 -o l --format json";
    let run =
        Running::of(&mut sandbox.shell(script)).finish().exited(1).said("File too large").said("last line is whole");
    let log = sandbox.read("l");
    assert!(log.ends_with('\n') && log.len() > 8000 && log.len() <= 8192, "{} bytes", log.len());
    assert_eq!(log.lines().count() as u64, run.summary()["logged"]);
}

#[test]
fn a_torn_line_of_an_earlier_crash_is_cut_and_said() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("l"), "12\n34\n5").unwrap();
    sandbox.run("-n 1 --interval 0 -o l").exited(0).said("cut a torn last record of 1 bytes off l");
    assert_eq!(sandbox.read("l").lines().take(2).collect::<Vec<_>>(), ["12", "34"]);
    assert_eq!(sandbox.read("l").lines().count(), 3);
}

#[test]
fn a_file_that_is_no_log_is_left_alone() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("thesis.txt"), "it was a dark and stormy night").unwrap();
    sandbox.run("-n 1 --interval 0 -o thesis.txt").exited(1).said("it begins like no text log");
    assert_eq!(sandbox.read("thesis.txt"), "it was a dark and stormy night");
}

#[test]
fn any_name_works_and_is_shown_on_one_line() {
    let sandbox = Sandbox::new();
    for name in [&b"with space"[..], b"new\nline", b"\xff\xfe", b"-dash"] {
        let mut command = sandbox.command(["-n", "2", "--interval", "0", "--format", "json"]);
        let mut option = b"--log=".to_vec();
        option.extend_from_slice(name);
        command.arg(OsStr::from_bytes(&option));
        let run = Running::of(&mut command).finish().exited(0);
        run.conserved();
        assert_eq!(
            fs::read(sandbox.path(OsStr::from_bytes(name))).unwrap().iter().filter(|&&it| it == b'\n').count(),
            2
        );
    }
    sandbox.run("-n 1 -o a/b").exited(1).said("a/b");
}

#[test]
fn a_deleted_working_directory_does_not_matter_to_absolute_paths() {
    let sandbox = Sandbox::new();
    let script =
        "mkdir gone; cd gone; rmdir ../gone; exec $IPCPIPE -n 3 --interval 0 -o $XDG_RUNTIME_DIR/../l --format json";
    Running::of(&mut sandbox.shell(script)).finish().exited(0).conserved();
    assert_eq!(sandbox.read("l").lines().count(), 3);
}

#[test]
fn a_run_that_cannot_start_costs_no_log() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("keep"), "1\n").unwrap();
    sandbox.run("-i /nonexistent -o keep --truncate").exited(1);
    let script = "ulimit -q 0; exec $IPCPIPE -b mq -n 1 -o keep --truncate";
    Running::of(&mut sandbox.shell(script)).finish().exited(1);
    assert_eq!(sandbox.read("keep"), "1\n");
    sandbox.run("-i /nonexistent -o new").exited(1);
    assert!(!sandbox.path("new").exists());
}

#[test]
fn a_log_that_is_also_the_input_or_the_output_is_refused() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("x"), "1\n2\n").unwrap();
    fs::hard_link(sandbox.path("x"), sandbox.path("y")).unwrap();
    for args in ["-i x -o x", "-i x -o y", "-i x -o y --truncate"] {
        sandbox.run(args).exited(1).said("it is the input too");
    }
    Running::of(&mut sandbox.shell("exec $IPCPIPE -i - -o x < x")).finish().exited(1).said("it is the input too");
    let script = "exec $IPCPIPE -n 3 --interval 0 -o so >> so";
    Running::of(&mut sandbox.shell(script)).finish().exited(1).said("it is the standard output too");
    assert_eq!(sandbox.read("x"), "1\n2\n");
}

#[test]
fn a_log_that_somebody_else_changes_is_not_vouched_for() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.start("--interval 5ms -o l --format json");
    run.wait_for_log(&sandbox.path("l"));
    fs::OpenOptions::new().write(true).open(sandbox.path("l")).unwrap().set_len(0).unwrap();
    run.signal(Signal::SIGINT);
    run.finish().exited(1).said("cannot vouch for l").said("another program changed it");
}
