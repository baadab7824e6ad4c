//! How often each code point occurred: a flat table, of which only the pages that are used take memory.

/// Code points in a plane of Unicode; nearly all texts have those of the first alone.
const PLANE: usize = 1 << 16;
const ALL: usize = 0x11_0000;

/// How often each code point occurred.
///
/// A counter has 32 bits, which halves what a text of many code points takes of the cache. Who adds drains the table
/// before one can overflow: see [`Points::is_due`].
#[derive(Debug)]
pub(in crate::count) struct Points {
    counts: Box<[u32; ALL]>,
    /// Which planes hold anything: to look at all 4.25 MiB for the few of a short text takes longer than to count it.
    touched: [bool; ALL / PLANE],
    /// At most so many code points were added since the last drain.
    pending: u32,
    /// Those of the last block, which wait to be counted: see [`Points::waiting`].
    #[cfg(target_arch = "x86_64")]
    pub(super) found: Found,
}

/// The code points of a block beyond ASCII, which are counted when all of it is known to be text, and best while the next
/// block is looked at.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Those of two and of three bytes, as many as `count` says; behind them is room for whole vectors.
    pub(super) short: Vec<u16>,
    pub(super) count: usize,
    /// Those of four bytes.
    pub(super) long: Vec<u32>,
}

#[cfg(target_arch = "x86_64")]
impl Found {
    /// Forgets all, and has room for what so many bytes yield at most, if they are no text.
    pub(super) fn empty_for(&mut self, bytes: usize) {
        self.short.resize(self.short.len().max(bytes + 64), 0);
        self.count = 0;
        self.long.clear();
    }

    /// Adds the code points of four bytes that begin at the bits of `leads`; false if there are others.
    #[cold]
    pub(super) fn add_long(&mut self, window: &[u8], leads: u64) -> bool {
        let before = self.long.len();
        self.long.extend(long_points(window, leads));
        self.long[before..].iter().all(|point| (0x1_0000..=0x10_ffff).contains(point))
    }
}

/// What the four bytes that begin at each of the bits of `leads` stand for.
#[cfg(target_arch = "x86_64")]
fn long_points(window: &[u8], mut leads: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let at = (leads != 0).then(|| leads.trailing_zeros() as usize)?;
        leads &= leads - 1;
        let sixes = window[at + 1..][..3].iter().map(|byte| u32::from(byte & 0x3f));
        Some(sixes.fold(u32::from(window[at] & 0x0f), |point, six| point << 6 | six))
    })
}

impl Points {
    pub(in crate::count) fn new() -> Self {
        // From the heap and never on the stack, where a debug build would put a boxed array first.
        let counts = vec![0; ALL].into_boxed_slice().try_into().expect("the length is right");
        Self {
            counts,
            touched: [false; ALL / PLANE],
            pending: 0,
            #[cfg(target_arch = "x86_64")]
            found: Found::default(),
        }
    }

    /// Counts `point` once.
    ///
    /// # Panics
    /// When it is no code point.
    #[inline(always)]
    pub(in crate::count) fn add(&mut self, point: u32) {
        let counter = &mut self.counts[point as usize];
        *counter = counter.wrapping_add(1);
        self.touched[point as usize / PLANE] = true;
    }

    /// What was found and is not counted yet, to be counted in so many steps.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn waiting(&mut self, steps: usize) -> Waiting<'_> {
        let count = std::mem::take(&mut self.found.count);
        self.touched[0] |= count > 0;
        let (eights, rest) = self.found.short[..count].as_chunks();
        let each = eights.len().div_ceil(steps.max(1));
        Waiting { eights: eights.iter(), rest, each, counts: &mut self.counts }
    }

    /// Counts each of `points` once.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn add_all(&mut self, points: &[u16]) {
        add_all(&mut self.counts, points);
        self.touched[0] |= !points.is_empty();
    }

    /// Counts the code points of four bytes that begin at the bits of `leads`.
    #[cfg(target_arch = "x86_64")]
    #[cold]
    pub(super) fn add_four(&mut self, window: &[u8], leads: u64) {
        long_points(window, leads).for_each(|point| self.add(point));
    }

    /// Says that up to `points` code points will be added; true if the table has to be drained before that.
    pub(in crate::count) fn is_due(&mut self, points: usize) -> bool {
        match u32::try_from(points).ok().and_then(|points| self.pending.checked_add(points)) {
            Some(pending) => {
                self.pending = pending;
                false
            }
            None => {
                self.pending = u32::try_from(points).expect("a block is small");
                true
            }
        }
    }

    /// Counts what waits, and empties the table into `each`: code points that occurred, in their order, and how often.
    pub(in crate::count) fn drain(&mut self, mut each: impl FnMut(char, u64)) {
        #[cfg(target_arch = "x86_64")]
        self.waiting(1).finish();
        let touched = self.touched.iter_mut().enumerate().filter(|(_, touched)| **touched);
        for (plane, touched) in touched {
            *touched = false;
            let first = plane * PLANE;
            for (point, count) in (first as u32..).zip(&mut self.counts[first..first + PLANE]) {
                if *count > 0 {
                    each(char::from_u32(point).expect("a scalar value"), std::mem::take(count).into());
                }
            }
        }
    }
}

/// Code points that wait to be counted. Each takes a load and a store, so some are counted between instructions that do
/// neither.
#[cfg(target_arch = "x86_64")]
pub(super) struct Waiting<'a> {
    eights: std::slice::Iter<'a, [u16; 8]>,
    rest: &'a [u16],
    /// How many times eight a step counts.
    each: usize,
    counts: &'a mut [u32; ALL],
}

#[cfg(target_arch = "x86_64")]
impl Waiting<'_> {
    /// True if no step has anything to count.
    pub(super) fn is_idle(&self) -> bool {
        self.each == 0
    }

    /// Counts the share of a step.
    #[inline(always)]
    pub(super) fn step(&mut self) {
        for eight in self.eights.by_ref().take(self.each) {
            add_all(self.counts, eight);
        }
    }

    /// Counts all that are left.
    pub(super) fn finish(self) {
        for eight in self.eights {
            add_all(self.counts, eight);
        }
        add_all(self.counts, self.rest);
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn add_all(counts: &mut [u32; ALL], points: &[u16]) {
    for &point in points {
        let counter = &mut counts[usize::from(point)];
        *counter = counter.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_drained_once_and_in_order() {
        let mut points = Points::new();
        for point in [0x10_ffff, 0xe9, 0xe9, 0x4e00] {
            points.add(point);
        }
        let mut seen = Vec::new();
        points.drain(|c, count| seen.push((c, count)));
        assert_eq!(seen, [('é', 2), ('一', 1), (char::MAX, 1)]);
        points.drain(|c, _| panic!("{c} is still there"));
    }

    #[test]
    fn a_drain_is_due_before_a_counter_can_overflow() {
        let mut points = Points::new();
        assert!(!points.is_due(u32::MAX as usize - 7));
        assert!(!points.is_due(7));
        assert!(points.is_due(1));
        assert!(!points.is_due(1000));
    }
}
