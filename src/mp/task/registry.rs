//! The table of the program's tasks: a section that the linker fills, one entry for each place where `task!` is written.

use linkme::distributed_slice;

use crate::mp::Result;

/// All entries of this program, in no order.
#[doc(hidden)]
#[distributed_slice]
pub static IPCPIPE_TASKS: [Entry];

/// One function of the table.
#[doc(hidden)]
#[derive(Debug)]
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

/// The entry of that name.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    IPCPIPE_TASKS.static_slice().iter().find(|entry| entry.name == name)
}
