//! `ipcpipe manager map`: a command for each of many inputs.

mod ends;
mod log;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::process::Stdio;

use serde_json::Value;

use crate::sandbox::{Finished, Running, Sandbox, process, processes, send, wait_for};

/// `map` with `args`, of which none is split.
fn map<A: AsRef<OsStr>>(sandbox: &Sandbox, args: impl IntoIterator<Item = A>) -> Running {
    let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
    let words = ["manager", "map"].map(OsString::from).into_iter().chain(args);
    Running::of(sandbox.command(words).stdin(Stdio::piped()))
}

/// What came of `map` with `input` on standard input.
fn fed<A: AsRef<OsStr>>(sandbox: &Sandbox, args: impl IntoIterator<Item = A>, input: &[u8]) -> Finished {
    let mut run = map(sandbox, args);
    // Who needs no input may be gone before it.
    let _ = run.input().write_all(input);
    run.close_input();
    run.finish()
}

/// A line of a shell, with the binary as `$IPCPIPE`.
fn shell(sandbox: &Sandbox, line: &str) -> Finished {
    Running::of(&mut sandbox.shell(line)).finish()
}

fn objects(run: &Finished) -> Vec<Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn inputs_come_from_standard_input_a_file_or_the_command_line() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("inputs"), "one\ntwo\n").unwrap();
    let run = |args: &[&str], input: &[u8]| fed(&sandbox, [&["-w", "1"], args].concat(), input).exited(0).stdout;
    assert_eq!(run(&["--", "echo", "<{}>"], b"a b\n\n c "), "<a b>\n<>\n< c >\n");
    assert_eq!(run(&["-r", "--", "echo", "<{}>"], b"\na\n\n"), "<a>\n");
    assert_eq!(run(&["-0", "--", "echo", "<{}>"], b"a\nb\0c"), "<a\nb>\n<c>\n");
    assert_eq!(run(&["-a", "inputs", "--", "echo"], b"x"), "one\ntwo\n");
    assert_eq!(run(&["-a", "-", "--", "echo"], b"x"), "x\n");
    assert_eq!(run(&["--", "echo", ":::", "x", "--", "-w"], b"y"), "x\n--\n-w\n");
    for nothing in [&["--", "echo"][..], &["--", "echo", ":::"]] {
        assert_eq!(run(nothing, b""), "");
    }
    assert_eq!(run(&["--", "cat"], b"/dev/stdin\n/dev/stdin\n"), "", "a job reads /dev/null");
}

#[test]
fn an_input_is_one_argument_whatever_bytes_it_has() {
    let sandbox = Sandbox::new();
    let odd: Vec<&[u8]> =
        vec![b"a b", b"it's \"so\"", b"$(id) `id` ; #", b"\xff\xfe\t{}", b"*", b"-n", "Größe".as_bytes()];
    let script = r#"test $# = 2 && printf '%s' "$1" >"$2.out""#;
    let numbered = odd.iter().enumerate().map(|(at, word)| [word, format!("/{at}").as_bytes()].concat());
    let lines: Vec<u8> = numbered.flat_map(|line| [line, b"\n".to_vec()].concat()).collect();
    // The number behind the last slash names the file; the input itself is handed on as it is.
    let script = format!("in=$1; set -- \"$in\" \"${{in##*/}}\"; {script}");
    fed(&sandbox, ["--", "sh", "-c", &script, "sh", "{}"], &lines).exited(0);
    for (at, word) in odd.iter().enumerate() {
        let written = fs::read(sandbox.path(format!("{at}.out"))).unwrap();
        assert_eq!(written, [word, format!("/{at}").as_bytes()].concat());
    }
    let raw = OsString::from_vec(b"\xff'".to_vec());
    let args = ["--dry-run", "--", "cp", "{}", "{}.bak", ":::"].map(OsString::from).into_iter().chain([raw]);
    assert_eq!(fed(&sandbox, args, b"").exited(0).stdout, r"cp $'\377\'' $'\377\'.bak'".to_owned() + "\n");
    let run = shell(&sandbox, r"printf 'a\377' | $IPCPIPE manager map --format json -- true").exited(0);
    assert_eq!(objects(&run)[0]["input"], serde_json::json!([97, 255]));
}

#[test]
fn ten_thousand_jobs_are_printed_in_the_order_of_their_inputs() {
    let sandbox = Sandbox::new();
    let inputs: String = (1..=10_000).map(|at| format!("{at}\n")).collect();
    let run = fed(&sandbox, ["-w", "8", "--order", "input", "--", "echo"], inputs.as_bytes()).exited(0);
    assert!(run.stdout == inputs && run.stderr.is_empty(), "{}", run.stderr);
}

#[test]
fn output_is_never_mixed_and_comes_when_a_job_is_done() {
    let sandbox = Sandbox::new();
    let script = "for i in 1 2 3 4 5 6 7 8 9; do echo $1; echo e$1 >&2; done";
    let inputs: String = (0..200).map(|at| format!("{at}\n")).collect();
    let run = fed(&sandbox, ["-w", "7", "--", "sh", "-c", script, "sh"], inputs.as_bytes()).exited(0);
    for text in [&run.stdout, &run.stderr] {
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1800);
        assert!(lines.chunks(9).all(|nine| nine.iter().all(|line| *line == nine[0])));
        assert_eq!(lines.chunks(9).map(|nine| nine[0]).collect::<BTreeSet<_>>().len(), 200);
    }
    // The first job ends when the second one is over, and is printed first all the same if that is asked for.
    let script = "case $1 in 1) until test -s two && ! kill -0 $(cat two) 2>/dev/null; do sleep 0.01; done;; \
        2) echo $$ >2; mv 2 two;; esac; echo $1";
    for (order, expected) in [("done", "2\n1\n"), ("input", "1\n2\n")] {
        let args = ["-w", "2", "--order", order, "--", "sh", "-c", script, "sh", "{}", ":::", "1", "2"];
        assert_eq!(fed(&sandbox, args, b"").exited(0).stdout, expected);
        fs::remove_file(sandbox.path("two")).unwrap();
    }
}

#[test]
fn standard_input_is_read_as_jobs_need_it() {
    let sandbox = Sandbox::new();
    // The second input is written when the first one's output is there.
    let mut run = map(&sandbox, ["-w", "4", "--", "echo"]);
    let mut lines = BufReader::new(run.output()).lines();
    for at in 0..3 {
        writeln!(run.input(), "{at}").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), at.to_string());
    }
    run.close_input();
    assert!(lines.next().is_none());
    run.finish().exited(0);
    // An input without an end is no job, and held in memory up to a limit.
    let run = shell(&sandbox, "$IPCPIPE manager map -- true </dev/zero").exited(255);
    run.said("cannot read standard input: an input is longer than 1048576 bytes");
}

#[test]
fn d1_e16_tasks_come_with_the_program() {
    let sandbox = Sandbox::new();
    let run = fed(&sandbox, ["--order", "input", "--task", "primes", "10", "100"], b"").exited(0);
    let lines: Vec<_> = run.stdout.lines().map(|line| line.split(';').next().unwrap()).collect();
    assert_eq!(lines, ["4 primes up to 10, largest 7", "25 primes up to 100, largest 97"]);
    let lines = fed(&sandbox, ["--tag", "-w", "1", "--task", "sum"], b"3\n100\n").exited(0).stdout;
    assert_eq!(lines, "3\t6\n100\t5050\n");
    let run = fed(&sandbox, ["-w", "1", "--task", "div", "4,2", "1,0"], b"").exited(1);
    assert_eq!(run.stdout, "Quotient is 2.\n");
    run.said("div 1,0: division by zero").said("1 of 2 jobs failed");
    fed(&sandbox, ["--task", "tea"], b"").exited(2).said("[possible values: primes, sum, div]");
}

#[test]
fn options_stand_anywhere_among_the_inputs_of_a_task_and_before_three_colons() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("inputs"), "3\n4\n").unwrap();
    let lines = |args: &str, input: &[u8]| {
        let run = fed(&sandbox, ["--order", "input"].into_iter().chain(args.split(' ')), input).exited(0);
        run.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for args in [
        "--task sum -w 2 ::: 3 4",
        "--task sum 3 4 -w 2",
        "-w 2 --task sum 3 4",
        "3 --task=sum 4 -r",
        "--task sum -- 3 4",
        "--task sum 3 ::: 4",
        "--task sum -a inputs",
    ] {
        assert_eq!(lines(args, b"9\n"), ["6", "10"], "{args}");
    }
    assert_eq!(lines("--task sum -w 1", b"9\n"), ["45"]);
    assert_eq!(lines("--task sum :::", b"9\n"), [""; 0]);
    assert_eq!(lines("--dry-run --task sum ::: -w", b"").len(), 1, "what stands behind ':::' is an input");
    for (args, says) in [
        ("--task sum -a inputs 3", "not both"),
        ("--task sum -0 3", "not both"),
        ("--task sum ::: 3 ::: 4", "one ':::' is all that map knows"),
        ("--task sum 3 --task sum 4", "cannot be used multiple times"),
        ("--task sum 3 --worker 2", "did you mean '--workers'"),
        ("sleep -w 2", "put '--' before the command: map -- sleep -w 2"),
        ("-w 2 echo ::: -n", "put '--' before the command: map -w 2 -- echo ::: -n"),
        (":::  x", "put a command before ':::'"),
    ] {
        fed(&sandbox, args.split_whitespace(), b"").exited(2).said(says);
    }
    let run = sandbox.command(["manager", "-c", "map --task sum -w 1 ::: 3"]);
    assert_eq!(Running::of(&mut { run }).finish().exited(0).stdout, "6\n");
}

#[test]
fn the_status_tells_of_failures() {
    let sandbox = Sandbox::new();
    let run = |args: &[&str], input: &str| fed(&sandbox, args, input.as_bytes());
    run(&["--", "test", "1", "=", "{}"], "1\n1\n").exited(0);
    let two = run(&["-w", "1", "--", "sh", "-c", "exit $1", "sh"], "1\n0\n7\n").exited(1);
    assert_eq!(
        two.stderr,
        "ipcpipe: job 1 (1) failed: exit 1\nipcpipe: job 3 (7) failed: exit 7\nipcpipe: 2 of 3 jobs failed\n"
    );
    assert_eq!(run(&["-q", "--", "false"], &"x\n".repeat(300)).exited(1).stderr, "");
    run(&["--", "no-such-program"], "x\n").exited(127).said("cannot start no-such-program: No such file");
    run(&["--", "/etc/passwd"], "x\n").exited(126).said("cannot start /etc/passwd: Permission denied");
    run(&["-a", "none", "--", "true"], "").exited(255).said("cannot open none: No such file");
    for dry_run in [&[][..], &["--dry-run"]] {
        let args = [dry_run, &["-a", "/", "--", "true"]].concat();
        run(&args, "").exited(255).said("cannot read /: Is a directory");
    }
    let odd = run(&["-w", "1", "--", "false"], &format!("a\0b\n{}\n", "x".repeat(200_000))).exited(1);
    let odd = odd.said("its input holds a NUL byte, and no argument can; with -0 inputs end there");
    assert!(odd.said("xxx...) failed: cannot start").stderr.len() < 1000);
    run(&["--", "{}"], "no-such-program\ntrue\n").exited(1).said("job 1 (no-such-program) failed: cannot start");
    for (args, says) in [
        (&[][..], "<COMMAND>... is missing"),
        (&["-w", "2", "echo", "-n", ":::", "x"], "put '--' before the command: map -w 2 -- echo -n ::: x"),
        (&["--", ":::", "x"], "put a command before ':::'"),
        (&["--", "true", ":::", "a", ":::", "b"], "one ':::' is all that map knows"),
        (&["-0", "--", "true", ":::", "a"], "not both"),
        (&["-w", "0", "--", "true"], "expected auto or a number from 1 to"),
        (&["--resume", "--", "true"], "--joblog"),
        (&["--format", "csv", "--", "true"], "only count has --format csv"),
        (&["--ungroup", "--format", "json", "--", "true"], "between the objects"),
        (&["--ungroup", "--tag", "--", "true"], "cannot be used with"),
    ] {
        run(args, "").exited(2).said(says);
    }
}

#[test]
fn what_fails_is_tried_again() {
    let sandbox = Sandbox::new();
    let script = "echo x >>$1; n=$(wc -l <$1); echo $1 try $n; test $n -ge 3";
    let args = ["--retries", "2", "--format", "json", "--", "sh", "-c", script, "sh", "{}", ":::", "a", "b"];
    let run = fed(&sandbox, args, b"").exited(0);
    let objects = objects(&run);
    for object in &objects[..2] {
        assert_eq!((&object["attempts"], &object["exit"]), (&3.into(), &0.into()));
        assert!(object["stdout"].as_str().unwrap().ends_with("try 3\n"), "only the last attempt is shown: {object}");
    }
    assert_eq!((&objects[2]["retried"], &objects[2]["failed"]), (&4.into(), &0.into()));
    let args = ["--retries", "3", "-w", "1", "--", "false", ":::", "a"];
    fed(&sandbox, args, b"").exited(1).said("job 1 (a) failed 4 times: exit 1");
}

#[test]
fn programs_get_an_object_for_each_job_and_the_totals() {
    let sandbox = Sandbox::new();
    let script = "echo out; echo err >&2; case $1 in k) kill -9 $$;; *) exit $1;; esac";
    let args = ["-w", "1", "--format", "json", "--", "sh", "-c", script, "sh", "{}", ":::", "0", "5", "k"];
    let run = fed(&sandbox, args, b"").exited(1);
    assert_eq!(run.stderr, "");
    let objects = objects(&run);
    let keys = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let expected = "v type seq input exit signal attempts slot elapsed_s cpu_s stdout stderr";
    assert_eq!(keys(&objects[0]), expected.split(' ').map(str::to_owned).collect());
    let ends: Vec<_> = objects[..3].iter().map(|it| (&it["seq"], &it["input"], &it["exit"], &it["signal"])).collect();
    let null = Value::Null;
    assert_eq!(ends[0], (&1.into(), &"0".into(), &0.into(), &null));
    assert_eq!(ends[1], (&2.into(), &"5".into(), &5.into(), &null));
    assert_eq!(ends[2], (&3.into(), &"k".into(), &null, &"SIGKILL".into()));
    assert!(objects[..3].iter().all(|it| (&it["stdout"], &it["stderr"]) == (&"out\n".into(), &"err\n".into())));
    let totals = &objects[3];
    assert_eq!((&totals["type"], &totals["jobs"], &totals["failed"]), (&"map".into(), &3.into(), &2.into()));
    assert_eq!(totals["stopped_by"], null);
}

#[test]
fn tags_places_and_what_is_let_through() {
    let sandbox = Sandbox::new();
    let script = "echo $IPCPIPE_SEQ; echo $IPCPIPE_SLOT >&2; printf end";
    let run = fed(&sandbox, ["-w", "1", "--tag", "--", "sh", "-c", script, "sh"], b"a b\nc\n").exited(0);
    assert_eq!(run.stdout, "a b\t1\na b\tendc\t2\nc\tend");
    assert_eq!(run.stderr, "a b\t1\nc\t1\n");
    let run = fed(&sandbox, ["-w", "1", "-u", "--", "sh", "-c", script, "sh"], b"x\n").exited(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("1\nend", "1\n"));
    let script = "mkdir slot-$IPCPIPE_SLOT && sleep 0.01 && rmdir slot-$IPCPIPE_SLOT";
    let inputs = "x\n".repeat(60);
    fed(&sandbox, ["-w", "5", "--", "sh", "-c", script, "sh"], inputs.as_bytes()).exited(0);
}

#[test]
fn huge_output_is_all_there_and_leaves_no_file() {
    let sandbox = Sandbox::new();
    let line = "$IPCPIPE manager map -w 3 --order input -- sh -c 'yes $1 | head -c 20000000; yes e >&2 | head -c 0' sh \
        ::: 1 2 3 4 | cksum; for i in 1 2 3 4; do yes $i | head -c 20000000; done | cksum";
    let run = shell(&sandbox, &line.replace("yes e >&2 | head -c 0", "true")).exited(0);
    let sums: Vec<&str> = run.stdout.lines().collect();
    assert!(sums.len() == 2 && sums[0] == sums[1], "{sums:?}");
    let run = shell(&sandbox, "$IPCPIPE manager map --format json -- head -c 3000000 ::: /dev/zero | wc -c").exited(0);
    assert!(run.stdout.trim().parse::<u64>().unwrap() > 6 * 3_000_000, "{}", run.stdout);
}

#[test]
fn it_makes_do_with_the_descriptors_that_there_are() {
    let sandbox = Sandbox::new();
    let line = "ulimit -n 48; seq 40 | $IPCPIPE manager map -w 30 -- sh -c 'head -c 2000000 /dev/zero; echo; echo $1' sh \
        | tr -d '\\0' | grep . | sort -n | uniq | wc -l";
    let run = shell(&sandbox, line).exited(0).said("raise it ('ulimit -n')");
    assert_eq!(run.stdout, "40\n");
    // Each of these limits is too low for something else. What was begun all the same may have told that it goes on.
    for limit in 5..=20 {
        let run = shell(&sandbox, &format!("ulimit -n {limit}; $IPCPIPE manager map -w 2 -- echo ::: a b"));
        match run.status.code() {
            Some(0) => assert_eq!(run.stdout.lines().count(), 2, "{limit}"),
            _ => {
                let run = run.exited(255);
                assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1), "{limit}: {}", run.stderr);
                run.said("Too many open files; raise the limit on open files ('ulimit -n')");
            }
        }
    }
    // What is to be printed holds descriptors.
    let line = "ulimit -n 20; $IPCPIPE manager map -w 4 --order input -- head -c 2000000 ::: $(yes /dev/zero | head -9) \
        | wc -c";
    assert_eq!(shell(&sandbox, line).exited(0).stdout, "18000000\n");
}

#[test]
fn it_makes_do_with_the_processes_that_there_are() {
    let sandbox = Sandbox::new();
    // The limit does not hold for root, so this is somebody else whom nobody else is.
    let user = "setpriv --reuid 64123 --clear-groups";
    let copy = "cp $IPCPIPE ./own && chmod 755 own .";
    let line = format!(
        "test $(id -u) = 0 && command -v setpriv >/dev/null && {copy} || {{ ln -s $IPCPIPE own; as_is=env; }}
         seq 30 | ${{as_is:-{user} prlimit --nproc=6}} ./own manager map -w 20 --format json -- sleep 0.0{{}}"
    );
    let run = shell(&sandbox, &line).exited(0);
    assert_eq!(objects(&run).last().unwrap()["succeeded"], 30, "{}", run.stderr);
    assert!(run.stderr.is_empty() || run.stderr.contains("ulimit -u"), "{}", run.stderr);
}

#[test]
fn it_is_done_at_the_prompt_and_in_a_script_too() {
    let sandbox = Sandbox::new();
    let run = sandbox.command(["manager", "-c", "map -w 1 -- echo ::: a 'b c'; map -- false ::: x; list"]);
    let run = Running::of(&mut { run }).finish().exited(1);
    assert_eq!(run.stdout, "a\nb c\n");
    run.said("1 of 1 jobs failed");
    let help = sandbox.run("manager map --help").exited(0).stdout;
    assert!(help.contains("--joblog <FILE>") && help.contains("Exit status: 0 if all jobs succeeded"), "{help}");
}

/// What a job is to write for somebody who looks for its process.
fn pids(sandbox: &Sandbox, name: &str, number: usize) -> Vec<u32> {
    wait_for("the jobs to say who they are", || {
        let text = fs::read(sandbox.path(name)).ok()?;
        let lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let pids: Vec<u32> = lines.filter_map(|line| OsStr::from_bytes(line).to_str()?.trim().parse().ok()).collect();
        (pids.len() == number).then_some(pids)
    })
}

fn is_gone(pid: u32) -> bool {
    process(pid).is_none_or(|it| it.state == 'Z')
}
