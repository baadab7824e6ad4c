//! Deaths by SIGKILL: of each stage, and of the launcher. What is lost is said, what is left is whole.

use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::sandbox::{Running, STAGES, Sandbox, on_every_backend, process, send, wait_for};

/// The log of an undisturbed run with the same seed: what every other log has to be a beginning of.
fn reference(sandbox: &Sandbox) -> String {
    sandbox.run("--seed 7 --interval 0 -n 200000 -o reference -q").exited(0);
    sandbox.read("reference")
}

fn paced(sandbox: &Sandbox, backend: &str) -> Running {
    sandbox.forget("l");
    let mut run = sandbox.start(&format!("-b {backend} --seed 7 --interval 2ms -o l --format json"));
    run.wait_for_log(&sandbox.path("l"));
    // Samples may flow a moment before the launcher has heard from all stages.
    wait_for("the names to go", || (!sandbox.path("run/ipcpipe").exists()).then_some(()));
    run
}

fn assert_prefix(log: &str, reference: &str) {
    assert!(log.is_empty() || log.ends_with('\n'), "the last line is torn");
    assert!(reference.starts_with(log), "the log is no beginning of the sequence");
}

#[test]
fn a_killed_stage_is_named_and_the_rest_is_drained() {
    on_every_backend(|sandbox, backend| {
        let reference = reference(sandbox);
        for stage in STAGES {
            let mut run = paced(sandbox, backend);
            let pid = run.stage(stage);
            send(pid, Signal::SIGKILL);
            let run = run.finish().exited(3).said(&format!("ipcpipe: {stage}[{pid}] killed by SIGKILL"));
            let summary = run.summary();
            assert_eq!(summary["stopped_by"], "stage-died");
            let log = sandbox.read("l");
            assert_prefix(&log, &reference);
            assert_eq!(log.lines().count() as u64, summary["logged"], "{stage}: {summary}");
            assert!(summary["produced"].as_u64() >= summary["logged"].as_u64());
        }
    });
}

#[test]
fn where_nobody_lives_to_tell_nothing_is_said_of_what_was_lost() {
    let sandbox = Sandbox::new();
    let mut run = paced(&sandbox, "pipe");
    let pids = ["stat", "report"].map(|stage| run.stage(stage));
    // Neither can say what it has once the other is killed.
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        pids.iter().for_each(|&pid| send(pid, signal));
    }
    let run = run.finish().exited(3).said("how many samples were lost, nobody is left to tell");
    let summary = run.summary();
    assert!(summary["counted"].is_null() && summary["lost"].is_null(), "{summary}");
}

#[test]
fn a_stage_killed_under_full_load_leaves_a_whole_log() {
    on_every_backend(|sandbox, backend| {
        for stage in STAGES {
            sandbox.forget("l");
            let args = format!("-b {backend} --seed 7 --interval 0 -o l --format json");
            let mut run = sandbox.start(&args);
            run.wait_for_log(&sandbox.path("l"));
            send(run.stage(stage), Signal::SIGKILL);
            let summary = run.finish().exited(3).summary();
            let log = sandbox.read("l");
            assert!(log.ends_with('\n'));
            assert_eq!(log.lines().count() as u64, summary["logged"], "{stage}");
        }
    });
}

#[test]
fn the_last_line_is_the_summary_even_after_half_a_line() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.start("--interval 0 --report-every 0 -o l --format json --drain-timeout 1s");
    let report = run.stage("report");
    wait_for("report to be stuck in its output", || pipe_is_full(report).then_some(()));
    send(report, Signal::SIGKILL);
    let summary = run.finish().exited(3).summary();
    assert!(summary["reported"].is_null(), "{summary}");
}

#[test]
fn a_crash_names_its_signal() {
    let sandbox = Sandbox::new();
    let mut run = paced(&sandbox, "shm");
    send(run.stage("stat"), Signal::SIGSEGV);
    run.finish().exited(3).said("killed by SIGSEGV");
}

#[test]
fn a_killed_launcher_leaves_no_stage_and_no_name() {
    on_every_backend(|sandbox, backend| {
        let reference = reference(sandbox);
        let run = paced(sandbox, backend);
        run.signal(Signal::SIGKILL);
        run.finish().died_of(Signal::SIGKILL);
        assert_prefix(&sandbox.read("l"), &reference);
    });
}

#[test]
fn an_orphan_that_is_stuck_ends_by_itself() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("--interval 0 --report-every 0 -o l --drain-timeout 1s".split(' '));
    // Nobody reads the output, so report is stuck in it when the launcher dies.
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let launcher = child.id();
    let report = wait_for("report", || {
        crate::sandbox::processes().into_iter().find(|it| it.parent == launcher && it.name == "report")
    });
    wait_for("report to be stuck", || (process(report.pid)?.state == 'S' && pipe_is_full(report.pid)).then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("the orphan to end", || {
        process(report.pid).is_none_or(|it| it.start != report.start || it.state == 'Z').then_some(())
    });
}

/// True while the process sleeps in a write to a pipe (proc_pid_syscall(5): 1 is write).
fn pipe_is_full(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/syscall")).is_ok_and(|call| call.starts_with("1 "))
}

/// What `clean` says of runs. The memory of dead makers, of which it tells as well, is not confined to a sandbox.
fn cleaned_runs(sandbox: &Sandbox, args: &str) -> String {
    let said = sandbox.run(&format!("clean {args}")).exited(0).stdout;
    let of_runs = |line: &&str| !line.contains(" shared memory ") && *line != "nothing to clean\n";
    said.split_inclusive('\n').filter(of_runs).collect()
}

#[test]
fn clean_removes_what_a_killed_launcher_left_and_nothing_else() {
    on_every_backend(|sandbox, backend| {
        let args = format!("-b {backend} --interval 5ms -o l --truncate --keep-names");
        let live = sandbox.start(&format!("-b {backend} --interval 5ms -o live --truncate --keep-names --format json"));
        wait_for("the live run", || sandbox.path("live").metadata().ok().filter(|log| log.len() > 0));
        let mut dead = sandbox.start(&args);
        dead.wait_for_log(&sandbox.path("l"));
        dead.signal(Signal::SIGKILL);
        dead.finish();

        let [listed, removed, again] = ["--dry-run", "", ""].map(|args| cleaned_runs(sandbox, args));
        assert_eq!(again, "");
        if backend == "pipe" {
            assert_eq!((listed.as_str(), removed.as_str()), ("", ""));
        } else {
            assert!(listed.starts_with("would remove run ") && listed.contains(": 3 names"), "{listed}");
            assert_eq!(removed, listed.replace("would remove", "removed"));
        }
        live.signal(Signal::SIGINT);
        live.finish().died_of(Signal::SIGINT).conserved();
    });
}

#[test]
fn the_next_run_removes_what_a_killed_one_left() {
    on_every_backend(|sandbox, backend| {
        let mut dead = sandbox.start(&format!("-b {backend} --interval 5ms -o l --truncate --keep-names"));
        dead.wait_for_log(&sandbox.path("l"));
        dead.signal(Signal::SIGKILL);
        dead.finish();
        sandbox.run("-n 1 --interval 0 -o l --format json").exited(0).conserved();
        assert_eq!(cleaned_runs(sandbox, ""), "");
    });
}
