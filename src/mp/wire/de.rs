//! From bytes to values.

use std::convert::identity;

use serde::de::{Deserializer, Visitor};

use super::access::{Fields, Items, Variant};
use super::varint::{self, unzigzag};
use super::{DEEPEST, Fault, MOST_EMPTY};

/// Takes values off the front of bytes.
pub(super) struct Decoder<'de> {
    rest: &'de [u8],
    depth: u32,
    /// Elements without a byte that may still come.
    empty: u64,
}

impl<'de> Decoder<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self { rest: bytes, depth: 0, empty: MOST_EMPTY }
    }

    /// How many bytes nobody has taken.
    #[inline]
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Fault> {
        let Some((&byte, rest)) = self.rest.split_first() else {
            return Err(ended());
        };
        self.rest = rest;
        Ok(byte)
    }

    /// A byte that says yes or no.
    #[inline]
    fn flag(&mut self) -> Result<bool, Fault> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Fault::new(format!("a byte of 0 or 1 is {other}"))),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let Some((array, rest)) = self.rest.split_first_chunk() else {
            return Err(ended());
        };
        self.rest = rest;
        Ok(*array)
    }

    #[inline]
    pub(super) fn integer(&mut self) -> Result<u64, Fault> {
        varint::take(&mut self.rest)
    }

    /// Looks whether something has been taken since `left` bytes were left; if not, one of the few such elements is spent.
    #[inline]
    pub(super) fn look_for_empty(&mut self, left: usize) -> Result<(), Fault> {
        if self.rest.len() == left {
            self.empty = self.empty.checked_sub(1).ok_or_else(Fault::too_many_empty)?;
        }
        Ok(())
    }

    /// Bytes that stand behind their length.
    #[inline]
    fn slice(&mut self) -> Result<&'de [u8], Fault> {
        let length = self.integer()?;
        let at = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let Some((slice, rest)) = at else {
            return Err(too_long(length, self.rest.len()));
        };
        self.rest = rest;
        Ok(slice)
    }

    #[inline]
    fn text(&mut self) -> Result<&'de str, Fault> {
        std::str::from_utf8(self.slice()?).map_err(|_| Fault::new("text is not UTF-8"))
    }

    /// The length of a sequence or a map. An element takes a byte at least, but for the few that take none.
    #[inline]
    fn count(&mut self) -> Result<u64, Fault> {
        let count = self.integer()?;
        if count > self.rest.len() as u64 + self.empty {
            return Err(too_long(count, self.rest.len()));
        }
        Ok(count)
    }

    /// Runs `visit` one level deeper.
    #[inline]
    fn nested<T>(&mut self, visit: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth == DEEPEST {
            return Err(Fault::too_deep());
        }
        self.depth += 1;
        let value = visit(self)?;
        self.depth -= 1;
        Ok(value)
    }

    #[inline]
    fn fields<V: Visitor<'de>>(&mut self, left: usize, visitor: V) -> Result<V::Value, Fault> {
        self.nested(|decoder| visitor.visit_seq(Fields { decoder, left }))
    }

    /// Visits the items of a sequence or a map, all of them.
    #[inline]
    fn items<T>(&mut self, visit: impl FnOnce(&mut Items<'_, 'de>) -> Result<T, Fault>) -> Result<T, Fault> {
        let left = self.count()?;
        self.nested(|decoder| {
            let mut items = Items { decoder, left };
            let value = visit(&mut items)?;
            if items.left == 0 { Ok(value) } else { Err(Fault::new("a sequence has more elements than its type")) }
        })
    }
}

#[cold]
fn ended() -> Fault {
    Fault::new("the bytes end inside a value")
}

#[cold]
fn too_long(length: u64, left: usize) -> Fault {
    Fault::new(format!("a length of {length} is more than the {left} bytes that are left can hold"))
}

#[cold]
fn nameless() -> Fault {
    let why = "the bytes do not tell their type, so neither untagged, internally tagged or flattened types nor \
               dynamic values can be read from them";
    Fault::new(why)
}

macro_rules! take_integers {
    ($($method:ident: $visit:ident $type:ty, $from:ident;)*) => {
        $(#[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let value = $from(varint::take(&mut self.rest)?);
            match <$type>::try_from(value) {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(Fault::new(concat!("an integer is too large for ", stringify!($type)))),
            }
        })*
    };
}

macro_rules! refuse {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
            Err(nameless())
        })*
    };
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = Fault;

    take_integers! {
        deserialize_u16: visit_u16 u16, identity;
        deserialize_u32: visit_u32 u32, identity;
        deserialize_u64: visit_u64 u64, identity;
        deserialize_i16: visit_i16 i16, unzigzag;
        deserialize_i32: visit_i32 i32, unzigzag;
        deserialize_i64: visit_i64 i64, unzigzag;
    }

    refuse! { deserialize_any deserialize_ignored_any deserialize_identifier }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_bool(self.flag()?)
    }

    #[inline]
    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_u8(self.byte()?)
    }

    #[inline]
    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_i8(self.byte()?.cast_signed())
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_u128(varint::take_wide(&mut self.rest)?)
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_i128(varint::unzigzag_wide(varint::take_wide(&mut self.rest)?))
    }

    #[inline]
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_f32(f32::from_le_bytes(self.array()?))
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_f64(f64::from_le_bytes(self.array()?))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.text()?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(value), None) => visitor.visit_char(value),
            _ => Err(Fault::new(format!("a text of {} bytes is not one character", text.len()))),
        }
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(self.text()?)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_bytes(self.slice()?)
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.flag()? { self.nested(|decoder| visitor.visit_some(decoder)) } else { visitor.visit_none() }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.items(|items| visitor.visit_seq(items))
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Fault> {
        self.fields(length, visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.fields(length, visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.items(|items| visitor.visit_map(items))
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.fields(fields.len(), visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.nested(|decoder| visitor.visit_enum(Variant(decoder)))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
