//! What the compiler says of programs that cannot be right.

use std::env;
use std::fs;
use std::process::Command;

use crate::examples::built;

/// Fails unless rustc refuses `body` as that of `main`, and says all of `expected`.
#[track_caller]
fn refused(body: &str, expected: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("main.rs");
    fs::write(&source, format!("use ipcpipe::{{mp::*, task}};\nfn main() {{\n{body}\n}}\n")).unwrap();
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition", "2024", "--emit", "metadata", "--extern"]);
    rustc.arg(format!("ipcpipe={}", built().join("libipcpipe.rlib").display()));
    rustc.arg("-L").arg(built().join("deps")).arg("--out-dir").arg(dir.path()).arg(&source);
    let output = rustc.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "it compiles");
    for text in expected {
        assert!(said.contains(text), "{text:?} is not in:\n{said}");
    }
}

#[test]
fn arguments_that_do_not_fit_are_told_with_what_would() {
    let greet = "fn greet(name: String) {} let _ = Process::spawn(task!(greet), \"Ada\");";
    refused(
        greet,
        &["`&str` is not the arguments of a task that takes `(String,)`", "`\"text\".to_owned()` for a `String`"],
    );
    let map = "let pool = Pool::new(task!(|a: i32, b: f64| {})).build().unwrap(); let _ = pool.map([1, 2]);";
    refused(map, &["is not the arguments of a task that takes `(i32, f64)`", "give the tuple of all arguments"]);
}

#[test]
fn what_is_no_task_is_told_with_what_is() {
    let own = "struct Own; fn own(it: Own) {} let _ = task!(own);";
    refused(own, &["cannot be a task", "derive `Serialize` and `Deserialize` for types of your own"]);
    let nine = "let _ = task!(|_: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8| {});";
    refused(nine, &["cannot be a task", "more than eight arguments fit into a struct or a tuple"]);
}

#[test]
fn what_cannot_lie_in_shared_memory_is_told_with_where_it_can() {
    refused(
        "let _ = Value::new(String::new());",
        &["`String` cannot lie in shared memory", "text and lists go into `SharedList`"],
    );
    refused("let _ = Value::new(true);", &["`bool` cannot lie in shared memory", "into `Unlocked`"]);
    refused(
        "let _ = Value::unlocked(1.5_f64);",
        &["cannot read and write `f64`", "`Value::new` keeps it under a lock"],
    );
}

#[test]
fn what_a_manager_does_not_keep_is_told() {
    let remove = "let manager = Manager::start().unwrap(); let _ = manager.remove(&5_u8);";
    refused(remove, &["`u8` is not kept by a manager"]);
    let update = "let manager = Manager::start().unwrap(); let dict = manager.dict::<String, u8>().unwrap();\n\
                  let _ = dict.update(task!(|it: &mut Vec<u8>| it.clear()), ());";
    refused(update, &["is not a map from `String` to `u8`", "`&mut HashMap<String, u8>`"]);
}
