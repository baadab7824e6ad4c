//! 64 bytes at a time.
//!
//! How letters are counted: all of them are among the 64 characters from `@` on, so a table of 64 bytes turns each into
//! one bit of eight, one bit a letter, and four tables are enough for the alphabet. Four such vectors are added bit by bit
//! (carry-save adders, Harley and Seal), so that what follows is done once for them: a multiplication with a bit matrix
//! transposes each 8 bytes, after which a byte holds all bits of one letter, and their number is added up. It takes the
//! same time whatever the text is.

use std::arch::x86_64::*;

use crate::count::Case;
use crate::count::kernel::points::{Found, Waiting};
use crate::count::kernel::{Histogram, PAD, Points, Words, ahead, padded};

/// True if the processor has all that the functions of this file need.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("avx512bitalg")
        && is_x86_feature_detected!("gfni")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("bmi2")
}

/// Which bit of which of four groups stands for each character from `@` on.
struct Plan {
    groups: [[u8; 64]; 4],
    /// The character before the letters, which would be that of the first bit; 32 from it on are counted.
    first: u8,
}

impl Plan {
    /// Counts the 26 letters after `first`, which is none; with `fold` their small letters with them.
    const fn new(first: u8, fold: bool) -> Self {
        let mut groups = [[0; 64]; 4];
        let mut number = 1;
        while number <= 26 {
            let letter = first + number;
            let (group, bit) = ((number / 8) as usize, 1 << (number % 8));
            groups[group][(letter - b'@') as usize] = bit;
            if fold {
                groups[group][((letter | 0x20) - b'@') as usize] = bit;
            }
            number += 1;
        }
        Self { groups, first }
    }
}

static BOTH: Plan = Plan::new(b'@', true);
static CAPITAL: Plan = Plan::new(b'@', false);
static SMALL: Plan = Plan::new(b'`', false);

/// As [`super::scalar::histogram`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512bitalg,gfni,popcnt")]
pub(super) fn histogram(block: &[u8], case: Case, histogram: &mut Histogram, points: &mut Points) -> bool {
    let mut waiting = points.waiting(block.len() / STEP);
    let add = if waiting.is_idle() { add::<false> } else { add::<true> };
    let mut is_ascii = true;
    // Sums of a part fit 16 bits.
    for part in block.chunks(1 << 15) {
        match case {
            Case::Upper => is_ascii &= add(part, &BOTH, histogram, &mut waiting),
            Case::Keep => {
                is_ascii &= add(part, &CAPITAL, histogram, &mut waiting);
                let newlines = histogram.counts[usize::from(b'\n')];
                add(part, &SMALL, histogram, &mut waiting);
                histogram.counts[usize::from(b'\n')] = newlines;
            }
        }
    }
    waiting.finish();
    is_ascii
}

/// Bytes of a step, which is four vectors.
const STEP: usize = 256;
/// Counters of a byte overflow after 31 additions of up to 8.
const FLUSH: usize = 31;

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512bitalg,gfni,popcnt")]
fn add<const WAITS: bool>(part: &[u8], plan: &Plan, histogram: &mut Histogram, waiting: &mut Waiting<'_>) -> bool {
    let tables = plan.groups.each_ref().map(|group| load(group, 0));
    let newline = _mm512_set1_epi8(b'\n'.cast_signed());
    let (last, zero) = (_mm512_set1_epi8(b'?'.cast_signed()), _mm512_setzero_si512());
    let mut pad = [0; PAD];
    let mut seen = zero;
    let (mut ones, mut twos, mut fours) = ([zero; 4], [zero; 4], [zero; 4]);
    let mut newlines = 0;
    let halves_of_part =
        if part.len().is_multiple_of(STEP) { [part, &[]] } else { padded::<STEP, STEP>(part, 0, &mut pad) };
    for half in halves_of_part {
        for run in half.chunks(STEP * FLUSH) {
            let mut bytes = [zero; 4];
            for step in run.as_chunks::<STEP>().0 {
                let vectors = [0, 64, 128, 192].map(|at| {
                    ahead(&step[at..]);
                    load(step, at)
                });
                // What is no ASCII is negative.
                let are_in_table = vectors.map(|vector| _mm512_cmpgt_epi8_mask(vector, last));
                for vector in vectors {
                    seen = _mm512_or_si512(seen, vector);
                    newlines += _mm512_cmpeq_epi8_mask(vector, newline).count_ones();
                }
                for group in 0..4 {
                    let bits = |at: usize| _mm512_maskz_permutexvar_epi8(are_in_table[at], vectors[at], tables[group]);
                    let (one, two) = sum(ones[group], bits(0), bits(1));
                    let (one, other_two) = sum(one, bits(2), bits(3));
                    let (two, four) = sum(twos[group], two, other_two);
                    (ones[group], twos[group]) = (one, two);
                    bytes[group] = _mm512_add_epi8(bytes[group], letters(four));
                }
                if WAITS {
                    waiting.step();
                }
            }
            for group in 0..4 {
                fours[group] = _mm512_add_epi16(fours[group], halves(bytes[group]));
            }
        }
    }
    histogram.counts[usize::from(b'\n')] += u64::from(newlines);
    let counted = usize::from(plan.first)..usize::from(plan.first) + 32;
    for (group, sums) in histogram.counts[counted].as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let two = _mm512_add_epi16(_mm512_slli_epi16::<1>(fours[group]), halves(letters(twos[group])));
        let all = _mm512_add_epi16(_mm512_slli_epi16::<1>(two), halves(letters(ones[group])));
        let half = _mm256_add_epi16(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64::<1>(all));
        let eight = _mm_add_epi16(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
        let mut counts = [0_u64; 8];
        store(&mut counts, 0, _mm512_cvtepu16_epi64(eight));
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    _mm512_movepi8_mask(seen) == 0
}

/// Three bits added, in each of 512 places: the sum and the carry, which counts twice.
#[inline]
#[target_feature(enable = "avx512f")]
fn sum(a: __m512i, b: __m512i, c: __m512i) -> (__m512i, __m512i) {
    (_mm512_ternarylogic_epi64::<0x96>(a, b, c), _mm512_ternarylogic_epi64::<0xe8>(a, b, c))
}

/// How many of each 8 bytes have each bit.
#[inline]
#[target_feature(enable = "avx512f,avx512bitalg,gfni")]
fn letters(bits: __m512i) -> __m512i {
    let transpose = _mm512_set1_epi64(0x8040_2010_0804_0201_u64.cast_signed());
    _mm512_popcnt_epi8(_mm512_gf2p8affine_epi64_epi8::<0>(transpose, bits))
}

/// Bytes as numbers of 16 bits, those of the lower half and of the upper half added.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn halves(bytes: __m512i) -> __m512i {
    let low = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(bytes));
    _mm512_add_epi16(low, _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64::<1>(bytes)))
}

/// The 64 bytes of `bytes` from `at`.
#[inline]
#[target_feature(enable = "avx512f")]
fn load<const N: usize>(bytes: &[u8; N], at: usize) -> __m512i {
    let bytes: &[u8; 64] = bytes[at..].first_chunk().expect("64 bytes");
    // SAFETY: 64 bytes are read, which is what the reference is to; no alignment is asked for.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Windows of 64 bytes after which code points are put together: enough to make the end of that loop rare, few enough for
/// the first-level cache.
const BATCH: usize = 32;
/// Room for a byte of each code point of a batch, and for a vector beyond the last. What is no text may have one at every
/// byte.
const ROOM: usize = BATCH * 64 + 64;

/// As [`super::scalar::points`]; None if `block` is no UTF-8, and then nothing is added.
///
/// It may be given bytes that somebody changes meanwhile: only what was looked at is counted, and only if it is a character.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512bitalg,gfni,popcnt,bmi2")]
pub(super) fn points(block: &[u8], points: &mut Points) -> Option<u64> {
    points.waiting(1).finish();
    let mut found = std::mem::take(&mut points.found);
    // Where one character of four bytes is, others are not far.
    let short = if found.long.is_empty() { gather::<false>(block, &mut found) } else { None };
    let chars = short.or_else(|| gather::<true>(block, &mut found));
    if chars.is_none() {
        found.count = 0;
    } else {
        found.long.iter().for_each(|&point| points.add(point));
    }
    points.found = found;
    chars
}

/// Puts the code points of `block` beyond ASCII into `found`, and answers how many it has in all; None if it is no UTF-8,
/// or not `LONG` and has characters of four bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512bitalg,gfni,popcnt,bmi2")]
fn gather<const LONG: bool>(block: &[u8], found: &mut Found) -> Option<u64> {
    let mut seen = Seen { go_on: 0, owed: 0, asked: 0, most: _mm512_setzero_si512(), is_flawed: false };
    let mut rows = [[0; ROOM]; 2];
    let mut pad = [0; PAD];
    found.empty_for(block.len());
    for mut part in padded::<64, 68>(block, 0, &mut pad) {
        while part.len() >= 68 {
            let batch = &part[..part.len().min(BATCH * 64 + 4)];
            let filled = seen.add::<LONG>(batch, &mut rows, found);
            seen.put_together(&rows, filled, found);
            part = &part[(batch.len() - 4) / 64 * 64..];
        }
    }
    let is_long = _mm512_cmpge_epu8_mask(seen.most, _mm512_set1_epi8(0xf0_u8.cast_signed())) != 0;
    let asked = found.count + seen.asked + 3 * found.long.len();
    let is_text = !seen.is_flawed && seen.go_on == asked && (LONG || !is_long);
    is_text.then(|| (block.len() - seen.go_on) as u64)
}

/// What tells whether a block is UTF-8: bytes of continuation are where lead bytes ask for them and nowhere else, and no
/// character is longer than it has to be.
struct Seen {
    /// Bytes of continuation.
    go_on: usize,
    /// Those of the next 64 bytes that have to be such.
    owed: u64,
    /// Code points that need two of them.
    asked: usize,
    /// The largest byte in each column.
    most: __m512i,
    /// Something was no character.
    is_flawed: bool,
}

impl Seen {
    /// Looks at the windows of `batch`. At each byte the code point that would begin there is put together, and those of lead
    /// bytes are pushed together, the lower and the upper byte in rows of their own, so that no step depends on how many
    /// there are in 64 bytes. The answer is how many there are.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
    fn add<const LONG: bool>(&mut self, batch: &[u8], rows: &mut [[u8; ROOM]; 2], found: &mut Found) -> usize {
        let byte = |byte: u8| _mm512_set1_epi8(byte.cast_signed());
        let (mut owed, mut go_on, mut most) = (self.owed, 0, self.most);
        let (mut at, mut filled, mut flaws) = (0, 0, 0);
        while let Some(window) = batch[at..].first_chunk::<68>() {
            let [first, second, third] = [0, 1, 2].map(|more| load(window, more));
            let [mut leads, mut threes] = [0xc0, 0xe0].map(|least| _mm512_cmpge_epu8_mask(first, byte(least)));
            let fours = if LONG { _mm512_cmpge_epu8_mask(first, byte(0xf0)) } else { 0 };
            let continued = _mm512_cmplt_epi8_mask(first, byte(0xc0));
            flaws |= continued ^ (owed | leads << 1 | threes << 2 | fours << 3);
            owed = leads >> 63 | threes >> 62 | fours >> 61;
            go_on += continued.count_ones() as usize;
            most = _mm512_max_epu8(most, first);
            if LONG {
                (leads, threes) = (leads & !fours, threes & !fours);
                flaws |= u64::from(fours != 0 && !found.add_long(window, fours));
            }
            let before_last = _mm512_mask_mov_epi8(first, threes, second);
            let last = _mm512_mask_mov_epi8(second, threes, third);
            let head = _mm512_maskz_mov_epi8(threes, first);
            // Shifts are those of 16 bits, of which a mask takes away what comes from the neighbour.
            let lower = either(byte(0x3f), last, _mm512_slli_epi16::<6>(before_last));
            let upper = either(byte(0x0f), _mm512_srli_epi16::<2>(before_last), _mm512_slli_epi16::<4>(head));
            store(&mut rows[0], filled, _mm512_maskz_compress_epi8(leads, lower));
            store(&mut rows[1], filled, _mm512_maskz_compress_epi8(leads, upper));
            filled += leads.count_ones() as usize;
            at += 64;
        }
        (self.owed, self.most, self.is_flawed) = (owed, most, self.is_flawed || flaws != 0);
        self.go_on += go_on;
        filled
    }

    /// Moves code points from `rows` to `found`. Those that would fit one byte, and halves of a pair of UTF-16, are flaws.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,popcnt,bmi2")]
    fn put_together(&mut self, rows: &[[u8; ROOM]; 2], count: usize, found: &mut Found) {
        let word = |number: u16| _mm512_set1_epi16(number.cast_signed());
        let places = &mut found.short[found.count..];
        let mut flaws = 0;
        for at in (0..count).step_by(32) {
            let [lower, upper] = rows.each_ref().map(|row| widened(row, at));
            let points = _mm512_or_si512(lower, _mm512_slli_epi16::<8>(upper));
            store(places, at, points);
            let is_surrogate = _mm512_cmpeq_epi16_mask(_mm512_and_si512(points, word(0xf800)), word(0xd800));
            let is_flaw = _mm512_cmplt_epu16_mask(points, word(0x80)) | is_surrogate;
            let left = (count - at).min(32) as u32;
            flaws |= _bzhi_u32(is_flaw, left);
            self.asked += _bzhi_u32(_mm512_cmpge_epu16_mask(points, word(0x800)), left).count_ones() as usize;
        }
        self.is_flawed |= flaws != 0;
        found.count += count;
    }
}

/// Each bit of `this` where `mask` has one, and of `that` where it has none.
#[inline]
#[target_feature(enable = "avx512f")]
fn either(mask: __m512i, this: __m512i, that: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0xca>(mask, this, that)
}

/// 32 bytes of `row` from `at`, each as a number of 16 bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn widened(row: &[u8; ROOM], at: usize) -> __m512i {
    let bytes: &[u8; 32] = row[at..].first_chunk().expect("32 bytes");
    // SAFETY: 32 bytes are read, which is what the reference is to; no alignment is asked for.
    _mm512_cvtepu8_epi16(unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) })
}

/// Writes 64 bytes of `numbers` to `buffer` from `at`.
#[inline]
#[target_feature(enable = "avx512f")]
fn store<T>(buffer: &mut [T], at: usize, numbers: __m512i) {
    let place = &mut buffer[at..][..64 / size_of::<T>()];
    // SAFETY: 64 bytes are written, which is what the reference is to; no alignment is asked for.
    unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), numbers) }
}

/// As [`super::scalar::words`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512bitalg,gfni,popcnt")]
pub(super) fn words(text: &str, in_word: bool) -> u64 {
    let is = |v, byte: u8| _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(byte.cast_signed()));
    let among = |v, first: u8, more: u8| {
        let from_first = _mm512_sub_epi8(v, _mm512_set1_epi8(first.cast_signed()));
        _mm512_cmple_epu8_mask(from_first, _mm512_set1_epi8(more.cast_signed()))
    };
    let mut words = Words::new(in_word);
    let mut pad = [0; PAD];
    for part in padded::<64, 66>(text.as_bytes(), b' ', &mut pad) {
        let mut at = 0;
        while let Some(window) = part[at..].first_chunk::<66>() {
            let now = load(window, 0);
            let single = is(now, b' ') | among(now, b'\t', 4);
            if _mm512_movepi8_mask(now) == 0 {
                words.add(single, 0, 0);
            } else {
                let (second, third) = (load(window, 1), load(window, 2));
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
