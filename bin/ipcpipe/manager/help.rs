//! `help`: the verbs a newcomer needs, the others by what they are for, and each of them at length.

use std::ffi::OsString;

use super::session::Lost;
use super::{Status, grammar, options, session};
use crate::shell;

/// Verbs by what they are for; the first group is all that a newcomer needs.
pub(crate) const GROUPS: [(&str, &[&str]); 8] = [
    ("To begin with", &["create", "list", "pause", "resume", "terminate", "wait", "logs", "help", "quit"]),
    ("Pools", &["submit", "results", "cancel", "resize"]),
    ("Drive", &["kill", "restart", "signal"]),
    ("Look", &["show", "why", "events"]),
    ("Keep", &["save", "source", "forget"]),
    ("Measure", &["time", "bench"]),
    ("End", &["detach", "clear", "exit"]),
    ("Local", &["count", "map", "demo"]),
];

/// What stands under the table.
const TARGETS: &str = "\
TARGET is a name, a pid or tid, #ID, a pattern such as 'web-*', or all; 'process', 'thread'
or 'pool' before it picks one kind.
'help VERB' tells more, 'help create process' too. Ctrl-C ends a wait, not the manager.
";

/// Prints the table, or what there is to say about one verb.
pub(crate) fn print(words: &[OsString]) -> Result<Status, Lost> {
    if words.is_empty() {
        return show(&table());
    }
    let surfaces = options::surfaces();
    let is_surface = words.first().is_some_and(|word| surfaces.find_subcommand(word).is_some());
    let mut definition = if is_surface { surfaces } else { grammar::definition() };
    definition.build();
    let mut command = &mut definition;
    for word in words {
        command = match command.find_subcommand_mut(word) {
            Some(next) => next,
            None => {
                let message = format!("there is no help for '{}'; see 'help'", word.display());
                return session::refuse(&grammar::Options::default(), None, grammar::misuse(message));
            }
        };
    }
    let text = command.render_help().ansi().to_string();
    show(&text)
}

/// Prints text that may hold colour.
pub(crate) fn show(text: &str) -> Result<Status, Lost> {
    match shell::print(text) {
        Ok(_) => Ok(Status::DONE),
        Err(error) => Err(Lost(std::io::Error::other(error.to_string()))),
    }
}

/// All verbs with a line each.
pub(crate) fn table() -> String {
    let mut lines = verbs();
    let mut text = String::new();
    for (title, verbs) in GROUPS {
        text.push_str(&format!("{title}:\n"));
        for (usage, about) in lines.by_ref().take(verbs.len()) {
            text.push_str(&format!("  {usage:31}  {about}\n"));
        }
        text.push('\n');
    }
    text + TARGETS
}

/// What there is help for: verbs and surfaces.
pub(crate) fn topics() -> Vec<String> {
    let surfaces = options::surfaces();
    let surfaces = surfaces.get_subcommands().filter(|surface| !surface.is_hide_set());
    let verbs = GROUPS.into_iter().flat_map(|(_, verbs)| verbs).map(|verb| (*verb).to_owned());
    verbs.chain(surfaces.map(|surface| surface.get_name().to_owned())).collect()
}

/// Each verb with what it needs and what it does, in the order of the groups.
pub(crate) fn verbs() -> impl Iterator<Item = (String, String)> {
    let definition = grammar::definition();
    GROUPS.into_iter().flat_map(|(_, verbs)| verbs).map(move |verb| {
        let command = definition.find_subcommand(verb).expect("the groups hold verbs of the grammar");
        (usage(command), about(command))
    })
}

/// What a verb does, and what else it is called.
fn about(command: &clap::Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let others: Vec<_> = command.get_visible_aliases().collect();
    if others.is_empty() { about } else { format!("{about} (also: {})", others.join(", ")) }
}

/// A verb and what it needs.
fn usage(command: &clap::Command) -> String {
    let mut words = vec![command.get_name().to_owned()];
    if command.has_subcommands() {
        words.push("process|thread|pool NAME".into());
    }
    for argument in command.get_positionals() {
        let name = argument.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
        words.push(if argument.is_required_set() { name.to_owned() } else { format!("[{name}]") });
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_its_place_in_the_help_once() {
        let mut listed: Vec<_> = GROUPS.iter().flat_map(|(_, verbs)| verbs.iter().copied()).collect();
        let definition = grammar::definition();
        let shown = definition.get_subcommands().filter(|command| !command.is_hide_set());
        let mut defined: Vec<_> = shown.map(clap::Command::get_name).collect();
        listed.sort_unstable();
        defined.sort_unstable();
        assert_eq!(listed, defined);
        assert!(table().contains("  pause TARGET                     Pause"), "{}", table());
    }
}
