//! What may lie in shared memory.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Data that are nothing but bytes: numbers, arrays of them, and structs of them without padding.
///
/// Whatever bytes lie there, they are some value of the type, so that half a write is a wrong number at worst, never
/// undefined behaviour. Nothing in them may point anywhere: an address means nothing to another process. Every type that
/// has these four traits of the crate `zerocopy` 0.8 is plain:
///
/// ```
/// use ipcpipe::mp::Value;
/// use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
///
/// #[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
/// #[repr(C)]
/// struct Point {
///     x: f64,
///     y: f64,
/// }
///
/// let point = Value::new(Point { x: 1.0, y: 2.0 })?;
/// point.update(|it| it.x += 0.5)?;
/// assert_eq!(point.get()?, Point { x: 1.5, y: 2.0 });
/// # Ok::<(), ipcpipe::mp::Error>(())
/// ```
///
/// `bool` and `char` are not plain, because not every byte is one: use `u8` and `u32`, or
/// [`Unlocked<bool>`](super::Unlocked).
///
/// ```compile_fail,E0277
/// ipcpipe::mp::Value::new(String::new()); // where the text is means nothing to another process
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot lie in shared memory",
    label = "not plain bytes",
    note = "numbers, arrays of them and structs of them without padding can: derive `FromBytes`, `IntoBytes`, `Immutable` and `KnownLayout` of zerocopy 0.8, with `#[repr(C)]`",
    note = "`bool` and `char` go as `u8` and `u32`, or into `Unlocked`; text and lists go into `SharedList`, a `Queue`, or an object of a `Manager`"
)]
pub trait Plain: FromBytes + IntoBytes + Immutable + KnownLayout + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Send + 'static> Plain for T {}
