//! Functions that another process can be asked to run, by name: a task is an entry in a table that the linker puts
//! together, so the child, which is the same program started anew, finds it wherever its code was loaded.

mod change;
mod function;
mod pieces;
mod registry;

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use crate::mp::Result;

pub(crate) use change::{Form, Pieces};
pub use function::{Args, TaskFn, Update};
pub(crate) use registry::find;
pub use registry::{Entry, IPCPIPE_TASKS};

/// A function that another process of this program can run: made by [`task!`](crate::task) at the place of its use.
///
/// `A` is the tuple of its arguments and `R` its result. A task is a name, so it can be an argument itself, and part of
/// what a message holds.
pub struct Task<A, R> {
    entry: &'static Entry,
    types: PhantomData<fn(A) -> R>,
}

impl<A, R> Task<A, R> {
    /// What it is called, in ps(1) too: `module::function file:line:column`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.entry.name()
    }

    #[cfg(test)]
    fn entry(&self) -> &'static Entry {
        self.entry
    }

    fn types() -> &'static str {
        type_name::<(A, R)>()
    }
}

/// The task of `entry`, which runs `function`.
#[doc(hidden)]
pub const fn typed<A, F: TaskFn<A>>(entry: &'static Entry, _function: &F) -> Task<A, F::Output> {
    Task { entry, types: PhantomData }
}

/// Runs `function` with the arguments that `args` encodes, and appends the encoding of what it returns.
#[doc(hidden)]
pub fn invoke<A, F>(function: F, args: &[u8], result: &mut Vec<u8>) -> Result<()>
where
    F: TaskFn<A>,
    F::Output: Serialize,
{
    function.run(args, result)
}

impl<A, R> Clone for Task<A, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, R> Copy for Task<A, R> {}

impl<A, R> fmt::Debug for Task<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&self.name()).finish()
    }
}

impl<A, R> Serialize for Task<A, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        (self.name(), Self::types()).serialize(serializer)
    }
}

impl<'de, A, R> Deserialize<'de> for Task<A, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let (name, types) = <(String, String)>::deserialize(deserializer)?;
        let entry = find(&name).ok_or_else(|| de::Error::custom(format!("no task {name} in this program")))?;
        if types != Self::types() {
            return Err(de::Error::custom(format!("task {name} has the types {types}, not {}", Self::types())));
        }
        Ok(Self { entry, types: PhantomData })
    }
}

/// Makes a [`Task`] of a function, a method or a closure that captures nothing, with up to eight arguments.
///
/// Arguments and result are what serde can serialise and owns. A closure has to name the types of its arguments. Nothing
/// else has to be declared anywhere: the macro leaves an entry in a table of the program, where a child finds it. A crate
/// that forbids `unsafe_code` can use it.
///
/// ```
/// #![forbid(unsafe_code)]
///
/// use ipcpipe::mp::Task;
/// use ipcpipe::task;
///
/// fn div(a: f64, b: f64) -> Result<f64, String> {
///     if b == 0.0 { Err("division by zero".to_owned()) } else { Ok(a / b) }
/// }
///
/// let task: Task<(f64, f64), Result<f64, String>> = task!(div);
/// let increment: Task<(u64,), u64> = task!(|x: u64| x + 1);
/// assert!(task.name().contains("div"));
/// # let _ = increment;
/// ```
///
/// A function whose first argument is `&mut T` becomes a task that changes a shared object of the type `T`: see
/// [`Update`].
///
/// ```
/// use ipcpipe::mp::{Task, Update};
///
/// let add: Task<Update<i64, (i64,)>, ()> = ipcpipe::task!(|value: &mut i64, n: i64| *value += n);
/// # let _ = add;
/// ```
///
/// Captures fail to compile, since another process would not have them:
///
/// ```compile_fail
/// let y = 2;
/// let add = ipcpipe::task!(|x: u64| x + y);
/// ```
#[macro_export]
macro_rules! task {
    ($function:expr) => {{
        fn run(args: &[u8], result: &mut ::std::vec::Vec<u8>) -> $crate::mp::Result<()> {
            $crate::mp::__private::invoke($function, args, result)
        }
        #[$crate::mp::__private::linkme::distributed_slice($crate::mp::__private::IPCPIPE_TASKS)]
        #[linkme(crate = $crate::mp::__private::linkme)]
        static ENTRY: $crate::mp::__private::Entry = $crate::mp::__private::Entry::new(
            concat!(module_path!(), "::", stringify!($function), " ", file!(), ":", line!(), ":", column!()),
            run,
        );
        $crate::mp::__private::typed(&ENTRY, &$function)
    }};
}

#[cfg(test)]
mod tests {
    #![allow(unsafe_code, reason = "the entry of a task has a link section")]

    use serde::de::DeserializeOwned;

    use super::*;
    use crate::mp::wire;

    fn sum(a: u32, b: u32) -> u32 {
        a + b
    }

    struct Matrix;

    impl Matrix {
        fn trace(rows: Vec<Vec<f64>>) -> f64 {
            rows.iter().enumerate().map(|(i, row)| row[i]).sum()
        }
    }

    fn run<A: Serialize, R: DeserializeOwned>(task: Task<A, R>, args: A) -> R {
        let (mut sent, mut answer) = (Vec::new(), Vec::new());
        wire::encode(&args, &mut sent).unwrap();
        find(task.name()).unwrap().run(&sent, &mut answer).unwrap();
        wire::decode(&answer).unwrap()
    }

    #[test]
    fn functions_methods_and_closures_are_found_by_name() {
        assert_eq!(run(task!(sum), (2, 3)), 5);
        assert_eq!(run(task!(|| "nothing".to_owned()), ()), "nothing");
        assert_eq!(run(task!(|x: u64| x + 1), (1,)), 2);
        let trace = task!(Matrix::trace);
        assert_eq!(run(trace, (vec![vec![1.0, 2.0], vec![3.0, 4.0]],)), 5.0);
        assert!(trace.name().contains("Matrix::trace"), "{}", trace.name());
    }

    #[test]
    fn a_task_travels_as_its_name_and_types() {
        let mut bytes = Vec::new();
        wire::encode(&task!(sum), &mut bytes).unwrap();
        let back: Task<(u32, u32), u32> = wire::decode(&bytes).unwrap();
        assert_eq!(run(back, (1, 1)), 2);
        wire::decode::<Task<(u32,), u32>>(&bytes).unwrap_err();
    }

    #[test]
    fn arguments_that_are_none_are_an_error() {
        let entry = task!(sum).entry();
        entry.run(&[1], &mut Vec::new()).unwrap_err();
        entry.run(&[1, 1, 1], &mut Vec::new()).unwrap_err();
    }

    #[test]
    fn a_function_of_a_mutable_first_argument_is_an_update() {
        fn push(list: &mut Vec<u8>, n: u8) -> usize {
            list.push(n);
            list.len()
        }
        let task: Task<Update<Vec<u8>, (u8,)>, usize> = task!(push);
        let change = |form: Form| {
            let mut answer = Vec::new();
            task.entry().run(&[form as u8, 2, 7, 8, 9], &mut answer).unwrap();
            Pieces(&answer).map(|piece| piece.unwrap().to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(change(Form::Whole), [vec![3], vec![3, 7, 8, 9]]);
        assert_eq!(change(Form::Parts), [vec![3], vec![7], vec![8], vec![9]]);
        let clear = task!(|n: &mut u32| *n = 0);
        clear.entry().run(&[1, 7], &mut Vec::new()).unwrap_err();
        clear.entry().run(&[], &mut Vec::new()).unwrap_err();
    }
}
