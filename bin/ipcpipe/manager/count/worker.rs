//! The hidden `ipcpipe manager counter ...`: a worker process. Its arguments are made and parsed here, so that they cannot
//! drift apart, and are readable in ps(1).

use std::ffi::OsString;

use ipcpipe::Error;
use ipcpipe::count::{Case, Io, Kernel, Letters, OnInvalid, Rules};
use ipcpipe::spread::{Station, Worker};

use crate::manager::Status;
use crate::manager::grammar::CountArgs;

/// What a worker is told. The names are those of `count`.
#[derive(Clone, Debug, PartialEq, clap::Args)]
pub(crate) struct CounterArgs {
    #[arg(long)]
    letters: Letters,
    #[arg(long)]
    case: Case,
    #[arg(long)]
    invalid: OnInvalid,
    #[arg(long)]
    stats: bool,
    #[arg(long)]
    words: bool,
    #[arg(long)]
    kernel: Kernel,
    #[arg(long)]
    io: Io,
    /// The file at standard input; without it, the bytes come over the link.
    #[arg(long, requires = "size", allow_hyphen_values = true)]
    file: Option<String>,
    #[arg(long)]
    size: Option<u64>,
    #[arg(long = "as")]
    name: String,
    #[arg(long)]
    launcher: u32,
    #[arg(long)]
    from: OsString,
    #[arg(long)]
    to: OsString,
}

/// The arguments of a worker that counts as `args` say; [`Station::to_args`] follows.
pub(super) fn arguments(args: &CountArgs, file: Option<(&str, u64)>) -> Vec<OsString> {
    let Rules { letters, case, invalid, stats, words } = args.rules();
    let mut words_of: Vec<OsString> = ["manager", "counter"].map(OsString::from).to_vec();
    let mut option = |name: &str, value: &str| words_of.extend([name.into(), value.into()]);
    option("--letters", letters.name());
    option("--case", case.name());
    option("--invalid", invalid.name());
    option("--kernel", args.kernel.name());
    option("--io", args.io.name());
    if let Some((name, size)) = file {
        option("--file", name);
        option("--size", &size.to_string());
    }
    words_of.extend([(stats, "--stats"), (words, "--words")].into_iter().filter(|it| it.0).map(|it| it.1.into()));
    words_of
}

/// Is a worker until there is no more work.
pub(crate) fn run(args: &CounterArgs) -> Result<Status, Error> {
    let CounterArgs { letters, case, invalid, stats, words, kernel, io, .. } = *args;
    let file = args.file.clone().zip(args.size);
    let worker = Worker { rules: Rules { letters, case, invalid, stats, words }, kernel, io, file };
    let (name, from, to) = (args.name.clone(), args.from.clone(), args.to.clone());
    worker.run(&Station { name, launcher: args.launcher, from, to })?;
    Ok(Status::DONE)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};
    use crate::manager::Surface;
    use crate::manager::grammar::{Verb, read};

    #[test]
    fn a_worker_reads_what_the_lead_writes() {
        let line =
            "count -w 2 --letters ascii --case keep --invalid skip --stats --words 3 --kernel scalar --io read x";
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        let Verb::Count(count) = read(&words).unwrap().verb else { panic!() };
        let station =
            Station { name: "count-1".into(), launcher: 7, from: "pipe:5:work-1".into(), to: "mq:6:/x".into() };
        let words = [vec!["ipcpipe".into()], arguments(&count, Some(("-x y", 12))), station.to_args()].concat();
        let Some(Command::Manager(manager)) = Args::try_parse_from(words).unwrap().command else { panic!() };
        let Some(Surface::Counter(counter)) = manager.surface else { panic!() };
        let expected = CounterArgs {
            letters: Letters::Ascii,
            case: Case::Keep,
            invalid: OnInvalid::Skip,
            stats: true,
            words: true,
            kernel: Kernel::Scalar,
            io: Io::Read,
            file: Some("-x y".into()),
            size: Some(12),
            name: "count-1".into(),
            launcher: 7,
            from: "pipe:5:work-1".into(),
            to: "mq:6:/x".into(),
        };
        assert_eq!(*counter, expected);
    }
}
