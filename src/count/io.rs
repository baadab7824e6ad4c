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
    /// mmap(2) in windows of 4 MiB. A file that is cut short meanwhile would raise SIGBUS, so a handler of it is
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

/// Pieces that each way gets before one is chosen.
const TRIALS: u32 = 3;
/// Below this size there is nothing to gain by a choice.
const WORTH_IT: u64 = 64 << 20;

/// The way of one file, once it is known.
#[derive(Debug)]
pub(super) struct Choice {
    /// 0 while both are tried, else 1 and the way.
    chosen: AtomicU8,
    spent: Mutex<[Spent; 2]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    given: u32,
    done: u32,
    bytes: u64,
    cpu_ns: u64,
}

const WAYS: [Io; 2] = [Io::Read, Io::Mmap];

impl Choice {
    pub(super) fn new(io: Io, size: u64) -> Self {
        let choice = Self { chosen: AtomicU8::new(0), spent: Mutex::default() };
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

    /// Has `piece`, which holds `bytes` bytes, done in one of the ways.
    ///
    /// # Errors
    /// Those of `piece`.
    pub(super) fn with<E>(&self, bytes: u64, piece: impl FnOnce(Io) -> Result<(), E>) -> Result<(), E> {
        if let Some(io) = self.chosen() {
            return piece(io);
        }
        let way = {
            let mut spent = self.locked();
            let way = usize::from(spent[1].given < spent[0].given);
            spent[way].given += 1;
            way
        };
        let before = clock::own_cpu_ns();
        piece(WAYS[way])?;
        let cpu_ns = clock::own_cpu_ns() - before;
        let mut spent = self.locked();
        // What comes first pays for pages that are touched for the first time.
        if spent[way].done > 0 {
            spent[way].bytes += bytes;
            spent[way].cpu_ns += cpu_ns;
        }
        spent[way].done += 1;
        if self.chosen().is_none() && spent.iter().all(|spent| spent.done > TRIALS) {
            self.settle(WAYS[cheaper(&spent)]);
        }
        Ok(())
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, [Spent; 2]> {
        self.spent.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Which took less time a byte.
fn cheaper([one, other]: &[Spent; 2]) -> usize {
    let cross = |a: &Spent, b: &Spent| u128::from(a.cpu_ns) * u128::from(b.bytes);
    usize::from(cross(other, one) < cross(one, other))
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
        assert_eq!(tried, [[Io::Read, Io::Mmap]; 4].concat());
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
        assert_eq!(cheaper(&[spent(100, 10), spent(50, 4)]), 1);
        assert_eq!(cheaper(&[spent(100, 10), spent(50, 6)]), 0);
    }
}
