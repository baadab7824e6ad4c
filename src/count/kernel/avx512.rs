//! 64 bytes at a time.
//!
//! How letters are counted: all of them are among the 64 characters from `@` on, so a table of 64 bytes turns each into
//! one bit of eight, one bit a letter, and four tables are enough for the alphabet. Four such vectors are added bit by bit
//! (carry-save adders, Harley and Seal), so that what follows is done once for them: a multiplication with a bit matrix
//! transposes each 8 bytes, after which a byte holds all bits of one letter, and their number is added up. It takes the
//! same time whatever the text is.

use std::arch::x86_64::*;

use crate::count::Case;
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
}

/// Which bit of which of four groups stands for each character from `@` on.
struct Plan {
    groups: [[u8; 64]; 4],
    /// The character of each bit, or 0.
    letters: [u8; 32],
}

impl Plan {
    /// Counts `first` and the 25 after it; with `fold` their small letters with them.
    const fn new(first: u8, fold: bool) -> Self {
        let mut plan = Self { groups: [[0; 64]; 4], letters: [0; 32] };
        let mut bin = 0;
        while bin < 26 {
            let letter = first + bin as u8;
            plan.letters[bin] = letter;
            plan.groups[bin / 8][(letter - b'@') as usize] = 1 << (bin % 8);
            if fold {
                plan.groups[bin / 8][((letter | 0x20) - b'@') as usize] = 1 << (bin % 8);
            }
            bin += 1;
        }
        plan
    }
}

static BOTH: Plan = Plan::new(b'A', true);
static CAPITAL: Plan = Plan::new(b'A', false);
static SMALL: Plan = Plan::new(b'a', false);

/// As [`super::scalar::histogram`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512bitalg,gfni,popcnt")]
pub(super) fn histogram(block: &[u8], case: Case, histogram: &mut Histogram) -> bool {
    let mut is_ascii = true;
    // Sums of a part fit 16 bits.
    for part in block.chunks(1 << 15) {
        match case {
            Case::Upper => is_ascii &= add(part, &BOTH, histogram),
            Case::Keep => {
                is_ascii &= add(part, &CAPITAL, histogram);
                let newlines = histogram.counts[usize::from(b'\n')];
                add(part, &SMALL, histogram);
                histogram.counts[usize::from(b'\n')] = newlines;
            }
        }
    }
    is_ascii
}

/// Bytes of a step, which is four vectors.
const STEP: usize = 256;
/// Counters of a byte overflow after 31 additions of up to 8.
const FLUSH: usize = 31;

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512bitalg,gfni,popcnt")]
fn add(part: &[u8], plan: &Plan, histogram: &mut Histogram) -> bool {
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
            }
            for group in 0..4 {
                fours[group] = _mm512_add_epi16(fours[group], halves(bytes[group]));
            }
        }
    }
    histogram.counts[usize::from(b'\n')] += u64::from(newlines);
    for (group, letters_of) in plan.letters.as_chunks::<8>().0.iter().enumerate() {
        let two = _mm512_add_epi16(_mm512_slli_epi16::<1>(fours[group]), halves(letters(twos[group])));
        let all = _mm512_add_epi16(_mm512_slli_epi16::<1>(two), halves(letters(ones[group])));
        let half = _mm256_add_epi16(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64::<1>(all));
        let eight = _mm_add_epi16(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
        let counts = [_mm_cvtsi128_si64(eight), _mm_extract_epi64::<1>(eight)];
        for (bin, letter) in letters_of.iter().enumerate() {
            let count = counts[bin / 4] >> (bin % 4 * 16);
            histogram.counts[usize::from(*letter)] += u64::from(count as u16);
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

/// 16 bytes four times.
#[inline]
#[target_feature(enable = "avx512f")]
fn four_times(bytes: [u8; 16]) -> __m512i {
    let number = u128::from_le_bytes(bytes);
    _mm512_broadcast_i32x4(_mm_set_epi64x((number >> 64) as i64, number as i64))
}

/// As [`str::from_utf8`], by three look-ups of half bytes; see [`super::utf8`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512bitalg,gfni,popcnt")]
pub(super) fn is_utf8(block: &[u8]) -> bool {
    use super::utf8::{FIRST_HIGH, FIRST_LOW, SECOND_HIGH};
    let (first_high, first_low, second_high) = (four_times(FIRST_HIGH), four_times(FIRST_LOW), four_times(SECOND_HIGH));
    let half = _mm512_set1_epi8(0x0f);
    let (third, fourth) = (_mm512_set1_epi8(0x60), _mm512_set1_epi8(0x70));
    let high = _mm512_set1_epi8(-128);
    let iota = load(&super::IOTA, 0);
    // Bytes 63..126 of two vectors are those one before the second; and so on.
    let back = [63, 62, 61].map(|from| _mm512_add_epi8(iota, _mm512_set1_epi8(from)));
    let (mut before, mut error) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let mut pad = [0; PAD];
    for part in padded::<64, 64>(block, 0, &mut pad) {
        for now in part.as_chunks::<64>().0 {
            let now = load(now, 0);
            if _mm512_movepi8_mask(_mm512_or_si512(now, before)) != 0 {
                let [one, two, three] = back.map(|back| _mm512_permutex2var_epi8(before, back, now));
                let nibble = |v| _mm512_and_si512(_mm512_srli_epi16::<4>(v), half);
                let special = _mm512_and_si512(
                    _mm512_and_si512(
                        _mm512_shuffle_epi8(first_high, nibble(one)),
                        _mm512_shuffle_epi8(first_low, _mm512_and_si512(one, half)),
                    ),
                    _mm512_shuffle_epi8(second_high, nibble(now)),
                );
                let long = _mm512_or_si512(_mm512_subs_epu8(two, third), _mm512_subs_epu8(three, fourth));
                let wrong = _mm512_xor_si512(_mm512_and_si512(long, high), special);
                error = _mm512_or_si512(error, wrong);
            }
            before = now;
        }
    }
    _mm512_test_epi8_mask(error, error) == 0
}

/// Windows of 64 bytes after which code points are counted: enough to make the end of that loop rare, few enough for the
/// cache.
const BATCH: usize = 32;
/// Room for the code points of a batch, each of two bytes at least, and for a vector beyond the last.
const ROOM: usize = BATCH * 32 + 64;

/// As [`super::scalar::points`]. The first, second and third bytes of all characters of a batch are put together, each in
/// a row of their own, so that no step depends on how many there are in 64 bytes.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,avx512bitalg,gfni,popcnt")]
pub(super) fn points(text: &str, points: &mut Points) -> u64 {
    let byte = |byte: u8| _mm512_set1_epi8(byte.cast_signed());
    let (last, lead, long) = (byte(0xbf), byte(0xc0), byte(0xf0));
    // What pads is no character and begins none.
    let mut pad = [0; PAD];
    let (mut rows, mut found) = ([[0; ROOM]; 3], [0; ROOM]);
    let (mut filled, mut count) = (0, 0);
    for part in padded::<64, 68>(text.as_bytes(), 0x80, &mut pad) {
        let (mut at, mut windows) = (0, 0);
        while let Some(window) = part[at..].first_chunk::<68>() {
            let now = load(window, 0);
            count += u64::from(_mm512_cmpgt_epi8_mask(now, last).count_ones());
            let four = _mm512_cmpge_epu8_mask(now, long);
            let leads = _mm512_cmpge_epu8_mask(now, lead) & !four;
            for (more, row) in rows.iter_mut().enumerate() {
                store(row, filled, _mm512_maskz_compress_epi8(leads, load(window, more)));
            }
            filled += leads.count_ones() as usize;
            if four != 0 {
                points.add_four(window, four);
            }
            at += 64;
            windows += 1;
            if windows % BATCH == 0 {
                points.add_all(put_together(&rows, filled, &mut found));
                filled = 0;
            }
        }
        points.add_all(put_together(&rows, filled, &mut found));
        filled = 0;
    }
    count
}

/// The code points of up to three bytes each whose first, second and third bytes are given.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn put_together<'a>(rows: &[[u8; ROOM]; 3], count: usize, found: &'a mut [u16; ROOM]) -> &'a [u16] {
    let word = |number: i16| _mm512_set1_epi16(number);
    let six = word(0x3f);
    for at in (0..count).step_by(32) {
        let [first, second, third] = rows.each_ref().map(|row| widened(row, at));
        let (second, third) = (_mm512_and_si512(second, six), _mm512_and_si512(third, six));
        let two = _mm512_or_si512(_mm512_slli_epi16::<6>(_mm512_and_si512(first, word(0x1f))), second);
        // Of the first byte the upper half goes by itself, as a number has 16 bits.
        let upper = _mm512_or_si512(_mm512_slli_epi16::<12>(first), _mm512_slli_epi16::<6>(second));
        let is_three = _mm512_cmpge_epu16_mask(first, word(0xe0));
        store(found, at, _mm512_mask_blend_epi16(is_three, two, _mm512_or_si512(upper, third)));
    }
    &found[..count]
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
fn store<T>(buffer: &mut [T; ROOM], at: usize, numbers: __m512i) {
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
