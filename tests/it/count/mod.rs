//! `ipcpipe manager count`: the same letters whoever counts them, and what it says when something is wrong.

mod changes;
mod processes;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::manager::{CTRL_C, Client, Server, Terminal};
use crate::sandbox::{BACKENDS, Running, Sandbox, process, processes, send, wait_for};

/// The JSON of a count that went well.
fn counted(sandbox: &Sandbox, args: &str) -> Value {
    let run = sandbox.run(&format!("manager count --format json {args}")).exited(0);
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{args}: {error}\n{}", run.stdout))
}

/// A text of all lengths of characters, of so many lines.
fn book(lines: usize) -> String {
    (0..lines).map(|at| format!("{at}: The Größe of a 日本語 text, it’s 😀 \u{3000}measured.\r\n")).collect()
}

/// The ways of worker processes.
fn ways() -> impl Iterator<Item = String> {
    BACKENDS.into_iter().flat_map(|it| ["path", "stream"].map(|feed| format!("--mode process -b {it} --feed {feed}")))
}

/// The workers of a count, once there are as many.
fn workers(lead: u32, number: usize) -> Vec<u32> {
    wait_for("workers", || {
        let all = processes().into_iter().filter(|it| it.parent == lead && it.name.starts_with("count-"));
        let all: Vec<u32> = all.map(|it| it.pid).collect();
        (all.len() == number).then_some(all)
    })
}

/// Done when 1.
#[test]
fn a21_everybody_counts_the_same() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("book.txt"), book(20_000)).unwrap();
    let stats = "--stats --words 10 book.txt";
    let expected = counted(&sandbox, &format!("-w 1 --kernel scalar --io read {stats}"));
    assert_eq!(
        (&expected["total"]["counts"]["日"], &expected["total"]["counts"]["S"]),
        (&20_000.into(), &80_000.into())
    );
    for way in ["-w 7", "-w 2 --io mmap", "-w 1 --io mmap"].map(str::to_owned).into_iter().chain(ways()) {
        let workers = if way.starts_with("--mode") { "-w 3" } else { "" };
        let found = counted(&sandbox, &format!("{way} {workers} {stats}"));
        assert_eq!((&found["files"], &found["total"]), (&expected["files"], &expected["total"]), "{way}");
    }
    for mode in ["thread", "process"] {
        let line =
            format!("cat book.txt | $IPCPIPE manager count --format json --mode {mode} -w 2 --stats --words 10 -");
        let run = Running::of(&mut sandbox.shell(&line)).finish().exited(0);
        let found: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(found["total"], expected["total"]);
        assert_eq!((&found["files"][0]["path"], &found["metrics"]["mode"]), (&"standard input".into(), &mode.into()));
    }
}

/// Done when 2.
#[test]
fn what_the_seed_gets_wrong_is_right_for_any_number_of_workers() {
    let sandbox = Sandbox::new();
    let cases = [
        ("日本語".repeat(1000) + "x", 3001),
        ("Größe und Maße\n".repeat(1000), 14_000),
        ("hello world\r\n".repeat(10_000), 100_000),
    ];
    for (at, (text, letters)) in cases.into_iter().enumerate() {
        let name = format!("seed-{at}");
        fs::write(sandbox.path(&name), text).unwrap();
        for workers in 1..=9 {
            assert_eq!(counted(&sandbox, &format!("-w {workers} {name}"))["total"]["letters"], letters);
        }
        for way in ways() {
            assert_eq!(counted(&sandbox, &format!("{way} -w 7 {name}"))["total"]["letters"], letters, "{way}");
        }
    }
}

#[test]
fn odd_files_are_counted_as_they_are() {
    let sandbox = Sandbox::new();
    for (name, bytes, letters) in [
        ("empty", &b""[..], 0),
        ("none", b"12 34\n", 0),
        ("nul", b"a\0b", 2),
        ("crlf", b"aB\r\nc\rd\n", 4),
        ("bom", b"\xef\xbb\xbfabc", 3),
        ("unterminated", b"a", 1),
    ] {
        fs::write(sandbox.path(name), bytes).unwrap();
        for mode in ["thread", "process"] {
            let run = sandbox.run(&format!("manager count --mode {mode} --format json --stats {name}")).exited(0);
            let found: Value = serde_json::from_str(&run.stdout).unwrap();
            assert_eq!(found["total"]["letters"], letters, "{name}");
            assert_eq!(run.stderr.contains("byte order mark"), name == "bom", "{}", run.stderr);
        }
        // A table without letters divides by nothing.
        let run = sandbox.run(&format!("manager count {name}")).exited(0);
        assert!(run.stdout.starts_with(&format!("{name}: {letters} letters, ")), "{}", run.stdout);
    }
    for mode in ["thread", "process"] {
        assert!(
            counted(&sandbox, &format!("--mode {mode} /proc/self/status"))["total"]["letters"].as_u64() > Some(100)
        );
        // It says that it has 4096 bytes, and has a few.
        let found = counted(&sandbox, &format!("--mode {mode} -w 2 /sys/devices/system/cpu/online"));
        assert!((1..4096).contains(&found["total"]["bytes"].as_u64().unwrap()), "{found}");
        let line = format!("mkfifo f; (sleep 0.1; printf 'abc' > f) & $IPCPIPE manager count --mode {mode} -q f; rm f");
        let run = Running::of(&mut sandbox.shell(&line)).finish().exited(0);
        assert!(run.stdout.starts_with("f: 3 letters, 3 distinct\n"), "{}\n{}", run.stdout, run.stderr);
    }
}

#[test]
fn what_cannot_be_counted_is_named_and_the_others_are_counted() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("good"), "abc").unwrap();
    fs::write(sandbox.path("bad"), b"abc\xffdef").unwrap();
    fs::write(sandbox.path("cut"), b"abc\xe2\x82").unwrap();
    fs::write(sandbox.path("wide"), b"\xff\xfeh\0i\0").unwrap();
    fs::create_dir(sandbox.path("dir")).unwrap();
    let cases = [
        ("missing", "cannot open missing: No such file or directory"),
        ("bad", "cannot count bad: invalid UTF-8 at byte 3, 1 byte; convert the file"),
        ("cut", "cannot count cut: invalid UTF-8 at byte 3, truncated at end of file; convert"),
        ("wide", "cannot count wide: it is UTF-16 or UTF-32 by its byte order mark, not UTF-8; convert it with 'iconv"),
        ("dir", "cannot count dir: it is a directory; --recursive counts all files below it"),
    ];
    for mode in ["thread", "process", "process --feed stream"] {
        for (name, says) in cases {
            let run = sandbox.run(&format!("manager count --mode {mode} -q {name} good")).exited(1).said(says);
            assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
            assert!(run.stdout.starts_with("good: 3 letters"), "{}", run.stdout);
        }
        for (how, letters) in [("lossy", 6), ("skip", 6)] {
            let run = sandbox.run(&format!("manager count --mode {mode} --invalid {how} --format json bad")).exited(0);
            let run = run.said(&format!("bad has 1 sequence that is no UTF-8 ({how})"));
            let found: Value = serde_json::from_str(&run.stdout).unwrap();
            assert_eq!((&found["total"]["letters"], &found["total"]["invalid"]), (&letters.into(), &1.into()));
        }
    }
    // Figures are those of what was counted.
    for (args, lines) in [("nope", 1), ("nope good", 5)] {
        let run = sandbox.run(&format!("manager count {args}")).exited(1);
        assert_eq!(run.stderr.lines().count(), lines, "{}", run.stderr);
    }
    for (args, says) in [
        ("", "count: which file? Name one, or '-' for standard input"),
        ("-w 0 good", "expected auto or a number from 1 to 1024"),
        ("--sample x", "expected a number of bytes"),
        ("--merge good --sample 5", "cannot be used with"),
        ("--letters foo good", "letter, alphabetic, ascii"),
    ] {
        sandbox.run(&format!("manager count {args}")).exited(2).said(says);
    }
    sandbox.run("manager list --format csv").exited(2).said("only count has --format csv");
    sandbox.run("manager count --compare -").exited(1).said("use --sample");
}

#[test]
fn directories_are_counted_file_by_file() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("d/e")).unwrap();
    for (name, text) in [("d/b", "bb"), ("d/a", "a"), ("d/e/c", "ccc")] {
        fs::write(sandbox.path(name), text).unwrap();
    }
    std::os::unix::fs::symlink("..", sandbox.path("d/e/up")).unwrap();
    let found = counted(&sandbox, "--recursive d");
    let files = found["files"].as_array().unwrap();
    let names: Vec<_> =
        files.iter().map(|it| (it["path"].as_str().unwrap(), it["letters"].as_u64().unwrap())).collect();
    assert_eq!(names, [("d/a", 1), ("d/b", 2), ("d/e/c", 3)]);
    assert_eq!(found["total"]["letters"], 6);
    let text = sandbox.run("manager count -q --recursive d").exited(0).stdout;
    assert!(text.contains("\n\ntotal: 6 letters, 3 distinct\n"), "{text}");
}

#[test]
fn a24_programs_get_one_object_or_lines() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("a,b"), "Straße 12\n").unwrap();
    let run = sandbox.run("manager count --format json -w 1 --stats a,b").exited(0);
    let begin = r#"{"v":1,"type":"count","unicode":"17.0.0","letters_rule":"letter","case":"upper","files":[{"path":"a,b","bytes":11,"letters":7,"distinct":5,"counts":{"A":1,"E":1,"R":1,"S":3,"T":1},"stats":{"chars":10,"lines":1,"words":2,"unterminated":false},"invalid":0}],"total":{"bytes":11,"#;
    assert!(run.stdout.starts_with(begin) && run.stdout.lines().count() == 1, "{}", run.stdout);
    assert_eq!(run.stderr, "");
    let metrics = &serde_json::from_str::<Value>(&run.stdout).unwrap()["metrics"];
    for key in ["elapsed_s", "user_s", "sys_s", "peak_rss_kib", "anon_rss_kib", "bytes_per_s"] {
        assert!(metrics[key].is_number(), "{key}: {metrics}");
    }
    assert_eq!((&metrics["workers"], &metrics["mode"], &metrics["io"]), (&1.into(), &"thread".into(), &"read".into()));
    let csv = sandbox.run("manager --format csv count -q --stats --words 1 --top 1 --sort count a,b").exited(0).stdout;
    let expected = "file,kind,value,count,percent\n\"a,b\",letter,S,3,42.8571\n\"a,b\",stat,bytes,11,\n\"a,b\",stat,chars,10,\n\
        \"a,b\",stat,lines,1,\n\"a,b\",stat,words,2,\n\"a,b\",stat,letters,7,\n\"a,b\",stat,distinct,5,\n\"a,b\",word,STRASSE,1,\n";
    assert_eq!(csv, expected);
    let table = sandbox.run("manager count --format table --case keep a,b").exited(0).said("elapsed").said("memory");
    assert!(table.stdout.contains("ß           1   16.67%\n") && !table.stdout.contains('\x1b'), "{}", table.stdout);
}

#[test]
fn the_most_frequent_letters_come_first_unless_somebody_wants_them_by_letter() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("t"), "abbccc").unwrap();
    for (args, order) in [("", "ABC"), ("--top 2", "CB"), ("--top 2 --sort letter", "BC"), ("--sort count", "CBA")] {
        let table = sandbox.run(&format!("manager count -q {args} t")).exited(0).stdout;
        let found: String = table.lines().skip(2).filter_map(|line| line.chars().next()).collect();
        assert_eq!(found, order, "{table}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_in_every_format() {
    let sandbox = Sandbox::new();
    let word = |mut at: u32| -> String {
        let mut letter = || {
            at /= 26;
            char::from(b'a' + (at % 26) as u8)
        };
        [letter(), letter(), letter()].iter().collect()
    };
    fs::write(sandbox.path("t"), (0..400_000).map(|at| word(at) + " ").collect::<String>()).unwrap();
    for format in ["table", "csv"] {
        let line = format!(
            "exec bash -c '$IPCPIPE manager count -q --words 99999 --format {format} t | head -1; exit ${{PIPESTATUS[0]}}'"
        );
        Running::of(&mut sandbox.shell(&line)).finish().exited(128 + Signal::SIGPIPE as i32);
    }
}

#[test]
fn a23_parts_add_up_to_the_whole() {
    let sandbox = Sandbox::new();
    let [one, other] = [book(100), "other\n".repeat(50)];
    fs::write(sandbox.path("both"), [one.as_str(), &other].concat()).unwrap();
    for (name, text) in [("one", one), ("other", other)] {
        fs::write(sandbox.path(name), text).unwrap();
        let part = sandbox.run(&format!("manager count --format json --stats {name}")).exited(0).stdout;
        fs::write(sandbox.path(format!("{name}.json")), part).unwrap();
    }
    let whole = counted(&sandbox, "--stats both");
    let merged = counted(&sandbox, "--merge one.json other.json");
    assert_eq!((&merged["total"], merged["files"].as_array().unwrap().len()), (&whole["total"], 2));
    let alphabetic = sandbox.run("manager count --letters alphabetic --format json one").exited(0).stdout;
    fs::write(sandbox.path("odd.json"), alphabetic).unwrap();
    sandbox
        .run("manager count --merge one.json odd.json")
        .exited(1)
        .said("cannot add odd.json: it was counted by other");
    sandbox.run("manager count --merge one").exited(1).said("--merge takes what 'count --format json' prints");
    let plain = sandbox.run("manager count --format json one").exited(0).stdout;
    fs::write(sandbox.path("plain.json"), plain).unwrap();
    sandbox.run("manager count --stats --merge other.json plain.json").exited(1).said("statistics: one has none");
    sandbox.run("manager count --words 3 --merge one.json other.json").exited(1).said("cannot add up words");
}

#[test]
fn what_others_wrote_is_added_up_or_refused() {
    let sandbox = Sandbox::new();
    let write = |name: &str, path: &str, counts: &str, letters: u64| {
        let item = format!(
            r#"{{"path":"{path}","bytes":1,"letters":{letters},"distinct":1,"counts":{{{counts}}},"invalid":0}}"#
        );
        let doc = r#"{"v":1,"type":"count","unicode":"17.0.0","letters_rule":"letter","case":"upper","files":"#;
        fs::write(sandbox.path(name), format!(r#"{doc}[{item}],"total":{item}}}"#)).unwrap();
    };
    write("most.json", "most", &format!(r#""A":{}"#, u64::MAX), u64::MAX);
    write("wraps.json", "wraps", &format!(r#""A":{},"B":4"#, u64::MAX), 3);
    write("escape.json", r"\u001b[2Jname\n", r#""A":1"#, 1);
    write("bell.json", "bell", r#""\u0007":1"#, 1);
    let merge = |files: &str| sandbox.run(&format!("manager count --merge {files}"));
    assert!(merge("most.json").exited(0).stdout.starts_with(&format!("most: {} letters", u64::MAX)));
    merge("most.json escape.json").exited(1).said("the sum is larger than 64 bits hold");
    merge("wraps.json").exited(1).said("cannot add wraps.json: its letters do not add up");
    merge("bell.json").exited(1).said("cannot add bell.json: it counts control characters as letters");
    assert!(merge("escape.json").exited(0).stdout.starts_with("\\u{1b}[2Jname\\n: 1 letters"));
}

#[test]
fn a25_a_sample_is_always_the_same_text() {
    let sandbox = Sandbox::new();
    for size in ["50k", "439k", "870k"] {
        let found = counted(&sandbox, &format!("--sample {size}"));
        assert_eq!(found["total"]["bytes"], size.replace('k', "000").parse::<u64>().unwrap());
        assert_eq!(found["total"], counted(&sandbox, &format!("--mode process -w 2 -b shm --sample {size}"))["total"]);
    }
    assert_ne!(counted(&sandbox, "--sample 1k,1")["total"], counted(&sandbox, "--sample 1k,2")["total"]);
}

/// Held in memory it would take that of all others.
#[test]
fn a_sample_larger_than_memory_is_made_while_it_is_counted() {
    let sandbox = Sandbox::new();
    for mode in ["thread", "process"] {
        let args = ["manager", "count", "-q", "-w", "1", "--mode", mode, "--sample", "100G"];
        let run = Running::of(&mut sandbox.command(args));
        wait_for("the count to begin", || {
            let threads = fs::read_dir(format!("/proc/{}/task", run.pid())).ok()?;
            (threads.count() > 1).then_some(())
        });
        run.signal(Signal::SIGINT);
        let run = run.finish().died_of(Signal::SIGINT).said(" of 100000000000 bytes");
        // The signal may come before the first piece, and then there is nothing to show.
        let shown = run.stdout.starts_with("sample of 100000000000 bytes, seed 1: ");
        assert!(shown || run.stderr.contains(" after 0 of "), "{run:?}");
    }
    sandbox.run("manager count --compare --sample 100G").exited(1).said("put it into a file");
}

#[test]
fn nobody_waits_for_a_sample_that_is_not_wanted_any_more() {
    let sandbox = Sandbox::new();
    let run = Running::of(&mut sandbox.command(["manager", "count", "-q", "--sample", "256M"]));
    // Some of it is there, and it takes a while until all of it is.
    wait_for("the first bytes of the sample", || {
        let fds = fs::read_dir(format!("/proc/{}/fd", run.pid())).ok()?;
        let mut sizes = fds.flatten().filter_map(|fd| {
            let is_sample = fs::read_link(fd.path()).is_ok_and(|it| it.to_string_lossy().starts_with("/memfd:sample"));
            is_sample.then(|| fs::metadata(fd.path()).ok()).flatten()
        });
        sizes.any(|it| it.len() > 0).then_some(())
    });
    run.signal(Signal::SIGINT);
    let run = run.finish().died_of(Signal::SIGINT).said("partial count: SIGINT came after 0 of 256000000 bytes");
    assert_eq!(run.stdout, "");
    assert!(sandbox.run("manager count -q --sample 1").exited(0).stdout.starts_with("sample of 1 byte, seed 1: "));
}

#[test]
fn a26_a_comparison_has_a_row_for_each_way() {
    let sandbox = Sandbox::new();
    let found = counted(&sandbox, "--compare --sample 20k -w 2");
    let names: Vec<_> = found["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names[..3], ["1 worker", "2 threads", "2 processes, pipe"]);
    assert_eq!((names.len(), &found["type"], &found["bytes"]), (7, &"count-compare".into(), &20_000.into()));
    assert_eq!(found["rows"][0]["speed_up"], 1.0);
}

#[test]
fn an_interrupted_count_says_that_it_is_partial() {
    let sandbox = Sandbox::new();
    for mode in ["thread", "process"] {
        let mut command = sandbox.command(["manager", "count", "-q", "--mode", mode, "-w", "2", "-"]);
        let mut run = Running::of(command.stdin(Stdio::piped()));
        run.input().write_all(&[b'x'; 600 << 10]).unwrap();
        if mode == "process" {
            workers(run.pid(), 2);
        }
        // All but what is in the pipe has been read.
        wait_for("the bytes to be taken", || {
            fs::read_to_string(format!("/proc/{}/io", run.pid())).ok().and_then(|io| {
                let read: u64 = io.lines().next()?.strip_prefix("rchar: ")?.parse().ok()?;
                (read >= 600 << 10).then_some(())
            })
        });
        run.signal(Signal::SIGINT);
        let run = run.finish().died_of(Signal::SIGINT).said("stopped: SIGINT came after ");
        assert!(run.stdout.contains("(partial: ") && !run.stdout.contains("total"), "{}", run.stdout);
        assert!(!run.stderr.contains("partial"), "{}", run.stderr);
    }
    // Nobody writes into this FIFO.
    let run = Running::of(&mut sandbox.shell("mkfifo f; exec $IPCPIPE manager count -q f"));
    wait_for("the open FIFO", || {
        let fds = fs::read_dir(format!("/proc/{}/fd", run.pid())).ok()?;
        fds.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|it| it.ends_with("f"))).then_some(())
    });
    run.signal(Signal::SIGTERM);
    run.finish().died_of(Signal::SIGTERM);
    fs::remove_file(sandbox.path("f")).unwrap();
}

#[test]
fn scripts_and_the_prompt_count_and_the_socket_says_who_does() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("t"), "Straße\n").unwrap();
    let run =
        sandbox.shell("$IPCPIPE manager -c 'count -q t; count -q --mode process -w 2 -b shm t; count nope; list'");
    let run = Running::of(&mut { run }).finish().exited(1).said("ipcpipe: -c:1: cannot open nope: No such file");
    assert_eq!(run.stdout.matches("t: 7 letters, 5 distinct\n").count(), 2, "{}", run.stdout);
    let server = Server::start(&sandbox);
    let mut client = Client::connect(&sandbox);
    let answer = client.ask(&["count t"].join(" "));
    assert!(format!("{answer:?}").contains("ipcpipe manager count"), "{answer:?}");
    server.exit();
}

/// A bar, colour, and Ctrl-C that leaves the prompt alone.
#[test]
fn a_person_at_a_terminal_sees_bars() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("t"), "eeeeaab").unwrap();
    let mut terminal = Terminal::prompt(&sandbox);
    let seen = terminal.says("count -q t", "\nE           4   57.14%  ");
    assert!(seen.contains("A           2   28.57%  \x1b[36m█████"), "{seen:?}");
    terminal.sees("█\x1b[0m\r\n");
    let seen = terminal.says("count -q --chart never t", "E           4   57.14%\r\n");
    assert!(!seen.contains('█'), "{seen:?}");
    terminal.types("count -q --mode process -w 2 -\r");
    workers(terminal.pid(), 2);
    terminal.types(CTRL_C);
    terminal.sees("stopped: SIGINT came after 0 bytes\r\n");
    terminal.sees("> ");
    terminal.says("list", "COMMAND\r\n");
    terminal.types("exit\r");
    let (status, rest) = terminal.finish();
    assert_eq!(status.code(), Some(0), "{rest}");
}

#[test]
fn the_help_tells_of_it() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("manager help").exited(0);
    assert!(run.stdout.contains("\nLocal:\n  count "), "{}", run.stdout);
    let help = sandbox.run("manager count --help").exited(0).stdout;
    let options =
        ["--workers", "--mode", "--backend", "--feed", "--letters", "--case", "--invalid", "--stats", "--words"];
    let more = ["--sort", "--top", "--chart", "--compare", "--sample", "--merge", "--kernel", "--io", "--recursive"];
    let missing: BTreeSet<_> = options.into_iter().chain(more).filter(|it| !help.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(help.contains("file,kind,value,count,percent") && !help.contains("counter"), "{help}");
    let forms = ["- text: ", "also called table", "- json: ", "- csv: "];
    assert!(forms.iter().all(|form| help.contains(form)), "{help}");
}
