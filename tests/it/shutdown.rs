//! Every way to ask for the end: one drain, nothing lost, and a death by the signal that asked.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::sandbox::{Running, Sandbox, cpu_ticks, on_every_backend, process, send, wait_for};

/// A run that goes on until it is asked to stop.
fn endless(sandbox: &Sandbox, backend: &str, pace: &str) -> Running {
    sandbox.forget("l");
    let mut run = sandbox.start(&format!("-b {backend} {pace} --seed 7 -o l --format json"));
    run.wait_for_log(&sandbox.path("l"));
    run
}

#[test]
fn c5_a_request_drains_and_ends_by_its_signal() {
    on_every_backend(|sandbox, backend| {
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            let run = endless(sandbox, backend, "--interval 5ms");
            run.signal(signal);
            let run = run.finish().died_of(signal);
            let summary = run.conserved();
            assert_eq!(summary["stopped_by"], signal.as_str());
            assert_eq!(summary["reported"], summary["produced"]);
            assert_eq!(sandbox.read("l").lines().count() as u64, summary["logged"]);
        }
    });
}

#[test]
fn a_request_while_it_starts_is_a_request_too() {
    on_every_backend(|sandbox, backend| {
        // Ctrl-C reaches the whole group, in whatever state its processes are.
        for delay in [0, 1, 2, 3, 4, 6, 8, 12, 20].map(Duration::from_millis) {
            let args = format!("-b {backend} --interval 5ms -o l --truncate --format json");
            let run = Running::of(sandbox.command(args.split(' ')).process_group(0));
            let started = Instant::now();
            wait_for("the moment", || (started.elapsed() >= delay).then_some(()));
            killpg(Pid::from_raw(run.pid() as i32), Signal::SIGINT).unwrap();
            let run = run.finish().died_of(Signal::SIGINT);
            // Before the program has come to catch it, the signal just kills it, and there is nothing to tell.
            if !run.stdout.is_empty() {
                assert_eq!(run.conserved()["stopped_by"], "SIGINT", "after {delay:?}");
            }
        }
    });
}

#[test]
fn c2_a_request_under_full_load_loses_nothing() {
    on_every_backend(|sandbox, backend| {
        for _ in 0..5 {
            let run = endless(sandbox, backend, "--interval 0");
            run.signal(Signal::SIGINT);
            let summary = run.finish().died_of(Signal::SIGINT).conserved();
            assert_eq!(sandbox.read("l").lines().count() as u64, summary["logged"]);
        }
    });
}

#[test]
fn a_signal_to_a_stage_is_a_request_to_the_launcher() {
    on_every_backend(|sandbox, backend| {
        for stage in ["conv", "log", "stat", "report"] {
            for signal in [Signal::SIGTERM, Signal::SIGINT] {
                let mut run = endless(sandbox, backend, "--interval 5ms");
                send(run.stage(stage), signal);
                run.finish().died_of(signal).conserved();
            }
        }
    });
}

#[test]
fn timeout_stops_a_run_once() {
    on_every_backend(|sandbox, backend| {
        let script = format!("exec timeout 0.3 $IPCPIPE -b {backend} --interval 5ms -o l --format json");
        // timeout(1) answers 124 whatever its child died of; what counts is the summary.
        let run = Running::of(&mut sandbox.shell(&script)).finish().exited(124);
        assert_eq!(run.conserved()["stopped_by"], "SIGTERM");
        assert!(!run.stderr.contains("forced"), "{}", run.stderr);
    });
}

#[test]
fn a_second_request_kills_what_does_not_drain() {
    let sandbox = Sandbox::new();
    let mut run = endless(&sandbox, "pipe", "--interval 5ms --drain-timeout 60s");
    let report = run.stage("report");
    send(report, Signal::SIGSTOP);
    run.signal(Signal::SIGINT);
    let first = Instant::now();
    // A second request is one that comes later than an echo of the first may.
    wait_for("the echoes to be over", || (first.elapsed() > Duration::from_millis(300)).then_some(()));
    run.signal(Signal::SIGINT);
    let run = run.finish().exited(4).said("killing what is left");
    assert_eq!(run.summary()["stopped_by"], "forced");
}

#[test]
fn a_stage_that_does_not_drain_in_time_is_killed() {
    on_every_backend(|sandbox, backend| {
        for stage in ["conv", "log", "stat", "report"] {
            let mut run = endless(sandbox, backend, "--interval 5ms --drain-timeout 200ms");
            send(run.stage(stage), Signal::SIGSTOP);
            run.signal(Signal::SIGINT);
            let summary = run.finish().exited(4).summary();
            assert_eq!(summary["stopped_by"], "forced");
            assert_eq!(sandbox.read("l").lines().count() as u64, summary["logged"], "{stage}");
        }
    });
}

#[test]
fn a_stopped_log_slows_conv_and_loses_nothing() {
    on_every_backend(|sandbox, backend| {
        let mut run = endless(sandbox, backend, "--interval 0 -n 3000000");
        let log = run.stage("log");
        send(log, Signal::SIGSTOP);
        let length = || fs::metadata(sandbox.path("l")).unwrap().len();
        wait_for("log to stop", || (process(log)?.state == 'T').then_some(()));
        let stopped_at = length();
        let conv = run.stage("conv");
        // CPU time that stands still over many looks means that conv waits.
        let mut last = (0, 0);
        wait_for("conv to be held back", || {
            let used = cpu_ticks(conv);
            last = if used == last.0 { (used, last.1 + 1) } else { (used, 0) };
            (last.1 > 50).then_some(())
        });
        assert_eq!(length(), stopped_at);
        send(log, Signal::SIGCONT);
        let summary = run.finish().exited(0).conserved();
        assert_eq!(summary["produced"], 3_000_000);
    });
}

#[test]
fn conv_waiting_for_a_silent_input_stops_at_once() {
    on_every_backend(|sandbox, backend| {
        let mut command = sandbox.command(["-b", backend, "-i", "-", "-o", "l", "--truncate", "--format", "json"]);
        let mut run = Running::of(command.stdin(Stdio::piped()));
        run.input().write_all(b"1\n2\n").unwrap();
        run.wait_for_log(&sandbox.path("l"));
        run.signal(Signal::SIGINT);
        let summary = run.finish().died_of(Signal::SIGINT).conserved();
        assert_eq!((&summary["sum"], &summary["stopped_by"]), (&3.into(), &"SIGINT".into()));
    });
}

#[test]
fn an_interrupt_is_handled_even_where_a_shell_has_it_ignored() {
    let sandbox = Sandbox::new();
    // A shell without job control starts background commands with SIGINT ignored.
    let script = "$IPCPIPE --interval 5ms -o l --format json & echo $! > pid; wait $!";
    let run = Running::of(&mut sandbox.shell(script));
    let pid = wait_for("the pid", || fs::read_to_string(sandbox.path("pid")).ok()?.trim().parse::<u32>().ok());
    wait_for("samples", || fs::metadata(sandbox.path("l")).ok().filter(|log| log.len() > 0));
    send(pid, Signal::SIGINT);
    assert_eq!(run.finish().exited(130).conserved()["stopped_by"], "SIGINT");
}

#[test]
fn a_hang_up_that_nohup_ignores_stays_ignored() {
    let sandbox = Sandbox::new();
    let mut run = Running::of(&mut sandbox.shell("exec nohup $IPCPIPE --interval 5ms -o l --format json"));
    run.wait_for_log(&sandbox.path("l"));
    run.signal(Signal::SIGHUP);
    let length = fs::metadata(sandbox.path("l")).unwrap().len();
    wait_for("more samples", || (fs::metadata(sandbox.path("l")).unwrap().len() > length + 20).then_some(()));
    run.signal(Signal::SIGTERM);
    assert_eq!(run.finish().died_of(Signal::SIGTERM).conserved()["stopped_by"], "SIGTERM");
}
