//! The batches of a pool and what came of their jobs. Pure: nothing here knows who works.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Instant;

use crate::manager::protocol::{BatchRow, BatchState, JobEnd, JobResult, Reason};
use crate::manager::word::Word;

/// The order in which the results of a batch are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// That of the jobs.
    #[default]
    Input,
    /// Who was done first comes first.
    Done,
}

/// The most jobs of a pool that are pending or whose results are kept: a bound for the memory of the manager.
pub(crate) const MOST_JOBS: usize = 1_000_000;

/// Bytes of results that a pool keeps. What comes after them is counted and dropped.
const MOST_BYTES: u64 = 256 << 20;

/// All batches of one pool that were not popped.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    next: u64,
    all: BTreeMap<u64, Batch>,
    /// How many have finished so far, for their order.
    finished: u64,
    jobs: usize,
    pending: usize,
    /// Bytes of results that are kept.
    bytes: u64,
}

/// Jobs that were submitted together.
#[derive(Debug)]
pub(crate) struct Batch {
    jobs: Vec<Job>,
    /// The places of the jobs in the order in which they were done.
    order: Vec<usize>,
    failed: u64,
    cancelled: u64,
    single: bool,
    bytes: u64,
    /// The client that has more jobs for it.
    open_by: Option<u64>,
    submitted: Instant,
    /// Which of all batches it was to finish, and when.
    finished: Option<(u64, Instant)>,
}

/// What came of jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Those that are done, well or not.
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) cancelled: u64,
}

impl Tally {
    /// True if each did what it was to do.
    pub(crate) fn is_good(self) -> bool {
        self.failed + self.cancelled == 0
    }

    /// What stands behind the number of jobs: `, 1 failed, 2 cancelled`, or nothing.
    pub(crate) fn remark(self) -> String {
        let clauses = [(self.failed, "failed"), (self.cancelled, "cancelled")];
        clauses.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!(", {number} {what}")).collect()
    }
}

#[derive(Debug)]
struct Job {
    arg: OsString,
    end: Option<Box<JobEnd>>,
}

impl Batches {
    /// Begins a batch without jobs, and answers its number.
    pub(crate) fn begin(&mut self, single: bool, now: Instant) -> u64 {
        let number = self.next;
        self.next += 1;
        let (jobs, order) = (Vec::new(), Vec::new());
        let batch = Batch {
            jobs,
            order,
            failed: 0,
            cancelled: 0,
            single,
            bytes: 0,
            open_by: None,
            submitted: now,
            finished: None,
        };
        self.all.insert(number, batch);
        number
    }

    /// Adds jobs to a batch, which is left open for more of `open_by`; answers the place of the first.
    pub(crate) fn add(&mut self, number: u64, args: Vec<OsString>, open_by: Option<u64>) -> usize {
        let Some(batch) = self.all.get_mut(&number) else { return 0 };
        let first = batch.jobs.len();
        self.jobs += args.len();
        self.pending += args.len();
        batch.jobs.extend(args.into_iter().map(|arg| Job { arg, end: None }));
        batch.open_by = open_by;
        batch.finished = None;
        first
    }

    /// True if so many more jobs would be too many.
    pub(crate) fn is_full(&self, more: usize) -> bool {
        self.jobs + more > MOST_JOBS
    }

    /// True if `client` has more jobs for this batch.
    pub(crate) fn is_open_for(&self, number: u64, client: u64) -> bool {
        self.all.get(&number).is_some_and(|batch| batch.open_by == Some(client))
    }

    /// Notes the end of a job; answers true if it is the last of its batch.
    pub(crate) fn end(&mut self, number: u64, job: usize, mut end: JobEnd, now: Instant) -> bool {
        let Some(batch) = self.all.get_mut(&number) else { return false };
        let Some(slot) = batch.jobs.get_mut(job).filter(|slot| slot.end.is_none()) else { return false };
        self.pending -= 1;
        let bytes = size(&end.value) + size(&end.stderr);
        if self.bytes + bytes > MOST_BYTES {
            end = JobEnd { value: None, stderr: None, dropped: end.dropped + bytes, ..end };
        } else {
            self.bytes += bytes;
            batch.bytes += bytes;
        }
        let is_cancelled = end.reason == Some(Reason::Cancelled);
        batch.cancelled += u64::from(is_cancelled);
        batch.failed += u64::from(!end.ok && !is_cancelled);
        slot.end = Some(Box::new(end));
        batch.order.push(job);
        self.close_if_done(number, now)
    }

    /// Closes the batches that are open for nobody of `clients`; answers those that are done by that.
    pub(crate) fn seal(&mut self, clients: &[u64], now: Instant) -> Vec<u64> {
        let is_orphan = |batch: &Batch| batch.open_by.is_some_and(|client| !clients.contains(&client));
        let orphans: Vec<u64> = self.all.iter().filter(|(_, it)| is_orphan(it)).map(|(number, _)| *number).collect();
        orphans.into_iter().filter(|&number| self.close(number, now)).collect()
    }

    /// Says that no more jobs come; true if the batch is done by that.
    pub(crate) fn close(&mut self, number: u64, now: Instant) -> bool {
        if let Some(batch) = self.all.get_mut(&number) {
            batch.open_by = None;
        }
        self.close_if_done(number, now)
    }

    fn close_if_done(&mut self, number: u64, now: Instant) -> bool {
        let Some(batch) = self.all.get_mut(&number) else { return false };
        let is_done = batch.open_by.is_none() && batch.order.len() == batch.jobs.len();
        if is_done && batch.finished.is_none() {
            batch.finished = Some((self.finished, now));
            self.finished += 1;
            return true;
        }
        false
    }

    /// Forgets a batch that is done.
    pub(crate) fn pop(&mut self, number: u64) {
        if self.all.get(&number).is_some_and(Batch::is_done)
            && let Some(batch) = self.all.remove(&number)
        {
            self.jobs -= batch.jobs.len();
            self.bytes -= batch.bytes;
        }
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Batch> {
        self.all.get(&number)
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.all.keys().copied().collect()
    }

    /// The batches that are not done.
    pub(crate) fn unfinished(&self) -> Vec<u64> {
        self.all.iter().filter(|(_, batch)| !batch.is_done()).map(|(number, _)| *number).collect()
    }

    /// The one of `numbers` that was done first.
    pub(crate) fn first_done(&self, numbers: &[u64]) -> Option<u64> {
        let done = numbers.iter().filter_map(|number| Some((self.all.get(number)?.finished?.0, *number)));
        done.min().map(|(_, number)| number)
    }

    /// Every job that is not done, by batch and place.
    pub(crate) fn pending_jobs(&self) -> Vec<(u64, usize)> {
        let of = |(number, batch): (&u64, &Batch)| {
            let number = *number;
            let jobs = batch.jobs.iter().enumerate().filter(|(_, job)| job.end.is_none());
            jobs.map(|(place, _)| (number, place)).collect::<Vec<_>>()
        };
        self.all.iter().flat_map(of).collect()
    }

    /// Jobs that are not done.
    pub(crate) fn pending(&self) -> u64 {
        self.pending as u64
    }

    /// True if there is something to wait for: a job, or more of a batch.
    pub(crate) fn is_busy(&self) -> bool {
        self.pending > 0 || self.all.values().any(|batch| batch.open_by.is_some())
    }

    /// What came of all jobs that are kept.
    pub(crate) fn tally(&self) -> Tally {
        self.all.values().map(Batch::tally).fold(Tally::default(), |sum, it| Tally {
            done: sum.done + it.done,
            failed: sum.failed + it.failed,
            cancelled: sum.cancelled + it.cancelled,
        })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

impl Batch {
    /// True if all its jobs are done and no more come.
    pub(crate) fn is_done(&self) -> bool {
        self.finished.is_some()
    }

    /// How many jobs it has.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// What came of its jobs.
    pub(crate) fn tally(&self) -> Tally {
        Tally { done: self.order.len() as u64, failed: self.failed, cancelled: self.cancelled }
    }

    /// The result that comes at `place` in `order`.
    pub(crate) fn result(&self, pool: &str, batch: u64, place: usize, order: Order) -> Option<JobResult> {
        let job = match order {
            Order::Input => place,
            Order::Done => *self.order.get(place)?,
        };
        let Job { arg, end } = self.jobs.get(job)?;
        let end = end.as_deref()?.clone();
        Some(JobResult { pool: pool.to_owned(), batch, job: job as u64, arg: arg.as_os_str().into(), end })
    }

    /// The row of this batch.
    pub(crate) fn row(&self, pool: &str, batch: u64, now: Instant) -> BatchRow {
        let until = self.finished.map_or(now, |(_, at)| at);
        BatchRow {
            pool: pool.to_owned(),
            batch,
            state: if self.is_done() { BatchState::Done } else { BatchState::Pending },
            jobs: self.jobs.len() as u64,
            done: self.order.len() as u64,
            failed: self.failed,
            cancelled: self.cancelled,
            single: self.single,
            age_s: until.saturating_duration_since(self.submitted).as_secs_f64(),
        }
    }
}

fn size(output: &Option<Word>) -> u64 {
    match output {
        None => 0,
        Some(Word::Text(text)) => text.len() as u64,
        Some(Word::Bytes(bytes)) => bytes.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(number: usize) -> Vec<OsString> {
        (0..number).map(|it| it.to_string().into()).collect()
    }

    fn good() -> JobEnd {
        JobEnd { ok: true, ..JobEnd::default() }
    }

    #[test]
    fn batches_are_told_in_the_order_in_which_they_were_done() {
        let now = Instant::now();
        let mut batches = Batches::default();
        let numbers = [0, 1].map(|_| batches.begin(false, now));
        for number in numbers {
            batches.add(number, args(2), None);
        }
        assert!(!batches.end(0, 0, good(), now) && !batches.end(1, 1, good(), now));
        assert_eq!(batches.first_done(&numbers), None);
        assert!(batches.end(1, 0, JobEnd::default(), now));
        assert!(!batches.end(1, 0, good(), now), "only the first end counts");
        assert!(batches.end(0, 1, good(), now));
        assert_eq!((batches.first_done(&numbers), batches.first_done(&[0])), (Some(1), Some(0)));
        let batch = batches.get(1).unwrap();
        let jobs = |order| [0, 1].map(|place| batch.result("p", 1, place, order).unwrap().job);
        assert_eq!((jobs(Order::Input), jobs(Order::Done)), ([0, 1], [1, 0]));
        assert_eq!(batch.tally(), Tally { done: 2, failed: 1, cancelled: 0 });
        batches.pop(1);
        let left = Tally { done: 2, ..Tally::default() };
        assert_eq!((batches.first_done(&numbers), batches.tally(), batches.pending()), (Some(0), left, 0));
    }

    #[test]
    fn a_cancelled_job_is_no_failed_one() {
        let now = Instant::now();
        let mut batches = Batches::default();
        let number = batches.begin(false, now);
        batches.add(number, args(4), None);
        let bad = |reason| JobEnd { reason: Some(reason), ..JobEnd::default() };
        let ends = [good(), bad(Reason::Cancelled), bad(Reason::Error), bad(Reason::Cancelled)];
        for (job, end) in ends.into_iter().enumerate() {
            batches.end(number, job, end, now);
        }
        let tally = batches.tally();
        assert_eq!(tally, Tally { done: 4, failed: 1, cancelled: 2 });
        assert_eq!((tally.remark().as_str(), tally.is_good()), (", 1 failed, 2 cancelled", false));
        assert!(Tally { done: 1, ..Tally::default() }.is_good() && Tally::default().remark().is_empty());
    }

    #[test]
    fn results_that_are_too_much_are_counted_and_dropped() {
        let now = Instant::now();
        let mut batches = Batches::default();
        let number = batches.begin(false, now);
        batches.add(number, args(300), None);
        let mebibyte = || JobEnd { ok: true, value: Some(Word::Text("x".repeat(1 << 20))), ..JobEnd::default() };
        for job in 0..300 {
            batches.end(number, job, mebibyte(), now);
        }
        let end = |job| batches.get(number).unwrap().result("p", number, job, Order::Input).unwrap().end;
        assert_eq!((end(255).dropped, end(256).dropped, end(256).value), (0, 1 << 20, None));
        batches.pop(number);
        assert_eq!((batches.bytes, batches.jobs), (0, 0));
    }

    #[test]
    fn a_batch_is_open_as_long_as_its_client_has_more() {
        let now = Instant::now();
        let mut batches = Batches::default();
        let number = batches.begin(false, now);
        assert_eq!(batches.add(number, args(1), Some(7)), 0);
        assert!(!batches.end(number, 0, good(), now) && batches.is_busy() && batches.is_open_for(number, 7));
        assert_eq!(batches.add(number, args(1), Some(7)), 1);
        assert!(batches.seal(&[7], now).is_empty());
        assert_eq!((batches.seal(&[8], now), batches.pending_jobs()), (vec![], vec![(number, 1)]));
        assert!(batches.end(number, 1, good(), now) && !batches.is_busy());
        let empty = batches.begin(false, now);
        assert!(batches.close(empty, now) && batches.get(empty).unwrap().is_done());
    }
}
