//! `ipcpipe bench`: what every mechanism achieves on this machine.
//!
//! The same mechanisms are measured again and again in rounds, one after the other within each round, so that a
//! machine that changes its speed changes it for all of them; what is shown is the median of the rounds. Beside every
//! figure stands the round trip of one cache line between two CPUs ([`xrtt`]), because that is the speed of the
//! machine. Each measurement counts and adds up what it sends, and one that lost anything has no figure.
//!
//! ```text
//! experiment   what is measured, on whom, under which names
//!   pipeline     the program itself, flat out and paced
//!   fanout       one sender, two receivers, and nothing else
//!   latency      there and back, and one way, over a link or a plain pipe (wire)
//! trial        one run of processes, and whether its figures may be believed
//! part         the processes: hidden stages of this program
//! table        rounds -> medians -> rows; text, json: the rows as they are printed
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
use std::time::Duration;

use ipcpipe::Error;
use ipcpipe::sys::signal::{self, REQUESTS, Signals};

use crate::args::{BenchArgs, Format};
use crate::{Exit, Outcome, complain, say, shell};

use self::experiment::{EXPERIMENTS, Experiment, Subject};
use self::machine::Machine;
use self::table::Series;
use self::trial::Failure;

pub(crate) use self::part::Part;

/// Odd, so that the median is a measurement and not a mean of two.
const ROUNDS: usize = 3;

/// Measures and prints. A signal ends it at once, without figures.
pub(crate) fn run(args: &BenchArgs) -> Outcome {
    let signals = Signals::catch(&requests()).map_err(|error| Error::os("cannot catch", "signals", error))?;
    let machine = Machine::look();
    shell::print(&match args.format {
        Format::Text => text::header(&machine, ROUNDS, args.duration),
        Format::Json => json::header(&machine, ROUNDS, args.duration),
    })?;
    let mut bench = Bench::new(args, signals);
    match bench.measure() {
        Ok(()) => {}
        Err(number) => signal::die_by(number),
    }
    shell::print(&match args.format {
        Format::Text => text::tables(&bench.series),
        Format::Json => json::lines(&bench.series),
    })?;
    Ok(bench.exit)
}

/// A SIGHUP that was ignored at the start stays ignored: nohup(1) arranged it.
fn requests() -> Vec<impl Into<ipcpipe_signal::Number> + Copy> {
    REQUESTS.to_vec()
}
