//! From clap's errors to one line that names the verb and what is wrong with it.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use ipcpipe::manager::protocol::Refusal;

use super::{definition, misuse};

/// The help that `error` is, if it is no error: what `pause --help` answers.
pub(crate) fn help_of(error: &clap::Error) -> Option<String> {
    (!error.use_stderr()).then(|| error.render().ansi().to_string())
}

/// Characters of a sentence that are shown; a word that was typed may have a million.
const SHOWN: usize = 200;

/// The error about `words` in one line.
pub(crate) fn refusal(words: &[OsString], error: clap::Error) -> Refusal {
    let verb = verb(words);
    let sentence = shortened(sentence(&error, &verb));
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

/// The beginning and the end of a long sentence: the word stands in the middle, and what is wrong with it at the end.
fn shortened(text: String) -> String {
    let length = text.chars().count();
    if length <= SHOWN {
        return text;
    }
    let half = |from: usize| text.chars().skip(from).take(SHOWN / 2).collect::<String>();
    format!("{}...{}", half(0), half(length - SHOWN / 2))
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
        ErrorKind::UnknownArgument => format!("unexpected '{}'", name(ContextKind::InvalidArg)),
        ErrorKind::MissingRequiredArgument => format!("{} is missing", name(ContextKind::InvalidArg)),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => match verb {
            "create" => "what? Say process or thread, and a name".into(),
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

fn suggestions(error: &clap::Error) -> Vec<String> {
    [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue]
        .into_iter()
        .filter_map(|kind| error.get(kind))
        .flat_map(|value| match value {
            ContextValue::String(text) => vec![text.clone()],
            ContextValue::Strings(texts) => texts.clone(),
            _ => Vec::new(),
        })
        .collect()
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(" and ")),
        _ => None,
    }
}
