//! Counting one text with several threads, which take pieces of it from one queue until there are none.

use std::io::Read;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::Error;
use crate::count::counter::wide;
use crate::count::file::{Reader, changed, window};
use crate::count::{Count, Counter, Cutter, Io, Kernel, Piece, Rules, Seams, Tally, TextFile, split};

/// How a text is counted; nothing here changes what is found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Threads that count, this one among them; None for one if the text is shorter than 1 MiB, else one for each CPU
    /// that this process may use, but no more than there are pieces.
    pub workers: Option<NonZeroUsize>,
    /// Bytes of a piece; None for 4 or 8 MiB of a file, less at its end or if that leaves a worker without any, and 256 KiB
    /// of a stream.
    pub piece: Option<NonZeroUsize>,
    /// The instructions.
    pub kernel: Kernel,
    /// How the bytes of a file get into memory.
    pub io: Io,
}

/// How far a count is, for another thread to look at, which may also stop it.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    is_stopped: AtomicBool,
}

impl Progress {
    /// Nothing is done.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes counted, by all counts that were given this.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Notes that so many more bytes were counted.
    pub fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Has workers take no more pieces. The count ends with what was counted.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// True after [`Progress::stop`].
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }
}

/// A count, and how it came about.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was counted.
    pub count: Count,
    /// Bytes of the whole text, if they are known.
    pub size: Option<u64>,
    /// True if the count was stopped before it was done.
    pub is_partial: bool,
    /// Threads that counted.
    pub workers: usize,
    /// The instructions; never [`Kernel::Auto`].
    pub kernel: Kernel,
    /// How bytes got into memory; never [`Io::Auto`].
    pub io: Io,
}

/// Below this size a text is counted by one worker unless more are asked for.
const SMALL: u64 = 1 << 20;
/// Bytes of the last pieces of a file: what a worker waits for the others in the end is no more than one of them takes.
/// No smaller than the largest page, which is mapped as a whole or piecemeal.
const LEAST: u64 = 2 << 20;
/// Bytes that are read at once: of a stream always, of a file if these are all.
pub(super) const READ: usize = 256 << 10;

/// Read by one worker at a time.
pub(super) type Stream<'a> = Mutex<(Cutter, Box<dyn Read + Send + 'a>)>;

/// What a text is made of.
pub(super) enum Data<'a> {
    Bytes(&'a [u8]),
    File(TextFile),
    Stream(Stream<'a>),
}

impl<'a> Data<'a> {
    fn hand(&self) -> Hand<'_, 'a> {
        match self {
            Self::Bytes(bytes) => Hand::Bytes(bytes),
            Self::File(file) => Hand::File(file.reader()),
            Self::Stream(stream) => Hand::Stream(stream, Vec::new()),
        }
    }
}

/// One worker's hold of the text, with the memory that it takes.
enum Hand<'f, 'a> {
    Bytes(&'a [u8]),
    File(Reader<'f>),
    Stream(&'f Stream<'a>, Vec<u8>),
}

/// A text, and the queue of its pieces.
pub(super) struct Feed<'a> {
    name: String,
    data: Data<'a>,
    size: Option<u64>,
    workers: usize,
    piece: u64,
    /// True if pieces get smaller where little is left.
    tapers: bool,
    /// Where the next piece begins.
    cursor: AtomicU64,
    /// Where the smallest invalid sequence begins, if there is one. What comes after it need not be counted.
    invalid: AtomicU64,
    /// A worker has failed.
    is_over: AtomicBool,
    seams: Mutex<Seams>,
}

impl<'a> Feed<'a> {
    pub(super) fn file(file: TextFile, options: &Options) -> Self {
        let size = file.size();
        Self::new(file.name().to_owned(), Data::File(file), Some(size), options)
    }

    pub(super) fn stream(name: &str, reader: Box<dyn Read + Send + 'a>, options: &Options) -> Self {
        Self::new(name.to_owned(), Data::Stream(Mutex::new((Cutter::new(), reader))), None, options)
    }

    pub(super) fn new(name: String, data: Data<'a>, size: Option<u64>, options: &Options) -> Self {
        let cpus = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let workers = match (options.workers, size) {
            (Some(workers), _) => workers.get(),
            (None, Some(size)) if size < SMALL => 1,
            (None, _) => cpus(),
        };
        let piece = match (options.piece, size) {
            (Some(piece), _) => piece.get() as u64,
            (None, Some(size)) => size.div_ceil(workers as u64).clamp(1, window(workers)),
            (None, None) => READ as u64,
        };
        let workers = size.map_or(workers, |size| workers.min(size.div_ceil(piece).max(1) as usize));
        let (cursor, invalid) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
        let (is_over, seams, tapers) = (AtomicBool::new(false), Mutex::default(), options.piece.is_none());
        Self { name, data, size, workers, piece, tapers, cursor, invalid, is_over, seams }
    }

    /// Counts with all workers, the calling thread among them.
    pub(super) fn count(self, rules: &Rules, options: &Options, progress: &Progress) -> Result<Outcome, Error> {
        let first = Counter::new(rules, options.kernel)?;
        let kernel = first.kernel();
        let mut tally = Tally::default();
        let workers = thread::scope(|scope| {
            let work = || self.work(Counter::new(rules, kernel)?, progress);
            // With fewer threads than were wanted the count is the same.
            let spawn = |_| thread::Builder::new().name("count".to_owned()).spawn_scoped(scope, work).ok();
            let others: Vec<_> = (1..self.workers).map_while(spawn).collect();
            let workers = 1 + others.len();
            let mut results = vec![self.work(first, progress)];
            results.extend(
                others.into_iter().map(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
            );
            for result in results {
                tally.merge(result?);
            }
            Ok::<_, Error>(workers)
        })?;
        self.outcome(tally, rules, workers, kernel, progress.is_stopped())
    }

    fn outcome(
        self,
        tally: Tally,
        rules: &Rules,
        workers: usize,
        kernel: Kernel,
        is_stopped: bool,
    ) -> Result<Outcome, Error> {
        let (size, io, file) = match self.data {
            Data::Bytes(_) => (self.size, Io::Read, None),
            Data::File(file) => (self.size, file.io(), Some(file)),
            Data::Stream(stream) => (unlocked(stream).0.size(), Io::Read, None),
        };
        file.map_or(Ok(()), |file| file.check())?;
        if let Some(invalid) = tally.invalid {
            return Err(invalid.error(&self.name, size.unwrap_or(u64::MAX)));
        }
        let is_partial = size != Some(tally.totals.bytes);
        // Characters at a cut were others for those on its left than for those on its right.
        if is_partial && !is_stopped {
            return Err(changed(&self.name));
        }
        let count = tally.finish(unlocked(self.seams), rules);
        Ok(Outcome { count, size, is_partial, workers, kernel, io })
    }

    /// What one worker does.
    fn work(&self, mut counter: Counter, progress: &Progress) -> Result<Tally, Error> {
        let mut hand = self.data.hand();
        while !progress.is_stopped() && !self.is_over.load(Ordering::Relaxed) {
            let mut seams = Seams::default();
            match self.next(&mut hand, &mut counter, &mut seams) {
                Ok(0) => break,
                Ok(bytes) => progress.done.fetch_add(bytes, Ordering::Relaxed),
                Err(error) => {
                    self.is_over.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            };
            if let Some(invalid) = counter.invalid() {
                self.invalid.fetch_min(invalid.offset, Ordering::Relaxed);
            }
            locked(&self.seams).merge(seams);
        }
        Ok(counter.finish())
    }

    /// Counts the next piece; the answer is its size, 0 when there is none.
    fn next(&self, hand: &mut Hand<'_, 'a>, counter: &mut Counter, seams: &mut Seams) -> Result<u64, Error> {
        let mut length = 0;
        let mut take = || self.take().inspect(|part| length = part.end - part.start);
        match hand {
            Hand::Bytes(bytes) => {
                if let Some(part) = take() {
                    let [from, to] = [part.start, part.end].map(|at| split::boundary(bytes, at as usize));
                    seams.add(counter.count(Piece { offset: from as u64, bytes: &bytes[from..to] }));
                }
            }
            Hand::File(reader) => take().map_or(Ok(()), |part| reader.count(part, counter, seams))?,
            Hand::Stream(stream, buffer) => length = self.next_read(stream, buffer, counter, seams)?,
        }
        Ok(length)
    }

    /// Takes a piece from the queue.
    fn take(&self) -> Option<Range<u64>> {
        let mut start = self.cursor.load(Ordering::Relaxed);
        while start <= self.invalid.load(Ordering::Relaxed) {
            let end = self.end_of(start)?;
            match self.cursor.compare_exchange_weak(start, end, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(start..end),
                Err(now) => start = now,
            }
        }
        None
    }

    /// Where a piece ends that begins at `start`; None if that is the end of the text.
    fn end_of(&self, start: u64) -> Option<u64> {
        let left = self.size.unwrap_or(0).checked_sub(start).filter(|left| *left > 0)?;
        let trial = match &self.data {
            Data::File(file) => file.trial(),
            _ => None,
        };
        let most = trial.map_or(self.piece, |trial| trial.min(self.piece));
        let least = if self.tapers { LEAST.min(most) } else { most };
        let share = left / (2 * self.workers as u64);
        Some(start + (share - share % least).clamp(least, most).min(left))
    }

    fn next_read(
        &self,
        stream: &Stream<'a>,
        buffer: &mut Vec<u8>,
        counter: &mut Counter,
        seams: &mut Seams,
    ) -> Result<u64, Error> {
        let offset = {
            let (cutter, reader) = &mut *locked(stream);
            let next = cutter.next(reader, self.piece as usize, buffer);
            let offset = next.map_err(|error| Error::os("cannot read", &self.name, error))?;
            if cutter.is_wide() {
                return Err(wide(&self.name));
            }
            offset
        };
        match offset {
            None => return Ok(0),
            Some(offset) if offset > self.invalid.load(Ordering::Relaxed) => return Ok(0),
            Some(offset) => seams.add(counter.count(Piece { offset, bytes: buffer })),
        }
        Ok(buffer.len() as u64)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn unlocked<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn feed(size: u64, workers: usize) -> Feed<'static> {
        let options = Options { workers: NonZeroUsize::new(workers), ..Options::default() };
        Feed::new("text".to_owned(), Data::Bytes(&[]), Some(size), &options)
    }

    #[test]
    fn pieces_are_the_whole_text_and_small_at_its_end() {
        for (size, workers, first, last) in [
            (1000 * MIB + 7, 1, 8 * MIB, 7),
            (1000 * MIB + 7, 2, 8 * MIB, 7),
            (1000 * MIB, 3, 4 * MIB, 2 * MIB),
            (9 * MIB, 2, 2 * MIB, MIB),
            (100, 3, 34, 32),
            (2, 9, 1, 1),
        ] {
            let feed = feed(size, workers);
            let pieces: Vec<_> = std::iter::from_fn(|| feed.take()).collect();
            assert!(pieces.is_sorted_by_key(|it| std::cmp::Reverse(it.end - it.start)), "{size} {workers}");
            assert!(pieces.windows(2).all(|two| two[0].end == two[1].start));
            let length = |piece: Option<&Range<u64>>| piece.map(|it| it.end - it.start);
            assert_eq!([length(pieces.first()), length(pieces.last())], [Some(first), Some(last)], "{size} {workers}");
            assert_eq!(pieces.last().map(|it| it.end), Some(size));
        }
        assert!(feed(0, 2).take().is_none());
    }

    #[test]
    fn nothing_is_taken_behind_what_is_invalid() {
        let feed = feed(100 * MIB, 2);
        feed.invalid.store(8 * MIB, Ordering::Relaxed);
        assert_eq!([feed.take(), feed.take(), feed.take()], [Some(0..8 * MIB), Some(8 * MIB..16 * MIB), None]);
    }
}
