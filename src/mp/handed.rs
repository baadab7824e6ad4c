//! How a shared object gets into another process: as the descriptor of its memory.

use std::os::fd::{BorrowedFd, OwnedFd};

/// An object that is found again by the descriptor of its memory alone, because the memory says what it is.
pub(crate) trait Handed: Sized {
    /// The descriptor.
    fn fd(&self) -> BorrowedFd<'_>;

    /// The object whose memory another process made.
    ///
    /// # Errors
    /// When the memory holds no such object.
    fn attach(file: OwnedFd) -> Result<Self, crate::Error>;
}

/// Lets a [`Handed`] object be part of a message: the message carries its descriptor, and the memory says the rest.
macro_rules! by_descriptor {
    ($type:ty $(, $generic:ident: $bound:path)?) => {
        impl$(<$generic: $bound>)? serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::mp::wire::send_copy($crate::mp::handed::Handed::fd(self), serializer)
            }
        }

        impl<'de $(, $generic: $bound)?> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let file = $crate::mp::wire::receive_owned(deserializer)?;
                $crate::mp::handed::Handed::attach(file).map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use by_descriptor;
