//! What can be called with a tuple of arguments.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::change::run_change;
use crate::mp::{Result, wire};

/// A function that a task can be made of.
///
/// It is implemented for all functions of up to eight arguments that are owned values, where `A` is the tuple of them; and
/// with `A` = [`Update`] for those whose first argument is `&mut T`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a task",
    label = "not a function of up to eight owned values that serde can read",
    note = "another process gets copies: take `String` for `&str`, `Vec<T>` for `&[T]`, and derive `Serialize` and `Deserialize` for types of your own",
    note = "a closure has to name the types of its arguments: `task!(|n: u64| n + 1)`; more than eight arguments fit into a struct or a tuple"
)]
pub trait TaskFn<A> {
    /// What it returns.
    type Output;

    /// Calls it with the arguments that `args` encodes, and appends the encoding of what it returns to `result`.
    ///
    /// # Errors
    /// [`Error::Codec`](crate::mp::Error::Codec): the bytes are no such arguments, or the result cannot be put into bytes.
    fn run(&self, args: &[u8], result: &mut Vec<u8>) -> Result<()>
    where
        Self::Output: Serialize;
}

/// In the place of a task's arguments: it is a function `fn(&mut T, ...)`, where `A` is the tuple of those after the first.
///
/// Such a task changes a shared object where that is kept: see [`ValueProxy::update`](crate::mp::ValueProxy::update).
pub struct Update<T, A>(PhantomData<fn(T, A)>);

impl<T, A> std::fmt::Debug for Update<T, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Update")
    }
}

/// What can be given as the arguments `A` of a task: the tuple of them, or the one argument itself.
///
/// What does not fit is told by the compiler:
///
/// ```compile_fail,E0277
/// # use ipcpipe::{mp::Process, task};
/// fn greet(name: String) {}
/// Process::spawn(task!(greet), "Ada"); // `"Ada".to_owned()` is a String
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the arguments of a task that takes `{A}`",
    label = "the task takes `{A}`",
    note = "give the tuple of all arguments, `(a, b)`, or the argument itself if there is one, and `()` if there is none",
    note = "a task takes owned values of exactly these types: `\"text\".to_owned()` for a `String`, `queue.clone()` for a `Queue`"
)]
pub trait Args<A> {
    /// As a tuple.
    fn into_task_args(self) -> A;
}

impl<A> Args<(A,)> for A {
    fn into_task_args(self) -> (A,) {
        (self,)
    }
}

// A reference is no owned value, so of the two implementations of TaskFn at most one fits a function. That is how `task!`
// finds out which of them is meant.
macro_rules! functions {
    ($($arg:ident)*) => {
        impl<F, R, $($arg),*> TaskFn<($($arg,)*)> for F
        where
            F: Fn($($arg),*) -> R,
            $($arg: DeserializeOwned,)*
        {
            type Output = R;

            #[allow(non_snake_case, reason = "one letter names a type and its value")]
            fn run(&self, args: &[u8], result: &mut Vec<u8>) -> Result<()>
            where
                R: Serialize,
            {
                let ($($arg,)*) = wire::decode::<($($arg,)*)>(args)?;
                // What the function itself sends is no part of this message.
                let returned = wire::aside(|| self($($arg),*));
                wire::encode(&returned, result)
            }
        }

        impl<F, R, T, $($arg),*> TaskFn<Update<T, ($($arg,)*)>> for F
        where
            F: for<'a> Fn(&'a mut T $(, $arg)*) -> R,
            T: Serialize + DeserializeOwned,
            $($arg: DeserializeOwned,)*
        {
            type Output = R;

            #[allow(non_snake_case, reason = "one letter names a type and its value")]
            fn run(&self, args: &[u8], result: &mut Vec<u8>) -> Result<()>
            where
                R: Serialize,
            {
                run_change(args, result, |state: &mut T, ($($arg,)*): ($($arg,)*)| self(state $(, $arg)*))
            }
        }

        #[diagnostic::do_not_recommend]
        impl<$($arg),*> Args<($($arg,)*)> for ($($arg,)*) {
            fn into_task_args(self) -> Self {
                self
            }
        }
    };
}

functions!();
functions!(A);
functions!(A B);
functions!(A B C);
functions!(A B C D);
functions!(A B C D E);
functions!(A B C D E G);
functions!(A B C D E G H);
functions!(A B C D E G H I);
