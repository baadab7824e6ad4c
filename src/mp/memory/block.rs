//! A piece of shared memory with or without a name, which shared memory and lists are made of.
//!
//! Kill points: memory has its name from the moment that it is complete, in one step. A process that is killed leaves the
//! names of what it made, but nothing half made; they are found by [`AbandonedMemory`](super::AbandonedMemory). Memory without
//! a name goes with the last process that has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::mp::wire::Handle;
use crate::mp::{Error, Result};
use crate::sys::shared::named::{self, Identity};
use crate::sys::shared::{Acquired, Guarded, Object, Region, Shape};

/// How a block is found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Naming<'a> {
    /// By its descriptor alone.
    Anonymous,
    /// By a name that nobody else has.
    Made,
    /// By this name.
    Given(&'a str),
}

/// The memory, and its name if it has one.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) shared: Arc<Guarded>,
    pub(super) name: Option<Arc<Name>>,
}

/// A name in /dev/shm.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) text: String,
    of: Identity,
    /// Whether the name goes when this does.
    is_owned: AtomicBool,
    /// Its open file is the lock that says that its owner lives.
    memory: Arc<Guarded>,
}

impl Block {
    /// Makes a block of `size` bytes, which `fill` sees first.
    pub(super) fn create(kind: [u8; 4], naming: Naming<'_>, size: usize, fill: impl FnOnce(&mut [u8])) -> Result<Self> {
        let shape = Shape { kind, element: 1, count: size };
        let text = match naming {
            Naming::Anonymous => None,
            Naming::Made => Some(format!("ipcpipe.mp-{}-{:016x}", std::process::id(), random())),
            Naming::Given(name) => Some(named::checked(name)?.to_owned()),
        };
        let shared = match text {
            Some(_) => Guarded::format(named::create(Object::size(shape)?)?, shape)?,
            None => Guarded::create(shape)?,
        };
        match shared.lock(None) {
            Acquired::Locked(mut held) => fill(&mut held),
            _ => unreachable!("nobody else knows of the memory"),
        }
        let shared = Arc::new(shared);
        let name = text.map(|text| Name::publish(text, &shared)).transpose()?;
        Ok(Self { shared, name: name.map(Arc::new) })
    }

    /// The block with this name.
    pub(super) fn open(kind: [u8; 4], name: &str) -> Result<Self> {
        let text = named::checked(name)?;
        Self::named(kind, text.to_owned(), named::find(text)?)
    }

    fn named(kind: [u8; 4], text: String, region: Region) -> Result<Self> {
        let shared = Arc::new(Guarded::check(region, kind, Some(1))?);
        let of = named::identity(shared.fd())?;
        let name = Name { text, of, is_owned: AtomicBool::new(false), memory: Arc::clone(&shared) };
        Ok(Self { shared, name: Some(Arc::new(name)) })
    }

    /// Bytes in it.
    pub(super) fn size(&self) -> usize {
        self.shared.shape().count
    }

    /// What it is called.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref().map(|name| name.text.as_str())
    }

    /// Takes its name away now.
    pub(super) fn unlink(&self) -> Result<()> {
        self.named_only()?.unlink()
    }

    /// Leaves its name when this process gives it up.
    pub(super) fn persist(&self) -> Result<()> {
        let name = self.named_only()?;
        name.is_owned.store(false, Ordering::Relaxed);
        name.memory.disclaim();
        Ok(())
    }

    fn named_only(&self) -> Result<&Name> {
        self.name.as_deref().ok_or_else(|| Error::Refused("the shared memory has no name".to_owned()))
    }

    /// The other end of [`Serialize`], for a block of this kind.
    pub(super) fn receive<'de, D: Deserializer<'de>>(kind: [u8; 4], deserializer: D) -> Result<Self, D::Error> {
        let (text, file) = <(Option<String>, Handle)>::deserialize(deserializer)?;
        let open = || {
            let file = file.into_fd()?;
            match text {
                Some(text) => Self::named(kind, named::checked(&text)?.to_owned(), Region::open_file(file)?),
                None => Ok(Self { shared: Arc::new(Guarded::open(file, kind, Some(1))?), name: None }),
            }
        };
        open().map_err(D::Error::custom)
    }
}

impl Serialize for Block {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.name(), handle(&self.shared)?).serialize(serializer)
    }
}

/// A copy of the descriptor, for a message.
pub(super) fn handle<E: serde::ser::Error>(shared: &Guarded) -> Result<Handle, E> {
    let copy = crate::sys::fd::duplicate(shared.fd(), "shared memory");
    copy.map(Handle::from).map_err(E::custom)
}

impl Name {
    fn publish(text: String, memory: &Arc<Guarded>) -> Result<Self> {
        memory.claim(&text)?;
        let of = named::publish(memory.fd(), &text)?;
        Ok(Self { text, of, is_owned: AtomicBool::new(true), memory: Arc::clone(memory) })
    }

    fn unlink(&self) -> Result<()> {
        self.is_owned.store(false, Ordering::Relaxed);
        Ok(named::unlink(&self.text, self.of)?)
    }

    /// Takes the name away if it has an owner still: nobody has let it persist.
    pub(super) fn give_up(&self) {
        if self.is_owned.load(Ordering::Relaxed) && self.memory.is_claimed() {
            // Somebody else may have unlinked it.
            let _ = self.unlink();
        }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Some number that nobody foresees.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    RandomState::new().build_hasher().finish()
}
