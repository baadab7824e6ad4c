//! What clients and the server say to each other: one request, one answer.
//!
//! An answer is a zero byte and the encoding of what was asked for, or a one and a [`Failure`]. Values and keys pass
//! through the server as the bytes that a client has made of them.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::mp::attempt::{Attempt, Kind, Verb};
use crate::mp::{Error, Panic, Result, Worker};

/// Where a server is found: a name that nobody guesses and that leaves no file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Address([u8; 16]);

impl Address {
    pub(super) fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
        read.map_err(|error| crate::Error::os("cannot read", "/dev/urandom", error))?;
        Ok(Self(bytes))
    }

    /// In the abstract namespace (unix(7)).
    pub(super) fn socket(&self) -> io::Result<SocketAddr> {
        SocketAddr::from_abstract_name(format!("ipcpipe-{self}"))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "manager-{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes that are copied as a whole. (serde takes a slice apart.)
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Bytes<'_> {
    pub(super) fn boxed(&self) -> Box<[u8]> {
        self.0.into()
    }
}

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;

        impl<'de> Visitor<'de> for Borrowed {
            type Value = Bytes<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Bytes<'de>, E> {
                Ok(Bytes(bytes))
            }
        }

        deserializer.deserialize_bytes(Borrowed)
    }
}

/// How long a client waits; None: for ever, zero: not at all.
pub(super) type Limit = Option<Duration>;

/// What a client asks for. The number is that of the object.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) enum Request<'a> {
    Create(New<'a>),
    Remove(u64),
    Use(u64, Operation<'a>),
}

/// An object to be made. The answer is its number.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) enum New<'a> {
    Value(Bytes<'a>),
    List,
    Array(Vec<Bytes<'a>>),
    Dict,
    Namespace,
    /// With room for so many.
    Queue(u64),
    Lock,
    RLock,
    Semaphore {
        permits: u32,
        is_bounded: bool,
    },
    /// Of the lock with this number.
    Condition(u64),
    Event,
    /// Of so many parties.
    Barrier(u32),
}

/// What is done with an object.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) enum Operation<'a> {
    Value(ValueOperation<'a>),
    List(ListOperation<'a>),
    Dict(DictOperation<'a>),
    Namespace(NamespaceOperation<'a>),
    Queue(QueueOperation<'a>),
    Lock(LockOperation),
    Semaphore(SemaphoreOperation),
    Condition(ConditionOperation),
    Event(EventOperation),
    Barrier(BarrierOperation),
}

impl Operation<'_> {
    /// What is tried with the object of this number, and how long it may take.
    fn tried(&self, object: u64) -> (Attempt, Duration) {
        let (verb, kind, limit) = match self {
            Self::Value(_) => (Verb::Use, Kind::ValueProxy, &None),
            Self::List(_) => (Verb::Use, Kind::ListProxy, &None),
            Self::Dict(_) => (Verb::Use, Kind::DictProxy, &None),
            Self::Namespace(_) => (Verb::Use, Kind::NamespaceProxy, &None),
            Self::Queue(QueueOperation::Put(_, limit)) => (Verb::Put, Kind::QueueProxy, limit),
            Self::Queue(QueueOperation::Get(limit)) => (Verb::Get, Kind::QueueProxy, limit),
            Self::Queue(_) => (Verb::Use, Kind::QueueProxy, &None),
            Self::Lock(LockOperation::Lock(limit)) => (Verb::Take, Kind::LockProxy, limit),
            Self::Lock(_) => (Verb::Use, Kind::LockProxy, &None),
            Self::Semaphore(SemaphoreOperation::Acquire(limit)) => (Verb::Take, Kind::SemaphoreProxy, limit),
            Self::Semaphore(_) => (Verb::Use, Kind::SemaphoreProxy, &None),
            Self::Condition(ConditionOperation::Wait(limit)) => (Verb::Use, Kind::ConditionProxy, limit),
            Self::Condition(_) => (Verb::Use, Kind::ConditionProxy, &None),
            Self::Event(EventOperation::Wait(limit)) => (Verb::Use, Kind::EventProxy, limit),
            Self::Event(_) => (Verb::Use, Kind::EventProxy, &None),
            Self::Barrier(BarrierOperation::Wait(limit)) => (Verb::Meet, Kind::BarrierProxy, limit),
            Self::Barrier(_) => (Verb::Use, Kind::BarrierProxy, &None),
        };
        (Attempt::new(verb, kind, object), limit.unwrap_or_default())
    }
}

impl Request<'_> {
    /// What it tries, and how long that may take.
    pub(super) fn tried(&self) -> (Attempt, Duration) {
        match self {
            Self::Create(_) | Self::Remove(_) => (Attempt::with_some(Verb::Use, Kind::Manager), Duration::ZERO),
            Self::Use(object, operation) => operation.tried(*object),
        }
    }
}

/// A task that changes a state, and the arguments that follow the state.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Change<'a> {
    pub(super) task: &'a str,
    pub(super) args: Bytes<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) enum ValueOperation<'a> {
    Get,
    Set(Bytes<'a>),
    Update(Change<'a>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) enum ListOperation<'a> {
    Push(Bytes<'a>),
    Pop,
    Get(u64),
    Set(u64, Bytes<'a>),
    Insert(u64, Bytes<'a>),
    Remove(u64),
    Len,
    Extend(Vec<Bytes<'a>>),
    Clear,
    All,
    Update(Change<'a>),
    UpdateAt(u64, Change<'a>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) enum DictOperation<'a> {
    Set(Bytes<'a>, Bytes<'a>),
    Insert(Bytes<'a>, Bytes<'a>),
    GetOrInsert(Bytes<'a>, Bytes<'a>),
    Get(Bytes<'a>),
    Remove(Bytes<'a>),
    Contains(Bytes<'a>),
    Len,
    Extend(Vec<(Bytes<'a>, Bytes<'a>)>),
    Clear,
    Keys,
    Values,
    All,
    Update(Change<'a>),
    UpdateKey(Bytes<'a>, Change<'a>),
}

/// The first text is the name of an attribute, the second its type's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) enum NamespaceOperation<'a> {
    Set(&'a str, &'a str, Bytes<'a>),
    Get(&'a str, &'a str),
    Remove(&'a str),
    Names,
    Update(&'a str, &'a str, Change<'a>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) enum QueueOperation<'a> {
    Put(Bytes<'a>, Limit),
    Get(Limit),
    Len,
    Capacity,
    Close,
    IsClosed,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum LockOperation {
    /// The answer is true if the last holder died.
    Lock(Limit),
    Unlock,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum SemaphoreOperation {
    Acquire(Limit),
    /// A permit that was acquired comes back.
    Return,
    /// It never will.
    Forget,
    /// One more.
    Release,
    Available,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ConditionOperation {
    /// The answer is whether there was a notification, and whether a holder of the lock died meanwhile.
    Wait(Limit),
    Notify(u64),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum EventOperation {
    Set,
    Clear,
    IsSet,
    Wait(Limit),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum BarrierOperation {
    Wait(Limit),
    Abort,
    Reset,
    Status,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct BarrierStatus {
    pub(super) parties: u32,
    pub(super) waiting: u32,
    pub(super) is_broken: bool,
}

/// An error as it travels.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Failure {
    Panicked(Worker, Panic),
    TimedOut,
    Closed,
    Full,
    Empty,
    Broken,
    Codec(String),
    Refused(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Panicked(worker, panic) => Self::Panicked(*worker, *panic),
            Error::TimedOut(..) => Self::TimedOut,
            Error::Closed(_) => Self::Closed,
            Error::Full(_) => Self::Full,
            Error::Empty(_) => Self::Empty,
            Error::Broken(_) => Self::Broken,
            Error::Codec(why) => Self::Codec(why),
            error => Self::Refused(error.to_string()),
        }
    }
}

impl Failure {
    /// The error of a client that tried this, and gave it so much time.
    pub(super) fn of(self, attempt: Attempt, time: Duration) -> Error {
        match self {
            Self::Panicked(worker, panic) => Error::Panicked(Box::new(worker), Box::new(panic)),
            Self::TimedOut => Error::TimedOut(attempt, time),
            Self::Closed => Error::Closed(attempt),
            Self::Full => Error::Full(attempt),
            Self::Empty => Error::Empty(attempt),
            Self::Broken => Error::Broken(attempt),
            Self::Codec(why) => Error::Codec(why).during(attempt),
            Self::Refused(why) => Error::Refused(format!("cannot {attempt}: {why}")),
        }
    }
}
