//! From the words of the command line and the environment to [`Args`], or to a usage error of a few lines.

use std::env;
use std::ffi::OsString;
use std::fmt::Display;

use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, ValueEnum};

use crate::args::{Args, When};
use crate::manager::grammar::{self, nearest};
use crate::manager::help;

/// Options that exclude each other, by clap's names for them.
const EXCLUSIVE: [(&str, &str); 4] = [("interval", "rate"), ("min", "input"), ("max", "input"), ("seed", "input")];

/// Options that say how to read an input and mean nothing without one.
const OF_INPUT: [&str; 3] = ["field", "delimiter", "skip_invalid"];

/// Reads the words of a command line, the first of which is the program, and the environment.
///
/// The error is clap's, which is also how `--help` and `--version` answer; [`explain`] prints it.
///
/// The variables are the pipeline's: a subcommand, and above all a stage, goes by its words alone.
pub(crate) fn parse(words: &[OsString]) -> Result<Args, clap::Error> {
    match Args::command().try_get_matches_from(words) {
        Ok(matches) if matches.subcommand_name().is_some() => lower(matches),
        Ok(_) => lower(with_variables().try_get_matches_from(words)?),
        Err(_) => lower(command().try_get_matches_from(words)?),
    }
}

/// The definition of the command line as a person reads it: with its environment variables, and all verbs in the help of the
/// manager.
pub(crate) fn command() -> clap::Command {
    with_variables().mut_subcommands(|command| match command.get_name() {
        "manager" => command.after_help(help::table()),
        _ => command,
    })
}

fn with_variables() -> clap::Command {
    Args::command().mut_args(with_variable)
}

/// The text of what [`parse`] answered instead of arguments: the help that was asked for, or an error that starts like
/// every other message of the program and has no blank lines.
pub(crate) fn explain(mut error: clap::Error) -> String {
    if !error.use_stderr() {
        return error.render().ansi().to_string();
    }
    error.remove(ContextKind::Usage);
    suggest_what_is_shown(&mut error);
    let variable = guilty_variable(&error).map(|name| format!("  the value comes from {name} in the environment"));
    let text = error.render().ansi().to_string().replacen("error:", "ipcpipe:", 1);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    [first].into_iter().chain(variable.as_deref()).chain(lines).map(|line| format!("{line}\n")).collect()
}

/// Has `error` suggest the verb of the manager that was typed, or commands of the help alone, the nearest first.
fn suggest_what_is_shown(error: &mut clap::Error) {
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else { return };
    let whole = Args::command();
    let shown = whole.get_subcommands().filter(|command| !command.is_hide_set()).map(clap::Command::get_name);
    let of_manager = grammar::definition().find_subcommand(typed).map(|verb| format!("manager {}", verb.get_name()));
    let near = of_manager.map_or_else(|| nearest(typed, shown), |verb| vec![verb]);
    if near.is_empty() {
        error.remove(ContextKind::SuggestedSubcommand);
    } else {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(near));
    }
}

/// The environment variable that holds the value which `error` refuses, if one does.
fn guilty_variable(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    };
    let (option, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let option = option.strip_prefix("--")?.split(' ').next()?;
    let name = variable(option);
    (env::var(&name).as_ref() == Ok(value)).then_some(name)
}

/// The environment variable of an option.
fn variable(option: &str) -> String {
    format!("IPCPIPE_{}", option.replace('-', "_").to_uppercase())
}

/// The colour policy, taken from words that [`parse`] refused: an error about one option obeys the others.
pub(crate) fn color_of(words: &[OsString]) -> When {
    let mut words = words.iter().skip(1).filter_map(|word| word.to_str());
    let typed = words.find_map(|word| word.strip_prefix("--color")).map(str::to_owned);
    let value = match typed.as_deref() {
        Some("") => words.next().map(str::to_owned),
        Some(value) => value.strip_prefix('=').map(str::to_owned),
        None => env::var(variable("color")).ok(),
    };
    value.and_then(|value| When::from_str(&value, false).ok()).unwrap_or(When::Auto)
}

/// Gives an option its environment variable. An empty one counts as unset, which is what `IPCPIPE_RATE= ipcpipe` means.
fn with_variable(option: clap::Arg) -> clap::Arg {
    let name = variable(option.get_id().as_str());
    if env::var_os(&name).is_some_and(|value| value.is_empty()) {
        return option;
    }
    let option = match option.get_action() {
        ArgAction::SetTrue => option.value_parser(BoolishValueParser::new()),
        _ => option,
    };
    option.env(name).hide_env(true)
}

fn lower(mut matches: ArgMatches) -> Result<Args, clap::Error> {
    let pipeline = matches.subcommand_name().is_none();
    if pipeline {
        settle(&mut matches)?;
    }
    let args = Args::from_arg_matches_mut(&mut matches)?;
    match args.samples.range() {
        (min, max) if pipeline && min > max => Err(refusal(format_args!("'--min {min}' is above '--max {max}'"))),
        _ => Ok(args),
    }
}

/// Refuses options that exclude each other. clap's own `conflicts_with` does not tell an option that was typed from one
/// that the environment holds for other days; here the typed one wins.
fn settle(matches: &mut ArgMatches) -> Result<(), clap::Error> {
    use ValueSource::{CommandLine, EnvVariable};

    for (one, other) in EXCLUSIVE {
        let loser = match (given(matches, one), given(matches, other)) {
            (Some(CommandLine), Some(EnvVariable)) => other,
            (Some(EnvVariable), Some(CommandLine)) => one,
            (Some(_), Some(_)) => {
                let [one, other] = [one, other].map(long_name);
                return Err(refusal(format_args!("the argument '{one}' cannot be used with '{other}'")));
            }
            _ => continue,
        };
        matches.try_clear_id(loser).expect("EXCLUSIVE holds defined options");
    }
    let orphan = OF_INPUT.into_iter().find(|id| given(matches, id) == Some(CommandLine));
    match orphan.filter(|_| given(matches, "input").is_none()) {
        Some(id) => Err(refusal(format_args!("the argument '{}' needs '--input'", long_name(id)))),
        None => Ok(()),
    }
}

/// Where an option's value comes from, unless that is its default.
fn given(matches: &ArgMatches, id: &str) -> Option<ValueSource> {
    matches.value_source(id).filter(|source| *source != ValueSource::DefaultValue)
}

/// What is typed for clap's name of an option.
fn long_name(id: &str) -> String {
    format!("--{}", id.replace('_', "-"))
}

fn refusal(message: impl Display) -> clap::Error {
    clap::Error::raw(ErrorKind::ArgumentConflict, format!("{message}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::InputPath;

    fn words(line: &str) -> Vec<OsString> {
        ["ipcpipe"].into_iter().chain(line.split_whitespace()).map(OsString::from).collect()
    }

    fn refused(line: &str) -> String {
        let error = parse(&words(line)).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        anstream::adapter::strip_str(&explain(error)).to_string()
    }

    #[test]
    fn usage_errors_name_the_option_in_at_most_five_lines() {
        for (line, option) in [
            ("--count -1", "--count"),
            ("-n abc", "--count"),
            ("--count 1e9", "--count"),
            ("--count 18446744073709551616", "--count"),
            ("--rate 0", "--rate"),
            ("--rate nan", "--rate"),
            ("--interval=-5ms", "--interval"),
            ("--interval --rate 3", "--interval"),
            ("--interval 800", "--interval"),
            ("--batch 0", "--batch"),
            ("--seed -1", "--seed"),
            ("--log=", "--log"),
            ("--min 5 --max 4", "--max 4"),
            ("--min 101", "--max 100"),
            ("--fsync soon", "--fsync"),
            ("--truncat", "--truncate"),
            ("--backend foo", "--backend"),
            ("bench --backend foo", "--backend"),
            ("--count 1 clean", "clean"),
            ("completions", "<SHELL>"),
            ("frobnicate", "frobnicate"),
        ] {
            let text = refused(line);
            assert!(text.starts_with("ipcpipe: ") && text.contains(option), "{text}");
            assert!((1..=5).contains(&text.lines().count()), "{text}");
        }
    }

    #[test]
    fn hidden_commands_are_not_suggested() {
        let text = refused("manger");
        assert!(text.contains("'manager'") && !text.contains("stage"), "{text}");
    }

    #[test]
    fn an_unknown_backend_is_answered_with_the_five() {
        assert_eq!(
            refused("--backend rdma"),
            "ipcpipe: invalid value 'rdma' for '--backend <MECHANISM>'\n  \
             [possible values: pipe, fifo, mq, shm, socket]\nFor more information, try '--help'.\n"
        );
    }

    #[test]
    fn options_that_exclude_each_other_are_named() {
        assert_eq!(
            refused("--rate 5 --interval 0"),
            "ipcpipe: the argument '--interval' cannot be used with '--rate'\n"
        );
        assert_eq!(refused("-i - --seed 1"), "ipcpipe: the argument '--seed' cannot be used with '--input'\n");
        assert_eq!(refused("--skip-invalid"), "ipcpipe: the argument '--skip-invalid' needs '--input'\n");
    }

    #[test]
    fn a_typed_option_beats_an_excluded_one_from_the_environment() {
        // cargo sets this variable for every test; it stands for an IPCPIPE_INPUT somebody exported.
        let command = || Args::command().mut_arg("input", |input| input.env("CARGO_MANIFEST_DIR"));
        let read = |line| lower(command().try_get_matches_from(words(line)).unwrap()).unwrap();
        assert!(matches!(read("--field 2").input.input, Some(InputPath::File(_))));
        assert_eq!(read("--seed 7").input.input, None);
        assert_eq!(read("--input -").input.input, Some(InputPath::Stdin));
    }

    #[test]
    fn paths_may_start_with_a_dash_and_a_lone_dash_is_stdin() {
        let args = parse(&words("--log=-x --input=-y")).unwrap();
        assert_eq!((args.log.log.to_str(), args.input.input), (Some("-x"), Some(InputPath::File("-y".into()))));
        assert_eq!(parse(&words("-i -")).unwrap().input.input, Some(InputPath::Stdin));
    }

    #[test]
    fn refused_words_still_say_which_colour() {
        let colors = ["--color never --foo", "--foo --color=always", "--color", "--colors", ""]
            .map(|line| color_of(&words(line)));
        assert_eq!(colors, [When::Never, When::Always, When::Auto, When::Auto, When::Auto]);
    }
}
