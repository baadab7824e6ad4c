//! The table of the program's tasks: a section that the linker fills, one entry for each place where `task!` is written.
//! (The technique of the linkme crate: the linker defines the symbols `__start_` and `__stop_` of a section whose name is
//! an identifier of C.)

#![allow(unsafe_code)]

use crate::mp::Result;

/// One function of the table.
#[doc(hidden)]
#[derive(Debug)]
#[repr(C)]
pub struct Entry {
    name: &'static str,
    run: fn(&[u8], &mut Vec<u8>) -> Result<()>,
}

impl Entry {
    /// A function under a name.
    #[must_use]
    pub const fn new(name: &'static str, run: fn(&[u8], &mut Vec<u8>) -> Result<()>) -> Self {
        Self { name, run }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Calls the function with the arguments that `args` encodes; what it returns is appended to `result`.
    pub(crate) fn run(&self, args: &[u8], result: &mut Vec<u8>) -> Result<()> {
        (self.run)(args, result)
    }
}

// The linker defines the symbols only for a section that has an entry.
#[used]
#[unsafe(link_section = "ipcpipe_tasks")]
static FIRST: Entry = Entry::new("", |_, _| Ok(()));

unsafe extern "C" {
    #[link_name = "__start_ipcpipe_tasks"]
    static START: u8;
    #[link_name = "__stop_ipcpipe_tasks"]
    static STOP: u8;
}

fn table() -> &'static [Entry] {
    let (start, stop) = (&raw const START, &raw const STOP);
    let first = start.cast::<Entry>();
    let entries = (stop.addr() - start.addr()) / size_of::<Entry>();
    // SAFETY: the linker puts every static of this section, all of the type Entry, side by side between the two symbols.
    unsafe { std::slice::from_raw_parts(first, entries) }
}

/// The entry of that name.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    table().iter().find(|entry| entry.name == name)
}
