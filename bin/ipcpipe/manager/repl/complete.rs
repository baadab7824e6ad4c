//! What could stand at the cursor: verbs, nouns, options and their values as the grammar has them, live names, files.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use clap::ValueHint;
use ipcpipe::manager::Kind;
use ipcpipe::sys::signal;

use crate::manager::prompt::editor::Completion;
use crate::manager::words::quote;
use crate::manager::{grammar, help};

/// Words that pick one kind of target.
const NOUNS: [&str; 4] = ["process", "thread", "pool", "all"];

/// What can stand behind the name of what a process comes after.
const CONDITIONS: [&str; 3] = ["started", "ready", "ok"];

/// When to restart.
const POLICIES: [&str; 3] = ["never", "on-failure", "always"];

/// How to find out that a process is ready.
const PROBES: [&str; 4] = ["exec:", "log:", "notify", "tcp:"];

/// The last signal that has a name and no number alone.
const LAST_WITH_NAME: i32 = 31;

/// What could go on from `text`; `names` asks the manager and is called only if it matters.
pub(crate) fn complete(text: &str, names: &mut dyn FnMut() -> Vec<(Kind, String)>) -> Completion {
    let command = text.rfind([';', '\n']).map_or(0, |at| at + 1);
    let start = text[command..].rfind([' ', '\t']).map_or(command, |at| command + at + 1);
    let before: Vec<&str> = text[command..start].split_whitespace().collect();
    let typed = &text[start..];
    let mut candidates = candidates(&before, typed, names);
    candidates.retain(|word| word.starts_with(typed));
    candidates.sort();
    candidates.dedup();
    Completion { start, candidates }
}

fn candidates(before: &[&str], typed: &str, names: &mut dyn FnMut() -> Vec<(Kind, String)>) -> Vec<String> {
    let definition = grammar::definition();
    let (command, rest) = descend(&definition, before);
    if command.has_subcommands() {
        return verbs(command);
    }
    if rest.contains(&"--") {
        return files(typed);
    }
    let last = rest.last().and_then(|word| word.strip_prefix("--"));
    let option = last.and_then(|last| command.get_opts().find(|option| option.get_long() == Some(last)));
    match option {
        Some(option) if option.get_action().takes_values() => values(option, typed, names),
        _ if typed.starts_with('-') => options(command),
        _ => match command.get_name() {
            "help" => help::topics(),
            _ => {
                // The last positional takes all that follow.
                let place = rest.iter().filter(|word| !word.starts_with('-')).count();
                let last = command.get_positionals().count().saturating_sub(1);
                let argument = command.get_positionals().nth(place.min(last));
                argument.map_or_else(Vec::new, |argument| values(argument, typed, names))
            }
        },
    }
}

/// The deepest command that `words` name, and the words after it.
fn descend<'a>(command: &'a clap::Command, words: &'a [&'a str]) -> (&'a clap::Command, &'a [&'a str]) {
    match words.split_first().and_then(|(first, rest)| Some((command.find_subcommand(first)?, rest))) {
        Some((next, rest)) => descend(next, rest),
        None => (command, words),
    }
}

fn verbs(command: &clap::Command) -> Vec<String> {
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    shown.map(|command| command.get_name().to_owned()).collect()
}

fn options(command: &clap::Command) -> Vec<String> {
    command
        .get_opts()
        .chain(command.get_arguments())
        .filter_map(|option| option.get_long())
        .map(|long| format!("--{long}"))
        .collect()
}

/// What an argument can be.
fn values(argument: &clap::Arg, typed: &str, names: &mut dyn FnMut() -> Vec<(Kind, String)>) -> Vec<String> {
    let possible = argument.get_possible_values();
    if !possible.is_empty() {
        return possible.iter().map(|value| value.get_name().to_owned()).collect();
    }
    if matches!(argument.get_value_hint(), ValueHint::FilePath | ValueHint::DirPath) {
        return files(typed);
    }
    let mut of_kind = |kind: Option<Kind>| {
        let fitting = names().into_iter().filter(|(it, _)| kind.is_none_or(|kind| *it == kind));
        fitting.map(|(_, name)| quote(OsStr::new(&name))).collect::<Vec<_>>()
    };
    let mut quoted = || of_kind(None);
    match argument.get_id().as_str() {
        "after" => match typed.split_once(':') {
            Some((name, _)) => CONDITIONS.map(|condition| format!("{name}:{condition}")).to_vec(),
            None => quoted(),
        },
        "pool" | "pools" => of_kind(Some(Kind::Pool)),
        "signal" | "stop_signal" => signals(typed),
        "restart" => POLICIES.map(str::to_owned).to_vec(),
        "ready" => PROBES.map(str::to_owned).to_vec(),
        "words" => [quoted(), NOUNS.map(str::to_owned).to_vec()].concat(),
        _ => Vec::new(),
    }
}

/// Names of signals, as long as the one that is being typed.
fn signals(typed: &str) -> Vec<String> {
    let full = typed.starts_with("SIG");
    let names = (1..=LAST_WITH_NAME).map(signal::name);
    names.map(|name| if full { name } else { name.trim_start_matches("SIG").to_owned() }).collect()
}

/// Files whose path begins with `typed`; directories end in a slash.
fn files(typed: &str) -> Vec<String> {
    let (dir, start) = typed.rsplit_once('/').map_or(("", typed), |(dir, start)| (&typed[..=dir.len()], start));
    let place = if dir.is_empty() { Path::new(".") } else { Path::new(dir) };
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path().is_dir())));
    // Hidden files are for those who ask for them, and a name that needs quotes would not begin as typed.
    named
        .filter(|(name, _)| name.starts_with(start) && (!name.starts_with('.') || start.starts_with('.')))
        .map(|(name, is_dir)| format!("{dir}{}{}", quote(OsStr::new(&name)), if is_dir { "/" } else { "" }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> Vec<(Kind, String)> {
        vec![(Kind::Process, "web".into()), (Kind::Thread, "p1".into()), (Kind::Pool, "sums".into())]
    }

    fn after(text: &str) -> Vec<String> {
        complete(text, &mut live).candidates
    }

    #[test]
    fn every_place_has_its_words() {
        assert_eq!(after("res"), ["resize", "restart", "results", "resume"]);
        assert_eq!(after("create "), ["pool", "process", "thread"]);
        assert_eq!([after("submit "), after("cancel s"), after("resize ")], [["sums"]; 3]);
        assert_eq!(after("create pool x --task p"), ["primes"]);
        assert_eq!(after("results sums --order "), ["done", "input"]);
        assert_eq!(after("pause w"), ["web"]);
        assert_eq!(after("pause "), ["all", "p1", "pool", "process", "sums", "thread", "web"]);
        assert_eq!(after("list; pause p"), ["p1", "pool", "process"]);
        assert_eq!(after("terminate p1 --g"), ["--grace"]);
        assert_eq!(after("create thread t --task p"), ["primes"]);
        assert_eq!(after("create process x --after w"), ["web"]);
        assert_eq!(after("create process x --after web:"), ["web:ok", "web:ready", "web:started"].map(str::to_owned));
        assert_eq!(after("create process x --ready "), ["exec:", "log:", "notify", "tcp:"]);
        assert_eq!(after("create process x --restart a"), ["always"]);
        assert_eq!([after("signal US"), after("signal SIGUSR1 we")], [vec!["USR1", "USR2"], vec!["web"]]);
        assert_eq!(after("create process x --stop-signal SIGT").len(), 5);
        assert_eq!(after("help fo"), ["forget"]);
        assert_eq!(after("source Cargo.t"), ["Cargo.toml"]);
        assert_eq!(after("create process x -- bin/ipcpipe/manager/prompt/k"), ["bin/ipcpipe/manager/prompt/keys.rs"]);
        assert_eq!(after("create process x --cwd bi"), ["bin/"]);
        assert!(after("frobnicate x").is_empty() && after("names").is_empty());
        assert_eq!(complete("pause we", &mut live).start, 6);
    }
}
