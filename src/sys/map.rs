//! Windows on files, which another process may cut short while they are looked at.
//!
//! A page of a mapping that lies behind the end of its file cannot be read: the kernel sends SIGBUS. The handler here puts
//! a page of zeros in its place and makes a note, so that the reader goes on, and learns of it when it is done. A fault
//! anywhere else goes to whoever was there before.
//!
//! The alternative is pread(2), which cannot fault. Which of the two takes less processor time depends on how the kernel
//! keeps the file: whoever counts a text tries both.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::sync::OnceLock;

/// What the handler has to know of the one window of a thread: where it is, and what the handler did to it.
#[derive(Clone, Copy)]
struct Guarded {
    start: usize,
    end: usize,
    was_cut: bool,
}

thread_local! {
    // Constant and without a destructor, so that the handler may read it; a fault is handled by the thread that made it.
    static WINDOW: Cell<Guarded> = const { Cell::new(Guarded { start: 0, end: 0, was_cut: false }) };
}

/// A part of a file in memory, for the thread that made it, one at a time.
///
/// A file can change under whoever looks at it twice, so what is looked at more than once is copied out first.
#[derive(Debug)]
pub(crate) struct Window {
    base: *mut libc::c_void,
    mapped: NonZeroUsize,
    /// Where the part begins: a mapping begins with a page.
    skip: usize,
}

impl Window {
    /// Maps `length` bytes of `file` from `offset` on. The first call in a process installs the handler of SIGBUS.
    ///
    /// # Errors
    /// ENODEV for a file that cannot be mapped, ENOMEM, EACCES; EINVAL for no bytes; EBUSY when this thread has a window.
    pub(crate) fn new(file: BorrowedFd<'_>, offset: u64, length: usize) -> io::Result<Self> {
        install()?;
        if WINDOW.get().end != 0 {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let skip = (offset % page_size() as u64) as usize;
        let mapped =
            NonZeroUsize::new(length).and_then(|it| it.checked_add(skip)).ok_or(io::ErrorKind::InvalidInput)?;
        let start = libc::off_t::try_from(offset - skip as u64).map_err(|_| io::ErrorKind::InvalidInput)?;
        let (access, flags) = (libc::PROT_READ, libc::MAP_SHARED);
        // SAFETY: a new mapping, at a place that the kernel chooses, touches no memory of this process.
        let base = unsafe { libc::mmap(ptr::null_mut(), mapped.get(), access, flags, file.as_raw_fd(), start) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        WINDOW.set(Guarded { start: base.addr(), end: base.addr() + mapped.get(), was_cut: false });
        Ok(Self { base, mapped, skip })
    }

    /// The `length` bytes from `at` on, for somebody who looks at each once and does nothing unsound whatever it is.
    ///
    /// # Panics
    /// When they are not all in the window.
    pub(crate) fn bytes(&self, at: usize, length: usize) -> &[u8] {
        let from = self.place(at, length);
        // SAFETY: the bytes are mapped as long as the window lives; that others may change them is the caller's concern.
        unsafe { std::slice::from_raw_parts(from, length) }
    }

    /// Copies the bytes from `at` on into `buffer`. Behind the end of a file that was cut there are zeros.
    ///
    /// # Panics
    /// When they are not all in the window.
    pub(crate) fn copy(&self, at: usize, buffer: &mut [u8]) {
        let source = self.place(at, buffer.len());
        // SAFETY: the source is within the mapping, which nothing in this process writes to, and the buffer is apart.
        unsafe { ptr::copy_nonoverlapping(source, buffer.as_mut_ptr(), buffer.len()) }
    }

    fn place(&self, at: usize, length: usize) -> *const u8 {
        let from = self.skip + at;
        assert!(from <= self.mapped.get() && length <= self.mapped.get() - from, "bytes from outside a window");
        self.base.cast::<u8>().wrapping_add(from)
    }

    /// True as long as no page was behind the end of the file.
    #[must_use]
    pub(crate) fn is_intact(&self) -> bool {
        !WINDOW.get().was_cut
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        WINDOW.set(Guarded { start: 0, end: 0, was_cut: false });
        // SAFETY: the mapping is this window's own, and nothing refers to it any more.
        unsafe { libc::munmap(self.base, self.mapped.get()) };
    }
}

fn page_size() -> usize {
    rustix::param::page_size()
}

/// Who handled SIGBUS before; the handler needs no lock to read it.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Installs the handler once and for good: to remove it again would be a race with other threads that have windows.
fn install() -> io::Result<()> {
    static DONE: OnceLock<Result<(), i32>> = OnceLock::new();
    let done = DONE.get_or_init(|| {
        // SAFETY: all zeros are a valid value of this plain struct.
        let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: it only reads who handles the signal now.
        let status = unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut before) };
        if status != 0 {
            return Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL));
        }
        BEFORE.get_or_init(|| before);
        let mut ours = before;
        ours.sa_sigaction = on_bus_error as *const () as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        // SAFETY: the handler keeps to what a handler may do, and the struct lives through the call.
        match unsafe { libc::sigaction(libc::SIGBUS, &raw const ours, ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL)),
        }
    });
    done.map_err(io::Error::from_raw_os_error)
}

/// Runs on the thread that touched a page which is not there.
extern "C" fn on_bus_error(signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel passes the handler of SA_SIGINFO a struct that lives as long as it runs.
    let info = unsafe { &*info };
    let code = info.si_code;
    // SAFETY: SIGBUS has an address; where somebody sent it, the bits mean something else and are not used.
    let address = unsafe { info.si_addr() }.addr();
    let window = WINDOW.get();
    // A positive code is a fault; other numbers are signals that somebody sent.
    let is_ours = code > 0 && (window.start..window.end).contains(&address);
    if is_ours && put_zeros(address - address % page_size(), window.end) {
        WINDOW.set(Guarded { was_cut: true, ..window });
    } else {
        hand_on(signal, code);
    }
}

/// Maps zeros from `start` up to `end`; everything there is behind the end of the file.
fn put_zeros(start: usize, end: usize) -> bool {
    let errno = io::Error::last_os_error().raw_os_error();
    let (access, flags) = (libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED);
    let place = ptr::with_exposed_provenance_mut(start);
    // SAFETY: it takes the place of pages of a window of this thread, which are only ever copied from.
    let put = unsafe { libc::mmap(place, end - start, access, flags, -1, 0) };
    if let Some(errno) = errno {
        // SAFETY: it only asks where the number of this thread is.
        let place = unsafe { libc::__errno_location() };
        // SAFETY: that place is valid as long as the thread lives.
        unsafe { *place = errno };
    }
    put != libc::MAP_FAILED
}

/// Leaves the signal to whoever handled it before: a fault comes again as soon as this handler returns.
fn hand_on(signal: i32, code: i32) {
    if let Some(before) = BEFORE.get() {
        // SAFETY: it puts back what was in force, and the struct is never freed.
        unsafe { libc::sigaction(signal, before, ptr::null_mut()) };
    }
    if code <= 0 {
        // SAFETY: raise touches no memory; the signal comes when this handler has returned.
        unsafe { libc::raise(signal) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsFd as _;

    use super::*;

    fn file(bytes: &[u8]) -> std::fs::File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_window_shows_its_part_of_the_file() {
        let bytes: Vec<u8> = (0..20_000_u32).map(|it| (it % 251) as u8).collect();
        let file = file(&bytes);
        for (offset, length) in [(0, 1), (3, 9000), (4095, 2), (8192, 11_808), (4097, 15_903)] {
            let window = Window::new(file.as_fd(), offset, length).unwrap();
            let mut copy = vec![0; length];
            window.copy(0, &mut copy);
            assert_eq!(copy, bytes[offset as usize..offset as usize + length]);
            window.copy(length - 1, &mut copy[..1]);
            assert_eq!(copy[0], bytes[offset as usize + length - 1]);
            assert!(window.is_intact());
        }
    }

    #[test]
    fn a_file_that_is_cut_short_is_noticed_and_kills_nobody() {
        let file = file(&[7; 40_000]);
        let window = Window::new(file.as_fd(), 0, 40_000).unwrap();
        file.set_len(10_000).unwrap();
        let mut copy = vec![0; 40_000];
        window.copy(0, &mut copy);
        assert!(!window.is_intact());
        assert!(copy[..10_000].iter().all(|&byte| byte == 7) && copy[10_000..].iter().all(|&byte| byte == 0));
        drop(window);
        let window = Window::new(file.as_fd(), 0, 10_000).unwrap();
        window.copy(0, &mut copy[..10_000]);
        assert!(window.is_intact(), "the next window is a new one");
    }

    #[test]
    fn a_thread_has_one_window_and_another_thread_its_own() {
        let file = file(&[7; 100]);
        let _window = Window::new(file.as_fd(), 0, 100).unwrap();
        assert!(Window::new(file.as_fd(), 0, 100).is_err());
        std::thread::scope(|scope| scope.spawn(|| assert!(Window::new(file.as_fd(), 0, 100).is_ok())).join().unwrap());
    }

    #[test]
    fn a_fault_elsewhere_goes_where_it_would_have_gone() {
        use std::os::unix::process::ExitStatusExt as _;
        const DIES: &str = "IPCPIPE_TEST_DIES_OF_SIGBUS";
        if std::env::var_os(DIES).is_some() {
            let file = file(&[7; 8192]);
            let window = Window::new(file.as_fd(), 0, 8192).unwrap();
            // Forgotten, the window is a mapping like any other.
            WINDOW.set(Guarded { start: 0, end: 0, was_cut: false });
            file.set_len(0).unwrap();
            return window.copy(0, &mut [0]);
        }
        let name = "sys::map::tests::a_fault_elsewhere_goes_where_it_would_have_gone";
        let mut test = std::process::Command::new(std::env::current_exe().unwrap());
        let output = test.args(["--exact", name]).env(DIES, "1").output().unwrap();
        assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{output:?}");
    }

    #[test]
    #[should_panic(expected = "outside a window")]
    fn nothing_outside_a_window_is_copied() {
        let file = file(&[7; 100]);
        Window::new(file.as_fd(), 50, 10).unwrap().copy(5, &mut [0; 6]);
    }
}
