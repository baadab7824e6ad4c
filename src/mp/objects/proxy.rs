//! What all proxies are: small values that can be cloned, compared and sent.

/// The type of a proxy: a name for an object of the server, whatever process it is in.
macro_rules! proxy {
    ($(#[$about:meta])* $name:ident $(<$($of:ident),+>)?) => {
        $(#[$about])*
        pub struct $name$(<$($of),+>)? {
            pub(super) remote: super::client::Remote,
            types: std::marker::PhantomData<fn() -> ($($($of,)+)?)>,
        }

        impl$(<$($of),+>)? $name$(<$($of),+>)? {
            pub(super) fn new(remote: super::client::Remote) -> Self {
                Self { remote, types: std::marker::PhantomData }
            }
        }

        impl$(<$($of),+>)? super::proxy::Proxy for $name$(<$($of),+>)? {
            fn remote(&self) -> &super::client::Remote {
                &self.remote
            }
        }

        impl$(<$($of),+>)? Clone for $name$(<$($of),+>)? {
            fn clone(&self) -> Self {
                Self::new(self.remote)
            }
        }

        /// Equal are two proxies of the same object.
        impl$(<$($of),+>)? PartialEq for $name$(<$($of),+>)? {
            fn eq(&self, other: &Self) -> bool {
                self.remote == other.remote
            }
        }

        impl$(<$($of),+>)? Eq for $name$(<$($of),+>)? {}

        impl$(<$($of),+>)? std::fmt::Debug for $name$(<$($of),+>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                super::proxy::debug(stringify!($name), &self.remote, f)
            }
        }

        impl$(<$($of),+>)? serde::Serialize for $name$(<$($of),+>)? {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                (self.remote, std::any::type_name::<Self>()).serialize(serializer)
            }
        }

        impl<'de $($(, $of)+)?> serde::Deserialize<'de> for $name$(<$($of),+>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                super::proxy::remote_of::<Self, D>(deserializer).map(Self::new)
            }
        }
    };
}

use std::any::type_name;
use std::fmt;

use serde::{Deserialize, Deserializer, de};

use super::client::Remote;

pub(super) use proxy;

/// A proxy of any kind: what [`Manager::remove`](super::Manager::remove) takes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not kept by a manager",
    label = "no proxy",
    note = "give a reference to what a method of `Manager` has returned: `manager.remove(&list)`"
)]
pub trait Proxy {
    /// Where its object is.
    #[doc(hidden)]
    fn remote(&self) -> &Remote;
}

pub(super) fn debug(name: &str, remote: &Remote, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{name}({} of {})", remote.object(), remote.address())
}

/// The object of a proxy of the type `P` that somebody has sent.
pub(super) fn remote_of<'de, P, D: Deserializer<'de>>(deserializer: D) -> Result<Remote, D::Error> {
    let (remote, name) = <(Remote, String)>::deserialize(deserializer)?;
    if name == type_name::<P>() {
        return Ok(remote);
    }
    Err(de::Error::custom(format!("the proxy has the type {name}, not {}", type_name::<P>())))
}
