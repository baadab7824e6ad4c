//! What the README shows is what happens: every `console` block is run, and its output has the shape that is shown.

use std::fs;
use std::path::Path;

use crate::sandbox::{Running, Sandbox};

/// Something that the README shows.
enum Shown {
    /// A command of a `console` block and its output. What was typed at a prompt is in both.
    Command { command: String, typed: String, output: String },
    /// A file: a block whose language is its name.
    File { name: String, text: String },
}

fn shown(readme: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut language = None;
    for line in readme.lines() {
        match (line.strip_prefix("```"), language) {
            (Some("Procfile"), _) => {
                language = Some("Procfile");
                all.push(Shown::File { name: "Procfile".to_owned(), text: String::new() });
            }
            (Some(name), None) => language = Some(name),
            (Some(_), Some(_)) => language = None,
            (None, Some("console")) => add(&mut all, line),
            (None, Some("Procfile")) => {
                let Some(Shown::File { text, .. }) = all.last_mut() else { panic!("a line of no file: {line}") };
                text.push_str(&format!("{line}\n"));
            }
            _ => {}
        }
    }
    all
}

fn add(all: &mut Vec<Shown>, line: &str) {
    if let Some(command) = line.strip_prefix("$ ") {
        let command = command.to_owned();
        return all.push(Shown::Command { command, typed: String::new(), output: String::new() });
    }
    let Some(Shown::Command { typed, output, .. }) = all.last_mut() else { panic!("output of no command: {line}") };
    output.push_str(&format!("{line}\n"));
    typed.extend(line.strip_prefix("> ").map(|line| format!("{line}\n")));
}

/// What stays on a terminal that got `text`: the editor of the prompt draws its line anew after each key.
fn as_seen(text: &str) -> String {
    let Some(begin) = text.find("\x1b[J> ") else { return text.to_owned() };
    let lines = text[begin..].lines().map(|line| line.rsplit("\x1b[J").next().unwrap_or_default());
    let lines = lines.map(|line| line.split("\r").find(|part| !part.is_empty()).unwrap_or_default());
    lines.map(|line| format!("{line}\n")).collect()
}

/// The text without what differs from run to run: numbers with their units, times, process ids, the place of the socket,
/// and the blanks that align them. Sums of seeded samples differ in no run, but whether they are right is the business
/// of other tests.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    let mut before = "";
    for word in text.split_inclusive('\n').flat_map(|line| line.split(' ')).filter(|word| !word.is_empty()) {
        let is_unit = ["ns", "µs", "ms", "s", "B", "KiB", "MiB"].contains(&word.trim());
        let number = word.trim().trim_end_matches(',');
        let is_id = before.ends_with("pid") || before.ends_with("tid");
        if number.parse::<f64>().is_ok() || is_time(number) || is_amount(number) {
            shape.push('N');
        } else if is_id {
            let rest = word.trim_end().trim_start_matches(|c: char| c.is_ascii_digit());
            shape.push_str(&format!("N{rest}"));
        } else if word.trim_end().ends_with("/ipcpipe/manager.sock") {
            shape.push_str("SOCKET");
        } else if !is_unit {
            shape.push_str(&object(word.trim_end()));
        }
        shape.push(if word.ends_with('\n') { '\n' } else { ' ' });
        before = word.trim_end();
    }
    shape.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `17:24:36.378` or `0:12`.
fn is_time(word: &str) -> bool {
    let parts: Vec<&str> = word.split(':').collect();
    parts.len() > 1 && parts.iter().all(|part| part.parse::<f64>().is_ok())
}

/// `0.3%` or `4.8M`.
fn is_amount(word: &str) -> bool {
    word.strip_suffix(['%', 'K', 'M']).is_some_and(|number| number.parse::<f64>().is_ok())
}

/// A word that may be a JSON object, without the values that differ from run to run.
fn object(word: &str) -> String {
    let mut shape = word.to_owned();
    for key in ["pid", "uptime_s", "cpu_percent", "rss_kib"].map(|key| format!("\"{key}\":")) {
        if let Some(begin) = shape.find(&key).map(|at| at + key.len()) {
            let length = shape[begin..].find([',', '}']).unwrap_or(0);
            assert!(shape[begin..begin + length].parse::<f64>().is_ok(), "{key} in {word}");
            shape.replace_range(begin..begin + length, "N");
        }
    }
    shape
}

/// What `serve --detach` starts is no child of the test, so a test that fails half way has to end it.
struct DetachedManager<'a>(&'a Sandbox);

impl Drop for DetachedManager<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.command(["manager", "exit"]).status();
        }
    }
}

#[test]
fn every_transcript_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let all = shown(&fs::read_to_string(root.join("README.md")).unwrap());
    assert!(all.len() >= 17, "the README shows {} commands and files", all.len());
    let sandbox = Sandbox::new();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ipcpipe"), sandbox.path("ipcpipe")).unwrap();
    let _manager = DetachedManager(&sandbox);
    let path = format!("{}:{}", sandbox.path("").display(), std::env::var("PATH").unwrap());
    for it in all {
        let (command, typed, output) = match it {
            Shown::Command { command, typed, output } => (command, typed, output),
            Shown::File { name, text } => {
                fs::write(sandbox.path(name), text).unwrap();
                continue;
            }
        };
        fs::write(sandbox.path("shown"), &output).unwrap();
        fs::write(sandbox.path("typed"), &typed).unwrap();
        // Neither is on every machine.
        let stand_ins = "for it in pstree script; do command -v $it >/dev/null || eval \"$it() { cat shown; }\"; done";
        let command_line = match typed.as_str() {
            "" => command.clone(),
            _ => format!("script -qec '{command}' /dev/null <typed"),
        };
        let mut shell = sandbox.shell(&format!("{stand_ins}; exec 2>&1\n{command_line}\n"));
        shell.env("PATH", &path).env("XDG_STATE_HOME", sandbox.path("state"));
        let run = Running::of(&mut shell).finish();
        assert_eq!(shape(&as_seen(&run.stdout)), shape(&output), "$ {command}\n{}", run.stdout);
    }
}

#[test]
fn a_shape_keeps_what_does_not_differ() {
    assert_eq!(shape("process p1 paused (1 process)\n"), "process p1 paused (1 process)\n");
    assert_eq!(shape("p1 Running (pid 4711): by a client, pid 12\n"), "p1 Running (pid N): by a client, pid N\n");
    assert_eq!(shape("17:24:36.378 0:12 4.8M 0.3% 3 ms\n"), shape("1:02:03 1:00 10M 12% 8 ms\n"));
    assert_eq!(object("{\"id\":1,\"pid\":7,\"uptime_s\":0.1}"), "{\"id\":1,\"pid\":N,\"uptime_s\":N}");
    assert_eq!(
        as_seen("quit\r\n\r\x1b[J> \r\x1b[2C\r\x1b[J> quit\r\x1b[6C\r\nmanager ended\r\n"),
        "> quit\nmanager ended\n"
    );
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
