//! What can be called with a tuple of arguments.

/// A function that takes the arguments of the tuple `A`; implemented for all functions of up to eight arguments.
pub trait TaskFn<A> {
    /// What it returns.
    type Output;

    /// Calls it.
    fn call(&self, args: A) -> Self::Output;
}

/// What can be given as the arguments `A` of a task: the tuple of them, or the one argument itself.
pub trait Args<A> {
    /// As a tuple.
    fn args(self) -> A;
}

impl<A> Args<(A,)> for A {
    fn args(self) -> (A,) {
        (self,)
    }
}

macro_rules! functions {
    ($($arg:ident)*) => {
        impl<F, R, $($arg),*> TaskFn<($($arg,)*)> for F
        where
            F: Fn($($arg),*) -> R,
        {
            type Output = R;

            #[allow(non_snake_case, reason = "one letter names a type and its value")]
            fn call(&self, ($($arg,)*): ($($arg,)*)) -> R {
                self($($arg),*)
            }
        }

        impl<$($arg),*> Args<($($arg,)*)> for ($($arg,)*) {
            fn args(self) -> Self {
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
