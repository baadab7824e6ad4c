//! The letters by which Python's arrays and values name the type of their elements.

use std::fmt;
use std::str::FromStr;

use crate::mp::{Error, Result};

/// The type of an element by its letter, for where a person names one; programs name the type itself.
///
/// ```
/// use ipcpipe::mp::Typecode;
///
/// let code: Typecode = "i".parse()?;
/// assert_eq!((code, code.size(), code.type_name()), (Typecode::I32, 4, "i32"));
/// assert_eq!(code.to_text(&code.to_bytes("-7")?)?, "-7");
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Typecode {
    /// `b`: `i8`.
    I8,
    /// `B`: `u8`, as a number.
    U8,
    /// `h`: `i16`.
    I16,
    /// `H`: `u16`.
    U16,
    /// `i`: `i32`.
    I32,
    /// `I`: `u32`.
    U32,
    /// `l` and `q`: `i64`.
    I64,
    /// `L` and `Q`: `u64`.
    U64,
    /// `f`: `f32`.
    F32,
    /// `d`: `f64`.
    F64,
    /// `c`: `u8`, as an ASCII character.
    Byte,
    /// `u`: a character of Unicode, as a `u32`.
    Char,
}

impl Typecode {
    /// Every type once.
    pub const ALL: [Self; 12] = [
        Self::I8,
        Self::U8,
        Self::I16,
        Self::U16,
        Self::I32,
        Self::U32,
        Self::I64,
        Self::U64,
        Self::F32,
        Self::F64,
        Self::Byte,
        Self::Char,
    ];

    /// Its letter; of two, the one that means the same on every machine.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::I8 => 'b',
            Self::U8 => 'B',
            Self::I16 => 'h',
            Self::U16 => 'H',
            Self::I32 => 'i',
            Self::U32 => 'I',
            Self::I64 => 'q',
            Self::U64 => 'Q',
            Self::F32 => 'f',
            Self::F64 => 'd',
            Self::Byte => 'c',
            Self::Char => 'u',
        }
    }

    /// Bytes of an element.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Byte => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 | Self::Char => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// The type of Rust that lies in the memory.
    #[must_use]
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::I8 => "i8",
            Self::U8 | Self::Byte => "u8",
            Self::I16 => "i16",
            Self::U16 => "u16",
            Self::I32 => "i32",
            Self::U32 | Self::Char => "u32",
            Self::I64 => "i64",
            Self::U64 => "u64",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// The bytes of an element that a person wrote.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is no value of the type.
    pub fn to_bytes(self, text: &str) -> Result<Vec<u8>> {
        macro_rules! parse {
            ($type:ty) => {
                text.parse::<$type>().ok().map(|it| it.to_ne_bytes().to_vec())
            };
        }
        let bytes = match self {
            Self::I8 => parse!(i8),
            Self::U8 => parse!(u8),
            Self::I16 => parse!(i16),
            Self::U16 => parse!(u16),
            Self::I32 => parse!(i32),
            Self::U32 => parse!(u32),
            Self::I64 => parse!(i64),
            Self::U64 => parse!(u64),
            Self::F32 => parse!(f32),
            Self::F64 => parse!(f64),
            Self::Byte => text.parse::<char>().ok().filter(char::is_ascii).map(|it| vec![it as u8]),
            Self::Char => text.parse::<char>().ok().map(|it| u32::from(it).to_ne_bytes().to_vec()),
        };
        bytes.ok_or_else(|| Error::Refused(format!("{text:?} is no {}", self.noun())))
    }

    /// An element as a person reads it; bytes that are no character come as `\x` and a number.
    ///
    /// # Errors
    /// [`Error::Refused`] if there are not just as many bytes as an element has.
    pub fn to_text(self, bytes: &[u8]) -> Result<String> {
        macro_rules! show {
            ($type:ty) => {
                bytes.try_into().ok().map(|it| <$type>::from_ne_bytes(it).to_string())
            };
        }
        let text = match (self, bytes) {
            (Self::I8, _) => show!(i8),
            (Self::U8, _) => show!(u8),
            (Self::I16, _) => show!(i16),
            (Self::U16, _) => show!(u16),
            (Self::I32, _) => show!(i32),
            (Self::U32, _) => show!(u32),
            (Self::I64, _) => show!(i64),
            (Self::U64, _) => show!(u64),
            (Self::F32, _) => show!(f32),
            (Self::F64, _) => show!(f64),
            (Self::Byte, [byte]) => Some(character(u32::from(*byte), byte.is_ascii())),
            (Self::Byte, _) => None,
            (Self::Char, _) => bytes.try_into().ok().map(|it| character(u32::from_ne_bytes(it), true)),
        };
        text.ok_or_else(|| Error::Refused(format!("{} bytes are no {}", bytes.len(), self.noun())))
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Byte => "ASCII character",
            Self::Char => "character",
            number => number.type_name(),
        }
    }
}

fn character(code: u32, is_valid: bool) -> String {
    match char::from_u32(code).filter(|it| is_valid && !it.is_control()) {
        Some(it) => it.to_string(),
        None => format!("\\x{code:02x}"),
    }
}

impl TryFrom<char> for Typecode {
    type Error = Error;

    fn try_from(letter: char) -> Result<Self> {
        let found = match letter {
            'l' => Some(Self::I64),
            'L' => Some(Self::U64),
            _ => Self::ALL.into_iter().find(|it| it.letter() == letter),
        };
        found.ok_or_else(|| Error::Refused(format!("no typecode {letter:?}; there are b B h H i I l L q Q f d c u")))
    }
}

impl FromStr for Typecode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let letter = text.parse::<char>();
        letter
            .map_err(|_| Error::Refused(format!("{text:?} is no typecode, which is one letter")))
            .and_then(Self::try_from)
    }
}

impl fmt::Display for Typecode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.letter().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b23_every_typecode_of_python_has_its_type() {
        let expected = [
            ('b', "i8", 1),
            ('B', "u8", 1),
            ('h', "i16", 2),
            ('H', "u16", 2),
            ('i', "i32", 4),
            ('I', "u32", 4),
            ('l', "i64", 8),
            ('L', "u64", 8),
            ('q', "i64", 8),
            ('Q', "u64", 8),
            ('f', "f32", 4),
            ('d', "f64", 8),
            ('c', "u8", 1),
            ('u', "u32", 4),
        ];
        for (letter, name, size) in expected {
            let code = Typecode::try_from(letter).unwrap();
            assert_eq!((code.type_name(), code.size()), (name, size), "{letter}");
            assert_eq!(code.to_string().parse::<Typecode>().unwrap(), code);
        }
        assert!("x".parse::<Typecode>().is_err());
        assert!("ii".parse::<Typecode>().is_err());
    }

    #[test]
    fn b23_text_of_a_type_comes_back_and_other_text_is_refused() {
        for code in Typecode::ALL {
            let text = if matches!(code, Typecode::Byte) { "x" } else { "7" };
            let bytes = code.to_bytes(text).unwrap();
            assert_eq!((bytes.len(), code.to_text(&bytes).unwrap()), (code.size(), text.to_owned()));
            assert!(code.to_bytes("much").is_err());
            assert!(code.to_text(&[0; 3]).is_err());
        }
        assert!(Typecode::U8.to_bytes("256").is_err());
        assert!(Typecode::Byte.to_bytes("ü").is_err());
        assert_eq!(Typecode::Char.to_text(&Typecode::Char.to_bytes("ü").unwrap()).unwrap(), "ü");
        assert_eq!(Typecode::Char.to_text(&0xD800_u32.to_ne_bytes()).unwrap(), "\\xd800");
        assert_eq!(Typecode::Byte.to_text(&[200]).unwrap(), "\\xc8");
    }
}
