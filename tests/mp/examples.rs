//! The programs in examples/ do what their comments say.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The directory of what is built, where the library and the examples are as new as their sources: a filtered test run
/// does not build them.
pub(crate) fn built() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let own = env::current_exe().unwrap();
        let profile = own.ancestors().nth(2).unwrap();
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--offline", "--quiet", "--lib", "--examples"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.arg("--target-dir").arg(profile.parent().unwrap());
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success());
        profile.to_owned()
    })
}

/// The lines that an example prints, which ends well and says nothing else.
fn lines(name: &str) -> Vec<String> {
    let Output { status, stdout, stderr } = Command::new(built().join("examples").join(name)).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success() && stderr.is_empty(), "{name}: {status}\n{stdout}{stderr}");
    stdout.lines().map(str::to_owned).collect()
}

/// Fails unless `example` prints each of `expected` as a part of some line.
#[track_caller]
fn prints(example: &str, expected: &[&str]) {
    let lines = lines(example);
    for text in expected {
        assert!(lines.iter().any(|line| line.contains(text)), "{example} does not print {text:?}: {lines:#?}");
    }
}

#[test]
fn examples_of_processes() {
    prints("process", &["largest prime below 3000: Some(2999)", "too-eager (pid", "that would take too long"]);
    prints("pool", &["quotient 2", "division by zero", "quotient 4", "submitted: 3", "total 2525", "PoolWorker-2"]);
    prints("controller", &["batch 0", "Ok(\"Quotient is 2.\")", "Err(\"division by zero\")"]);
}

#[test]
fn examples_of_connections() {
    prints("queue", &["(\"Process-", ", 81)]"]);
    prints("joinable_queue", &["0 unfinished, 10 results", "total 220"]);
    prints("pipe", &["something to read already: false", "three: 5", "a word with blanks: 18"]);
}

#[test]
fn examples_of_memory() {
    prints("value", &["count 3000, numbers [-0.0, -1.0, -2.0, -3.0]", "count 6002"]);
    prints("shared_memory", &["saw [2, 3, 4, 5, 6]", "sees [2, 3, 4, 5, 6]", "can be opened: false"]);
    prints("shared_list", &["do not fit", "hello", "42", "true is at Some(3)"]);
}

#[test]
fn examples_of_synchronisation() {
    prints("lock", &["one at a time", "free within 10 ms: false", "it is ours, but: a process died"]);
    prints("semaphore", &["downloads 6", "2 permits are free again", "one more: "]);
    prints("condition", &["consumed one of", "0 left"]);
    prints("barrier", &["first steps before a second one: 3"]);
}

#[test]
fn examples_of_shared_objects() {
    prints("manager", &[r#"{"be": 2, "not": 1, "or": 1, "to": 2}"#]);
}
