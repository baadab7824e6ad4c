//! `ipcpipe manager`: named processes and threads, from a prompt, a script, another terminal or a program.

pub(crate) mod grammar;
mod render;
pub(crate) mod words;
