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
use std::ops::Range;
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

/// Bytes of the largest page. The kernel maps what is around a fault too, at most up to where such a page ends.
const LARGEST: usize = 2 << 20;

/// A part of a file in the address space, of which a thread makes windows, one after the other.
///
/// To map each window by itself takes longer where several threads do so: mmap(2) and munmap(2) lock the address space of
/// all of them, and who finds it locked sleeps. What is mapped is in memory only as long as a window is on it.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: *mut libc::c_void,
    length: NonZeroUsize,
    /// Where it begins in the file.
    offset: u64,
}

impl Mapping {
    /// Maps the bytes of `part` of `file`, and up to 2 MiB before them. The first call in a process installs the handler of
    /// SIGBUS. The file may end before the part does, but there no window may be.
    ///
    /// # Errors
    /// ENODEV for a file that cannot be mapped, ENOMEM, EACCES; EINVAL for no bytes.
    pub(crate) fn new(file: BorrowedFd<'_>, part: &Range<u64>) -> io::Result<Self> {
        install()?;
        let offset = part.start - part.start % LARGEST as u64;
        let length = usize::try_from(part.end.saturating_sub(offset)).ok().and_then(NonZeroUsize::new);
        let length = length.filter(|_| !part.is_empty()).ok_or(io::ErrorKind::InvalidInput)?;
        let start = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let (access, flags) = (libc::PROT_READ, libc::MAP_SHARED);
        // SAFETY: a new mapping, at a place that the kernel chooses, touches no memory of this process.
        let base = unsafe { libc::mmap(ptr::null_mut(), length.get(), access, flags, file.as_raw_fd(), start) };
        if base == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Self { base, length, offset }) }
    }

    /// True if all of `part` of the file is mapped.
    pub(crate) fn covers(&self, part: &Range<u64>) -> bool {
        self.offset <= part.start && part.end - self.offset <= self.length.get() as u64
    }

    /// A window on `part` of the file, for this thread.
    ///
    /// # Errors
    /// EBUSY when this thread has a window.
    ///
    /// # Panics
    /// When the part is not mapped.
    pub(crate) fn window(&self, part: &Range<u64>) -> io::Result<Window<'_>> {
        assert!(self.covers(part), "a window outside of its mapping");
        if WINDOW.get().end != 0 {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let window = Window {
            mapping: self,
            start: (part.start - self.offset) as usize,
            length: (part.end - part.start) as usize,
        };
        let start = self.base.addr() + window.start;
        WINDOW.set(Guarded { start: start - start % page_size(), end: start + window.length, was_cut: false });
        Ok(window)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's own, and windows, which refer to it, do not outlive it.
        unsafe { libc::munmap(self.base, self.length.get()) };
    }
}

/// A part of a file in memory, for the thread that made it, one at a time.
///
/// A file can change under whoever looks at it twice, so what has to be the same at the second look is copied out first.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    mapping: &'a Mapping,
    /// Where it begins in the mapping.
    start: usize,
    length: usize,
}

impl Window<'_> {
    /// The `length` bytes from `at` on, for somebody who does nothing unsound whatever they are, at each look.
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
        assert!(at <= self.length && length <= self.length - at, "bytes from outside a window");
        self.mapping.base.cast::<u8>().wrapping_add(self.start + at)
    }

    /// True as long as no page was behind the end of the file. The mapping of a window of which this is false shows zeros in
    /// these places from now on, so no other window may be made of it.
    #[must_use]
    pub(crate) fn is_intact(&self) -> bool {
        !WINDOW.get().was_cut
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        WINDOW.set(Guarded { start: 0, end: 0, was_cut: false });
        let end = self.start + self.length;
        let (from, to) = (self.start - self.start % LARGEST, end.next_multiple_of(LARGEST));
        let length = to.min(self.mapping.length.get()) - from;
        let place = self.mapping.base.wrapping_byte_add(from);
        // SAFETY: the pages are of the mapping, nothing refers to them any more, and their bytes are those of the file.
        unsafe { libc::madvise(place, length, libc::MADV_DONTNEED) };
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
        let whole = Mapping::new(file.as_fd(), &(0..20_000)).unwrap();
        for part in [0..1, 3..9003, 4095..4097, 8192..20_000, 4097..20_000, 3..9003] {
            let own = Mapping::new(file.as_fd(), &part).unwrap();
            for mapping in [&whole, &own] {
                let window = mapping.window(&part).unwrap();
                let (expected, length) = (&bytes[part.start as usize..part.end as usize], window.length);
                let mut copy = vec![0; length];
                window.copy(0, &mut copy);
                assert!(copy == expected && window.bytes(0, length) == expected);
                window.copy(length - 1, &mut copy[..1]);
                assert_eq!(copy[0], expected[length - 1]);
                assert!(window.is_intact());
            }
        }
        assert!(whole.covers(&(5..20_000)) && !whole.covers(&(5..20_001)));
        assert_eq!(Mapping::new(file.as_fd(), &(7..7)).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_mapping_begins_before_its_part_and_no_earlier_part_is_in_it() {
        let file = file(&[7; 100]);
        file.set_len(5 << 20).unwrap();
        let part = (3 << 20) + 1..(5 << 20);
        let mapping = Mapping::new(file.as_fd(), &part).unwrap();
        assert!(mapping.covers(&(2 << 20..5 << 20)) && !mapping.covers(&((2 << 20) - 1..3 << 20)));
        assert_eq!(mapping.window(&part).unwrap().bytes(0, 9), [0; 9]);
    }

    #[test]
    fn pages_leave_memory_with_their_window() {
        let file = file(&vec![7; 6 << 20]);
        let mapping = Mapping::new(file.as_fd(), &(0..6 << 20)).unwrap();
        // By the kernel's own list of mappings, in KiB.
        let resident = || {
            let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let of_this = text.split_once(&format!("{:08x}-", mapping.base.addr())).unwrap().1;
            let line = of_this.lines().find(|line| line.starts_with("Rss:")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        };
        for part in [0..6 << 20, (1 << 20) + 5..(3 << 20) + 5, (2 << 20) - 1..(2 << 20) + 1, 5 << 20..6 << 20] {
            let window = mapping.window(&part).unwrap();
            assert_eq!(
                window.bytes(0, window.length).iter().map(|&it| u64::from(it)).sum::<u64>(),
                7 * window.length as u64
            );
            assert!(resident() > 0);
            drop(window);
            assert_eq!(resident(), 0, "{part:?}");
        }
    }

    #[test]
    fn a_file_that_is_cut_short_is_noticed_and_kills_nobody() {
        let file = file(&[7; 40_000]);
        let mapping = Mapping::new(file.as_fd(), &(0..40_000)).unwrap();
        let window = mapping.window(&(0..40_000)).unwrap();
        file.set_len(10_000).unwrap();
        let mut copy = vec![0; 40_000];
        window.copy(0, &mut copy);
        assert!(!window.is_intact());
        assert!(copy[..10_000].iter().all(|&byte| byte == 7) && copy[10_000..].iter().all(|&byte| byte == 0));
        drop(window);
        let mapping = Mapping::new(file.as_fd(), &(0..10_000)).unwrap();
        let window = mapping.window(&(0..10_000)).unwrap();
        window.copy(0, &mut copy[..10_000]);
        assert!(window.is_intact(), "the next window is a new one");
    }

    #[test]
    fn a_thread_has_one_window_and_another_thread_its_own() {
        let file = file(&[7; 100]);
        let mapping = || Mapping::new(file.as_fd(), &(0..100)).unwrap();
        let mine = mapping();
        let _window = mine.window(&(0..100)).unwrap();
        assert!(mine.window(&(0..100)).is_err());
        std::thread::scope(|scope| scope.spawn(|| assert!(mapping().window(&(0..100)).is_ok())).join().unwrap());
    }

    #[test]
    fn a_fault_elsewhere_goes_where_it_would_have_gone() {
        use std::os::unix::process::ExitStatusExt as _;
        const DIES: &str = "IPCPIPE_TEST_DIES_OF_SIGBUS";
        if std::env::var_os(DIES).is_some() {
            let file = file(&[7; 8192]);
            let mapping = Mapping::new(file.as_fd(), &(0..8192)).unwrap();
            let window = mapping.window(&(0..8192)).unwrap();
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
        let mapping = Mapping::new(file.as_fd(), &(0..100)).unwrap();
        mapping.window(&(50..60)).unwrap().copy(5, &mut [0; 6]);
    }
}
