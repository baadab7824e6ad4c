//! A worker: counts what it is told to until there is no more work.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;

use crate::Error;
use crate::channel::Endpoint;
use crate::count::{Counter, Io, Kernel, Piece, Rules, Seams, TextFile};
use crate::spread::wire::{COUNTED, Counted, FAULT, Inbox, PART, PIECE, Post, READY, REPORT};
use crate::spread::{Report, Used};
use crate::sys::child::Usage;
use crate::sys::proc;
use crate::sys::process;
use crate::sys::signal::{self, Guardian};

/// Where a worker has its place, as arguments that ps(1) shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Station {
    /// The name of the process.
    pub name: String,
    /// The process id of the lead.
    pub launcher: u32,
    /// The link that brings work.
    pub from: OsString,
    /// The link for what was found.
    pub to: OsString,
}

impl Station {
    /// `--as count-0 --launcher 4711 --from pipe:5:work-0 --to pipe:8:result-0`.
    #[must_use]
    pub fn to_args(&self) -> Vec<OsString> {
        let (name, launcher) = (OsString::from(&self.name), OsString::from(self.launcher.to_string()));
        let pairs =
            [("--as", name), ("--launcher", launcher), ("--from", self.from.clone()), ("--to", self.to.clone())];
        pairs.into_iter().flat_map(|(option, value)| [option.into(), value]).collect()
    }
}

/// What a worker knows of its work from the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// What is counted, and as what.
    pub rules: Rules,
    /// The instructions.
    pub kernel: Kernel,
    /// How the bytes of the file get into memory.
    pub io: Io,
    /// The name and the size of the file at standard input, if it is to be read.
    pub file: Option<(String, u64)>,
}

impl Worker {
    /// Works at `station` until there is no more work, or nobody is left to work for. What goes wrong with the work is
    /// told to the lead.
    ///
    /// # Errors
    /// When the place cannot be taken up.
    pub fn run(&self, station: &Station) -> Result<(), Error> {
        take_up(station)?;
        // As the lead does: first the end that sends.
        let mut post = Post(Endpoint::adopt(&station.to)?.attach_sender()?);
        let mut inbox = Inbox::new(Endpoint::adopt(&station.from)?.attach_receiver()?);
        // A lead that is gone hears nothing, and needs nothing.
        if post.send(READY, [0; 2], &[]).is_err() {
            return Ok(());
        }
        let told = match self.work(&mut post, &mut inbox) {
            Ok(Some(report)) => post.tell(REPORT, &report),
            Ok(None) => return Ok(()),
            Err(error) => post.send(FAULT, [0; 2], error.to_string().as_bytes()),
        };
        if told.is_ok() {
            let _ = post.0.finish();
        }
        Ok(())
    }

    /// The report; None if the lead is gone.
    fn work(&self, post: &mut Post, inbox: &mut Inbox) -> Result<Option<Report>, Error> {
        let mut counter = Counter::new(&self.rules, self.kernel)?;
        let file = self.file.as_ref().map(|(name, size)| self.open(name, *size)).transpose()?;
        let (mut bytes, mut reader) = (Vec::new(), file.as_ref().map(TextFile::reader));
        loop {
            let mut seams = Seams::default();
            match (inbox.next(&mut bytes, || false), &mut reader) {
                (Err(_), _) => return Ok(None),
                (Ok(None), _) => break,
                (Ok(Some(head)), Some(reader)) if head.kind == PART => {
                    reader.count(head.start..head.end, &mut counter, &mut seams)?;
                }
                (Ok(Some(head)), _) if head.kind == PIECE => {
                    seams.add(counter.count(Piece { offset: head.start, bytes: &bytes }));
                }
                (Ok(Some(_)), _) => return Err(Error::refused("cannot do", "what was asked for", "it is no work")),
            }
            let invalid = counter.invalid().map(|invalid| invalid.offset);
            if post.tell(COUNTED, &Counted { seams, invalid }).is_err() {
                return Ok(None);
            }
        }
        let (kernel, io) = (counter.kernel(), file.as_ref().map_or(Io::Read, TextFile::io));
        let used = used();
        let tally = counter.finish();
        Ok(Some(Report { tally, kernel: kernel.name().to_owned(), io: io.name().to_owned(), used }))
    }

    fn open(&self, name: &str, size: u64) -> Result<TextFile, Error> {
        let file = io::stdin().as_fd().try_clone_to_owned().map(File::from);
        TextFile::new(file.map_err(|error| Error::os("cannot open", name, error))?, name.to_owned(), size, self.io)
    }
}

/// Takes up the place: a name, no part in what a terminal tells its programs, and no life after the lead's.
fn take_up(station: &Station) -> Result<(), Error> {
    let set_up = |error: io::Error| Error::os("cannot set up", &station.name, error);
    process::set_name(&station.name).map_err(set_up)?;
    // The lead hears them and says what is to be done. SIGTERM comes to one process alone, and ends it.
    signal::ignore(&signal::LEFT_TO_OTHERS).map_err(set_up)?;
    signal::unblock(&signal::REQUESTS).map_err(set_up)?;
    process::on_parent_death(signal::DEATH).map_err(set_up)?;
    let lead = Guardian { pid: station.launcher, grace: Duration::ZERO };
    if lead.is_alive() { Ok(()) } else { Err(Error::refused("cannot start", &station.name, "its launcher is gone")) }
}

fn used() -> Used {
    let Usage { user, sys, max_rss_kib, .. } = Usage::own();
    Used { user, sys, max_rss_kib, anonymous_kib: proc::own_anonymous_kib().unwrap_or(0) }
}
