//! What was tried when an error came of it, in so few bytes that an attempt in a loop costs no allocation.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What was tried when an [`Error`](crate::mp::Error) came of it, and with which object: `get from Queue 4711`.
///
/// The object is named by its type and a number. A process has its pid, a job the number of its batch and its place there, an object of a manager
/// the number that its proxy shows. What lies in shared memory has the number of its inode, the same in all processes:
/// `/proc/PID/maps` shows it, and so does the debug form of a queue. A pipe has that of its socket, as in `/proc/PID/fd`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    verb: Verb,
    kind: Kind,
    /// Of a job, its place in the batch that has the number.
    place: u32,
    number: u64,
}

/// What is done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Verb {
    Put,
    Get,
    Send,
    Receive,
    Join,
    Take,
    Meet,
    Run,
    Use,
}

/// An object by the name of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Kind {
    Queue,
    JoinableQueue,
    Pipe,
    Process,
    Job,
    Pool,
    Lock,
    RLock,
    Value,
    Array,
    SharedMemory,
    SharedList,
    Barrier,
    Manager,
    ValueProxy,
    ListProxy,
    DictProxy,
    NamespaceProxy,
    QueueProxy,
    LockProxy,
    SemaphoreProxy,
    ConditionProxy,
    EventProxy,
    BarrierProxy,
}

/// The number of an object that has none.
const UNNUMBERED: u64 = u64::MAX;

/// The place of what has none.
const ALONE: u32 = u32::MAX;

impl Attempt {
    pub(crate) const fn new(verb: Verb, kind: Kind, number: u64) -> Self {
        Self { verb, kind, place: ALONE, number }
    }

    /// Another attempt with the same object.
    pub(crate) const fn to(self, verb: Verb) -> Self {
        Self { verb, ..self }
    }

    /// With an object that has no number, or one that is not known here.
    pub(crate) const fn with_some(verb: Verb, kind: Kind) -> Self {
        Self::new(verb, kind, UNNUMBERED)
    }

    /// With that batch, if it is about a job of which that is not known, and with that place in it, if it has several.
    pub(super) fn of_batch(self, number: u64, place: Option<usize>) -> Self {
        if self.kind != Kind::Job || self.number != UNNUMBERED {
            return self;
        }
        let place = place.and_then(|place| u32::try_from(place).ok()).unwrap_or(ALONE);
        Self { place, number, ..self }
    }

    /// Why it had to wait, or could not be done at once.
    pub(super) fn obstacle(self) -> &'static str {
        match (self.verb, self.kind) {
            (Verb::Put, _) => "it is full",
            (Verb::Get, _) => "it is empty",
            (Verb::Receive, _) => "nothing has come",
            (Verb::Take, _) => "it is held",
            (Verb::Meet, _) => "not all parties have come",
            (Verb::Join, Kind::JoinableQueue) => "items are not worked off",
            (Verb::Join | Verb::Run, _) => "it still runs",
            (Verb::Send | Verb::Use, _) => "nothing has happened",
        }
    }

    /// Why there is nothing to have, and never will be without somebody's doing.
    pub(super) fn lack(self) -> &'static str {
        match self.kind {
            Kind::Process => "its result was taken before",
            Kind::Job => "it has no result yet",
            _ => self.obstacle(),
        }
    }

    /// What is closed.
    pub(super) fn end(self) -> &'static str {
        if self.kind == Kind::Pipe { "its other side is closed" } else { "it is closed" }
    }

    /// The object alone.
    pub(super) fn object(self) -> impl fmt::Display {
        fmt::from_fn(move |f| match self.number {
            UNNUMBERED => write!(f, "a {:?}", self.kind),
            batch if self.place != ALONE => write!(f, "{:?} {} of Batch {batch}", self.kind, self.place),
            number => write!(f, "{:?} {number}", self.kind),
        })
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.verb {
            Verb::Put => "put into",
            Verb::Get => "get from",
            Verb::Send => "send over",
            Verb::Receive => "receive from",
            Verb::Join => "join",
            Verb::Take => "take",
            Verb::Meet => "wait at",
            Verb::Run => "finish",
            Verb::Use => "use",
        };
        write!(f, "{verb} {}", self.object())
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
