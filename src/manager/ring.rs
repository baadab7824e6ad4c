//! The last so many items of a stream without end, read by any number of readers at their own pace.

use std::collections::VecDeque;

/// A bounded queue that drops its oldest items. A reader is a number, its cursor: the place in the stream of the item
/// that it reads next. So a reader costs nothing, and one that is too slow learns how much it has missed.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    items: VecDeque<T>,
    /// The place in the stream of the oldest item.
    first: u64,
    weight: usize,
    limit: usize,
    weigh: fn(&T) -> usize,
}

impl<T> Ring<T> {
    /// An empty ring of items that weigh at most `limit` together. The newest item is kept whatever it weighs.
    pub(crate) fn new(limit: usize, weigh: fn(&T) -> usize) -> Self {
        Self { items: VecDeque::new(), first: 0, weight: 0, limit, weigh }
    }

    /// Adds the newest item, and drops what it leaves no room for.
    pub(crate) fn push(&mut self, item: T) {
        self.weight += (self.weigh)(&item);
        self.items.push_back(item);
        while self.weight > self.limit && self.items.len() > 1 {
            if let Some(oldest) = self.items.pop_front() {
                self.weight -= (self.weigh)(&oldest);
                self.first += 1;
            }
        }
    }

    /// The item at `cursor`, which moves on behind it, and the number of items before it that were dropped unread.
    /// None when all is read.
    pub(crate) fn read(&self, cursor: &mut u64) -> Option<(&T, u64)> {
        let lost = self.first.saturating_sub(*cursor);
        let at = cursor.saturating_sub(self.first);
        let item = self.items.get(usize::try_from(at).ok()?)?;
        *cursor = self.first + at + 1;
        Some((item, lost))
    }

    /// A cursor from which the newest `count` items follow, or all that are kept, the first with how many are not.
    pub(crate) fn cursor_last(&self, count: Option<usize>) -> u64 {
        // From the very beginning, so that the first item read tells how many are not there any more.
        let Some(count) = count else { return 0 };
        self.end_cursor() - count.min(self.items.len()) as u64
    }

    /// A cursor from which only new items follow.
    pub(crate) fn end_cursor(&self) -> u64 {
        self.first + self.items.len() as u64
    }

    /// The items that are kept, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_learns_what_it_has_missed() {
        let mut ring = Ring::new(3, |_| 1);
        let mut slow = ring.end_cursor();
        assert_eq!(ring.read(&mut slow), None);
        ring.push(0);
        assert_eq!(ring.read(&mut slow), Some((&0, 0)));
        for item in 1..6 {
            ring.push(item);
        }
        assert_eq!(ring.read(&mut slow), Some((&3, 2)));
        assert_eq!(ring.read(&mut slow), Some((&4, 0)));
        assert_eq!(ring.read(&mut slow), Some((&5, 0)));
        assert_eq!(ring.read(&mut slow), None);
        assert_eq!(slow, ring.end_cursor());
    }

    #[test]
    fn the_past_is_what_is_asked_for_and_still_there() {
        let mut ring = Ring::new(10, |item: &usize| *item);
        for item in [4, 4, 1, 1] {
            ring.push(item);
        }
        for (count, expected) in [(Some(0), 0), (Some(3), 3), (Some(9), 4), (None, 4)] {
            let mut cursor = ring.cursor_last(count);
            assert_eq!(std::iter::from_fn(|| ring.read(&mut cursor)).count(), expected);
        }
        ring.push(100);
        assert_eq!(ring.iter().collect::<Vec<_>>(), [&100]);
    }
}
