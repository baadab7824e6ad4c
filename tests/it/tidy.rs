//! The invariants of docs/ARCHITECTURE.md, held against the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// The only files that may hold `unsafe`, with what they need it for in their own comments.
const UNSAFE: [&str; 15] = [
    "src/channel/shm/segment.rs",
    "src/count/kernel/avx2.rs",
    "src/count/kernel/avx512.rs",
    "src/count/kernel/mod.rs",
    "src/count/kernel/sse2.rs",
    "src/sys/child.rs",
    "src/sys/fd.rs",
    "src/sys/handle.rs",
    "src/sys/map.rs",
    "src/sys/pages.rs",
    "src/sys/semaphore.rs",
    "src/sys/shared/guarded.rs",
    "src/sys/shared/mutex.rs",
    "src/sys/shared/region.rs",
    "src/sys/signal.rs",
];

/// Which rooms of the library each room may look into.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("error", &[]),
    ("record", &[]),
    ("sys", &["error"]),
    ("channel", &["error", "record", "sys"]),
    ("stage", &["error", "record", "channel"]),
    ("count", &["error", "sys"]),
    ("spread", &["error", "record", "channel", "count", "sys"]),
    ("jobs", &["error", "sys"]),
    ("manager", &["error", "jobs", "mp", "sys", "tasks"]),
    ("mp", &["error", "sys"]),
    ("tasks", &["error", "mp"]),
    ("pipeline", &["error", "record", "channel", "stage", "sys"]),
];

/// Crates that wrap the system, and where they may be named.
const SYSTEM_CRATES: [&str; 6] = ["nix", "rustix", "libc", "interprocess", "shared_memory", "signal_hook"];

/// A source file: its path from the root of the repository, and its text without tests.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The first part of the path below src/: the room.
    fn room(&self) -> &str {
        self.path.trim_start_matches("src/").split(['/', '.']).next().unwrap()
    }

    /// The lines that are code, without comments.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter(|line| !line.trim_start().starts_with("//"))
    }
}

fn sources(dir: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut dirs: Vec<PathBuf> = vec![root.join(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") && !path.to_string_lossy().ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
                let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty());
    found
}

#[test]
fn dependencies_point_one_way() {
    let rooms: Vec<&str> = MAY_USE.iter().map(|(room, _)| *room).collect();
    for source in sources("src").iter().filter(|it| it.path != "src/lib.rs") {
        let (_, may_use) = MAY_USE.iter().find(|(room, _)| *room == source.room()).expect("a known room");
        for line in source.code() {
            for room in rooms.iter().filter(|room| **room != source.room() && !may_use.contains(room)) {
                assert!(!line.contains(&format!("crate::{room}")), "{} looks into {room}: {line}", source.path);
            }
            // The error is at the root of the crate.
            assert!(source.room() != "record" || !line.contains("crate::Error"), "{}: {line}", source.path);
        }
    }
}

#[test]
fn the_system_is_reached_through_few_doors() {
    for source in sources("src").iter().chain(&sources("bin")) {
        let may = matches!(source.room(), "sys" | "channel" | "pipeline");
        for name in SYSTEM_CRATES {
            let named = source.code().any(|line| names_crate(line, name));
            assert!(!named || may, "{} names {name}", source.path);
        }
        let random = source.code().any(|line| line.contains("rand::") || line.contains("rand_xoshiro::"));
        assert!(
            !random || source.path == "src/stage/conv/random.rs" || source.text.contains("rustix::rand"),
            "{}",
            source.path
        );
    }
}

/// True if `line` has `name::` as a word of its own: `nix::` is not in `std::os::unix::fs`.
fn names_crate(line: &str, name: &str) -> bool {
    let is_word = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    line.match_indices(&format!("{name}::")).any(|(at, _)| is_word(at))
}

#[test]
fn only_the_program_speaks() {
    for source in sources("src") {
        for line in source.code() {
            for word in ["println!", "eprint", "print!(", "process::exit", "clap::"] {
                let is_last_word = source.path.starts_with("src/sys/") && line.contains("std::process::exit");
                assert!(!line.contains(word) || is_last_word, "{}: {line}", source.path);
            }
        }
    }
}

#[test]
fn unsafe_code_lives_at_its_addresses_with_one_reason_each() {
    for source in sources("src").iter().chain(&sources("bin")) {
        let uses = source.code().filter(|line| is_unsafe(line)).count();
        let reasons = source.text.matches(concat!("// ", "SAFETY: ")).count();
        let foreign = source.text.matches("unsafe extern").count();
        if UNSAFE.contains(&source.path.as_str()) {
            assert!(uses > 0, "{} needs no place in the list", source.path);
            assert_eq!(uses - foreign, reasons, "{}: unsafe and its reasons", source.path);
        } else {
            assert_eq!(uses, 0, "{} is not on the list", source.path);
        }
    }
}

fn is_unsafe(line: &str) -> bool {
    line.contains("unsafe {") || line.contains("unsafe impl") || line.contains("unsafe extern")
}

#[test]
fn files_stay_readable_in_one_sitting() {
    for source in sources("src").iter().chain(&sources("bin")).chain(&sources("tests")) {
        let lines = source.text.lines().count();
        assert!(lines <= 450, "{} has {lines} lines", source.path);
    }
}

#[test]
fn nothing_is_left_to_do() {
    for source in sources("src").iter().chain(&sources("bin")) {
        for mark in ["todo!", "unimplemented!", concat!("TO", "DO"), "FIXME", "XXX", "HACK"] {
            assert!(!source.text.contains(mark), "{} holds {mark}", source.path);
        }
    }
}

#[test]
fn the_change_log_knows_the_version() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let changes = fs::read_to_string(root.join("CHANGELOG.md")).unwrap();
    assert!(changes.contains(&format!("## {}", env!("CARGO_PKG_VERSION"))));
}

/// Every row of the seeds: A1 to A26 and so on.
const ROWS: [(char, u32); 5] = [('A', 26), ('B', 35), ('C', 8), ('D', 10), ('E', 16)];

#[test]
fn every_row_of_the_seeds_has_its_test() {
    let table = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SEEDS.md")).unwrap();
    let code: String = ["src", "bin", "tests"].iter().flat_map(|dir| all_text(dir)).collect();
    let row_of = |row: &str| table.lines().find(|line| line.starts_with(&format!("| {row} |"))).expect(row);
    for row in ROWS.iter().flat_map(|(letter, last)| (1..=*last).map(move |number| format!("{letter}{number}"))) {
        let tests = row_of(&row).rsplit(" | ").next().unwrap();
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{row} has no test");
        for name in names {
            let carries = name.split('_').map_while(|word| ROWS.iter().any(|it| is_row(word, it.0)).then_some(word));
            assert!(carries.into_iter().any(|word| word.eq_ignore_ascii_case(&row)), "{row}: {name}");
            let at = code.find(&format!("fn {name}(")).unwrap_or_else(|| panic!("{row}: there is no {name}"));
            assert!(code[..at].trim_end().ends_with("#[test]"), "{row}: {name} is no test, or one that is not run");
        }
    }
}

/// True for the word of a test's name that says which row it is about: `a12`.
fn is_row(word: &str, letter: char) -> bool {
    let number = word.strip_prefix(letter.to_ascii_lowercase());
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The text of every source file below `dir`, tests and all.
fn all_text(dir: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut dirs: Vec<PathBuf> = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)];
    while let Some(dir) = dirs.pop() {
        for path in fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                texts.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    texts
}
