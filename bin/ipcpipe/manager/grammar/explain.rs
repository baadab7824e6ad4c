//! From clap's errors to one line that names the verb and what is wrong with it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use ipcpipe::manager::protocol::Refusal;

use super::{Verb, definition, misuse, nearest, read};
use crate::manager::words::join;

/// The help that `error` is, if it is no error: what `pause --help` answers.
pub(crate) fn help_of(error: &clap::Error) -> Option<String> {
    (!error.use_stderr()).then(|| error.render().ansi().to_string())
}

/// Characters of a word that are shown: what was typed may have a million, and the reason stands behind it.
const SHOWN: usize = 100;

/// The error about `words` in one line.
pub(crate) fn refusal(words: &[OsString], error: clap::Error) -> Refusal {
    let verb = verb(words);
    if let Some(message) = remedy(words, &error, &verb) {
        return misuse(shortened(&message));
    }
    let sentence = shortened(&sentence(&error, &verb));
    let hint = suggestions(&error);
    let advice = match hint.as_slice() {
        [] if verb.is_empty() => "; see 'help'".to_owned(),
        [] => format!("; see 'help {verb}'"),
        [one] => format!("; did you mean '{one}'?"),
        many => format!("; did you mean one of {}?", many.join(", ")),
    };
    let before = if verb.is_empty() { String::new() } else { format!("{verb}: ") };
    let mut refusal = misuse(format!("{before}{sentence}{advice}"));
    refusal.hint = hint;
    refusal
}

/// What would have been right, where that is plain.
fn remedy(words: &[OsString], error: &clap::Error, verb: &str) -> Option<String> {
    let has_command = |words: &[OsString]| match read(words).map(|line| line.verb) {
        Ok(Verb::Map(args)) => args.has_command(),
        other => matches!(other, Ok(Verb::Create(_))),
    };
    let before_command = |words: Vec<OsString>| format!("put '--' before the command: {}", join(words));
    let with = |at: usize, word: &str| [&words[..at], &[word.into()], &words[at..]].concat();
    match (error.kind(), verb) {
        (ErrorKind::UnknownArgument | ErrorKind::MissingRequiredArgument, "map") => {
            // The command begins with the last word before which it makes sense: options of map may have values.
            let mut places = (0..words.len().min(SHOWN)).rev().filter(|&at| !words[at].as_bytes().starts_with(b"-"));
            let is_divided = words.iter().any(|word| word == "--");
            let right = places.find_map(|at| Some(with(at, "--")).filter(|words| !is_divided && has_command(words)));
            right.map(before_command)
        }
        (ErrorKind::UnknownArgument, "create process" | "create pool") => {
            let unexpected = text(error, ContextKind::InvalidArg).filter(|word| !word.starts_with('-'))?;
            let places = (0..words.len().min(SHOWN)).filter(|&at| words[at] == unexpected.as_str());
            let right = places.map(|at| with(at, "--")).find(|words| has_command(words))?;
            Some(before_command(right))
        }
        (ErrorKind::MissingRequiredArgument, "create pool") if has_command(&with(words.len(), "--task=sum")) => {
            Some(format!("{verb}: what for? Say --task and its name, or '--' and a command; see 'help {verb}'"))
        }
        (ErrorKind::MissingRequiredArgument, "count") => {
            Some("count: which file? Name one, or '-' for standard input; see 'help count'".into())
        }
        (ErrorKind::MissingRequiredArgument, "demo") => Some("demo: which one? 'demo --list' names them".into()),
        (ErrorKind::InvalidValue, "demo") if suggestions(error).is_empty() => {
            Some(format!("{verb}: {}; 'demo --list' names them", sentence(error, verb)))
        }
        (ErrorKind::InvalidSubcommand, "create") if suggestions(error).is_empty() => {
            let noun = words.iter().position(|word| word == "create")? + 1;
            let right = Some(with(noun, "process")).filter(|words| has_command(words))?;
            Some(format!("say process or thread: {}", join(right)))
        }
        (ErrorKind::InvalidValue, "list") if suggestions(error).is_empty() => {
            let value = text(error, ContextKind::InvalidValue)?;
            let one = error.get(ContextKind::InvalidArg).is_some_and(|arg| !arg.to_string().starts_with('-'));
            one.then(|| format!("list takes process, thread, pool or batch, or nothing; show {value} tells of one"))
        }
        _ => None,
    }
}

/// A sentence with its long words cut short.
fn shortened(text: &str) -> String {
    let cut = |word: &str| match word.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...'", &word[..end]),
        None => word.to_owned(),
    };
    text.split(' ').map(cut).collect::<Vec<_>>().join(" ")
}

/// The verb that was meant, and the noun of `create`, as far as they are known.
fn verb(words: &[OsString]) -> String {
    let definition = definition();
    let mut command = &definition;
    let mut path = Vec::new();
    for word in words.iter().filter_map(|word| word.to_str()) {
        let Some(next) = command.find_subcommand(word) else { break };
        path.push(next.get_name());
        command = next;
    }
    path.join(" ")
}

fn sentence(error: &clap::Error, verb: &str) -> String {
    let name = |kind| text(error, kind).unwrap_or_default();
    match error.kind() {
        ErrorKind::InvalidSubcommand => format!("there is no command '{}'", name(ContextKind::InvalidSubcommand)),
        ErrorKind::InvalidValue if verb == "demo" => format!("there is no demo '{}'", name(ContextKind::InvalidValue)),
        ErrorKind::UnknownArgument => format!("unexpected '{}'", name(ContextKind::InvalidArg)),
        ErrorKind::MissingRequiredArgument => format!("{} is missing", name(ContextKind::InvalidArg)),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => match verb {
            "create" => "what? Say process, thread or pool, and a name".into(),
            _ => "what? Say a verb, such as list".into(),
        },
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => "help is for a person at a terminal".into(),
        _ => first_paragraph(error),
    }
}

/// clap's own words on one line, without "error:" and the usage.
fn first_paragraph(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let joined = lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    joined.strip_prefix("error: ").unwrap_or(&joined).trim_end_matches(" [possible values:").to_owned()
}

/// What may have been meant, the nearest first. clap has a verb as often as it has names, and the nearest last.
fn suggestions(error: &clap::Error) -> Vec<String> {
    let typed = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg, ContextKind::InvalidValue];
    let kinds = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    let found: Vec<String> = kinds
        .into_iter()
        .filter_map(|kind| error.get(kind))
        .flat_map(|value| match value {
            ContextValue::String(text) => vec![text.clone()],
            ContextValue::Strings(texts) => texts.clone(),
            _ => Vec::new(),
        })
        .collect();
    match (found.len(), typed.into_iter().rev().find_map(|kind| text(error, kind))) {
        (2.., Some(typed)) => nearest(&typed, found.iter().map(String::as_str)),
        _ => found,
    }
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(" and ")),
        _ => None,
    }
}
