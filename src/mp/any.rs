//! A value whose type is told by the value itself: what JSON can say, and bytes.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::mp::Error;

/// A value of one of Python's plain types, for a queue, an argument or an object of a manager that is to hold several.
///
/// What travels between processes here has the type that both sides name, and its bytes do not tell it. So a
/// `serde_json::Value` or an untagged enum cannot go, and an enum of your own is the best choice where the types are known. This
/// is the ready-made enum for where they are not.
///
/// It is JSON where text is: [`Display`](fmt::Display) writes it, [`FromStr`] reads it, and every format of serde that people
/// read sees a plain value. So `serde_json::from_value::<Any>(json)` and `serde_json::to_value(&any)` lead from and to a
/// `serde_json::Value`. JSON has no bytes (they become a list of numbers), and neither infinity nor NaN (they become null).
///
/// ```
/// use ipcpipe::mp::{Any, Queue};
///
/// let queue = Queue::<Any>::new()?;
/// queue.put(&Any::from([("name", "Ada".into()), ("born", 1815.into()), ("tags", Any::from_iter(["x", "y"]))]))?;
/// queue.put(&r#"[1, 2.5, null, true]"#.parse()?)?;
///
/// let ada = queue.get()?;
/// assert_eq!(ada.get("born"), Some(&Any::I64(1815)));
/// assert_eq!(ada.to_string(), r#"{"born":1815,"name":"Ada","tags":["x","y"]}"#);
/// let list: Vec<Any> = queue.get()?.try_into()?;
/// assert_eq!(f64::try_from(list[1].clone())?, 2.5);
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Any {
    /// Nothing: Python's `None`, and null.
    #[default]
    None,
    /// A truth.
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// A whole number that is too large for an `i64`.
    U64(u64),
    /// A number.
    F64(f64),
    /// Text.
    Str(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Values in their order.
    List(Vec<Any>),
    /// Values by name.
    Map(BTreeMap<String, Any>),
}

impl Any {
    /// The value of this name; None for another one, or if this is no map.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Any> {
        match self {
            Self::Map(map) => map.get(name),
            _ => None,
        }
    }

    /// What it is, in a word.
    fn noun(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::I64(_) | Self::U64(_) => "a whole number",
            Self::F64(_) => "a float",
            Self::Str(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    fn refused(&self, wanted: &str) -> Error {
        Error::Refused(format!("{} is no {wanted}: {self}", self.noun()))
    }
}

/// As JSON, on one line.
impl fmt::Display for Any {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// From JSON.
impl FromStr for Any {
    type Err = Error;

    /// # Errors
    /// [`Error::Refused`]: the text is no JSON, or nested more than 128 levels deep.
    fn from_str(json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|why| Error::Refused(format!("cannot read JSON: {why}")))
    }
}

macro_rules! whole {
    ($($type:ty)*) => {$(
        impl From<$type> for Any {
            fn from(it: $type) -> Self {
                i64::try_from(it).map_or_else(|_| Self::U64(it as u64), Self::I64)
            }
        }

        impl TryFrom<Any> for $type {
            type Error = Error;

            fn try_from(any: Any) -> Result<Self, Error> {
                let number = match any {
                    Any::I64(it) => Self::try_from(it).ok(),
                    Any::U64(it) => Self::try_from(it).ok(),
                    _ => None,
                };
                number.ok_or_else(|| any.refused(stringify!($type)))
            }
        }
    )*};
}

whole!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

macro_rules! plain {
    ($($type:ty: $variant:ident;)*) => {$(
        impl From<$type> for Any {
            fn from(it: $type) -> Self {
                Self::$variant(it)
            }
        }

        impl TryFrom<Any> for $type {
            type Error = Error;

            fn try_from(any: Any) -> Result<Self, Error> {
                match any {
                    Any::$variant(it) => Ok(it),
                    other => Err(other.refused(stringify!($type))),
                }
            }
        }
    )*};
}

plain! {
    bool: Bool;
    String: Str;
    Vec<u8>: Bytes;
    Vec<Any>: List;
    BTreeMap<String, Any>: Map;
}

impl From<f64> for Any {
    fn from(it: f64) -> Self {
        Self::F64(it)
    }
}

/// A whole number is a float too if it is one exactly: JSON writes both alike.
impl TryFrom<Any> for f64 {
    type Error = Error;

    fn try_from(any: Any) -> Result<Self, Error> {
        match any {
            Any::F64(it) => Ok(it),
            Any::I64(it) if it as f64 as i128 == it.into() => Ok(it as f64),
            Any::U64(it) if it as f64 as u128 == it.into() => Ok(it as f64),
            other => Err(other.refused("f64")),
        }
    }
}

impl From<()> for Any {
    fn from((): ()) -> Self {
        Self::None
    }
}

impl From<&str> for Any {
    fn from(it: &str) -> Self {
        Self::Str(it.to_owned())
    }
}

impl<T: Into<Any>> From<Option<T>> for Any {
    fn from(it: Option<T>) -> Self {
        it.map_or(Self::None, Into::into)
    }
}

/// A map.
impl<K: Into<String>, const N: usize> From<[(K, Any); N]> for Any {
    fn from(entries: [(K, Any); N]) -> Self {
        Self::Map(entries.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

/// A list.
impl<T: Into<Any>> FromIterator<T> for Any {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// The same with its type in front, for formats in which bytes do not tell what they are.
#[derive(Deserialize)]
enum Tagged {
    None,
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Str(String),
    Bytes(Vec<u8>),
    List(Vec<Any>),
    Map(BTreeMap<String, Any>),
}

impl From<Tagged> for Any {
    fn from(tagged: Tagged) -> Self {
        match tagged {
            Tagged::None => Self::None,
            Tagged::Bool(it) => Self::Bool(it),
            Tagged::I64(it) => Self::I64(it),
            Tagged::U64(it) => Self::U64(it),
            Tagged::F64(it) => Self::F64(it),
            Tagged::Str(it) => Self::Str(it),
            Tagged::Bytes(it) => Self::Bytes(it),
            Tagged::List(it) => Self::List(it),
            Tagged::Map(it) => Self::Map(it),
        }
    }
}

const NAME: &str = "Any";

impl Serialize for Any {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return match self {
                Self::None => serializer.serialize_unit(),
                Self::Bool(it) => serializer.serialize_bool(*it),
                Self::I64(it) => serializer.serialize_i64(*it),
                Self::U64(it) => serializer.serialize_u64(*it),
                Self::F64(it) => serializer.serialize_f64(*it),
                Self::Str(it) => serializer.serialize_str(it),
                Self::Bytes(it) => serializer.serialize_bytes(it),
                Self::List(it) => it.serialize(serializer),
                Self::Map(it) => it.serialize(serializer),
            };
        }
        match self {
            Self::None => serializer.serialize_unit_variant(NAME, 0, "None"),
            Self::Bool(it) => serializer.serialize_newtype_variant(NAME, 1, "Bool", it),
            Self::I64(it) => serializer.serialize_newtype_variant(NAME, 2, "I64", it),
            Self::U64(it) => serializer.serialize_newtype_variant(NAME, 3, "U64", it),
            Self::F64(it) => serializer.serialize_newtype_variant(NAME, 4, "F64", it),
            Self::Str(it) => serializer.serialize_newtype_variant(NAME, 5, "Str", it),
            Self::Bytes(it) => serializer.serialize_newtype_variant(NAME, 6, "Bytes", it),
            Self::List(it) => serializer.serialize_newtype_variant(NAME, 7, "List", it),
            Self::Map(it) => serializer.serialize_newtype_variant(NAME, 8, "Map", it),
        }
    }
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Plainly)
        } else {
            Tagged::deserialize(deserializer).map(Self::from)
        }
    }
}

/// Takes what a format that tells its types has.
struct Plainly;

impl<'de> Visitor<'de> for Plainly {
    type Value = Any;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Any, E> {
        Ok(Any::None)
    }

    fn visit_none<E: de::Error>(self) -> Result<Any, E> {
        Ok(Any::None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Any, D::Error> {
        Any::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, it: bool) -> Result<Any, E> {
        Ok(it.into())
    }

    fn visit_i64<E: de::Error>(self, it: i64) -> Result<Any, E> {
        Ok(it.into())
    }

    fn visit_u64<E: de::Error>(self, it: u64) -> Result<Any, E> {
        Ok(it.into())
    }

    fn visit_f64<E: de::Error>(self, it: f64) -> Result<Any, E> {
        Ok(it.into())
    }

    fn visit_str<E: de::Error>(self, it: &str) -> Result<Any, E> {
        Ok(it.into())
    }

    fn visit_bytes<E: de::Error>(self, it: &[u8]) -> Result<Any, E> {
        Ok(it.to_vec().into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Any, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Any::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Any, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((name, value)) = entries.next_entry()? {
            map.insert(name, value);
        }
        Ok(Any::Map(map))
    }
}
