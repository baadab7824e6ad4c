//! What a shell and `man` want to know, on stdout: `ipcpipe completions SHELL` and `ipcpipe man`.

mod names;

use std::io::{self, ErrorKind, Write};

use clap_complete::Shell;
use clap_mangen::Man;
use ipcpipe::Error;

use crate::args::{ENVIRONMENT, EXAMPLES};
use crate::{Exit, Outcome, manager, parse};

/// The exit statuses of the pipeline and of everything but the manager, for the manual page.
const STATUSES: [(&str, &str); 7] = [
    ("0", "Done: count, duration or end of input reached."),
    ("1", "Input, output or environment error."),
    ("2", "Usage."),
    ("3", "A stage died."),
    ("4", "Forced: the drain deadline passed, or a second Ctrl-C came."),
    ("5", "Conservation broken: produced, logged and counted disagree without a declared loss."),
    ("130, 143, 129, 131, 141", "Ended by INT, TERM, HUP, QUIT or a closed stdout after a clean drain."),
];

/// The exit statuses of the manager, which are those of LSB and timeout(1), for the manual page.
const MANAGER_STATUSES: [(&str, &str); 8] = [
    ("0", "Done."),
    ("1", "An operation failed."),
    ("2", "Usage."),
    ("3", "There is no such target, or it does not run."),
    ("4", "No manager answers."),
    ("124", "It took too long."),
    ("130", "Interrupted."),
    ("any", "wait passes on the exit status of what ended badly first, or 128 and its signal."),
];

/// What a first-time user of the manager wants to try, for the manual page.
const MANAGER_EXAMPLES: [(&str, &str); 3] = [
    ("ipcpipe manager serve --detach", "Starts a manager for all terminals."),
    (
        "ipcpipe manager create process web --restart on-failure -- ./server --port 8080",
        "Has it run a server, and start it again when it fails.",
    ),
    ("ipcpipe manager logs -f web", "Prints what the server writes, until Ctrl-C."),
];

/// The environment, for the manual page.
const VARIABLES: [(&str, &str); 2] = [
    ("IPCPIPE_*", ENVIRONMENT),
    ("NO_COLOR, CLICOLOR_FORCE, TERM", "What --color auto goes by, apart from the terminal."),
];

/// Prints the completion script of a shell.
pub(crate) fn completions(shell: Shell) -> Outcome {
    write(&script(shell))
}

fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    let mut whole = parse::command().disable_help_subcommand(true).mut_subcommand("manager", manager::with_verbs);
    whole.build();
    let mut command = visible(&whole);
    clap_complete::generate(shell, &mut command, "ipcpipe", &mut script);
    names::add(shell, script)
}

/// The command line without what `hide` keeps out of the help, which the generators do not look at.
fn visible(command: &clap::Command) -> clap::Command {
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set()).map(visible);
    // What every command has is given to the copy again.
    let options =
        command.get_arguments().filter(|it| !it.is_hide_set() && it.get_id() != "help" && it.get_id() != "version");
    let copy = clap::Command::new(command.get_name().to_owned()).args(options).subcommands(shown);
    let copy = copy.about(command.get_about().cloned().unwrap_or_default()).disable_help_subcommand(true);
    let copy = copy.visible_aliases(command.get_visible_aliases().map(str::to_owned).collect::<Vec<_>>());
    if command.get_name() == "ipcpipe" { copy.version(clap::crate_version!()) } else { copy }
}

/// Prints the manual page in roff.
pub(crate) fn man() -> Outcome {
    let mut page = Vec::new();
    manual(&mut page).map_err(|error| Error::os("cannot write", "the manual page", error))?;
    write(&page)
}

/// Prints text that may hold colour.
pub(crate) fn print(text: &str) -> Outcome {
    finish(anstream::stdout().lock().write_all(text.as_bytes()))
}

fn write(bytes: &[u8]) -> Outcome {
    let mut stdout = io::stdout().lock();
    finish(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// A reader that has seen enough, as in `ipcpipe man | head -1`, is no error.
fn finish(written: io::Result<()>) -> Outcome {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::os("cannot write to", "stdout", error)),
        _ => Ok(Exit::Done),
    }
}

fn manual(page: &mut Vec<u8>) -> io::Result<()> {
    let man = Man::new(parse::command()).manual("User Commands");
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    commands(page);
    surfaces(page);
    verbs(page);
    section(page, "EXIT STATUS", &STATUSES);
    section(page, "EXIT STATUS OF THE MANAGER", &MANAGER_STATUSES);
    section(page, "ENVIRONMENT", &VARIABLES);
    section(page, "EXAMPLES", &EXAMPLES);
    section(page, "EXAMPLES OF THE MANAGER", &MANAGER_EXAMPLES);
    man.render_version_section(page)
}

/// The commands with their own options, on this page: clap_mangen would send the reader to one page for each.
fn commands(page: &mut Vec<u8>) {
    page.extend(b".SH COMMANDS\n");
    let mut whole = parse::command();
    whole.build();
    for command in whole.get_subcommands().filter(|command| !command.is_hide_set()) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        entry(page, &format!("ipcpipe {}", command.get_name()), &about);
        options(page, command);
    }
}

/// What a command can be told, set in below it. Options of every command are in one place, that of their owner.
fn options(page: &mut Vec<u8>, command: &clap::Command) {
    let shown = |option: &&clap::Arg| !option.is_hide_set() && option.get_id() != "help" && option.get_id() != "color";
    page.extend(b".RS\n");
    for option in command.get_arguments().filter(shown) {
        if !option.is_global_set() || command.get_name() == "manager" {
            let help = option.get_help().map(ToString::to_string).unwrap_or_default();
            entry(page, &option.to_string(), &help);
        }
    }
    page.extend(b".RE\n");
}

/// What `ipcpipe manager` can be besides a prompt, and what can be created.
fn surfaces(page: &mut Vec<u8>) {
    page.extend(b".SH \"SURFACES OF THE MANAGER\"\n");
    let mut surfaces = manager::surfaces();
    surfaces.build();
    for surface in surfaces.get_subcommands().filter(|surface| !surface.is_hide_set()) {
        manager_command(page, surface.get_name(), surface);
    }
    page.extend(b".SH \"WHAT A MANAGER CREATES\"\n");
    let mut verbs = manager::grammar::definition();
    verbs.build();
    for what in verbs.find_subcommand("create").into_iter().flat_map(clap::Command::get_subcommands) {
        manager_command(page, &format!("create {}", what.get_name()), what);
    }
}

fn manager_command(page: &mut Vec<u8>, name: &str, command: &clap::Command) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    entry(page, &format!("ipcpipe manager {name}"), &about);
    options(page, command);
}

/// What a manager can be told, as `ipcpipe manager help` lists it.
fn verbs(page: &mut Vec<u8>) {
    page.extend(b".SH \"VERBS OF THE MANAGER\"\n");
    for (usage, about) in manager::help::verbs() {
        entry(page, &usage, &about);
    }
}

/// A section of terms and what they mean.
fn section(page: &mut Vec<u8>, title: &str, entries: &[(&str, &str)]) {
    page.extend(format!(".SH \"{title}\"\n").bytes());
    for (term, meaning) in entries {
        entry(page, term, meaning);
    }
}

fn entry(page: &mut Vec<u8>, term: &str, meaning: &str) {
    page.extend(format!(".TP\n\\fB{}\\fR\n{}\n", roff(term), roff(meaning)).bytes());
}

/// Text as roff shows it unchanged: a bare hyphen would become a typographic one that cannot be copied to a shell.
fn roff(text: &str) -> String {
    text.replace('\\', r"\e").replace('-', r"\-").replace('\'', r"\(aq")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_page_has_every_section() {
        let mut page = Vec::new();
        manual(&mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        for title in ["NAME", "SYNOPSIS", "DESCRIPTION", "VERBS", "EXIT STATUS", "ENVIRONMENT", "EXAMPLES", "VERSION"] {
            let found = page.lines().any(|line| line.starts_with(".SH") && line.contains(title));
            assert!(found, "{title}\n{page}");
        }
        for it in
            [r"\-\-adopt", r"\-\-max\-bytes", r"\-\-file <FILE>", r"\-\-stop\-signal", r"\-\-task", r"serve \-\-detach"]
        {
            assert!(page.contains(it), "{it}\n{page}");
        }
        assert!(page.contains("manager attach") && !page.contains("<FD>"), "{page}");
        assert!(page.contains(r"ipcpipe \-b mq \-\-count 10 \-\-rate 5"), "{page}");
    }

    #[test]
    fn every_shell_gets_a_script() {
        use clap::ValueEnum;

        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell)).unwrap();
            assert!(script.contains("keep-names") && !script.contains("stage of a"), "{shell}");
            // clap's script for fish knows no third level.
            let deep = script.contains("ok-codes") || *shell == Shell::Fish;
            assert!(script.contains("keep-going") && deep, "{shell}");
            assert!(!script.contains("guard") && !script.contains("report="), "{shell}");
        }
    }
}
