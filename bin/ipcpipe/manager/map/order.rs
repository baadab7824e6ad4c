//! From the order in which jobs are done to the order in which they are printed.

use std::collections::{BTreeMap, VecDeque};

use ipcpipe::jobs::{Outcome, Output};

use crate::manager::grammar::Order;

/// Bytes of output in memory that may wait for their turn, and outcomes with a file, and outcomes at all. When one of them is
/// reached, no more jobs are started until the job that all wait for is done.
const MOST_BYTES: usize = 64 << 20;
const MOST_FILES: usize = 64;
const MOST: usize = 1 << 16;

/// Outcomes that wait for their turn.
#[derive(Debug)]
pub(super) struct Sequence {
    order: Order,
    /// Jobs that were started, in their order.
    started: VecDeque<u64>,
    waiting: BTreeMap<u64, Outcome>,
    bytes: usize,
    files: usize,
}

impl Sequence {
    pub(super) fn new(order: Order) -> Self {
        Self { order, started: VecDeque::new(), waiting: BTreeMap::new(), bytes: 0, files: 0 }
    }

    /// Job `seq` will have an outcome.
    pub(super) fn expect(&mut self, seq: u64) {
        if self.order == Order::Input {
            self.started.push_back(seq);
        }
    }

    /// Takes an outcome, and gives those whose turn it is.
    pub(super) fn pass(&mut self, outcome: Outcome) -> Vec<Outcome> {
        if self.order == Order::Done {
            return vec![outcome];
        }
        self.bytes += in_memory(&outcome);
        self.files += usize::from(has_file(&outcome));
        self.waiting.insert(outcome.job.seq, outcome);
        let mut turn = Vec::new();
        while let Some(outcome) = self.started.front().and_then(|seq| self.waiting.remove(seq)) {
            self.started.pop_front();
            self.bytes -= in_memory(&outcome);
            self.files -= usize::from(has_file(&outcome));
            turn.push(outcome);
        }
        turn
    }

    /// True if so much waits that nothing more should be started.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= MOST_BYTES || self.files >= MOST_FILES || self.waiting.len() >= MOST
    }
}

fn outputs(outcome: &Outcome) -> [&Output; 2] {
    [&outcome.stdout, &outcome.stderr]
}

fn in_memory(outcome: &Outcome) -> usize {
    outputs(outcome).iter().map(|output| output.in_memory()).sum()
}

fn has_file(outcome: &Outcome) -> bool {
    outputs(outcome).iter().any(|output| output.len() > output.in_memory() as u64)
}
