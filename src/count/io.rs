//! How the bytes of a file get into memory, and which way is the cheaper one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::Error;
use crate::sys::clock;

/// How the bytes of a file get into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Io {
    /// The way that takes less processor time.
    ///
    /// Mapping wins by two thirds if the page cache holds the file in large pieces, as it does when it was written in
    /// large pieces, and loses by half if it is in single pages. Nothing tells but trying, so for a text of 64 MiB or more
    /// both get some of the first pieces. A text that has to be looked at more than once is read.
    #[default]
    Auto,
    /// mmap(2) in windows of 4 or 8 MiB. A file that is cut short meanwhile would raise SIGBUS, so a handler of it is
    /// installed, for good, when the first window is made.
    Mmap,
    /// pread(2).
    Read,
}

impl Io {
    /// The name that a person types.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Mmap => "mmap",
            Self::Read => "read",
        }
    }
}

impl std::str::FromStr for Io {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = [Self::Auto, Self::Mmap, Self::Read].into_iter().find(|it| it.name() == name);
        found.ok_or_else(|| Error::refused("cannot read files by", name, "there is no way of that name"))
    }
}

/// Pieces that each way gets before they are measured: whoever comes first pays for memory that is touched for the first
/// time.
const WARM_UP: u32 = 2;
/// Pieces of each way that are measured before one is chosen.
const TRIALS: u32 = 3;
/// Bytes of such a piece. Where windows are cheap, reading costs much, and where they are not, a small one tells too little.
const TRIAL: [u64; 2] = [1 << 20, 4 << 20];
/// Below this size there is nothing to gain by a choice.
const WORTH_IT: u64 = 64 << 20;

/// The way of one file, once it is known.
#[derive(Debug)]
pub(super) struct Choice {
    /// 0 while both are tried, else 1 and the way.
    chosen: AtomicU8,
    tried: Mutex<Tried>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    given: u32,
    done: u32,
    bytes: u64,
    cpu_ns: u64,
}

/// What each way has cost so far.
#[derive(Debug, Default)]
struct Tried([Spent; 2]);

impl Tried {
    /// Which way gets the next piece. One comes after the other: threads that map hold each other up, and should do so
    /// where it is measured.
    fn next(&self) -> usize {
        usize::from(self.0[0].given >= WARM_UP + TRIALS)
    }
}

const WAYS: [Io; 2] = [Io::Read, Io::Mmap];

impl Choice {
    pub(super) fn new(io: Io, size: u64) -> Self {
        let choice = Self { chosen: AtomicU8::new(0), tried: Mutex::default() };
        match io {
            Io::Auto if size < WORTH_IT => choice.settle(Io::Read),
            Io::Auto => {}
            io => choice.settle(io),
        }
        choice
    }

    /// Takes `io` from now on.
    pub(super) fn settle(&self, io: Io) {
        self.chosen.store(if io == Io::Mmap { 2 } else { 1 }, Ordering::Relaxed);
    }

    /// The way that was chosen.
    pub(super) fn chosen(&self) -> Option<Io> {
        let chosen = self.chosen.load(Ordering::Relaxed);
        chosen.checked_sub(1).map(|way| WAYS[usize::from(way)])
    }

    /// Bytes that the next piece should have at most while both ways are tried.
    pub(super) fn trial(&self) -> Option<u64> {
        self.chosen().is_none().then(|| TRIAL[self.locked().next()])
    }

    /// Has `piece`, which holds `bytes` bytes, done in one of the ways.
    ///
    /// # Errors
    /// Those of `piece`.
    pub(super) fn with<E>(&self, bytes: u64, piece: impl FnOnce(Io) -> Result<(), E>) -> Result<(), E> {
        if let Some(io) = self.chosen() {
            return piece(io);
        }
        let way = {
            let mut tried = self.locked();
            let way = tried.next();
            tried.0[way].given += 1;
            way
        };
        let before = clock::own_cpu_ns();
        piece(WAYS[way])?;
        let cpu_ns = clock::own_cpu_ns() - before;
        let spent = &mut self.locked().0;
        if spent[way].done >= WARM_UP {
            spent[way].bytes += bytes;
            spent[way].cpu_ns += cpu_ns;
        }
        spent[way].done += 1;
        if self.chosen().is_none() && spent.iter().all(|spent| spent.done >= WARM_UP + TRIALS) {
            self.settle(WAYS[usize::from(is_mapping_cheaper(spent))]);
        }
        Ok(())
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Tried> {
        self.tried.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// True if mapping took less time a byte.
fn is_mapping_cheaper([read, mapped]: &[Spent; 2]) -> bool {
    let cross = |a: &Spent, b: &Spent| u128::from(a.cpu_ns) * u128::from(b.bytes);
    cross(mapped, read) < cross(read, mapped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_tried_both_ways_and_then_takes_one() {
        let choice = Choice::new(Io::Auto, WORTH_IT);
        let mut tried = Vec::new();
        while choice.chosen().is_none() {
            let piece = |io| {
                tried.push(io);
                Ok::<_, ()>(())
            };
            choice.with(1, piece).unwrap();
        }
        assert_eq!(tried, [[Io::Read; 5], [Io::Mmap; 5]].concat());
    }

    #[test]
    fn what_was_said_is_what_is_done() {
        assert_eq!(Choice::new(Io::Auto, WORTH_IT - 1).chosen(), Some(Io::Read));
        for io in WAYS {
            let choice = Choice::new(io, WORTH_IT);
            assert_eq!(choice.chosen(), Some(io));
            assert_eq!(choice.with(1, |way| if way == io { Ok(()) } else { Err(way) }), Ok(()));
            assert_eq!(io.name().parse::<Io>().unwrap(), io);
        }
    }

    #[test]
    fn the_cheaper_way_is_that_of_less_time_a_byte() {
        let spent = |bytes, cpu_ns| Spent { bytes, cpu_ns, ..Spent::default() };
        assert!(is_mapping_cheaper(&[spent(100, 10), spent(50, 4)]));
        assert!(!is_mapping_cheaper(&[spent(100, 10), spent(50, 6)]));
    }
}
