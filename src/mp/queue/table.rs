//! The places of a [`JoinableQueue`](crate::mp::JoinableQueue) in shared memory: free, queued, or held by somebody.
//!
//! What a place is, one word in it says: nothing (free), or the number of its item and whether that is queued or held. Each
//! change takes effect with one store to that word. The lists of free and of queued places, and the counts, only make them
//! easier to find: [`Table::repair`] makes them anew of the places when somebody was killed between two of his steps.
//!
//! Whoever calls any of this holds the lock of the table, except where it says otherwise.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::mp::Result;
use crate::mp::holder::Holder;
use crate::sys::shared::{Region, Spill};

/// Where the words are. Those before belong to the ledger.
const FIRST: usize = 192;
const LAST: usize = 200;
const FIRST_FREE: usize = 208;
const QUEUED: usize = 216;
const UNFINISHED: usize = 224;
const NEXT_NUMBER: usize = 232;
const SPILLED: usize = 240;
pub(super) const PLACES: usize = 1024;

/// The words of a place, then the item, or its offset in the spill.
const STATE: usize = 0;
const LENGTH: usize = 8;
const HOLDER: usize = 16;
const START_TICKS: usize = 24;
const DELIVERIES: usize = 32;
const NEXT: usize = 40;
const CONTENT: usize = 48;
pub(super) const PLACE: usize = 256;
const INLINE: usize = PLACE - CONTENT;

const IS_QUEUED: u64 = 1;
const IS_HELD: u64 = 2;
const NONE: u64 = u64::MAX;

/// The place of an item and its number, which no other item of the queue ever has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    place: usize,
    number: u64,
}

/// An item that somebody holds from now on.
pub(super) struct Taken {
    pub(super) ticket: Ticket,
    pub(super) deliveries: u64,
    pub(super) bytes: Vec<u8>,
}

/// The memory, and how many places there are in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    pub(super) region: &'a Region,
    pub(super) spill: &'a Spill,
    pub(super) places: usize,
}

impl Table<'_> {
    #[inline]
    fn get(&self, at: usize) -> u64 {
        self.region.atomic_u64(at).load(Ordering::Relaxed)
    }

    #[inline]
    fn set(&self, at: usize, value: u64) {
        self.region.atomic_u64(at).store(value, Ordering::Relaxed);
    }

    fn word(&self, place: usize, word: usize) -> &AtomicU64 {
        self.region.atomic_u64(PLACES + place * PLACE + word)
    }

    fn of(&self, place: usize, word: usize) -> u64 {
        self.word(place, word).load(Ordering::Relaxed)
    }

    fn set_of(&self, place: usize, word: usize, value: u64) {
        self.word(place, word).store(value, Ordering::Relaxed);
    }

    /// Everything that was written to a place before is there when this is.
    fn commit(&self, place: usize, state: u64) {
        self.word(place, STATE).store(state, Ordering::Release);
    }

    /// Items that wait. A hint without the lock.
    pub(super) fn queued(&self) -> u64 {
        self.get(QUEUED)
    }

    /// Items that wait or are held. A hint without the lock.
    pub(super) fn unfinished(&self) -> u64 {
        self.get(UNFINISHED)
    }

    /// True if every place is taken. A hint without the lock.
    pub(super) fn is_crowded(&self) -> bool {
        self.get(FIRST_FREE) == NONE
    }

    /// Appends an item in a free place, of which there has to be one.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<()> {
        let (place, number) = (self.get(FIRST_FREE) as usize, self.get(NEXT_NUMBER));
        if bytes.len() <= INLINE {
            self.region.copy_in(PLACES + place * PLACE + CONTENT, bytes);
        } else {
            let offset = self.get(SPILLED);
            // First, so that nobody writes there again, whatever happens from here on; and each item has pages of its own.
            self.set(SPILLED, (offset + bytes.len() as u64).next_multiple_of(Spill::PAGE));
            self.spill.write(offset, bytes)?;
            self.set_of(place, CONTENT, offset);
        }
        self.set_of(place, LENGTH, bytes.len() as u64);
        self.set_of(place, DELIVERIES, 0);
        self.commit(place, number << 2 | IS_QUEUED);
        self.set(NEXT_NUMBER, number + 1);
        self.set(FIRST_FREE, self.of(place, NEXT));
        self.append(place);
        self.set(UNFINISHED, self.unfinished() + 1);
        Ok(())
    }

    fn append(&self, place: usize) {
        self.set_of(place, NEXT, NONE);
        match self.get(LAST) {
            NONE => self.set(FIRST, place as u64),
            last => self.set_of(last as usize, NEXT, place as u64),
        }
        self.set(LAST, place as u64);
        self.set(QUEUED, self.queued() + 1);
    }

    fn prepend(&self, place: usize) {
        self.set_of(place, NEXT, self.get(FIRST));
        self.set(FIRST, place as u64);
        if self.get(LAST) == NONE {
            self.set(LAST, place as u64);
        }
        self.set(QUEUED, self.queued() + 1);
    }

    /// Hands the oldest item to `holder`; None if nothing is queued.
    pub(super) fn take(&self, holder: Holder) -> Result<Option<Taken>> {
        let place = match self.get(FIRST) {
            NONE => return Ok(None),
            first => first as usize,
        };
        let bytes = self.content(place)?;
        let number = self.of(place, STATE) >> 2;
        let deliveries = self.of(place, DELIVERIES) + 1;
        self.set_of(place, HOLDER, holder.pid.into());
        self.set_of(place, START_TICKS, holder.start_ticks);
        self.set_of(place, DELIVERIES, deliveries);
        self.commit(place, number << 2 | IS_HELD);
        self.set(FIRST, self.of(place, NEXT));
        if self.get(FIRST) == NONE {
            self.set(LAST, NONE);
        }
        self.set(QUEUED, self.queued() - 1);
        Ok(Some(Taken { ticket: Ticket { place, number }, deliveries, bytes }))
    }

    fn content(&self, place: usize) -> Result<Vec<u8>> {
        let length = self.of(place, LENGTH);
        if length > INLINE as u64 {
            return Ok(self.spill.read(self.of(place, CONTENT), length)?);
        }
        let mut bytes = vec![0; length as usize];
        self.region.copy_out(PLACES + place * PLACE + CONTENT, &mut bytes);
        Ok(bytes)
    }

    /// True if somebody holds the item, as far as the table knows.
    fn is_held(&self, ticket: Ticket) -> bool {
        self.of(ticket.place, STATE) == ticket.number << 2 | IS_HELD
    }

    /// Frees the place of an item that was worked off.
    pub(super) fn finish(&self, ticket: Ticket) {
        if !self.is_held(ticket) {
            return;
        }
        let place = ticket.place;
        self.commit(place, 0);
        if let Some((from, to)) = self.pages(place) {
            self.spill.free(from, to);
        }
        self.set_of(place, NEXT, self.get(FIRST_FREE));
        self.set(FIRST_FREE, place as u64);
        self.set(UNFINISHED, self.unfinished() - 1);
    }

    /// The pages of a long item.
    fn pages(&self, place: usize) -> Option<(u64, u64)> {
        let (offset, length) = (self.of(place, CONTENT), self.of(place, LENGTH));
        (length > INLINE as u64).then(|| (offset, (offset + length).next_multiple_of(Spill::PAGE)))
    }

    /// Queues an item again, before all others, because who held it did not work it off.
    pub(super) fn give_back(&self, ticket: Ticket) {
        if self.is_held(ticket) {
            self.commit(ticket.place, ticket.number << 2 | IS_QUEUED);
            self.prepend(ticket.place);
        }
    }

    /// Items that are held, the latest first, and by whom.
    pub(super) fn held(&self) -> Vec<(Ticket, Holder)> {
        let mut held = self.with_state(IS_HELD);
        held.sort_unstable_by_key(|ticket| std::cmp::Reverse(ticket.number));
        let holder = |place| Holder { pid: self.of(place, HOLDER) as u32, start_ticks: self.of(place, START_TICKS) };
        held.into_iter().map(|ticket| (ticket, holder(ticket.place))).collect()
    }

    fn with_state(&self, state: u64) -> Vec<Ticket> {
        let states = (0..self.places).map(|place| (place, self.of(place, STATE)));
        states.filter(|(_, it)| it & 3 == state).map(|(place, it)| Ticket { place, number: it >> 2 }).collect()
    }

    /// Makes the lists and the counts anew of what the places say, and frees what of the spill belongs to none of them. An
    /// empty table is made of zeros in the same way.
    pub(super) fn repair(&self) {
        let (mut queued, held, free) = (self.with_state(IS_QUEUED), self.with_state(IS_HELD), self.with_state(0));
        queued.sort_unstable_by_key(|ticket| ticket.number);
        [FIRST, LAST, FIRST_FREE].iter().for_each(|list| self.set(*list, NONE));
        self.set(QUEUED, 0);
        self.set(UNFINISHED, (queued.len() + held.len()) as u64);
        queued.iter().for_each(|ticket| self.append(ticket.place));
        for ticket in free.iter().rev() {
            self.set_of(ticket.place, NEXT, self.get(FIRST_FREE));
            self.set(FIRST_FREE, ticket.place as u64);
        }
        let used = || queued.iter().chain(&held);
        let next = used().map(|ticket| ticket.number + 1).max().unwrap_or(0);
        self.set(NEXT_NUMBER, next.max(self.get(NEXT_NUMBER)));
        let mut pages: Vec<_> = used().filter_map(|ticket| self.pages(ticket.place)).collect();
        pages.sort_unstable();
        let end = pages.iter().fold(0, |end, (from, to)| {
            self.spill.free(end, *from);
            *to
        });
        self.spill.free(end, self.get(SPILLED));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLDER: Holder = Holder { pid: 1, start_ticks: 2 };

    fn with_table(test: impl FnOnce(Table<'_>)) {
        let region = Region::create("test", PLACES + 4 * PLACE).unwrap();
        let spill = Spill::create("test").unwrap();
        let table = Table { region: &region, spill: &spill, places: 4 };
        table.repair();
        test(table);
    }

    fn taken(table: Table<'_>) -> Option<(Ticket, Vec<u8>)> {
        table.take(HOLDER).unwrap().map(|it| (it.ticket, it.bytes))
    }

    #[test]
    fn items_are_taken_in_order_and_those_given_back_come_first() {
        with_table(|table| {
            [b"a", b"b", b"c"].iter().for_each(|bytes| table.put(*bytes).unwrap());
            let (first, bytes) = taken(table).unwrap();
            assert_eq!((bytes, table.queued(), table.unfinished()), (b"a".to_vec(), 2, 3));
            table.give_back(first);
            assert_eq!(table.take(HOLDER).unwrap().map(|it| (it.bytes, it.deliveries)), Some((b"a".to_vec(), 2)));
            table.finish(first);
            table.finish(first);
            table.give_back(first);
            assert_eq!((table.queued(), table.unfinished(), table.is_crowded()), (2, 2, false));
            [b"d", b"e"].iter().for_each(|bytes| table.put(*bytes).unwrap());
            assert!(table.is_crowded());
            let rest: Vec<_> = std::iter::from_fn(|| taken(table)).map(|it| it.1).collect();
            assert_eq!(rest.concat(), b"bcde");
            assert_eq!(table.held().len(), 4);
        });
    }

    /// Every death is a state of the places with lists and counts that are anything.
    #[test]
    fn d2_lists_and_counts_are_repaired_from_the_places() {
        with_table(|table| {
            let long = vec![7; 10_000];
            [&long[..], b"b", &long].iter().for_each(|bytes| table.put(bytes).unwrap());
            let (held, _) = taken(table).unwrap();
            let spilled = table.get(SPILLED);
            // Somebody was killed while he wrote a long item.
            table.spill.write(spilled, &long).unwrap();
            table.set(SPILLED, spilled + 12_288);
            for word in [FIRST, LAST, FIRST_FREE, QUEUED, UNFINISHED] {
                table.set(word, 3);
            }
            table.set(NEXT_NUMBER, 0);
            table.repair();
            assert_eq!((table.queued(), table.unfinished(), table.spill.taken()), (2, 3, 2 * 12_288));
            assert_eq!(table.held(), [(held, HOLDER)]);
            table.put(b"d").unwrap();
            assert!(table.is_crowded());
            table.finish(held);
            assert_eq!(std::iter::from_fn(|| taken(table)).map(|it| it.1.len()).collect::<Vec<_>>(), [1, 10_000, 1]);
            table.held().into_iter().for_each(|(ticket, _)| table.finish(ticket));
            assert_eq!((table.unfinished(), table.spill.taken()), (0, 0));
        });
    }
}
