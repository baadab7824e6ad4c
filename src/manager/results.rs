//! Results on their way to a client: batch by batch in the order in which they are done, and never two mixed.

use crate::manager::pending::{Job, Task};
use crate::manager::pool::Order;
use crate::manager::protocol::{Answer, Code, Refusal};
use crate::manager::registry::Entry;
use crate::manager::supervisor::Manager;

/// Results that were asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pool: u64,
    /// Batches that were not shown.
    left: Vec<u64>,
    order: Order,
    pop: bool,
    /// The batch that is being shown, and how many of its results were.
    showing: Option<(u64, usize)>,
}

impl Asked {
    pub(super) fn new(pool: u64, left: Vec<u64>, order: Order, pop: bool) -> Self {
        Self { pool, left, order, pop, showing: None }
    }
}

impl Manager {
    /// Shows what is done, as far as the client has room; what is left waits.
    pub(super) fn show_results(&mut self, at: usize, job: &mut Job, mut asked: Asked) -> Option<Task> {
        if self.clients[at].connection.is_gone() {
            return None;
        }
        while self.clients[at].connection.has_room() {
            if asked.showing.is_none() && asked.left.is_empty() {
                return None;
            }
            let Some(Entry::Pool(pool)) = self.registry.get(asked.pool) else {
                self.refuse(at, job, Refusal::new(Code::NotFound, "the pool was forgotten meanwhile"));
                return None;
            };
            let Some((number, place)) = asked.showing else {
                // Somebody else may have popped some.
                asked.left.retain(|number| pool.batches.get(*number).is_some());
                match pool.batches.first_done(&asked.left) {
                    Some(number) => self.begin_batch(at, job, &mut asked, number),
                    None if asked.left.is_empty() => return None,
                    None => return Some(Task::Results(asked)),
                }
                continue;
            };
            let result = pool.batches.get(number).and_then(|it| it.result(pool.name(), number, place, asked.order));
            match result {
                Some(result) => {
                    asked.showing = Some((number, place + 1));
                    self.clients[at].connection.send(Answer::Result(Box::new(result)));
                }
                None => {
                    asked.showing = None;
                    if let Some(pool) = self.registry.pool_mut(asked.pool).filter(|_| asked.pop) {
                        pool.batches.pop(number);
                    }
                }
            }
        }
        Some(Task::Results(asked))
    }

    fn begin_batch(&mut self, at: usize, job: &mut Job, asked: &mut Asked, number: u64) {
        let Some(pool) = self.registry.pool(asked.pool) else { return };
        let Some(batch) = pool.batches.get(number) else { return };
        asked.left.retain(|left| *left != number);
        asked.showing = Some((number, 0));
        if !batch.tally().is_good() {
            job.fail(Code::Failed.exit());
        }
        let row = batch.row(pool.name(), number, self.now);
        self.clients[at].connection.send(Answer::Batch(row));
    }
}
