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
                let name = self.file(name)?;
                let held = self.create(&name, || fifo::create(&name.path(), geometry))?;
                self.held.push(held);
                Ok(Link::of(backend, [], [], name.as_os_str()))
            }
            Backend::Socket => {
                let name = self.file(name)?;
                let listener = self.create(&name, || socket::create(&name.path()))?;
                let (read, write) = fd::pipe()?;
                Ok(Link::of(backend, [write], [listener, read], name.as_os_str()))
            }
            Backend::Mq => {
                let name = self.object(name)?;
                self.create(&KernelName::Queue(name.clone()), || mq::create(&name, geometry))?;
                let (read, write) = fd::pipe()?;
                Ok(Link::of(backend, [write], [read], name))
            }
            Backend::Shm => {
                let name = self.object(name)?;
                self.create(&KernelName::Segment(name.clone()), || shm::create(&name, geometry))?;
                let (read, write) = fd::pipe()?;
                Ok(Link::of(backend, [write], [read], name))
            }
        }
    }

    /// The name of a link that is a file in the run directory.
    fn file(&mut self, link: &str) -> Result<KernelName, Error> {
        Ok(KernelName::File(self.dir()?.path().join(link)))
    }

    /// The name of a link that is a queue or a segment: it carries the run's id.
    fn object(&mut self, link: &str) -> Result<String, Error> {
        Ok(format!("/ipcpipe.{}.{link}", self.dir()?.id()))
    }

    /// Notes the name first and makes the object second, so that no kill between the two leaves a stray.
    fn create<T>(&mut self, name: &KernelName, make: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.dir()?.note(name)?;
        self.names.push(name.clone());
        make()
    }

    fn dir(&mut self) -> Result<&mut RunDir, Error> {
        let dir = match self.dir.take() {
            Some(dir) => dir,
            None => RunDir::create()?,
        };
        Ok(self.dir.insert(dir))
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
