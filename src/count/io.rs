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
    /// large pieces, and loses by half if it is in single pages, and one file may be both. Nothing tells but trying, so for
    /// a text of 64 MiB or more both are tried, again and again. A text that has to be looked at more than once is read.
    #[default]
    Auto,
    /// mmap(2), with 4 or 8 MiB in memory at once for each worker. A file that is cut short meanwhile would raise SIGBUS,
    /// so a handler of it is installed, for good, with the first mapping.
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

/// Bytes of the piece of a trial: where reading is the dearer way it costs much, and where mapping is, a small window
/// tells too little. Whole pages of the largest size: windows that begin inside of one take three times as many faults.
const TRIAL: [u64; 2] = [2 << 20, 4 << 20];
/// Below this size there is nothing to gain by a choice.
const WORTH_IT: u64 = 64 << 20;

/// The way of one file.
#[derive(Debug)]
pub(super) struct Choice {
    /// 0 as long as both are tried, else 1 and the way.
    settled: AtomicU8,
    trials: Mutex<Trials>,
}

/// Which way was the cheaper one lately.
#[derive(Clone, Copy, Debug, Default)]
struct Trials {
    /// Since another way became the cheaper one.
    pieces: u32,
    cheaper: usize,
    /// What the last piece of each took for a mebibyte; 0 before its first.
    cpu_ns: [u64; 2],
}

const WAYS: [Io; 2] = [Io::Read, Io::Mmap];

impl Choice {
    pub(super) fn new(io: Io, size: u64) -> Self {
        let choice = Self { settled: AtomicU8::new(0), trials: Mutex::default() };
        match io {
            Io::Auto if size < WORTH_IT => choice.settle(Io::Read),
            Io::Auto => {}
            io => choice.settle(io),
        }
        choice
    }

    /// Takes `io` from now on.
    pub(super) fn settle(&self, io: Io) {
        self.settled.store(if io == Io::Mmap { 2 } else { 1 }, Ordering::Relaxed);
    }

    /// The way that is taken for good.
    fn settled(&self) -> Option<Io> {
        let settled = self.settled.load(Ordering::Relaxed);
        settled.checked_sub(1).map(|way| WAYS[usize::from(way)])
    }

    /// The way that is taken, but for trials.
    pub(super) fn chosen(&self) -> Io {
        self.settled().unwrap_or_else(|| WAYS[self.locked().cheaper])
    }

    /// Bytes that the next piece should have at most, if it is a trial.
    pub(super) fn trial(&self) -> Option<u64> {
        if self.settled().is_some() {
            return None;
        }
        let (way, is_trial) = self.locked().way();
        is_trial.then(|| TRIAL[way])
    }

    /// Has `piece`, which holds `bytes` bytes, done in one of the ways.
    ///
    /// # Errors
    /// Those of `piece`.
    pub(super) fn with<E>(&self, bytes: u64, piece: impl FnOnce(Io) -> Result<(), E>) -> Result<(), E> {
        if let Some(io) = self.settled() {
            return piece(io);
        }
        let way = self.locked().next();
        let before = clock::own_cpu_ns();
        piece(WAYS[way])?;
        let cpu_ns = clock::own_cpu_ns() - before;
        self.locked().note(way, (cpu_ns << 20) / bytes.max(1));
        Ok(())
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Trials> {
        self.trials.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Trials {
    /// The way of the next piece, and whether that is a trial. Both are tried once; from then on it is the cheaper one, and
    /// the other for pieces 4, 8, 16 and so on, after a change for pieces 1 and 2 too. So a mistake does not last, and trials
    /// soon cost nothing.
    fn way(&self) -> (usize, bool) {
        match self.cpu_ns {
            // Of two threads that begin together each tries another one.
            [0, 0] => (self.pieces as usize % 2, true),
            [0, _] => (0, true),
            [_, 0] => (1, true),
            [_, _] => {
                let is_trial = (self.pieces + 1).is_power_of_two();
                (self.cheaper ^ usize::from(is_trial), is_trial)
            }
        }
    }

    /// Takes the next piece.
    fn next(&mut self) -> usize {
        let (way, _) = self.way();
        self.pieces += 1;
        way
    }

    fn note(&mut self, way: usize, cpu_ns: u64) {
        let is_known = !self.cpu_ns.contains(&0);
        self.cpu_ns[way] = cpu_ns.max(1);
        let cheaper = usize::from(self.cpu_ns[1] < self.cpu_ns[0]);
        if cheaper != self.cheaper {
            let pieces = if is_known { 0 } else { self.pieces };
            *self = Self { pieces, cheaper, ..*self };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_tried_both_ways() {
        let choice = Choice::new(Io::Auto, WORTH_IT);
        let mut tried = [0; 2];
        for _ in 0..16 {
            let mut piece = |io| tried[usize::from(io == Io::Mmap)] += 1;
            choice
                .with(1, |io| {
                    piece(io);
                    Ok::<_, ()>(())
                })
                .unwrap();
        }
        assert!(tried.iter().all(|&pieces| pieces >= 2), "{tried:?}");
    }

    #[test]
    fn what_was_said_is_what_is_done() {
        assert_eq!(Choice::new(Io::Auto, WORTH_IT - 1).settled(), Some(Io::Read));
        for io in WAYS {
            let choice = Choice::new(io, WORTH_IT);
            assert_eq!(choice.chosen(), io);
            assert_eq!(choice.with(1, |way| if way == io { Ok(()) } else { Err(way) }), Ok(()));
            assert_eq!(io.name().parse::<Io>().unwrap(), io);
        }
    }

    #[test]
    fn the_way_that_took_less_lately_is_taken_but_for_trials() {
        let mut trials = Trials::default();
        let mut took = |cost: [u64; 2], pieces: usize| {
            let mut pieces_of = [0; 2];
            for _ in 0..pieces {
                let way = trials.next();
                trials.note(way, cost[way]);
                pieces_of[way] += 1;
            }
            pieces_of
        };
        // The second piece, and pieces 4, 8 and 16, of the dearer one.
        assert_eq!(took([10, 20], 31), [27, 4]);
        // Piece 32 and the next show that it is the other way round; of those after them, it is 1, 2, 4, 8, 16 and 32.
        assert_eq!(took([20, 10], 40), [7, 33]);
    }
}
