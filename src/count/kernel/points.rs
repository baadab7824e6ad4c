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
}

impl Points {
    pub(in crate::count) fn new() -> Self {
        // From the heap and never on the stack, where a debug build would put a boxed array first.
        let counts = vec![0; ALL].into_boxed_slice().try_into().expect("the length is right");
        Self { counts, touched: [false; ALL / PLANE], pending: 0 }
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

    /// Counts each of `points` once.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn add_all(&mut self, points: &[u16]) {
        for &point in points {
            let counter = &mut self.counts[usize::from(point)];
            *counter = counter.wrapping_add(1);
        }
        self.touched[0] |= !points.is_empty();
    }

    /// Counts the code points of four bytes that begin at the bits of `leads`.
    #[cfg(target_arch = "x86_64")]
    #[cold]
    pub(super) fn add_four(&mut self, window: &[u8], mut leads: u64) {
        while leads != 0 {
            let at = leads.trailing_zeros() as usize;
            let sixes = window[at + 1..][..3].iter().map(|byte| u32::from(byte & 0x3f));
            self.add(sixes.fold(u32::from(window[at] & 7), |point, six| point << 6 | six));
            leads &= leads - 1;
        }
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

    /// Empties the table into `each`: code points that occurred, in their order, and how often.
    pub(in crate::count) fn drain(&mut self, mut each: impl FnMut(char, u64)) {
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
