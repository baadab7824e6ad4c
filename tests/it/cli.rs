//! The command line: usage errors, help, environment, completions and the manual page.

use crate::sandbox::{Running, Sandbox};

#[test]
fn a_usage_error_names_the_option_in_a_few_lines() {
    let sandbox = Sandbox::new();
    let cases = [
        ("--count -1", "--count"),
        ("--count abc", "--count"),
        ("--count 1e9", "--count"),
        ("--count 18446744073709551616", "--count"),
        ("--rate 0", "--rate"),
        ("--rate nan", "--rate"),
        ("--rate -5", "--rate"),
        ("--interval 5", "--interval"),
        ("--min 5 --max 4", "--min"),
        ("--backend foo", "pipe, fifo, mq, shm, socket"),
        ("--interval 1s --rate 5", "--rate"),
        ("--input - --seed 5", "--seed"),
        ("--field 2", "--input"),
        ("--nonsense", "--nonsense"),
        ("--batch 0", "--batch"),
        ("nonsense", "nonsense"),
        ("bensh", "'bench'"),
        ("count book.txt", "'manager count'"),
    ];
    for (args, named) in cases {
        let run = sandbox.run(args).exited(2).said(named);
        assert!(run.stderr.lines().count() <= 5, "{args}:\n{}", run.stderr);
        assert_eq!(run.stdout, "", "{args}");
    }
}

#[test]
fn a_huge_rate_is_flat_out_and_intervals_work() {
    let sandbox = Sandbox::new();
    for pace in ["--rate 1e12", "--interval 0", "--rate 100k", "--interval 10us"] {
        sandbox.run(&format!("{pace} -n 1000 -o l --truncate --format json")).exited(0).conserved();
    }
}

#[test]
fn the_environment_speaks_where_the_command_line_is_silent() {
    let sandbox = Sandbox::new();
    let run = |args: &str| {
        let mut command = sandbox.command(args.split_whitespace());
        command.env("IPCPIPE_BACKEND", "shm").env("IPCPIPE_LOG", "from-env").env("IPCPIPE_FORMAT", "json");
        Running::of(&mut command).finish().exited(0).conserved()
    };
    let summary = run("-n 1 --interval 0");
    assert_eq!((&summary["backend"], &summary["log"]["path"]), (&"shm".into(), &"from-env".into()));
    assert_eq!(run("-n 1 --interval 0 -b mq")["backend"], "mq");
}

#[test]
fn rubbish_in_the_environment_is_named_and_concerns_the_pipeline_only() {
    let sandbox = Sandbox::new();
    let run = |variable: &str, value: &str, args: &str| {
        let mut command = sandbox.command(args.split_whitespace());
        Running::of(command.env(variable, value)).finish()
    };
    run("IPCPIPE_COUNT", "abc", "-o l").exited(2).said("IPCPIPE_COUNT");
    run("IPCPIPE_TRUNCATE", "flase", "-n 1 -o l").exited(2).said("IPCPIPE_TRUNCATE");
    run("IPCPIPE_COUNT", "abc", "-n 2 --interval 0 -o l --format json").exited(0).conserved();
    run("IPCPIPE_COUNT", "abc", "clean").exited(0);
}

#[test]
fn help_and_version_go_to_stdout() {
    let sandbox = Sandbox::new();
    for args in ["--help", "-h", "bench --help", "clean --help"] {
        let run = sandbox.run(args).exited(0);
        assert!(run.stderr.is_empty() && run.stdout.contains("Usage"), "{args}");
    }
    let help = sandbox.run("--help").stdout;
    for word in ["--backend", "--keep-names", "--drain-timeout", "default: 800ms", "Mechanism", "Shutdown", "Examples"]
    {
        assert!(help.contains(word), "{word} is not in the help");
    }
    assert!(!help.lines().any(|line| line.trim_start().starts_with("stage ")), "the hidden command is shown");
    assert_eq!(sandbox.run("-V").exited(0).stdout, format!("ipcpipe {}\n", env!("CARGO_PKG_VERSION")));
    let version = sandbox.run("--version").exited(0).stdout;
    let begin = format!("ipcpipe {}\nletters of Unicode 17.", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&begin) && version.lines().count() == 2, "{version}");
}

#[test]
fn completions_and_manual_page_are_printed() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(sandbox.run(&format!("completions {shell}")).exited(0).stdout.contains("ipcpipe"));
    }
    let page = sandbox.run("man").exited(0).stdout;
    assert!(page.contains(".TH ipcpipe") && page.contains("EXIT STATUS"));
    Running::of(&mut sandbox.shell("$IPCPIPE man | head -1 > /dev/null; exit ${PIPESTATUS[0]}")).finish().exited(0);
}

#[test]
fn a_stage_without_its_launcher_says_so() {
    let sandbox = Sandbox::new();
    let args = "stage stat --launcher 1 --grace-ms 5 --control 99 --from pipe:7:x --to pipe:8:y";
    sandbox.run(args).exited(1).said("cannot take over descriptor 99");
    sandbox.run("stage stat").exited(2);
}
