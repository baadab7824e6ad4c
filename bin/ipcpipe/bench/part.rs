//! The processes of an experiment: stages of this program that do nothing but send and receive.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::time::Duration;

use clap::Subcommand;
use ipcpipe::Error;
use ipcpipe::pipeline::Station;
use ipcpipe::record::Sample;
use ipcpipe::stage::Fault;
use serde::Serialize;

use super::wire::{Linked, Raw};
use super::{fanout, latency};
use crate::stage::{WiringArgs, occupy};
use crate::{Outcome, units};

/// One process.
#[derive(Debug, Subcommand)]
pub(crate) enum Part {
    /// Sends to two sinks.
    Source(PartArgs),
    /// Receives from the source.
    Sink(PartArgs),
    /// Sends a number and waits for it.
    Ping(PartArgs),
    /// Sends it back.
    Pong(PartArgs),
    /// Sends a number now and then.
    Pacer(PartArgs),
    /// Receives it.
    Catcher(PartArgs),
}

#[derive(Clone, Debug, PartialEq, clap::Args)]
pub(crate) struct PartArgs {
    /// How long what drives the others does so.
    #[arg(long, value_parser = units::duration, default_value = "0")]
    duration: Duration,
    /// Samples in one frame; all that fit without it.
    #[arg(long)]
    batch: Option<NonZeroUsize>,
    /// Over standard input and output instead of links.
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    wiring: WiringArgs,
}

/// An argument list that [`Part`] reads.
#[derive(Debug)]
pub(super) struct Words(Vec<OsString>);

/// The arguments of the part `name`, without its wiring.
pub(super) fn words(name: &str) -> Words {
    Words(vec!["stage".into(), name.into()])
}

impl Words {
    pub(super) fn with(mut self, option: &str, value: &str) -> Self {
        self.0.push(format!("--{option}={value}").into());
        self
    }

    pub(super) fn lasting(self, duration: Duration) -> Self {
        self.with("duration", &format!("{duration:?}"))
    }

    pub(super) fn flag(mut self, option: &str, set: bool) -> Self {
        if set {
            self.0.push(format!("--{option}").into());
        }
        self
    }

    pub(super) fn done(self) -> Vec<OsString> {
        self.0
    }
}

impl Part {
    /// Plays it to its end.
    pub(crate) fn run(self) -> Outcome {
        let (name, args) = match &self {
            Self::Source(args) => ("source", args),
            Self::Sink(args) => ("sink", args),
            Self::Ping(args) => ("ping", args),
            Self::Pong(args) => ("pong", args),
            Self::Pacer(args) => ("pacer", args),
            Self::Catcher(args) => ("catcher", args),
        };
        let wiring = args.wiring.clone();
        match &self {
            Self::Source(args) => occupy(name, wiring, |station| handed_in(source(station, args)?)),
            Self::Sink(_) => occupy(name, wiring, |station| handed_in(sink(station)?)),
            Self::Ping(args) => occupy(name, wiring, |station| handed_in(ping(station, args)?)),
            Self::Pong(args) => occupy(name, wiring, |station| handed_in(pong(station, args)?)),
            Self::Pacer(args) => occupy(name, wiring, |station| handed_in(pacer(station, args)?)),
            Self::Catcher(args) => occupy(name, wiring, |station| handed_in(catcher(station, args)?)),
        }
    }
}

type Played<T> = Result<Result<T, Fault>, Error>;

fn handed_in<T: Serialize>(played: Result<T, Fault>) -> Result<(Option<Fault>, Option<T>), Error> {
    Ok(match played {
        Ok(outcome) => (None, Some(outcome)),
        Err(fault) => (Some(fault), None),
    })
}

fn source(station: &mut Station, args: &PartArgs) -> Played<fanout::Passed> {
    let mut stop = station.stop_line()?;
    let mut senders = station.senders::<Sample>()?;
    if let Some(batch) = args.batch {
        senders = senders.into_iter().map(|sender| sender.with_frame_limit(batch)).collect();
    }
    station.ready();
    Ok(fanout::source(senders, &mut stop, args.duration))
}

fn sink(station: &mut Station) -> Played<fanout::Passed> {
    let rx = station.receiver()?;
    station.ready();
    Ok(fanout::sink(rx))
}

fn ping(station: &mut Station, args: &PartArgs) -> Played<latency::Heard> {
    let mut stop = station.stop_line()?;
    if args.raw {
        return Ok(latency::ping(raw(station)?, &mut stop, args.duration));
    }
    Ok(latency::ping(both_ways(station)?, &mut stop, args.duration))
}

fn pong(station: &mut Station, args: &PartArgs) -> Played<latency::Heard> {
    Ok(if args.raw { latency::pong(raw(station)?) } else { latency::pong(both_ways(station)?) })
}

fn pacer(station: &mut Station, args: &PartArgs) -> Played<latency::Heard> {
    let mut stop = station.stop_line()?;
    if args.raw {
        return Ok(latency::pacer(raw(station)?, &mut stop, args.duration));
    }
    let wire = Linked { tx: Some(station.sender()?), rx: None };
    station.ready();
    Ok(latency::pacer(wire, &mut stop, args.duration))
}

fn catcher(station: &mut Station, args: &PartArgs) -> Played<latency::Heard> {
    if args.raw {
        return Ok(latency::catcher(raw(station)?));
    }
    let wire = Linked { tx: None, rx: Some(station.receiver()?) };
    station.ready();
    Ok(latency::catcher(wire))
}

/// A socket's receiver waits for its sender, so both parts attach their sender first.
fn both_ways(station: &mut Station) -> Result<Linked, Error> {
    let tx = station.sender()?;
    let rx = station.receiver()?;
    station.ready();
    Ok(Linked { tx: Some(tx), rx: Some(rx) })
}

fn raw(station: &Station) -> Result<Raw, Error> {
    let input = io::stdin().as_fd().try_clone_to_owned();
    let rx = File::from(input.map_err(|error| Error::os("cannot open", "standard input", error))?);
    let tx = station.output()?;
    station.ready();
    Ok(Raw { tx, rx })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        part: Part,
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let typed = words("ping").lasting(Duration::from_micros(1_500)).with("batch", "7").flag("raw", true).done();
        let wiring = ["--launcher=1", "--grace-ms=2", "--control=3"].map(OsString::from);
        let Part::Ping(args) = Line::try_parse_from(typed.into_iter().chain(wiring)).expect("valid").part else {
            panic!("another part");
        };
        assert_eq!((args.duration, args.batch, args.raw), (Duration::from_micros(1_500), NonZeroUsize::new(7), true));
    }
}
