//! Runs that nothing disturbs: every sample reaches the log and the statistics, whatever carries it.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::sandbox::{BACKENDS, Running, STAGES, Sandbox, on_every_backend, process};

#[test]
fn c7_the_same_seed_gives_the_same_log_and_sum_on_every_backend() {
    let sandbox = Sandbox::new();
    let results: BTreeSet<(String, String)> = BACKENDS
        .iter()
        .map(|backend| {
            let run =
                sandbox.run(&format!("-b {backend} --interval 0 -n 1000000 --seed 7 -o {backend}.log --format json"));
            let summary = run.exited(0).conserved();
            assert_eq!(summary["produced"], 1_000_000);
            assert_eq!(summary["stopped_by"], "count");
            let log = sandbox.read(format!("{backend}.log"));
            let sum: u64 = log.lines().map(|line| line.parse::<u64>().unwrap()).sum();
            assert_eq!(summary["sum"], sum, "{backend}");
            (log, format!("{} {} {}", summary["sum"], summary["mean"], summary["stddev"]))
        })
        .collect();
    assert_eq!(results.len(), 1, "the backends disagree");
}

#[test]
fn counts_of_zero_and_one_are_exact() {
    on_every_backend(|sandbox, backend| {
        for count in [0, 1] {
            let args = format!("-b {backend} -n {count} --interval 0 --seed 3 -o {count}.log --format json");
            let summary = sandbox.run(&args).exited(0).conserved();
            assert_eq!(summary["produced"], count);
            assert_eq!(sandbox.read(format!("{count}.log")).lines().count(), count);
            assert_eq!(summary["mean"].is_null(), count == 0);
        }
    });
}

#[test]
fn c1_real_input_is_summed_exactly() {
    on_every_backend(|sandbox, backend| {
        let script = format!("seq 1 100000 | $IPCPIPE --input - -b {backend} -o l --format json");
        let summary = Running::of(&mut sandbox.shell(&script)).finish().exited(0).conserved();
        assert_eq!(summary["sum"], 5_000_050_000_u64);
        assert_eq!(summary["mean"], 50_000.5);
        assert_eq!(summary["stopped_by"], "eof");
        assert_eq!(sandbox.read("l").lines().last(), Some("100000"));
    });
}

#[test]
fn a_column_of_a_file_with_comments_is_read() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("in.csv"), "# time;load\n1;0.5\n\n2;1.25\r\n3;2").unwrap();
    let run = sandbox.run("-i in.csv --delimiter ; --field 2 -o l --format json").exited(0);
    assert_eq!(run.conserved()["sum"], 3.75);
    assert_eq!(sandbox.read("l"), "0.5\n1.25\n2\n");
}

#[test]
fn an_invalid_line_is_named_and_what_came_before_it_is_kept() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("in"), "1\n2\nabc\n4\n").unwrap();
    let run = sandbox.run("-i in -o l --format json").exited(1).said("line 3").said("abc");
    let summary = run.conserved();
    assert_eq!((&summary["stopped_by"], &summary["logged"]), (&"error".into(), &2.into()));
    let skipping = sandbox.run("-i in -o l2 --format json --skip-invalid").exited(0).conserved();
    assert_eq!((&skipping["produced"], &skipping["skipped"]), (&3.into(), &1.into()));
}

#[test]
fn an_integer_that_no_double_holds_is_refused_with_its_line() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("in"), "9007199254740992\n9007199254740993\n").unwrap();
    let run = sandbox.run("-i in -o l --format json").exited(1).said("line 2");
    assert_eq!(run.summary()["logged"], 1);
}

#[test]
fn the_input_must_be_there_before_anything_starts() {
    let sandbox = Sandbox::new();
    sandbox.run("-i nowhere -o l").exited(1).said("ipcpipe: cannot read input nowhere: No such file or directory");
}

#[test]
fn a_paced_sample_is_reported_at_once() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("-n 5 --interval 10ms --seed 1 -o l --format json").exited(0);
    let states: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let counts: Vec<_> = states.iter().filter(|it| it["type"] == "statistics").map(|it| it["count"].clone()).collect();
    assert_eq!(counts, [1, 2, 3, 4, 5]);
    assert_eq!(run.conserved()["reported"], 5);
}

#[test]
fn a_duration_ends_the_run() {
    on_every_backend(|sandbox, backend| {
        for pace in ["--interval 0", "--interval 20ms", "--interval 0 --batch 1"] {
            let args = format!("-b {backend} --duration 100ms {pace} -o l --truncate --format json");
            let summary = sandbox.run(&args).exited(0).conserved();
            assert_eq!(summary["stopped_by"], "duration");
            assert!(summary["produced"].as_u64() > Some(0));
        }
    });
}

#[test]
fn one_sample_a_frame_gives_the_same_log() {
    on_every_backend(|sandbox, backend| {
        for batch in ["auto", "1", "7"] {
            let args = format!("-b {backend} -n 5000 --interval 0 --seed 5 --batch {batch} -o {batch} --format json");
            sandbox.run(&args).exited(0).conserved();
        }
        assert_eq!(sandbox.read("1"), sandbox.read("auto"));
        assert_eq!(sandbox.read("7"), sandbox.read("auto"));
    });
}

#[test]
fn c6_ps_shows_the_four_stages_under_the_launcher() {
    on_every_backend(|sandbox, backend| {
        let mut run = sandbox.start(&format!("-b {backend} --interval 50ms -o l"));
        for name in STAGES {
            let pid = run.stage(name);
            assert_eq!(process(pid).unwrap().parent, run.pid());
            let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
            assert!(arguments.starts_with(&format!("{name}\0stage\0{name}\0")), "{arguments:?}");
            assert!(arguments.contains(&format!("\0{backend}:")), "ps does not show the wiring: {arguments:?}");
        }
        run.signal(nix::sys::signal::Signal::SIGINT);
        run.finish().died_of(nix::sys::signal::Signal::SIGINT);
    });
}

#[test]
fn twenty_runs_at_once_do_not_meet() {
    let sandbox = Sandbox::new();
    let runs: Vec<Running> = (0..20)
        .map(|n| {
            sandbox.start(&format!("-b {} -n 2000 --interval 0 --seed 1 -o {n}.log --format json", BACKENDS[n % 5]))
        })
        .collect();
    for run in runs {
        run.finish().exited(0).conserved();
    }
    let logs: BTreeSet<String> = (0..20).map(|n| sandbox.read(format!("{n}.log"))).collect();
    assert_eq!(logs.len(), 1);
}

#[test]
fn memory_stays_flat_however_many_samples_flow() {
    on_every_backend(|sandbox, backend| {
        let peaks = |samples: u64| -> Vec<u64> {
            let args = format!("-b {backend} -n {samples} --interval 0 -o /dev/null --format json");
            let summary = sandbox.run(&args).exited(0).conserved();
            summary["stages"].as_array().unwrap().iter().map(|it| it["max_rss_kib"].as_u64().unwrap()).collect()
        };
        let (few, many) = (peaks(200_000), peaks(5_000_000));
        assert!(few.iter().zip(&many).all(|(few, many)| *many < few + 1024), "{backend}: {few:?} KiB, then {many:?}");
        // Unoptimized code is of any size.
        assert!(cfg!(debug_assertions) || many.iter().all(|peak| *peak < 8 << 10), "{backend}: {many:?} KiB");
    });
}
