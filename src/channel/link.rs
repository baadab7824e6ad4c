//! The launcher's side: links are made here, and their names are removed here.

use std::ffi::OsString;
use std::os::fd::OwnedFd;

use super::backend::Backend;
use super::endpoint::Endpoint;
use super::names::KernelName;
use super::rundir::RunDir;
use super::{fifo, mq, pipe, shm, socket};
use crate::Error;
use crate::sys::fd;

/// How much a link holds. A system that refuses the wish gives less, which costs speed only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes that a pipe, FIFO, socket or ring buffers; for the ring, a power of two from 4096.
    pub buffer_bytes: usize,
    /// Messages that a queue holds.
    pub messages: usize,
    /// Bytes of a queue's message, header included.
    pub message_bytes: usize,
}

impl Default for Geometry {
    /// For streams of many records: 1 MiB, or ten messages of 8 KiB.
    fn default() -> Self {
        Self { buffer_bytes: 1 << 20, messages: 10, message_bytes: 8192 }
    }
}

impl Geometry {
    /// For now and then a record: 64 KiB, or ten messages of 1 KiB.
    #[must_use]
    pub fn small() -> Self {
        Self { buffer_bytes: 64 << 10, messages: 10, message_bytes: 1024 }
    }
}

/// A link that exists and has no users yet: one end for each process.
#[derive(Debug)]
pub struct Link {
    /// The end that sends.
    pub sender: Endpoint,
    /// The end that receives.
    pub receiver: Endpoint,
}

/// The links that a launcher makes together, and the only owner of their names.
///
/// Names are random for every run, mode 0600, made exclusively, and noted in a locked run directory before
/// they are made. Dropping a run removes its names; should its process be killed instead, [`clean`](super::clean) and the
/// next run find and remove them.
#[derive(Debug, Default)]
pub struct Run {
    dir: Option<RunDir>,
    names: Vec<KernelName>,
    links: Vec<String>,
    /// FIFOs held open both ways until their ends are attached; see fifo.rs.
    held: Vec<OwnedFd>,
}

impl Run {
    /// A run without links. Nothing is made before the first link that needs a name.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a link. `name` says which one it is in names, errors and argument lists: `conv-log`.
    ///
    /// # Errors
    /// When the name is not lower-case letters, digits and dashes, when it is taken in this run, or when
    /// the system refuses: the error names the object and, where there is one, the limit and the way out.
    pub fn link(&mut self, backend: Backend, name: &str, geometry: Geometry) -> Result<Link, Error> {
        check_name(name)?;
        if self.links.iter().any(|link| link == name) {
            return Err(Error::refused("cannot name a link", name, "this run has one of that name"));
        }
        self.links.push(name.to_owned());
        match backend {
            Backend::Pipe => {
                let (read, write) = pipe::create(geometry)?;
                Ok(Link::of(backend, [write], [read], name))
            }
            Backend::Fifo => {
                let (name, held) = self.create_file(name, geometry, fifo::create)?;
                self.held.push(held);
                Ok(Link::of(backend, [], [], name.as_os_str()))
            }
            Backend::Socket => {
                let (name, listener) = self.create_file(name, geometry, socket::create)?;
                let (read, write) = fd::pipe()?;
                Ok(Link::of(backend, [write], [listener, read], name.as_os_str()))
            }
            Backend::Mq | Backend::Shm => {
                let object = format!("/ipcpipe.{}.{name}", self.dir()?.id());
                let (read, write) = fd::pipe()?;
                let name = if backend == Backend::Mq { KernelName::Queue(object) } else { KernelName::Segment(object) };
                self.create(name, |object| match object {
                    KernelName::Queue(name) => mq::create(name, geometry),
                    KernelName::Segment(name) => shm::create(name, geometry),
                    KernelName::File(_) => Ok(()),
                })
                .map(|name| Link::of(backend, [write], [read], name.as_os_str()))
            }
        }
    }

    fn create_file(
        &mut self,
        name: &str,
        geometry: Geometry,
        make: fn(&std::path::Path, Geometry) -> Result<OwnedFd, Error>,
    ) -> Result<(KernelName, OwnedFd), Error> {
        let name = KernelName::File(self.dir()?.path().join(name));
        let mut made = None;
        let name = self.create(name, |name| {
            made = Some(make(&name.path(), geometry)?);
            Ok(())
        })?;
        made.map(|fd| (name, fd)).ok_or_else(|| Error::refused("cannot create", "link", "nothing was made"))
    }

    /// Notes the name first and makes the object second, so that no kill between the two leaves a stray.
    fn create(
        &mut self,
        name: KernelName,
        make: impl FnOnce(&KernelName) -> Result<(), Error>,
    ) -> Result<KernelName, Error> {
        self.dir()?.note(&name)?;
        self.names.push(name.clone());
        make(&name)?;
        Ok(name)
    }

    fn dir(&mut self) -> Result<&mut RunDir, Error> {
        if self.dir.is_none() {
            self.dir = Some(RunDir::create()?);
        }
        self.dir.as_mut().ok_or_else(|| Error::refused("cannot create", "run directory", "it is gone"))
    }

    /// What a person should know about where the names are, if it is not where they were told to be.
    #[must_use]
    pub fn remark(&self) -> Option<&str> {
        self.dir.as_ref().and_then(RunDir::remark)
    }

    /// The names that exist now.
    #[must_use]
    pub fn names(&self) -> &[KernelName] {
        &self.names
    }

    /// Lets go of what the run holds open so that no end waits for another while it attaches. Call it once both ends
    /// of every link are attached: until then a FIFO does not end with its sender.
    pub fn release(&mut self) {
        self.held.clear();
    }

    /// Removes all names and the run directory. Call it once both ends of every link are attached, and not before;
    /// the links live on. With names that are to stay, call [`release`](Self::release) instead.
    pub fn unlink(&mut self) {
        for name in self.names.drain(..) {
            name.remove();
        }
        self.held.clear();
        self.dir = None;
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.unlink();
    }
}

impl Link {
    fn of(
        backend: Backend,
        sender: impl IntoIterator<Item = OwnedFd>,
        receiver: impl IntoIterator<Item = OwnedFd>,
        name: impl Into<OsString>,
    ) -> Self {
        let name = name.into();
        Self { sender: Endpoint::new(backend, sender, name.clone()), receiver: Endpoint::new(backend, receiver, name) }
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.len() <= 32 && name.chars().all(ok) {
        return Ok(());
    }
    Err(Error::refused(
        "cannot name a link",
        name,
        "a name is 1 to 32 lower-case letters, digits and dashes, a letter first",
    ))
}
