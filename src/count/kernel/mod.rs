//! The loops over bytes, each once for every kind of processor: `scalar` says what they mean, `sse2`, `avx2` and `avx512`
//! do the same with 16, 32 and 64 bytes at a time, and the tests compare all with what is plain.
//!
//! They work on blocks of some 16 KiB, so that the second look at a block finds it in the first-level cache.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod histogram;
mod points;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod sse2;
#[cfg(target_arch = "x86_64")]
mod utf8;

pub(super) use histogram::Histogram;
pub(super) use points::Points;

use crate::Error;
use crate::count::Case;

/// Bytes in a block, before it is made to end with a character.
pub(super) const BLOCK: usize = 16 << 10;

/// Which instructions count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// The fastest that the processor has.
    #[default]
    Auto,
    /// 64 bytes at a time; AVX-512 with VBMI, VBMI2, BITALG and GFNI: Intel since Ice Lake, AMD since Zen 4.
    Avx512,
    /// 32 bytes at a time; nearly every x86-64 processor since 2013.
    Avx2,
    /// No instructions but those that every processor of its kind has: SSE2 on x86-64, and elsewhere what the language has.
    Scalar,
}

impl Kernel {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Avx512, Self::Avx2, Self::Scalar];

    /// The name that a person types.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Scalar => "scalar",
        }
    }

    /// True if this processor has the instructions.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Auto | Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::is_available(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// The kernel that is meant: never [`Kernel::Auto`].
    ///
    /// # Errors
    /// When this processor lacks the instructions.
    pub fn resolve(self) -> Result<Self, Error> {
        match self {
            Self::Auto => {
                let best = [Self::Avx512, Self::Avx2].into_iter().find(|it| it.is_available());
                Ok(best.unwrap_or(Self::Scalar))
            }
            _ if self.is_available() => Ok(self),
            _ => {
                let error = Error::refused("cannot count with kernel", self.name(), "this processor has it not");
                Err(error.hint("leave the choice to the program, which takes the fastest that there is"))
            }
        }
    }
}

impl std::str::FromStr for Kernel {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|it| it.name() == name);
        found.ok_or_else(|| Error::refused("cannot count with kernel", name, "there is none of that name"))
    }
}

/// The loops of one kernel, which the processor is known to have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Engine(Kernel);

impl Engine {
    /// The loops of `kernel`.
    ///
    /// # Errors
    /// As [`Kernel::resolve`].
    pub(super) fn new(kernel: Kernel) -> Result<Self, Error> {
        kernel.resolve().map(Self)
    }

    /// Which kernel it is.
    pub(super) fn kernel(self) -> Kernel {
        self.0
    }

    /// Adds the ASCII letters and newlines of `block` to `histogram`; true if all of it is ASCII. With [`Case::Upper`] it
    /// may count a small letter as its capital.
    ///
    /// It may be given bytes that somebody changes meanwhile: it looks at each once, and does the same whatever they are.
    pub(super) fn histogram(self, block: &[u8], case: Case, histogram: &mut Histogram, points: &mut Points) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an engine of this kernel is made only where the processor has its instructions.
            Kernel::Avx512 => unsafe { avx512::histogram(block, case, histogram, points) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an engine of this kernel is made only where the processor has its instructions.
            Kernel::Avx2 => unsafe { avx2::histogram(block, case, histogram) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: every x86-64 processor has the instructions.
            Kernel::Scalar if case == Case::Upper => unsafe { sse2::histogram(block, histogram) },
            _ => scalar::histogram(block, histogram),
        }
    }

    /// As [`Engine::histogram`]; the answer is the block as text if all of it is ASCII.
    pub(super) fn ascii<'a>(
        self,
        block: &'a [u8],
        case: Case,
        histogram: &mut Histogram,
        points: &mut Points,
    ) -> Option<&'a str> {
        // SAFETY: ASCII is UTF-8.
        self.histogram(block, case, histogram, points).then(|| unsafe { str::from_utf8_unchecked(block) })
    }

    /// Adds the code points of `block` beyond ASCII to `points`. The answer is the block as text, and how many code points
    /// it has in all; None if it is no UTF-8, and then nothing is added.
    pub(super) fn text<'a>(self, block: &'a [u8], points: &mut Points) -> Option<(&'a str, u64)> {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => {
                let chars = self.shared_text(block, points)?;
                // SAFETY: the kernel has found that it is UTF-8, by the rules of the standard library.
                Some((unsafe { str::from_utf8_unchecked(block) }, chars))
            }
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => {
                // SAFETY: an engine of this kernel is made only where the processor has its instructions.
                let is_text = unsafe { avx2::is_utf8(block) };
                // SAFETY: the kernel has found that it is UTF-8, by the rules of the standard library.
                let text = is_text.then(|| unsafe { str::from_utf8_unchecked(block) })?;
                // SAFETY: an engine of this kernel is made only where the processor has its instructions.
                Some((text, unsafe { avx2::points(text, points) }))
            }
            _ => str::from_utf8(block).ok().map(|text| (text, scalar::points(text, points))),
        }
    }

    /// As [`Engine::text`], of bytes that somebody may change meanwhile. None as well if this kernel needs a copy of them.
    pub(super) fn shared_text(self, block: &[u8], points: &mut Points) -> Option<u64> {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an engine of this kernel is made only where the processor has its instructions.
            Kernel::Avx512 => unsafe { avx512::points(block, points) },
            _ => None,
        }
    }

    /// How many words begin in `text`, where a word is a run of characters that are not White_Space; `in_word` says
    /// whether the text before it ends within one.
    pub(super) fn words(self, text: &str, in_word: bool) -> u64 {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an engine of this kernel is made only where the processor has its instructions.
            Kernel::Avx512 => unsafe { avx512::words(text, in_word) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an engine of this kernel is made only where the processor has its instructions.
            Kernel::Avx2 => unsafe { avx2::words(text, in_word) },
            _ => scalar::words(text, in_word),
        }
    }
}

/// Turns masks of white space, 64 bytes at a time, into the number of words that begin.
///
/// A character of white space that is 2 or 3 bytes long is given as a mask of its first bytes; the others follow here.
/// The trick of shifting the mask and counting its bits is that of fastlwc.
#[cfg(target_arch = "x86_64")]
struct Words {
    /// 1 if the last byte looked at belongs to a word.
    in_word: u64,
    /// Bytes of the next 64 that belong to white space which began earlier.
    spill: u64,
    begun: u64,
}

#[cfg(target_arch = "x86_64")]
impl Words {
    fn new(in_word: bool) -> Self {
        Self { in_word: in_word.into(), spill: 0, begun: 0 }
    }

    #[inline(always)]
    fn add(&mut self, single: u64, double: u64, triple: u64) {
        let long = double | triple;
        let space = single | long | long << 1 | triple << 2 | self.spill;
        self.spill = long >> 63 | triple >> 62;
        let word = !space;
        self.begun += u64::from((word & !(word << 1 | self.in_word)).count_ones());
        self.in_word = word >> 63;
    }
}

/// `block` in two parts that are read in steps of `STEP` bytes, `WIDTH` at a time: its body, and its end in `pad` with
/// bytes `fill` behind it. There are always some: the last step looks at at least one of them.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn padded<'a, const STEP: usize, const WIDTH: usize>(
    block: &'a [u8],
    fill: u8,
    pad: &'a mut [u8; PAD],
) -> [&'a [u8]; 2] {
    let steps = if block.len() < WIDTH { 0 } else { (block.len() - WIDTH) / STEP + 1 };
    let rest = &block[steps * STEP..];
    pad.fill(fill);
    pad[..rest.len()].copy_from_slice(rest);
    let body = if steps == 0 { &[] } else { &block[..(steps - 1) * STEP + WIDTH] };
    [body, &pad[..rest.len() / STEP * STEP + WIDTH]]
}

/// Asks for the cache line 16 KiB behind the beginning of `bytes`: by itself the processor does not look beyond a page.
///
/// It gets as far as the second-level cache: fewer requests of the first can be under way at once than memory takes to
/// keep up.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn ahead(bytes: &[u8]) {
    use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    let there = bytes.as_ptr().wrapping_add(16 << 10);
    // SAFETY: to ask for a line is no access, so it may be anybody's or nobody's.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(there.cast()) }
}

/// Enough for the end of a block and what is read behind it, for the widest step.
#[cfg(target_arch = "x86_64")]
const PAD: usize = 1024;

#[cfg(test)]
mod tests;
