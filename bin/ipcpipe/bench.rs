//! `ipcpipe bench`: what every mechanism achieves on this machine.
//!
//! The mechanisms are measured in rounds, one after the other within each round, so that a machine that changes its
//! speed changes it for all of them; what is shown is the median of the rounds. Beside every figure stands the round
//! trip of one cache line between two CPUs ([`xrtt`]), because that is the speed of the machine. Each measurement
//! numbers, counts and adds up what it sends, and one that lost anything has no figure.
//!
//! ```text
//! experiment     what is measured, on whom, and what the figures are called
//!   pipeline       the program itself, flat out and paced
//!   fanout         one sender, two receivers, and nothing else
//!   latency        there and back, and one way, over a link or a plain pipe (wire)
//! part           the processes of the last two: hidden stages of this program
//! trial          one run of processes, and whether its figures may be believed
//! table          rounds -> medians -> rows; text and json print them
//! machine, xrtt  where it was measured
//! ```

mod experiment;
mod fanout;
mod json;
mod latency;
mod machine;
mod part;
mod pipeline;
mod table;
mod text;
mod trial;
mod wire;
mod xrtt;

use std::io::{self, IsTerminal};

use ipcpipe::sys::signal::{self, Signals};

use self::experiment::{EXPERIMENTS, Experiment, Ground, Subject};
use self::machine::Machine;
use self::table::{Round, Row, Series};
use self::trial::Failure;
use crate::args::{BenchArgs, Format};
use crate::{Exit, Outcome, complain, say, shell};

pub(crate) use self::part::Part;

/// Odd, so that a median is one of the measurements.
const ROUNDS: usize = 3;

/// Measures and prints. A signal ends it at once, without figures.
pub(crate) fn run(args: &BenchArgs) -> Outcome {
    let signals = Signals::catch_requests()?;
    let machine = Machine::look();
    shell::print(&match args.format {
        Format::Text => text::header(&machine, args.duration),
        Format::Json => json::header(&machine, args.duration),
    })?;
    let mut bench = Bench { signals, ground: Ground::new(args.duration), all: series(args), exit: Exit::Done };
    if let Err(request) = bench.measure() {
        narrate("");
        signal::die_by(request);
    }
    shell::print(&match args.format {
        Format::Text => text::tables(&bench.all),
        Format::Json => json::lines(&bench.all),
    })?;
    Ok(bench.exit)
}

/// A row for every subject of every experiment.
fn series(args: &BenchArgs) -> Vec<Series> {
    let rows = |experiment: &Experiment| {
        let raw = experiment.has_raw_pipe.then_some(Subject::RawPipe);
        raw.into_iter().chain(args.backends().map(Subject::Link)).map(Row::new).collect()
    };
    EXPERIMENTS.iter().map(|experiment| Series { experiment, rows: rows(experiment) }).collect()
}

struct Bench {
    signals: Signals,
    ground: Ground,
    all: Vec<Series>,
    exit: Exit,
}

impl Bench {
    /// All rounds; the number of the signal that cut them short, if one did.
    fn measure(&mut self) -> Result<(), i32> {
        let mut all = std::mem::take(&mut self.all);
        for round in 1..=ROUNDS {
            for series in &mut all {
                for row in series.rows.iter_mut().filter(|row| !row.failed) {
                    narrate(&format!("round {round} of {ROUNDS}: {}, {}", series.experiment.name, row.subject));
                    self.add_round(series.experiment, row)?;
                }
            }
        }
        narrate("");
        self.all = all;
        Ok(())
    }

    /// Measures once more. What fails is told, struck off, and makes the program fail in the end.
    fn add_round(&mut self, experiment: &Experiment, row: &mut Row) -> Result<(), i32> {
        let xrtt_ns = xrtt::round_trip_ns();
        match (experiment.measure)(&mut self.ground, row.subject) {
            Ok(values) => row.rounds.push(Round { xrtt_ns, values }),
            Err(Failure::Request(number)) => return Err(number),
            Err(Failure::Broken { exit, text }) => {
                narrate("");
                complain(format_args!("cannot measure {}, {}: {text}", experiment.name, row.subject));
                row.failed = true;
                self.exit = exit;
            }
        }
        self.signals.take().first().map_or(Ok(()), |request| Err(*request as i32))
    }
}

/// Shows what is being done where somebody watches, on a line that the next one takes away.
fn narrate(line: &str) {
    if io::stderr().is_terminal() {
        say(&format!("\r\x1b[2K{line}"));
    }
}
