//! From values to bytes.

use serde::ser::{self, Serialize, Serializer};

use super::{DEEPEST, Fault, MOST_EMPTY, varint};

/// The most that is reserved because a sequence says how long it is; whatever is longer grows as it comes.
const MOST_RESERVED: usize = 1 << 20;

/// Appends values to a buffer.
pub(super) struct Encoder<'o> {
    out: &'o mut Vec<u8>,
    depth: u32,
    /// Elements that took no byte so far.
    empty: u64,
}

impl<'o> Encoder<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, depth: 0, empty: 0 }
    }

    #[inline]
    fn enter(&mut self) -> Result<(), Fault> {
        if self.depth == DEEPEST {
            return Err(Fault::too_deep());
        }
        self.depth += 1;
        Ok(())
    }

    #[inline]
    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// A value that holds other values: its fields follow, and nothing says how many.
    #[inline]
    fn fields(&mut self) -> Result<Fields<'_, 'o>, Fault> {
        self.enter()?;
        Ok(Fields(self))
    }

    #[inline]
    fn items(&mut self, declared: Option<usize>) -> Result<Items<'_, 'o>, Fault> {
        self.enter()?;
        let start = self.out.len();
        if let Some(length) = declared {
            varint::put(self.out, length as u64);
            // A type may claim what it likes, and the memory of a large one is better had as it comes.
            self.out.reserve(length.min(MOST_RESERVED));
        }
        let content = self.out.len();
        Ok(Items { encoder: self, declared, start, content, count: 0 })
    }
}

macro_rules! put_integers {
    ($($method:ident: $type:ty => $value:ident $put:expr;)*) => {
        $(#[inline]
        fn $method(self, $value: $type) -> Result<(), Fault> {
            $put(self.out);
            Ok(())
        })*
    };
}

impl<'e, 'o> Serializer for &'e mut Encoder<'o> {
    type Ok = ();
    type Error = Fault;
    type SerializeSeq = Items<'e, 'o>;
    type SerializeTuple = Fields<'e, 'o>;
    type SerializeTupleStruct = Fields<'e, 'o>;
    type SerializeTupleVariant = Fields<'e, 'o>;
    type SerializeMap = Items<'e, 'o>;
    type SerializeStruct = Fields<'e, 'o>;
    type SerializeStructVariant = Fields<'e, 'o>;

    put_integers! {
        serialize_bool: bool => value |out: &mut Vec<u8>| out.push(value.into());
        serialize_u8: u8 => value |out: &mut Vec<u8>| out.push(value);
        serialize_u16: u16 => value |out| varint::put(out, value.into());
        serialize_u32: u32 => value |out| varint::put(out, value.into());
        serialize_u64: u64 => value |out| varint::put(out, value);
        serialize_u128: u128 => value |out| varint::put_wide(out, value);
        serialize_i8: i8 => value |out: &mut Vec<u8>| out.push(value.cast_unsigned());
        serialize_i16: i16 => value |out| varint::put(out, varint::zigzag(value.into()));
        serialize_i32: i32 => value |out| varint::put(out, varint::zigzag(value.into()));
        serialize_i64: i64 => value |out| varint::put(out, varint::zigzag(value));
        serialize_i128: i128 => value |out| varint::put_wide(out, varint::zigzag_wide(value));
        serialize_f32: f32 => value |out: &mut Vec<u8>| out.extend_from_slice(&value.to_le_bytes());
        serialize_f64: f64 => value |out: &mut Vec<u8>| out.extend_from_slice(&value.to_le_bytes());
        serialize_bytes: &[u8] => value |out: &mut Vec<u8>| {
            varint::put(out, value.len() as u64);
            out.extend_from_slice(value);
        };
    }

    fn serialize_char(self, value: char) -> Result<(), Fault> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Fault> {
        self.serialize_bytes(value.as_bytes())
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Fault> {
        self.serialize_bool(false)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Fault> {
        self.out.push(1);
        self.enter()?;
        value.serialize(&mut *self)?;
        self.leave();
        Ok(())
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Fault> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Fault> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<(), Fault> {
        self.enter()?;
        varint::put(self.out, index.into());
        self.leave();
        Ok(())
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Fault> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Fault> {
        self.enter()?;
        varint::put(self.out, index.into());
        value.serialize(&mut *self)?;
        self.leave();
        Ok(())
    }

    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, Fault> {
        self.items(length)
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Fault> {
        self.fields()
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Fault> {
        self.fields()
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Fault> {
        varint::put(self.out, index.into());
        self.fields()
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, Fault> {
        self.items(length)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Fault> {
        self.fields()
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Fault> {
        varint::put(self.out, index.into());
        self.fields()
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<(), Fault> {
        self.serialize_str(&value.to_string())
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The fields of a struct, a tuple or a variant.
pub(super) struct Fields<'e, 'o>(&'e mut Encoder<'o>);

macro_rules! put_fields {
    ($($of:ident $method:ident $($key:ty)?;)*) => {
        $(impl ser::$of for Fields<'_, '_> {
            type Ok = ();
            type Error = Fault;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $key,)? value: &T) -> Result<(), Fault> {
                value.serialize(&mut *self.0)
            }

            $(fn skip_field(&mut self, name: $key) -> Result<(), Fault> {
                Err(Fault::new(format!("field {name} cannot be left out, because fields have no names here")))
            })?

            #[inline]
            fn end(self) -> Result<(), Fault> {
                self.0.leave();
                Ok(())
            }
        })*
    };
}

put_fields! {
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
    SerializeStruct serialize_field &'static str;
    SerializeStructVariant serialize_field &'static str;
}

/// The elements of a sequence or the entries of a map.
pub(super) struct Items<'e, 'o> {
    encoder: &'e mut Encoder<'o>,
    declared: Option<usize>,
    /// Where the length stands, or will have to.
    start: usize,
    /// Where the elements begin.
    content: usize,
    count: usize,
}

impl Items<'_, '_> {
    #[inline]
    fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        value.serialize(&mut *self.encoder)
    }

    #[inline]
    fn finish(self) -> Result<(), Fault> {
        let encoder = self.encoder;
        if encoder.out.len() == self.content {
            encoder.empty += self.count as u64;
            if encoder.empty > MOST_EMPTY {
                return Err(Fault::too_many_empty());
            }
        }
        encoder.leave();
        match self.declared {
            Some(declared) if declared == self.count => Ok(()),
            Some(declared) => {
                Err(Fault::new(format!("a sequence said that it has {declared} elements and has {}", self.count)))
            }
            None => {
                let mut length = Vec::with_capacity(10);
                varint::put(&mut length, self.count as u64);
                encoder.out.splice(self.start..self.start, length);
                Ok(())
            }
        }
    }
}

impl ser::SerializeSeq for Items<'_, '_> {
    type Ok = ();
    type Error = Fault;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.count += 1;
        self.put(value)
    }

    #[inline]
    fn end(self) -> Result<(), Fault> {
        self.finish()
    }
}

impl ser::SerializeMap for Items<'_, '_> {
    type Ok = ();
    type Error = Fault;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Fault> {
        self.count += 1;
        self.put(key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.put(value)
    }

    #[inline]
    fn end(self) -> Result<(), Fault> {
        self.finish()
    }
}
