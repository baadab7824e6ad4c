//! The job log, and going on with it.

use nix::sys::signal::Signal;

use super::*;

const HEADER: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand";

/// Number, bytes, exit value, signal and command of each line of a log.
fn entries(sandbox: &Sandbox) -> Vec<[String; 5]> {
    let text = sandbox.read("log");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(HEADER));
    let columns = lines.map(|line| line.split('\t').collect::<Vec<_>>());
    columns
        .map(|it| {
            assert!(it.len() == 9 && it[2].parse::<f64>().is_ok() && it[3].trim().parse::<f64>().is_ok(), "{it:?}");
            [it[0], it[5], it[6], it[7], it[8]].map(str::to_owned)
        })
        .collect()
}

fn sequence(sandbox: &Sandbox) -> Vec<u64> {
    entries(sandbox).iter().map(|it| it[0].parse().unwrap()).collect()
}

#[test]
fn the_log_has_the_columns_of_gnu_parallel() {
    let sandbox = Sandbox::new();
    let script = "printf 12345; case $1 in 9) kill -9 $$;; t) sleep 1000;; *) exit $1;; esac";
    let args = ["-q", "-w", "1", "--joblog", "log", "--timeout", "300ms", "--", "sh", "-c", script, "sh", "{}", ":::"];
    let inputs = ["0", "3", "9", "t"];
    fed(&sandbox, args.into_iter().chain(inputs), b"").exited(1);
    let found = entries(&sandbox);
    let ends: Vec<_> = found.iter().map(|it| [&it[0], &it[1], &it[2], &it[3]].map(String::as_str)).collect();
    assert_eq!(ends, [["1", "5", "0", "0"], ["2", "5", "3", "0"], ["3", "5", "0", "9"], ["4", "5", "-1", "15"]]);
    assert_eq!(found[1][4], format!("sh -c '{script}' sh 3"));
    // Without --resume a log begins anew.
    fed(&sandbox, ["--joblog", "log", "--", "echo", ":::", "a\tb"], b"").exited(0);
    assert_eq!(entries(&sandbox), [["1", "4", "0", "0", "echo $'a\\tb'"]]);
}

#[test]
fn what_is_in_the_log_is_not_run_again() {
    let sandbox = Sandbox::new();
    let run = |how: &[&str], inputs: &[&str]| {
        let command = ["--", "sh", "-c", "echo $1; test -e $1", "sh", "{}", ":::"];
        let args = ["-w", "1", "--joblog", "log"].iter().chain(how).chain(&command).chain(inputs);
        fed(&sandbox, args, b"")
    };
    fs::write(sandbox.path("a"), "").unwrap();
    assert_eq!(run(&["--resume"], &["a", "b"]).exited(1).stdout, "a\nb\n");
    assert_eq!(run(&["--resume"], &["a", "b", "c"]).exited(1).stdout, "c\n");
    fs::write(sandbox.path("b"), "").unwrap();
    assert_eq!(run(&["--resume-failed"], &["a", "b", "c"]).exited(1).stdout, "b\nc\n");
    assert_eq!(run(&["--resume-failed"], &["a", "b", "c"]).exited(1).stdout, "c\n");
    assert_eq!(run(&["--resume"], &["a", "b", "c"]).exited(0).stdout, "");
    let other = run(&["--resume"], &["x", "y", "c"]).exited(0);
    assert_eq!(other.stdout, "");
    other.said("job 1 is in the log with another command; what is there counts as done");
    let skipped = run(&["--resume", "--format", "json"], &["a", "b", "c"]).exited(0);
    assert_eq!((&objects(&skipped)[0]["skipped"], &objects(&skipped)[0]["jobs"]), (&3.into(), &3.into()));
}

#[test]
fn half_a_line_is_a_job_that_is_still_to_be_done() {
    let sandbox = Sandbox::new();
    let line = |seq: u32| format!("{seq}\t:\t1700000000.000\t     0.001\t0\t2\t0\t0\techo {seq}");
    fs::write(sandbox.path("log"), format!("{HEADER}\n{}\n{}", line(1), &line(2)[..30])).unwrap();
    let run = fed(&sandbox, ["-w", "1", "--joblog", "log", "--resume", "--", "echo", ":::", "1", "2", "3"], b"");
    assert_eq!(run.exited(0).stdout, "2\n3\n");
    assert_eq!(sequence(&sandbox), [1, 2, 3]);
    // What a damaged line told of is run again, and that is said.
    let damaged = format!("{HEADER}\n{}\n{}\n\n\0\0\n", line(1), &line(2)[..30]);
    fs::write(sandbox.path("log"), damaged).unwrap();
    let run = fed(&sandbox, ["-w", "1", "--joblog", "log", "--resume", "--", "echo", ":::", "1", "2", "3"], b"");
    let run = run.exited(0).said("2 lines of log cannot be read; what jobs they told of are run again");
    assert_eq!(run.stdout, "2\n3\n");
    for text in ["my diary\n", "x\n\n"] {
        fs::write(sandbox.path("log"), text).unwrap();
        let run = fed(&sandbox, ["--joblog", "log", "--resume", "--", "echo", ":::", "1"], b"").exited(255);
        run.said("cannot resume from log: it is no job log");
        assert_eq!(sandbox.read("log"), text);
    }
}

#[test]
fn a_map_that_was_killed_is_resumed_and_nothing_is_lost() {
    let sandbox = Sandbox::new();
    let inputs: String = (1..=300).map(|at| format!("{at}\n")).collect();
    let args = ["-w", "4", "--joblog", "log", "--resume", "--", "sh", "-c", "echo x >>done-$1; echo $1", "sh"];
    let mut kills = 0;
    let logged = || fs::read_to_string(sandbox.path("log")).map_or(0, |log| log.lines().count());
    while kills < 4 {
        let before = logged();
        let mut run = map(&sandbox, args);
        run.input().write_all(inputs.as_bytes()).unwrap();
        wait_for("some jobs to be done", || (logged() >= before + 30).then_some(()));
        run.signal(Signal::SIGKILL);
        run.finish().died_of(Signal::SIGKILL);
        kills += 1;
    }
    let before: BTreeSet<u64> = sequence_of_whole_lines(&sandbox);
    let last = fed(&sandbox, args, inputs.as_bytes()).exited(0);
    let printed: BTreeSet<u64> = last.stdout.lines().map(|line| line.parse().unwrap()).collect();
    assert!(before.is_disjoint(&printed) && before.len() + printed.len() == 300);
    let mut all = sequence(&sandbox);
    all.sort_unstable();
    assert!(all.into_iter().eq(1..=300), "each job is in the log once");
    let runs = |at: u64| sandbox.read(format!("done-{at}")).lines().count();
    assert!((1..=300).all(|at| (1..=5).contains(&runs(at))));
    // Only those that were under way, or not yet printed, when somebody killed it were run again.
    assert!((1..=300).filter(|at| runs(*at) > 1).count() < 150);
}

fn sequence_of_whole_lines(sandbox: &Sandbox) -> BTreeSet<u64> {
    let text = sandbox.read("log");
    let lines = text.split_inclusive('\n').skip(1).filter(|line| line.ends_with('\n'));
    lines.map(|line| line.split('\t').next().unwrap().parse().unwrap()).collect()
}
