//! What happened, as far as it is kept.

use crate::manager::protocol::Event;
use crate::manager::ring::Ring;

/// How many events are kept.
pub(crate) const KEPT: usize = 10_000;

/// The last events of a manager.
#[derive(Debug)]
pub(crate) struct Events(Ring<Event>);

impl Events {
    /// Nothing has happened yet.
    pub(crate) fn new() -> Self {
        Self(Ring::new(KEPT, |_| 1))
    }

    /// Adds what happened last.
    pub(crate) fn push(&mut self, event: Event) {
        self.0.push(event);
    }

    /// The event at `cursor`, which moves on behind it, with the number of events before it that were dropped unread.
    /// None when all is read.
    pub(crate) fn read(&self, cursor: &mut u64) -> Option<Event> {
        let (event, lost) = self.0.read(cursor)?;
        Some(Event { lost, ..event.clone() })
    }

    /// A cursor from which the last `count` events follow, or all that are kept.
    pub(crate) fn cursor_last(&self, count: Option<usize>) -> u64 {
        self.0.cursor_last(count)
    }

    /// A cursor from which only new events follow.
    pub(crate) fn end_cursor(&self) -> u64 {
        self.0.end_cursor()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::protocol::Level;

    #[test]
    fn the_last_events_are_kept_and_the_lost_ones_counted() {
        let mut events = Events::new();
        let mut cursor = events.end_cursor();
        for ts_ns in 0..KEPT as u64 + 5 {
            let (event, target, msg) = ("e".to_owned(), "p1".to_owned(), String::new());
            events.push(Event { ts_ns, level: Level::Info, event, target, pid: None, msg, lost: 0 });
        }
        let first = events.read(&mut cursor).unwrap();
        assert_eq!((first.ts_ns, first.lost), (5, 5));
        assert_eq!(events.read(&mut cursor).unwrap().lost, 0);
        cursor = events.cursor_last(Some(1));
        assert_eq!(events.read(&mut cursor).unwrap().ts_ns, KEPT as u64 + 4);
        assert_eq!(events.read(&mut cursor), None);
    }
}
