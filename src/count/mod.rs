//! Counting the letters of a text.

mod letters;

pub use letters::{Case, LETTERS_UNICODE, Letters};
