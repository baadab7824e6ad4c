//! Integers in as few bytes as they need: seven bits a byte, the lowest first, the top bit says that more follow.

use super::Fault;

const MORE: u8 = 0x80;

/// Appends `value`.
#[inline]
pub(super) fn put(out: &mut Vec<u8>, value: u64) {
    if value < u64::from(MORE) {
        out.push(value as u8);
    } else {
        put_long(out, value);
    }
}

#[inline]
fn put_long(out: &mut Vec<u8>, mut value: u64) {
    let mut bytes = [0; 10];
    let mut length = 0;
    while value >= u64::from(MORE) {
        bytes[length] = value as u8 | MORE;
        value >>= 7;
        length += 1;
    }
    bytes[length] = value as u8;
    let end = out.len() + length + 1;
    // Copying all of them and taking some back is faster than copying a number that is known only now.
    out.extend_from_slice(&bytes);
    out.truncate(end);
}

/// [`put`] for twice the width.
pub(super) fn put_wide(out: &mut Vec<u8>, mut value: u128) {
    while value >= u128::from(MORE) {
        out.push(value as u8 | MORE);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes an integer off the front of `bytes`.
///
/// # Errors
/// When the bytes end before it does, or it has more than 64 bits.
#[inline]
pub(super) fn take(bytes: &mut &[u8]) -> Result<u64, Fault> {
    match **bytes {
        [first, ref rest @ ..] if first < MORE => {
            *bytes = rest;
            Ok(u64::from(first))
        }
        _ => take_long(bytes),
    }
}

fn take_long(bytes: &mut &[u8]) -> Result<u64, Fault> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        let bits = u64::from(byte & !MORE);
        if index == 9 && bits > 1 {
            break;
        }
        value |= bits << (7 * index);
        if byte < MORE {
            *bytes = &bytes[index + 1..];
            return Ok(value);
        }
    }
    Err(flaw(bytes.len() < 10))
}

/// [`take`] for twice the width.
pub(super) fn take_wide(bytes: &mut &[u8]) -> Result<u128, Fault> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().enumerate().take(19) {
        let bits = u128::from(byte & !MORE);
        if index == 18 && bits > 3 {
            break;
        }
        value |= bits << (7 * index);
        if byte < MORE {
            *bytes = &bytes[index + 1..];
            return Ok(value);
        }
    }
    Err(flaw(bytes.len() < 19))
}

#[cold]
fn flaw(is_short: bool) -> Fault {
    if is_short { Fault::new("the bytes end inside an integer") } else { Fault::new("an integer is too large") }
}

/// Signed to unsigned so that small numbers of either sign are small: 0, -1, 1, -2 become 0, 1, 2, 3.
#[inline]
pub(super) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// The number that [`zigzag`] makes `value` of.
#[inline]
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// [`zigzag`] for twice the width.
pub(super) fn zigzag_wide(value: i128) -> u128 {
    (value << 1 ^ value >> 127) as u128
}

/// [`unzigzag`] for twice the width.
pub(super) fn unzigzag_wide(value: u128) -> i128 {
    (value >> 1) as i128 ^ -((value & 1) as i128)
}
