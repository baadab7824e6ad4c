//! Which processes hold how much of something: a table in shared memory, used under the lock of its object.
//!
//! A place counts from the moment that its number is not zero, which is written last and in one piece. So a process that is
//! killed while it takes a place has none; one that is killed later is found dead by whoever looks.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::mp::holder::Holder;
use crate::sys::shared::Region;

/// The table that begins at an offset of a region.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holders<'a> {
    region: &'a Region,
    offset: usize,
}

/// Words of a place: the pid, the start, the number.
const WORDS: usize = 3;

impl<'a> Holders<'a> {
    /// Processes that find room.
    pub(super) const PLACES: usize = 256;

    /// Bytes of a table.
    pub(super) const SIZE: usize = Self::PLACES * WORDS * 8;

    /// `offset` is a multiple of 8; zeros are an empty table.
    pub(super) fn new(region: &'a Region, offset: usize) -> Self {
        Self { region, offset }
    }

    fn word(&self, place: usize, word: usize) -> &'a AtomicU64 {
        self.region.atomic_u64(self.offset + (place * WORDS + word) * 8)
    }

    fn who(&self, place: usize) -> Holder {
        let [pid, start_ticks] = [0, 1].map(|word| self.word(place, word).load(Ordering::Relaxed));
        Holder { pid: pid as u32, start_ticks }
    }

    /// How much the process at `place` holds.
    pub(super) fn number(&self, place: usize) -> u64 {
        self.word(place, 2).load(Ordering::Relaxed)
    }

    /// Changes that.
    pub(super) fn set_number(&self, place: usize, number: u64) {
        self.word(place, 2).store(number, Ordering::Relaxed);
    }

    /// The place of this process, where the number is 0 if it had none. None when the table is full.
    pub(super) fn mine(&self) -> Option<usize> {
        let this = Holder::this();
        // Where /proc is not to be seen, others could not see it either.
        if this.pid == 0 {
            return None;
        }
        let mut free = None;
        for place in 0..Self::PLACES {
            if self.number(place) == 0 {
                free = free.or(Some(place));
                // Whoever comes takes the first free place, so nobody sits behind one that was never used.
                if self.who(place).pid == 0 {
                    break;
                }
            } else if self.who(place) == this {
                return Some(place);
            }
        }
        let place = free?;
        self.word(place, 0).store(this.pid.into(), Ordering::Relaxed);
        self.word(place, 1).store(this.start_ticks, Ordering::Relaxed);
        Some(place)
    }

    /// All numbers together.
    pub(super) fn total(&self) -> u64 {
        (0..Self::PLACES).map(|place| self.number(place)).sum()
    }

    /// Who holds something and is dead. Reads /proc, so better without the lock; what it finds may be out of date, but
    /// the dead stay dead.
    pub(super) fn dead(&self) -> Vec<(usize, Holder)> {
        let held = (0..Self::PLACES).filter(|place| self.number(*place) != 0);
        held.map(|place| (place, self.who(place))).filter(|(_, who)| who.is_dead()).collect()
    }

    /// Takes away what the dead hold. True if there was anything.
    pub(super) fn bury(&self, dead: &[(usize, Holder)]) -> bool {
        let mut buried = false;
        for (place, who) in dead {
            if self.who(*place) == *who && self.number(*place) != 0 {
                self.set_number(*place, 0);
                buried = true;
            }
        }
        buried
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_finds_its_place_again_and_a_dead_one_loses_it() {
        let region = Region::create("test", Holders::SIZE).unwrap();
        let holders = Holders::new(&region, 0);
        // No process has such a pid.
        holders.word(0, 0).store(u32::MAX.into(), Ordering::Relaxed);
        holders.set_number(0, 2);
        let mine = holders.mine().unwrap();
        holders.set_number(mine, 3);
        assert_eq!((mine, holders.mine(), holders.total()), (1, Some(1), 5));
        let dead = holders.dead();
        assert_eq!(dead.len(), 1);
        assert!(holders.bury(&dead));
        assert!(!holders.bury(&dead), "it was buried before");
        assert_eq!((holders.mine(), holders.total()), (Some(1), 3));
    }

    #[test]
    fn a_pid_that_another_process_has_now_is_dead() {
        let region = Region::create("test", Holders::SIZE).unwrap();
        let holders = Holders::new(&region, 0);
        let mine = holders.mine().unwrap();
        holders.set_number(mine, 1);
        assert_eq!(holders.dead(), []);
        holders.word(mine, 1).store(1, Ordering::Relaxed);
        assert_eq!(holders.dead().len(), 1);
    }

    #[test]
    fn a_full_table_has_no_place() {
        let region = Region::create("test", Holders::SIZE).unwrap();
        let holders = Holders::new(&region, 0);
        for place in 0..Holders::PLACES {
            holders.word(place, 0).store(u32::MAX.into(), Ordering::Relaxed);
            holders.set_number(place, 1);
        }
        assert_eq!(holders.mine(), None);
    }
}
