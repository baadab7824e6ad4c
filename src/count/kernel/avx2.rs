//! 32 bytes at a time.
//!
//! How letters are counted: a shuffle by the lower half of a byte turns each letter into one bit of eight, one bit a
//! letter; four shuffles are enough for 32 characters. Bits at one place are then added as a column of a sum on paper,
//! sixteen vectors at a time: ones, twos, fours and eights go on, and of what is carried to the sixteens fifteen wait to
//! be added up in the same way. (Klarqvist, Muła, Lemire, "Efficient Computation of Positional Population Counts Using
//! SIMD Instructions")

use std::arch::x86_64::*;

use crate::count::Case;
use crate::count::kernel::{Histogram, PAD, Points, Words, ahead, padded};

/// True if the processor has all that the functions of this file need.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt")
}

/// Which letters are meant: 16 characters from `first` on are the first row, the next 16 the second.
struct Rows {
    first: u8,
    /// The bits of a byte that are looked at.
    keep: u8,
}

/// Without the bit that makes a letter small.
const BOTH: Rows = Rows { first: b'@', keep: !0x20 };
const CAPITAL: Rows = Rows { first: b'@', keep: !0 };
const SMALL: Rows = Rows { first: b'`', keep: !0 };

/// One bit for each lower half of a byte below 8, and from 8 on.
static LOWER: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0];
static UPPER: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128];

/// As [`super::scalar::histogram`].
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn histogram(block: &[u8], case: Case, histogram: &mut Histogram) -> bool {
    match case {
        Case::Upper => add(block, &BOTH, histogram),
        Case::Keep => {
            add(block, &SMALL, histogram);
            let newlines = std::mem::take(&mut histogram.counts[usize::from(b'\n')]);
            let is_ascii = add(block, &CAPITAL, histogram);
            histogram.counts[usize::from(b'\n')] = newlines;
            is_ascii
        }
    }
}

/// Vectors that are added up together.
const STRIP: usize = 16;
/// Strips that are added up together: their sums have to fit 8 bits.
const STRIPS: usize = 15;

#[target_feature(enable = "avx2")]
fn add(block: &[u8], rows: &Rows, histogram: &mut Histogram) -> bool {
    let zero = _mm256_setzero_si256();
    let mut sums = Sums { letters: [[zero; 8]; 4], newlines: zero, seen: zero };
    let (strips, rest) = block.as_chunks();
    for strips in strips.chunks(STRIPS) {
        sums.add(strips, rows);
    }
    if !rest.is_empty() {
        let mut last = [0; 32 * STRIP];
        last[..rest.len()].copy_from_slice(rest);
        sums.add(&[last], rows);
    }
    for (letter, sum) in (rows.first..).zip(sums.letters.as_flattened()) {
        // The rows hold a few characters that are no letters.
        if letter.is_ascii_alphabetic() {
            histogram.counts[usize::from(letter)] += across(*sum);
        }
    }
    histogram.counts[usize::from(b'\n')] += across(sums.newlines);
    _mm256_movemask_epi8(sums.seen) == 0
}

/// What was found in the strips so far.
struct Sums {
    /// Of four groups of 8 letters.
    letters: [[__m256i; 8]; 4],
    newlines: __m256i,
    /// All bits that are set in any byte.
    seen: __m256i,
}

impl Sums {
    /// Adds up to [`STRIPS`] strips.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn add(&mut self, strips: &[[u8; 32 * STRIP]], rows: &Rows) {
        let zero = _mm256_setzero_si256();
        let (lower, upper) = (twice(LOWER), twice(UPPER));
        let (mut newlines, mut low, mut sixteens) = (zero, [[zero; 4]; 4], [[zero; STRIP]; 4]);
        // Here, because to clear it for each strip takes a sixth of all the time.
        let mut places = [[zero; STRIP]; 2];
        for (number, strip) in strips.iter().enumerate() {
            self.split(strip, rows, &mut newlines, &mut places);
            for row in 0..2 {
                let letters = |bits, at: usize| _mm256_shuffle_epi8(bits, places[row][at]);
                let two = |at| [letters(lower, at), letters(upper, at)];
                let [one, other] = &mut low[2 * row..][..2] else { unreachable!() };
                [sixteens[2 * row][number], sixteens[2 * row + 1][number]] = add_up([one, other], two);
            }
        }
        for row in 0..2 {
            let mut high = [[zero; 4]; 2];
            let [one, other] = &mut high;
            add_up([one, other], |at| [sixteens[2 * row][at], sixteens[2 * row + 1][at]]);
            for (group, [sixteens, more @ ..]) in (2 * row..).zip(high) {
                let [ones, twos, fours, eights] = low[group];
                let [a, b, c] = more;
                let counts = transposed([ones, twos, fours, eights, sixteens, a, b, c]);
                for (sum, counts) in self.letters[group].iter_mut().zip(counts) {
                    *sum = _mm256_add_epi64(*sum, _mm256_sad_epu8(counts, zero));
                }
            }
        }
        self.newlines = _mm256_add_epi64(self.newlines, _mm256_sad_epu8(newlines, zero));
    }

    /// Finds the places of 16 vectors of characters in the first row and in the second. A byte of another row has its
    /// uppermost bit set, for which a shuffle answers 0.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn split(
        &mut self,
        strip: &[u8; 32 * STRIP],
        rows: &Rows,
        newlines: &mut __m256i,
        places: &mut [[__m256i; STRIP]; 2],
    ) {
        let [keep, first, second, other, newline] =
            [rows.keep, rows.first, rows.first | 0x10, 0x70, b'\n'].map(|byte| _mm256_set1_epi8(byte.cast_signed()));
        for (number, line) in strip.as_chunks::<64>().0.iter().enumerate() {
            ahead(line);
            for half in 0..2 {
                let vector = load(line, 32 * half);
                self.seen = _mm256_or_si256(self.seen, vector);
                *newlines = _mm256_sub_epi8(*newlines, _mm256_cmpeq_epi8(vector, newline));
                let vector = _mm256_and_si256(vector, keep);
                let at = 2 * number + half;
                places[0][at] = _mm256_adds_epu8(_mm256_xor_si256(vector, first), other);
                places[1][at] = _mm256_adds_epu8(_mm256_xor_si256(vector, second), other);
            }
        }
    }
}

/// Adds three bits at each place: the sum's upper and its lower bit.
#[inline]
#[target_feature(enable = "avx2")]
fn full_adder(a: __m256i, b: __m256i, c: __m256i) -> (__m256i, __m256i) {
    let either = _mm256_xor_si256(a, b);
    let upper = _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(either, c));
    (upper, _mm256_xor_si256(either, c))
}

/// As [`full_adder`], for two groups of letters: a processor that waits for one has the other to do.
#[inline]
#[target_feature(enable = "avx2")]
fn full_adders(a: [__m256i; 2], b: [__m256i; 2], c: [__m256i; 2]) -> [[__m256i; 2]; 2] {
    let (upper, lower) = full_adder(a[0], b[0], c[0]);
    let (other_upper, other_lower) = full_adder(a[1], b[1], c[1]);
    [[upper, other_upper], [lower, other_lower]]
}

/// Adds sixteen vectors of two groups to their columns for 1, 2, 4 and 8, and answers what is carried to that for 16.
///
/// A column is the last number of its adder, which has the shortest way through it.
#[inline]
#[target_feature(enable = "avx2")]
fn add_up(columns: [&mut [__m256i; 4]; 2], vectors: impl Fn(usize) -> [__m256i; 2]) -> [__m256i; 2] {
    let [one, other] = columns;
    let [mut ones, mut twos, mut fours, mut eights] = [0, 1, 2, 3].map(|at| [one[at], other[at]]);
    let mut carried_eights = [ones; 2];
    for (eight, carried_eight) in carried_eights.iter_mut().enumerate() {
        let mut carried_fours = [ones; 2];
        for (four, carried_four) in carried_fours.iter_mut().enumerate() {
            let at = 8 * eight + 4 * four;
            let (two, other_two);
            [two, ones] = full_adders(vectors(at), vectors(at + 1), ones);
            [other_two, ones] = full_adders(vectors(at + 2), vectors(at + 3), ones);
            [*carried_four, twos] = full_adders(two, other_two, twos);
        }
        [*carried_eight, fours] = full_adders(carried_fours[0], carried_fours[1], fours);
    }
    let sixteens;
    [sixteens, eights] = full_adders(carried_eights[0], carried_eights[1], eights);
    for (at, [first, second]) in [ones, twos, fours, eights].into_iter().enumerate() {
        (one[at], other[at]) = (first, second);
    }
    sixteens
}

/// Turns columns for 1, 2, 4 and so on, of which each byte has a bit for each of 8 letters, into the bytes of each letter.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed(mut columns: [__m256i; 8]) -> [__m256i; 8] {
    swap::<1>(&mut columns, 0x55);
    swap::<2>(&mut columns, 0x33);
    swap::<4>(&mut columns, 0x0f);
    columns
}

/// Swaps the bits of each vector that are not of `mask` with those of `mask` in the vector `BY` after it.
#[inline]
#[target_feature(enable = "avx2")]
fn swap<const BY: i32>(columns: &mut [__m256i; 8], mask: i8) {
    let mask = _mm256_set1_epi8(mask);
    for one in (0..8).filter(|at| at & BY as usize == 0) {
        let other = one + BY as usize;
        let shifted = _mm256_srli_epi16::<BY>(columns[one]);
        let differ = _mm256_and_si256(_mm256_xor_si256(shifted, columns[other]), mask);
        columns[other] = _mm256_xor_si256(columns[other], differ);
        columns[one] = _mm256_xor_si256(columns[one], _mm256_slli_epi16::<BY>(differ));
    }
}

/// The sum of four numbers.
#[inline]
#[target_feature(enable = "avx2")]
fn across(sum: __m256i) -> u64 {
    let half = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    (_mm_cvtsi128_si64(half) + _mm_extract_epi64::<1>(half)).cast_unsigned()
}

/// The 32 bytes of `bytes` from `at`.
#[inline]
#[target_feature(enable = "avx2")]
fn load<const N: usize>(bytes: &[u8; N], at: usize) -> __m256i {
    let bytes: &[u8; 32] = bytes[at..].first_chunk().expect("32 bytes");
    // SAFETY: 32 bytes are read, which is what the reference is to; no alignment is asked for.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// 16 bytes twice.
#[inline]
#[target_feature(enable = "avx2")]
fn twice(bytes: [u8; 16]) -> __m256i {
    let number = u128::from_le_bytes(bytes);
    _mm256_broadcastsi128_si256(_mm_set_epi64x((number >> 64) as i64, number as i64))
}

/// A bit for each of 64 bytes, from a function that sets all bits of a byte or none.
#[inline]
#[target_feature(enable = "avx2")]
fn mask(halves: [__m256i; 2], test: impl Fn(__m256i) -> __m256i) -> u64 {
    let [low, high] = halves.map(|half| u64::from(_mm256_movemask_epi8(test(half)).cast_unsigned()));
    low | high << 32
}

/// As [`str::from_utf8`], by three look-ups of half bytes; see [`super::utf8`].
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn is_utf8(block: &[u8]) -> bool {
    use super::utf8::{FIRST_HIGH, FIRST_LOW, SECOND_HIGH};
    let (first_high, first_low, second_high) = (twice(FIRST_HIGH), twice(FIRST_LOW), twice(SECOND_HIGH));
    let half = _mm256_set1_epi8(0x0f);
    let (third, fourth) = (_mm256_set1_epi8(0x60), _mm256_set1_epi8(0x70));
    let high = _mm256_set1_epi8(-128);
    let (mut before, mut error) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    let mut pad = [0; PAD];
    for part in padded::<32, 32>(block, 0, &mut pad) {
        for now in part.as_chunks::<32>().0 {
            let now = load(now, 0);
            if _mm256_movemask_epi8(_mm256_or_si256(now, before)) != 0 {
                // The upper half of what was before, and the lower half of what is now.
                let bridge = _mm256_permute2x128_si256::<0x21>(before, now);
                let one = _mm256_alignr_epi8::<15>(now, bridge);
                let two = _mm256_alignr_epi8::<14>(now, bridge);
                let three = _mm256_alignr_epi8::<13>(now, bridge);
                let nibble = |v| _mm256_and_si256(_mm256_srli_epi16::<4>(v), half);
                let special = _mm256_and_si256(
                    _mm256_and_si256(
                        _mm256_shuffle_epi8(first_high, nibble(one)),
                        _mm256_shuffle_epi8(first_low, _mm256_and_si256(one, half)),
                    ),
                    _mm256_shuffle_epi8(second_high, nibble(now)),
                );
                let long = _mm256_or_si256(_mm256_subs_epu8(two, third), _mm256_subs_epu8(three, fourth));
                let wrong = _mm256_xor_si256(_mm256_and_si256(long, high), special);
                error = _mm256_or_si256(error, wrong);
            }
            before = now;
        }
    }
    _mm256_testz_si256(error, error) == 1
}

/// For each byte, as a mask of 8 numbers of 16 bits: what a shuffle needs to bring the masked ones to the front.
static TO_FRONT: [[u8; 16]; 256] = {
    let mut shuffles = [[0; 16]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut from, mut to) = (0, 0);
        while from < 8 {
            if mask >> from & 1 == 1 {
                shuffles[mask][2 * to] = 2 * from as u8;
                shuffles[mask][2 * to + 1] = 2 * from as u8 + 1;
                to += 1;
            }
            from += 1;
        }
        mask += 1;
    }
    shuffles
};

/// Windows of 32 bytes after which code points are counted.
const BATCH: usize = 32;
/// Room for the code points of a batch, each of two bytes at least, and for a vector beyond the last.
const ROOM: usize = BATCH * 16 + 8;

/// As [`super::scalar::points`]. A code point is put together at each byte, and those that begin a character are kept.
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn points(text: &str, points: &mut Points) -> u64 {
    // What pads is no character and begins none.
    let mut pad = [0; PAD];
    let mut found = [0; ROOM];
    let mut count = 0;
    for part in padded::<32, 36>(text.as_bytes(), 0x80, &mut pad) {
        let (mut at, mut filled, mut windows) = (0, 0, 0);
        while let Some(window) = part[at..].first_chunk::<36>() {
            let now = load(window, 0);
            let mask = |vector| _mm256_movemask_epi8(vector).cast_unsigned();
            // Bytes above this one, as signed numbers, are ASCII or lead bytes.
            let starts = mask(_mm256_cmpgt_epi8(now, _mm256_set1_epi8(-65)));
            count += u64::from(starts.count_ones());
            let four = mask(is_from(now, 0xf0));
            let leads = starts & mask(now) & !four;
            for (part, points) in put_together(window).into_iter().enumerate() {
                let byte = leads >> (8 * part) & 0xff;
                let shuffle = _mm256_castsi256_si128(twice(TO_FRONT[byte as usize]));
                store(&mut found, filled, _mm_shuffle_epi8(points, shuffle));
                filled += byte.count_ones() as usize;
            }
            if four != 0 {
                points.add_four(window, four.into());
            }
            at += 32;
            windows += 1;
            if windows % BATCH == 0 {
                points.add_all(&found[..filled]);
                filled = 0;
            }
        }
        points.add_all(&found[..filled]);
    }
    count
}

/// All bits of each byte that is `first` or more.
#[inline]
#[target_feature(enable = "avx2")]
fn is_from(bytes: __m256i, first: u8) -> __m256i {
    _mm256_cmpeq_epi8(_mm256_max_epu8(bytes, _mm256_set1_epi8(first.cast_signed())), bytes)
}

/// The code points of two or three bytes that begin at each of the first 32 bytes, if one does, 8 by 8.
#[inline]
#[target_feature(enable = "avx2")]
fn put_together(window: &[u8; 36]) -> [__m128i; 4] {
    let [first, second, third] = [0, 1, 2].map(|more| load(window, more));
    let byte = |byte: u8| _mm256_set1_epi8(byte.cast_signed());
    // Shifts are those of 16 bits, of which a mask takes away what comes from the neighbour.
    let right = |vector, mask| _mm256_and_si256(_mm256_srli_epi16::<2>(vector), byte(mask));
    let is_three = is_from(first, 0xe0);
    let [before_last, last] =
        [(first, second), (second, third)].map(|(two, three)| _mm256_blendv_epi8(two, three, is_three));
    let six = _mm256_and_si256(_mm256_slli_epi16::<6>(before_last), byte(0xc0));
    let low = _mm256_or_si256(six, _mm256_and_si256(last, byte(0x3f)));
    let four = _mm256_and_si256(_mm256_slli_epi16::<4>(first), byte(0xf0));
    let three = _mm256_or_si256(four, right(second, 0x0f));
    let high = _mm256_blendv_epi8(right(first, 0x07), three, is_three);
    let (even, odd) = (_mm256_unpacklo_epi8(low, high), _mm256_unpackhi_epi8(low, high));
    let halves = |vector| [_mm256_castsi256_si128(vector), _mm256_extracti128_si256::<1>(vector)];
    let ([a, c], [b, d]) = (halves(even), halves(odd));
    [a, b, c, d]
}

/// Writes 8 `numbers` to `buffer` from `at`.
#[inline]
#[target_feature(enable = "avx2")]
fn store(buffer: &mut [u16; ROOM], at: usize, numbers: __m128i) {
    let place: &mut [u16; 8] = buffer[at..].first_chunk_mut().expect("room for 8 numbers");
    // SAFETY: 16 bytes are written, which is what the reference is to; no alignment is asked for.
    unsafe { _mm_storeu_si128(place.as_mut_ptr().cast(), numbers) }
}

/// As [`super::scalar::words`].
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn words(text: &str, in_word: bool) -> u64 {
    let is = |v: [__m256i; 2], byte: u8| mask(v, |half| _mm256_cmpeq_epi8(half, _mm256_set1_epi8(byte.cast_signed())));
    let among = |v: [__m256i; 2], first: u8, more: u8| {
        mask(v, |half| {
            let from_first = _mm256_sub_epi8(half, _mm256_set1_epi8(first.cast_signed()));
            _mm256_cmpeq_epi8(_mm256_min_epu8(from_first, _mm256_set1_epi8(more.cast_signed())), from_first)
        })
    };
    let mut words = Words::new(in_word);
    let mut pad = [0; PAD];
    for part in padded::<64, 66>(text.as_bytes(), b' ', &mut pad) {
        let mut at = 0;
        while let Some(window) = part[at..].first_chunk::<66>() {
            let [now, second, third] = [0, 1, 2].map(|from| [load(window, from), load(window, from + 32)]);
            let single = is(now, b' ') | among(now, b'\t', 4);
            if mask(now, |half| half) == 0 {
                words.add(single, 0, 0);
            } else {
                let double = is(now, 0xc2) & (is(second, 0x85) | is(second, 0xa0));
                let general = is(second, 0x80) & (among(third, 0x80, 10) | among(third, 0xa8, 1) | is(third, 0xaf));
                let triple = is(now, 0xe2) & (general | is(second, 0x81) & is(third, 0x9f))
                    | is(now, 0xe1) & is(second, 0x9a) & is(third, 0x80)
                    | is(now, 0xe3) & is(second, 0x80) & is(third, 0x80);
                words.add(single, double, triple);
            }
            at += 64;
        }
    }
    words.begun
}
