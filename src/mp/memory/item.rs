//! What may stand in a shared list.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An element of a [`SharedList`](super::SharedList).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Item {
    /// Nothing.
    None,
    /// A truth.
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// A number.
    F64(f64),
    /// Text.
    Str(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// What an item is in memory: a tag, and up to as many bytes as its place has.
const NONE: u8 = 0;
const BOOL: u8 = 1;
const I64: u8 = 2;
const F64: u8 = 3;
const STR: u8 = 4;
const BYTES: u8 = 5;

impl Item {
    /// Calls `write` with the tag and the bytes.
    #[inline]
    pub(super) fn with_bytes<R>(&self, write: impl FnOnce(u8, &[u8]) -> R) -> R {
        match self {
            Self::None => write(NONE, &[]),
            Self::Bool(it) => write(BOOL, &[u8::from(*it)]),
            Self::I64(it) => write(I64, &it.to_ne_bytes()),
            Self::F64(it) => write(F64, &it.to_ne_bytes()),
            Self::Str(it) => write(STR, it.as_bytes()),
            Self::Bytes(it) => write(BYTES, it),
        }
    }

    /// The item with this tag and these bytes; None if there is no such item.
    #[inline]
    pub(super) fn from_bytes(tag: u8, bytes: &[u8]) -> Option<Self> {
        Some(match (tag, bytes) {
            (NONE, []) => Self::None,
            (BOOL, [it @ 0..=1]) => Self::Bool(*it == 1),
            (I64, bytes) => Self::I64(i64::from_ne_bytes(bytes.try_into().ok()?)),
            (F64, bytes) => Self::F64(f64::from_ne_bytes(bytes.try_into().ok()?)),
            (STR, bytes) => Self::Str(str::from_utf8(bytes).ok()?.to_owned()),
            (BYTES, bytes) => Self::Bytes(bytes.to_vec()),
            _ => return None,
        })
    }
}

macro_rules! from {
    ($($type:ty => $make:expr;)*) => {$(
        impl From<$type> for Item {
            fn from(it: $type) -> Self {
                $make(it)
            }
        }
    )*};
}

from! {
    () => |()| Self::None;
    bool => Self::Bool;
    i64 => Self::I64;
    i32 => |it| Self::I64(i64::from(it));
    f64 => Self::F64;
    String => Self::Str;
    &str => |it: &str| Self::Str(it.to_owned());
    Vec<u8> => Self::Bytes;
    &[u8] => |it: &[u8]| Self::Bytes(it.to_vec());
}

/// As a person would write it: text as it is, bytes as two hexadecimal digits each.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Bool(it) => it.fmt(f),
            Self::I64(it) => it.fmt(f),
            Self::F64(it) => write!(f, "{it:?}"),
            Self::Str(it) => f.write_str(it),
            Self::Bytes(it) => it.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b20_every_item_comes_back_from_its_bytes() {
        let items = [().into(), true.into(), (-5_i64).into(), 0.5.into(), "grüß".into(), Item::Bytes(vec![0, 255])];
        for item in items {
            assert_eq!(item.with_bytes(Item::from_bytes), Some(item));
        }
    }

    #[test]
    fn b20_bytes_that_are_no_item_are_told() {
        for (tag, bytes) in [(NONE, &b"x"[..]), (BOOL, b"\x02"), (I64, b"short"), (STR, b"\xff"), (6, b"")] {
            assert_eq!(Item::from_bytes(tag, bytes), None);
        }
    }

    #[test]
    fn b20_items_read_as_a_person_would_write_them() {
        let shown = [().into(), 2_i32.into(), 2.0.into(), "a b".into(), Item::Bytes(vec![0, 255])];
        assert_eq!(shown.map(|it: Item| it.to_string()), ["none", "2", "2.0", "a b", "00ff"]);
    }
}
