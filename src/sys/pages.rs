//! Memory that a process does not need any more.

#![allow(unsafe_code)]

use std::fs;
use std::ops::Range;

/// Gives back the pages of program code that this process has touched so far, its own and its libraries'. What it still
/// needs comes back from the page cache, a fault for each 64 KiB.
///
/// Reading a command line touches much code, and a stage, which then runs one small loop for hours, would keep it
/// resident. Does nothing where the mappings cannot be read.
pub(crate) fn release_code() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for code in maps.lines().filter_map(code) {
        // SAFETY: nobody can write to code that is mapped from a file, so its pages come back as they were.
        unsafe { libc::madvise(code.start as *mut libc::c_void, code.len(), libc::MADV_DONTNEED) };
    }
}

/// The range of a line of proc_pid_maps(5), if it is code of a file: `start-end r-xp offset device inode /path`.
fn code(line: &str) -> Option<Range<usize>> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let of_file = fields.next()? == "r-xp" && fields.nth(3)?.starts_with('/');
    let [start, end] = [start, end].map(|address| usize::from_str_radix(address, 16).ok());
    of_file.then_some(start?..end?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_files_is_told_from_everything_else() {
        assert_eq!(code("1000-3000 r-xp 00000000 fd:00 17 /usr/bin/x y"), Some(0x1000..0x3000));
        for line in
            ["1000-3000 r--p 00000000 fd:00 17 /usr/bin/x", "1000-3000 r-xp 00000000 00:00 0 [vdso]", "", "x r-xp"]
        {
            assert_eq!(code(line), None, "{line}");
        }
    }

    #[test]
    fn a_process_goes_on_without_the_code_that_it_gave_back() {
        release_code();
        assert_eq!("12".parse::<u32>().unwrap() + 1, 13);
    }
}
