//! What the README shows is what happens: every `console` block is run, and its output has the shape that is shown.

use std::fs;
use std::path::Path;

use crate::sandbox::{Running, Sandbox};

/// A command of a block and the output that the README shows for it.
struct Shown {
    command: String,
    output: String,
}

fn shown(readme: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut is_inside = false;
    for line in readme.lines() {
        match line.strip_prefix("$ ") {
            _ if line.starts_with("```") => is_inside = line == "```console",
            Some(command) if is_inside => all.push(Shown { command: command.to_owned(), output: String::new() }),
            None if is_inside => {
                let output = &mut all.last_mut().expect("a command before its output").output;
                output.push_str(line);
                output.push('\n');
            }
            _ => {}
        }
    }
    all
}

/// The text without what differs from run to run: numbers with their units, and the blanks that align them. Sums of
/// seeded samples differ in no run, but whether they are right is the business of other tests.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    for word in text.split_inclusive('\n').flat_map(|line| line.split(' ')).filter(|word| !word.is_empty()) {
        let is_unit = ["ns", "µs", "ms", "s", "B", "KiB", "MiB"].contains(&word.trim());
        let number = word.trim().trim_end_matches(',');
        if number.parse::<f64>().is_ok() {
            shape.push('N');
        } else if !is_unit {
            shape.push_str(word.trim_end());
        }
        shape.push(if word.ends_with('\n') { '\n' } else { ' ' });
    }
    shape.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_transcript_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let all = shown(&fs::read_to_string(root.join("README.md")).unwrap());
    assert!(all.len() >= 6, "the README shows {} commands", all.len());
    let sandbox = Sandbox::new();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ipcpipe"), sandbox.path("ipcpipe")).unwrap();
    for Shown { command, output } in all {
        // pstree is not on every machine.
        let script = format!("{command}\n");
        let mut shell =
            sandbox.shell(&format!("command -v pstree >/dev/null || pstree() {{ cat shown; }}; exec 2>&1\n{script}"));
        fs::write(sandbox.path("shown"), &output).unwrap();
        let path = format!("{}:{}", sandbox.path("").display(), std::env::var("PATH").unwrap());
        let run = Running::of(shell.env("PATH", path)).finish();
        assert_eq!(shape(&run.stdout), shape(&output), "$ {command}\n{}", run.stdout);
    }
}

#[test]
fn every_exit_status_and_command_of_the_program_is_documented() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let help = Sandbox::new().run("--help").exited(0).stdout;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for command in commands.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next()) {
        assert!(command == "help" || readme.contains(&format!("`ipcpipe {command}")), "{command} is not in the README");
    }
    for status in 0..=5 {
        assert!(readme.contains(&format!("\n| {status} | ")), "exit status {status} is not in the README");
    }
}
