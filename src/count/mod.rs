//! Counting the letters of a text.

mod kernel;
mod letters;

pub use kernel::Kernel;
pub use letters::{Case, LETTERS_UNICODE, Letters};
