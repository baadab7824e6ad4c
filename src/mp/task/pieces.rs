//! A sequence or a map, encoded piece by piece, so that somebody who does not know their types can take them apart.

use std::fmt::{self, Display};

use serde::Serialize;
use serde::ser::{self, Impossible, Serializer};

use super::change::put_piece;
use crate::mp::{Error, Result};

/// Appends the elements of the sequence or map `value`, each behind its length.
pub(super) fn put_parts<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    value.serialize(Parts(out)).map_err(|fault| *fault.0)
}

/// Boxed, because every step answers with a result.
#[derive(Debug)]
struct Fault(Box<Error>);

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self(Box::new(error))
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Fault {}

impl ser::Error for Fault {
    fn custom<T: Display>(why: T) -> Self {
        Error::codec(why.to_string()).into()
    }
}

fn whole() -> Fault {
    Error::codec("the state of this object is a sequence or a map").into()
}

struct Parts<'o>(&'o mut Vec<u8>);

impl Parts<'_> {
    fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> std::result::Result<(), Fault> {
        Ok(put_piece(value, self.0)?)
    }
}

macro_rules! refuse {
    ($($method:ident($($of:ty),*);)*) => {
        $(fn $method(self, $(_: $of),*) -> std::result::Result<(), Fault> {
            Err(whole())
        })*
    };
}

impl Serializer for Parts<'_> {
    type Ok = ();
    type Error = Fault;
    type SerializeSeq = Self;
    type SerializeMap = Self;
    type SerializeTuple = Impossible<(), Fault>;
    type SerializeTupleStruct = Impossible<(), Fault>;
    type SerializeTupleVariant = Impossible<(), Fault>;
    type SerializeStruct = Impossible<(), Fault>;
    type SerializeStructVariant = Impossible<(), Fault>;

    refuse! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> std::result::Result<(), Fault> {
        Err(whole())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> std::result::Result<(), Fault> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> std::result::Result<(), Fault> {
        Err(whole())
    }

    fn serialize_seq(self, _: Option<usize>) -> std::result::Result<Self, Fault> {
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> std::result::Result<Self, Fault> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> std::result::Result<Self::SerializeTuple, Fault> {
        Err(whole())
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> std::result::Result<Self::SerializeTupleStruct, Fault> {
        Err(whole())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> std::result::Result<Self::SerializeTupleVariant, Fault> {
        Err(whole())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> std::result::Result<Self::SerializeStruct, Fault> {
        Err(whole())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> std::result::Result<Self::SerializeStructVariant, Fault> {
        Err(whole())
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl ser::SerializeSeq for Parts<'_> {
    type Ok = ();
    type Error = Fault;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> std::result::Result<(), Fault> {
        self.put(value)
    }

    fn end(self) -> std::result::Result<(), Fault> {
        Ok(())
    }
}

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> std::result::Result<(), Fault> {
        self.put(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> std::result::Result<(), Fault> {
        self.put(value)
    }

    fn end(self) -> std::result::Result<(), Fault> {
        Ok(())
    }
}
