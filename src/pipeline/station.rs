//! The child's side: what a stage process does before and after its stage function.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::sys::signal::Signal;
use serde::Serialize;
use serde_json::Value;

use super::control::{Message, Outbox};
use super::wiring::Wiring;
use super::world::{StopLine, StoppableInput};
use crate::Error;
use crate::channel::{Endpoint, Receiver, Sender};
use crate::record::Record;
use crate::stage::Fault;
use crate::sys::pages::release_code;
use crate::sys::signal::{self, Guardian};
use crate::sys::{fd, process};

/// A stage process at its place: named, safe from stray signals, and connected to its launcher.
#[derive(Debug)]
pub struct Station {
    outbox: Outbox,
    stop: Option<OwnedFd>,
    from: Vec<OsString>,
    to: Vec<OsString>,
}

impl Station {
    /// Takes up the place that `wiring` describes, under the name `name`.
    ///
    /// From here on no signal that asks a program to end kills this process: it is relayed to the launcher.
    /// A crash is a death at the first signal. A write to a closed pipe, a file beyond its limit and a background terminal are errors, not deaths. Should the
    /// launcher die, the stop line ends the stream, and an alarm ends the process if it is stuck.
    ///
    /// # Errors
    /// When a descriptor of the wiring is not open, or the launcher is gone already.
    pub fn take_up(name: &str, wiring: Wiring) -> Result<Self, Error> {
        let set_up = |error: io::Error| Error::os("cannot set up", name, error);
        process::set_name(name).map_err(set_up)?;
        signal::ignore(&[Signal::SIGPIPE, Signal::SIGXFSZ, Signal::SIGTTOU, Signal::SIGTTIN]).map_err(set_up)?;
        signal::restore_default(&[Signal::SIGSEGV, Signal::SIGBUS]).map_err(set_up)?;
        let outbox = Outbox::new(fd::adopt(wiring.control)?);
        let stop = wiring.stop.map(fd::adopt).transpose()?;
        let guardian = Guardian { pid: wiring.launcher, grace: wiring.grace };
        relay_requests(&outbox, guardian).map_err(set_up)?;
        // The launcher had them wait until now.
        signal::unblock(&signal::REQUESTS).map_err(set_up)?;
        process::on_parent_death(Signal::SIGTERM).map_err(set_up)?;
        if !guardian.is_alive() {
            return Err(Error::refused("cannot start", name, "its launcher is gone"));
        }
        Ok(Self { outbox, stop, from: wiring.from, to: wiring.to })
    }

    /// Attaches the links that it sends to, in the plan's order.
    ///
    /// # Errors
    /// When a link cannot be opened.
    pub fn senders<T: Record>(&mut self) -> Result<Vec<Sender<T>>, Error> {
        std::mem::take(&mut self.to).iter().map(|text| Endpoint::adopt(text)?.attach_sender()).collect()
    }

    /// Attaches the one link that it sends to.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub fn sender<T: Record>(&mut self) -> Result<Sender<T>, Error> {
        let sender = self.senders()?.pop();
        sender.ok_or_else(|| Error::refused("cannot attach", "the sending link", "the launcher named none"))
    }

    /// Attaches the next link that it receives from, in the plan's order.
    ///
    /// # Errors
    /// When there is none left, or it cannot be opened.
    pub fn receiver<T: Record>(&mut self) -> Result<Receiver<T>, Error> {
        if self.from.is_empty() {
            return Err(Error::refused("cannot attach", "the receiving link", "the launcher named none"));
        }
        Endpoint::adopt(&self.from.remove(0))?.attach_receiver()
    }

    /// The source's stop line.
    ///
    /// # Errors
    /// When the launcher handed none on: the stage is no source, or it was taken already.
    pub fn stop_line(&mut self) -> Result<StopLine, Error> {
        let stop = self.stop.take().map(StopLine::new);
        stop.ok_or_else(|| Error::refused("cannot take", "the stop line", "the launcher handed none on"))
    }

    /// Standard input as a source reads it: until its end or until `stop`.
    ///
    /// # Errors
    /// EMFILE.
    pub fn input(&self, stop: &StopLine) -> Result<StoppableInput, Error> {
        let duplicate = || Ok(StoppableInput::new(io::stdin().as_fd().try_clone_to_owned()?, stop.try_clone()?));
        duplicate().map_err(|error: io::Error| Error::os("cannot open", "standard input", error))
    }

    /// Standard output as a file without any buffer in between.
    ///
    /// # Errors
    /// EMFILE.
    pub fn output(&self) -> Result<File, Error> {
        let output = io::stdout().as_fd().try_clone_to_owned().map(File::from);
        output.map_err(|error| Error::os("cannot open", "standard output", error))
    }

    /// Says that every link is attached; the launcher removes their names once all stages have said so.
    pub fn ready(&self) {
        // What it took to get here is not needed again.
        release_code();
        self.outbox.say(&Message::Ready);
    }

    /// Says how many samples there were so far.
    pub fn progress(&self, count: u64) {
        self.outbox.say(&Message::Progress(count));
    }

    /// Asks for the end of the run: this stage lets the stream pass but cannot do its work any more.
    pub fn drain(&self, fault: Fault) {
        self.outbox.say(&Message::Drain(fault));
    }

    /// Hands in the outcome. The process exits after this.
    pub fn finish(self, fault: Option<Fault>, outcome: &impl Serialize) {
        let outcome = serde_json::to_value(outcome).unwrap_or(Value::Null);
        self.outbox.say(&Message::Finished { fault, outcome });
    }
}

fn relay_requests(outbox: &Outbox, guardian: Guardian) -> io::Result<()> {
    let to = Arc::new(outbox.as_fd().try_clone_to_owned()?);
    signal::requests()
        .try_for_each(|request| signal::relay(request, to.clone(), Message::request_line(request), guardian))
}
