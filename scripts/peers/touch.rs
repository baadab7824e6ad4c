//! The cost of merely touching a file, in the cheapest way that still brings every part of it to the processor: one
//! byte in 32 is read and added.
//!
//!     rustc -O -o touch peers/touch.rs && ./touch FILE
//!
//! The file is mapped in windows of 4 MiB, as ipcpipe does, because that is the fastest way to read one. It prints the
//! bytes, and the CPU and wall seconds of that alone, without the start of the process.

use std::ffi::{c_int, c_long, c_void};
use std::fs::File;
use std::hint::black_box;
use std::io::{Error, Result};
use std::os::fd::AsRawFd;
use std::time::Instant;

const WINDOW: usize = 4 << 20;
const STRIDE: usize = 32;

const PROT_READ: c_int = 1;
const MAP_SHARED: c_int = 1;
const CLOCK_PROCESS_CPUTIME_ID: c_int = 2;

#[repr(C)]
#[derive(Default)]
struct Timespec {
    seconds: c_long,
    nanoseconds: c_long,
}

unsafe extern "C" {
    fn mmap(address: *mut c_void, length: usize, protection: c_int, flags: c_int, fd: c_int, offset: i64) -> *mut c_void;
    fn munmap(address: *mut c_void, length: usize) -> c_int;
    fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int;
}

fn cpu_seconds() -> f64 {
    let mut time = Timespec::default();
    // SAFETY: the kernel writes one timespec into a place that holds one.
    unsafe { clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.seconds as f64 + time.nanoseconds as f64 * 1e-9
}

/// The sum of every 32nd byte of the file.
fn touch(file: &File, size: usize) -> Result<u64> {
    let mut sum = 0;
    for offset in (0..size).step_by(WINDOW) {
        let length = WINDOW.min(size - offset);
        // SAFETY: a new mapping at an address of the kernel's choice cannot overlap what this program uses.
        let start = unsafe { mmap(std::ptr::null_mut(), length, PROT_READ, MAP_SHARED, file.as_raw_fd(), offset as i64) };
        if start as isize == -1 {
            return Err(Error::last_os_error());
        }
        // SAFETY: `length` bytes are mapped here until the munmap below, and the benchmark's texts do not change.
        let window = unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) };
        sum += window.iter().step_by(STRIDE).map(|&byte| u64::from(byte)).sum::<u64>();
        // SAFETY: it is the mapping made above, and nothing refers to it any more.
        unsafe { munmap(start, length) };
    }
    Ok(sum)
}

fn main() -> Result<()> {
    let path = std::env::args_os().nth(1).expect("a file to touch");
    let file = File::open(path)?;
    let size = file.metadata()?.len() as usize;
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    black_box(touch(&file, size)?);
    println!("{size} {} {}", cpu_seconds() - cpu, wall.elapsed().as_secs_f64());
    Ok(())
}
