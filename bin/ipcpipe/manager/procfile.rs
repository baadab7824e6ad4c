//! A Procfile: lines of `NAME: COMMAND`, as foreman has them.
//!
//! The command is a shell's. One that begins with `--` begins with options of `create process`, up to the next ` -- `:
//! `web: --after db:ready -- ./server`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use ipcpipe::manager::Command;
use ipcpipe::manager::spec::ProcessSpec;

use super::{grammar, words};

/// One process of a Procfile.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The line it is in.
    pub(crate) line: usize,
    /// Its name.
    pub(crate) name: String,
    /// The words that create it, from `create` on.
    pub(crate) words: Vec<OsString>,
}

/// Reads a Procfile, so that what makes no sense is found before anything starts. The error is the line and what is
/// wrong with it.
pub(crate) fn read(text: &[u8]) -> Result<Vec<Entry>, (usize, String)> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).enumerate();
    let meant = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"));
    let entries = meant.map(|(at, line)| entry(at + 1, line).map_err(|why| (at + 1, why)));
    let entries: Vec<_> = entries.collect::<Result<_, _>>()?;
    for (at, entry) in entries.iter().enumerate() {
        check(entry, &entries[..at], &entries).map_err(|why| (entry.line, why))?;
    }
    Ok(entries)
}

/// Whether a process can be one of `all`, after those that are `before` it.
fn check(entry: &Entry, before: &[Entry], all: &[Entry]) -> Result<(), String> {
    let spec = entry.spec()?;
    if let Some(other) = before.iter().find(|other| other.name == entry.name) {
        return Err(format!("the name {} is taken by line {}", entry.name, other.line));
    }
    let names = || all.iter().map(|entry| entry.name.as_str());
    let unknown = spec.after.iter().map(|after| after.name.as_str()).find(|after| names().all(|name| name != *after));
    let Some(unknown) = unknown else { return Ok(()) };
    let near = grammar::nearest(unknown, names().filter(|name| *name != entry.name));
    let advice = near.first().map_or_else(String::new, |near| format!("; did you mean {near}?"));
    Err(format!("there is no {unknown} in this file to come after{advice}"))
}

impl Entry {
    fn spec(&self) -> Result<ProcessSpec, String> {
        match grammar::parse(&self.words) {
            Ok(Command::CreateProcess(spec)) => Ok(*spec),
            Ok(_) => Err("expected a process".into()),
            Err(refusal) => Err(refusal.message),
        }
    }
}

fn entry(number: usize, line: &[u8]) -> Result<Entry, String> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or("expected NAME: COMMAND")?;
    let name = str::from_utf8(line[..colon].trim_ascii()).map_err(|_| "a name is text")?.to_owned();
    let rest = line[colon + 1..].trim_ascii();
    let (options, command) = match rest.starts_with(b"--") {
        true => divide(rest).ok_or("expected ' -- ' and a command behind the options")?,
        false => (&b""[..], rest),
    };
    if command.is_empty() {
        return Err("expected a command behind the name".into());
    }
    let options = words::split(options).map_err(|flaw| flaw.to_string())?.concat();
    let mut words = ["create", "process", &name].map(OsString::from).to_vec();
    words.extend(options);
    words.extend(["--", "sh", "-c"].map(OsString::from));
    words.push(OsString::from_vec(command.to_vec()));
    Ok(Entry { line: number, name, words })
}

/// Options and command on both sides of the first ` -- `.
fn divide(line: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(command) = line.strip_prefix(b"-- ") {
        return Some((b"", command.trim_ascii()));
    }
    let at = line.windows(4).position(|four| four == b" -- ")?;
    Some((&line[..at], line[at + 4..].trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_options_and_commands_are_told_apart() {
        let entries =
            read(b"# all of it\n\n db: redis-server --port 1\nweb: --after db:ready --grace=1s -- ./x -- y; z\n")
                .unwrap();
        let words: Vec<_> = entries.iter().map(|entry| words::join(&entry.words)).collect();
        let expected = [
            "create process db -- sh -c 'redis-server --port 1'",
            "create process web --after db:ready --grace=1s -- sh -c './x -- y; z'",
        ];
        assert_eq!(words, expected);
        for entry in &entries {
            assert!(matches!(crate::manager::grammar::parse(&entry.words), Ok(Command::CreateProcess(_))));
        }
    }

    #[test]
    fn a_flaw_names_its_line() {
        for (text, line, says) in [
            ("a: b\nc", 2, "expected NAME: COMMAND"),
            ("a:", 1, "expected a command"),
            ("a: --daemon", 1, "expected ' -- '"),
            ("a: --env 'x -- y", 1, "no second '"),
            ("a: b\nb: --frob -- true", 2, "create process: unexpected '--frob'"),
            ("a: b\nall: true", 2, "create process: invalid value 'all'"),
            ("a: b\n\na: c", 3, "the name a is taken by line 1"),
            ("web: --after dbb:ready -- x\ndb: y", 1, "there is no dbb in this file to come after; did you mean db?"),
        ] {
            let (at, why) = read(text.as_bytes()).unwrap_err();
            assert!(at == line && why.starts_with(says), "{text}: {why}");
        }
    }
}
