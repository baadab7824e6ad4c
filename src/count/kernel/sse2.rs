//! 16 bytes at a time, with the instructions that every x86-64 processor has.
//!
//! How letters are counted: two bytes at a time lead to a row of a table, which has a counter of four bits for each letter:
//! 1 for each of the two, 2 if they are the same. Seven rows are added in a register before a counter can overflow, then
//! their lower and upper halves are added up as bytes. Counters in memory, one addition for each pair of bytes, take a
//! quarter longer: a processor stores about once a cycle, but loads twice.

use std::arch::x86_64::*;

use crate::count::kernel::{Histogram, ahead};

/// What a byte is to the table: 0 for those before the letters in either case, 1 to 26 for the letters, and for all others:
const OTHER: u8 = 27;
/// The next power of two, which spreads the rows evenly over the sets of the first-level cache.
const CODES: usize = 32;

/// A counter for each letter: those of A to P are the lower halves of the bytes, the others the upper halves.
type Row = [u8; 16];

/// The row of each pair of codes.
#[repr(align(64))]
struct Table([[Row; CODES]; CODES]);

static TABLE: Table = {
    let mut rows = [[[0; 16]; CODES]; CODES];
    let mut pair = 0;
    while pair < CODES * CODES {
        let codes = [pair / CODES, pair % CODES];
        let row = &mut rows[codes[0]][codes[1]];
        let mut which = 0;
        while which < 2 {
            if codes[which] > 0 && codes[which] < OTHER as usize {
                let letter = codes[which] - 1;
                row[letter % 16] += 1 << (letter / 16 * 4);
            }
            which += 1;
        }
        pair += 1;
    }
    Table(rows)
};

/// Rows that can be added before a counter of four bits overflows.
const GROUP: usize = 7;
/// Bytes of a step, which is 16 groups: sums of so many halves fit a byte.
const STEP: usize = 16 * 2 * GROUP;
/// Steps whose rows are looked for before they are added, so that their places are read from memory, two at once: one by
/// one out of a vector they would take longer. Newlines in so many bytes, 16 columns of them, fit a byte as well.
const STEPS: usize = 16;
const _: () = assert!(16 * 2 * GROUP <= 255 && STEPS * STEP / 16 <= 255);

/// As [`super::scalar::histogram`], but a small letter is counted as its capital, and nothing but letters and newlines is.
#[target_feature(enable = "sse2")]
pub(super) fn histogram(block: &[u8], histogram: &mut Histogram) -> bool {
    let mut is_ascii = true;
    // Sums of a part fit 16 bits.
    for part in block.chunks(1 << 15) {
        is_ascii &= add(part, histogram);
    }
    is_ascii
}

#[target_feature(enable = "sse2")]
fn add(part: &[u8], histogram: &mut Histogram) -> bool {
    let zero = _mm_setzero_si128();
    let mut sums = Sums { letters: [zero; 4], newlines: zero, seen: zero };
    let mut places = Places([0; STEPS * STEP / 4]);
    let (steps, rest) = part.as_chunks();
    for steps in steps.chunks(STEPS) {
        sums.add(steps, &mut places);
    }
    if !rest.is_empty() {
        let mut last = [0; STEP];
        last[..rest.len()].copy_from_slice(rest);
        sums.add(&[last], &mut places);
    }
    let mut letters = [0_u16; 32];
    for (counts, sums) in letters.as_chunks_mut::<8>().0.iter_mut().zip(sums.letters) {
        store(counts, sums);
    }
    for (letter, count) in (b'A'..=b'Z').zip(letters) {
        histogram.counts[usize::from(letter)] += u64::from(count);
    }
    let mut newlines = [0_u16; 8];
    store(&mut newlines, sums.newlines);
    histogram.counts[usize::from(b'\n')] += u64::from(newlines[0]) + u64::from(newlines[4]);
    _mm_movemask_epi8(sums.seen) == 0
}

/// Where the rows for some steps are, two in a number; aligned, so that no vector of them lies in two cache lines.
#[repr(align(64))]
struct Places([u32; STEPS * STEP / 4]);

/// What was found in the steps so far.
struct Sums {
    /// 16 bits for each letter, in their order.
    letters: [__m128i; 4],
    /// Two sums, in the lowest 16 bits of each half.
    newlines: __m128i,
    /// All bits that are set in any byte.
    seen: __m128i,
}

impl Sums {
    /// Adds up to [`STEPS`] steps. Where their rows are is put into `places` first.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn add(&mut self, steps: &[[u8; STEP]], Places(places): &mut Places) {
        self.find(steps.as_flattened(), places);
        for places in places[..steps.len() * STEP / 4].as_chunks().0 {
            // SAFETY: these are the places that were found just now.
            unsafe { self.add_rows(places) };
        }
    }

    /// The place of the row for a byte of one vector and that of the next: half as many bytes from the first row as it is,
    /// which fits 16 bits.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn find(&mut self, bytes: &[u8], places: &mut [u32]) {
        let zero = _mm_setzero_si128();
        let newline = _mm_set1_epi8(b'\n'.cast_signed());
        let mut newlines = zero;
        for (pair, places) in bytes.as_chunks::<32>().0.iter().zip(places.as_chunks_mut::<8>().0) {
            ahead(pair);
            let [first, second] = [0, 16].map(|at| load(pair, at));
            self.seen = _mm_or_si128(self.seen, _mm_or_si128(first, second));
            newlines = _mm_sub_epi8(newlines, _mm_cmpeq_epi8(first, newline));
            newlines = _mm_sub_epi8(newlines, _mm_cmpeq_epi8(second, newline));
            let (first, second) = (_mm_slli_epi16::<3>(codes(first)), codes(second));
            let [low, high] = places.as_chunks_mut::<4>().0 else { unreachable!() };
            store(low, _mm_unpacklo_epi8(first, second));
            store(high, _mm_unpackhi_epi8(first, second));
        }
        self.newlines = _mm_add_epi64(self.newlines, _mm_sad_epu8(newlines, zero));
    }

    /// Adds the rows of a step.
    ///
    /// # Safety
    /// [`Sums::find`] has found all of `places`.
    #[inline]
    #[target_feature(enable = "sse2")]
    unsafe fn add_rows(&mut self, places: &[u32; STEP / 4]) {
        let zero = _mm_setzero_si128();
        let (mut lower, mut upper) = (zero, zero);
        for places in places.as_chunks::<GROUP>().0 {
            for group in 0..2 {
                let place = |at: usize| (places[at / 2] >> (at % 2 * 16)) as u16;
                // SAFETY: each half of a number is a place that was found.
                let row = |at: usize| unsafe { row(place(at)) };
                let at = group * GROUP;
                let sum = (at + 1..at + GROUP).fold(row(at), |sum, at| _mm_add_epi8(sum, row(at)));
                lower = _mm_add_epi8(lower, _mm_and_si128(sum, _mm_set1_epi8(0x0f)));
                // The lower half of every other byte comes along, and is taken away again in the end.
                upper = _mm_add_epi16(upper, _mm_srli_epi16::<4>(sum));
            }
        }
        let upper = _mm_sub_epi16(upper, _mm_slli_epi16::<4>(_mm_srli_epi16::<8>(lower)));
        let counts = [
            _mm_unpacklo_epi8(lower, zero),
            _mm_unpackhi_epi8(lower, zero),
            _mm_unpacklo_epi8(upper, zero),
            _mm_unpackhi_epi8(upper, zero),
        ];
        for (letters, counts) in self.letters.iter_mut().zip(counts) {
            *letters = _mm_add_epi16(*letters, counts);
        }
    }
}

/// What each byte is to the table.
#[inline]
#[target_feature(enable = "sse2")]
fn codes(bytes: __m128i) -> __m128i {
    let small = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    let letters = _mm_sub_epi8(small, _mm_set1_epi8(b'`'.cast_signed()));
    _mm_min_epu8(letters, _mm_set1_epi8(OTHER.cast_signed()))
}

/// The row at `place`.
///
/// # Safety
/// [`Sums::find`] has found it.
#[inline]
#[target_feature(enable = "sse2")]
unsafe fn row(place: u16) -> __m128i {
    let at = usize::from(place) * 2;
    debug_assert!(at.is_multiple_of(16) && at < size_of::<Table>());
    // SAFETY: codes are at most OTHER, so the 16 bytes are a row of the table, which is aligned.
    unsafe { _mm_load_si128((&raw const TABLE.0).wrapping_byte_add(at).cast()) }
}

/// The 16 bytes of `bytes` from `at`.
#[inline]
#[target_feature(enable = "sse2")]
fn load<const N: usize>(bytes: &[u8; N], at: usize) -> __m128i {
    let bytes: &[u8; 16] = bytes[at..].first_chunk().expect("16 bytes");
    // SAFETY: 16 bytes are read, which is what the reference is to; no alignment is asked for.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// Writes all 16 bytes of `numbers` to `place`.
#[inline]
#[target_feature(enable = "sse2")]
fn store<T, const N: usize>(place: &mut [T; N], numbers: __m128i) {
    const { assert!(size_of::<[T; N]>() == 16) }
    // SAFETY: 16 bytes are written, which is what the reference is to; no alignment is asked for.
    unsafe { _mm_storeu_si128(place.as_mut_ptr().cast(), numbers) }
}
