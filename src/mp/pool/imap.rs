//! Maps over items that are asked for as workers get free.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{self, Receiver, Sender};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::mp::pool::{Batch, Pool};
use crate::mp::task::Args;
use crate::mp::{Error, Result};

/// So many batches for each worker are with the pool, so that nobody waits for the next.
const AHEAD: usize = 4;

/// The items that are still to come, and the batches that they are made into.
struct Feed<'a, A, R, I> {
    pool: &'a Pool<A, R>,
    items: I,
    is_over: bool,
}

impl<A: Serialize, R: DeserializeOwned, I: Iterator<Item: Args<A>>> Feed<'_, A, R, I> {
    /// The next batch, and how many items it was to have; none if there are no items, or `ahead` batches are enough.
    fn next(&mut self, ahead: usize) -> Option<(usize, Result<Batch<R>>)> {
        if self.is_over || ahead >= AHEAD * self.pool.workers() {
            return None;
        }
        let items: Vec<_> = self.items.by_ref().take(self.pool.shared.lock().chunk()).collect();
        self.is_over = items.is_empty();
        (!self.is_over).then(|| (items.len(), self.pool.batch(items)))
    }
}

/// What [`Pool::imap`] gives: the results in the order of the items.
pub struct Imap<'a, A, R, I> {
    feed: Feed<'a, A, R, I>,
    batches: VecDeque<(usize, Result<Batch<R>>)>,
    /// The place in the first batch.
    next: usize,
}

impl<'a, A, R, I> Imap<'a, A, R, I> {
    pub(super) fn new(pool: &'a Pool<A, R>, items: I) -> Self {
        Self { feed: Feed { pool, items, is_over: false }, batches: VecDeque::new(), next: 0 }
    }
}

impl<A: Serialize, R: DeserializeOwned, I: Iterator<Item: Args<A>>> Iterator for Imap<'_, A, R, I> {
    type Item = Result<R>;

    fn next(&mut self) -> Option<Result<R>> {
        while let Some(batch) = self.feed.next(self.batches.len()) {
            self.batches.push_back(batch);
        }
        let (count, batch) = self.batches.front()?;
        let result = match batch {
            Ok(batch) => batch.wait_for(self.next),
            Err(error) => Err(error.clone()),
        };
        self.next += 1;
        if self.next == *count {
            self.batches.pop_front();
            self.next = 0;
        }
        Some(result)
    }
}

/// What [`Pool::imap_unordered`] gives: the number of an item and its result, in the order in which they come.
pub struct ImapUnordered<'a, A, R, I> {
    feed: Feed<'a, A, R, I>,
    /// The batches that are not done: the number of the first item, how many are awaited, and the batch.
    batches: HashMap<usize, (usize, usize, Batch<R>)>,
    /// Items that the pool did not take.
    refused: VecDeque<(usize, Error)>,
    asked: usize,
    sender: Sender<(usize, usize)>,
    arrivals: Receiver<(usize, usize)>,
}

impl<'a, A, R, I> ImapUnordered<'a, A, R, I> {
    pub(super) fn new(pool: &'a Pool<A, R>, items: I) -> Self {
        let (sender, arrivals) = mpsc::channel();
        let feed = Feed { pool, items, is_over: false };
        Self { feed, batches: HashMap::new(), refused: VecDeque::new(), asked: 0, sender, arrivals }
    }
}

impl<A: Serialize, R: DeserializeOwned, I: Iterator<Item: Args<A>>> ImapUnordered<'_, A, R, I> {
    fn ask(&mut self) {
        while let Some((count, batch)) = self.feed.next(self.batches.len()) {
            let first = self.asked;
            self.asked += count;
            match batch {
                Ok(batch) => {
                    batch.watch(self.sender.clone(), first);
                    self.batches.insert(first, (first, count, batch));
                }
                Err(error) => self.refused.extend((first..first + count).map(|item| (item, error.clone()))),
            }
        }
    }
}

impl<A: Serialize, R: DeserializeOwned, I: Iterator<Item: Args<A>>> Iterator for ImapUnordered<'_, A, R, I> {
    type Item = (usize, Result<R>);

    fn next(&mut self) -> Option<(usize, Result<R>)> {
        self.ask();
        if let Some((item, error)) = self.refused.pop_front() {
            return Some((item, Err(error)));
        }
        if self.batches.is_empty() {
            return None;
        }
        let (number, job) = self.arrivals.recv().ok()?;
        let (first, awaited, batch) = self.batches.get_mut(&number)?;
        let (item, result) = (*first + job, batch.result(job));
        *awaited -= 1;
        if *awaited == 0 {
            self.batches.remove(&number);
        }
        Some((item, result))
    }
}

impl<A, R, I> std::fmt::Debug for Imap<'_, A, R, I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Imap").field("batches", &self.batches.len()).field("next", &self.next).finish_non_exhaustive()
    }
}

impl<A, R, I> std::fmt::Debug for ImapUnordered<'_, A, R, I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImapUnordered").field("batches", &self.batches.len()).finish_non_exhaustive()
    }
}
