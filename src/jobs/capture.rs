//! What a job has written: in memory while it is little, in a file without a name when it is much.

use std::env;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::sys::fd;

/// Bytes of one stream of one job that stay in memory.
const IN_MEMORY: usize = 1 << 20;

/// One stream of a job that has ended.
#[derive(Debug, Default)]
pub struct Output {
    /// The beginning, if it was too much for memory.
    file: Option<File>,
    in_file: u64,
    /// What comes after it.
    memory: Vec<u8>,
    /// The file takes no more, so the rest is in memory after all.
    is_full: bool,
}

impl Output {
    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.in_file + self.memory.len() as u64
    }

    /// True if nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads from byte `at` on into `buffer`, and says how many bytes that were: 0 at the end, and maybe fewer than would
    /// fit before it.
    ///
    /// # Errors
    /// The system's.
    pub fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(file) = self.file.as_ref().filter(|_| at < self.in_file) {
            let most = buffer.len().min(usize::try_from(self.in_file - at).unwrap_or(usize::MAX));
            return match file.read_at(&mut buffer[..most], at)? {
                0 if most > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
                read => Ok(read),
            };
        }
        let rest = usize::try_from(at - self.in_file).ok().and_then(|from| self.memory.get(from..)).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    /// All of it, in memory.
    ///
    /// # Errors
    /// The system's.
    pub fn into_bytes(self) -> io::Result<Vec<u8>> {
        let Some(file) = &self.file else { return Ok(self.memory) };
        let mut bytes = vec![0; usize::try_from(self.in_file).map_err(|_| io::ErrorKind::OutOfMemory)?];
        file.read_exact_at(&mut bytes, 0)?;
        bytes.extend(&self.memory);
        Ok(bytes)
    }

    /// Bytes of it that are in memory.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        self.memory.len()
    }

    /// Adds `bytes`.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > IN_MEMORY && !self.is_full {
            // Where no file can be had, as on a full disk, memory may still do.
            self.is_full = self.spill().is_err();
        }
    }

    /// Moves what is in memory to the file.
    fn spill(&mut self) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(fd::unnamed_file(&env::temp_dir())?),
        };
        file.write_all_at(&self.memory, self.in_file)?;
        self.in_file += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }
}

impl From<Vec<u8>> for Output {
    fn from(memory: Vec<u8>) -> Self {
        Self { memory, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &Output, chunk: usize) -> Vec<u8> {
        let mut found = Vec::new();
        let mut buffer = vec![0; chunk];
        loop {
            match output.read_at(found.len() as u64, &mut buffer).unwrap() {
                0 => return found,
                read => found.extend(&buffer[..read]),
            }
        }
    }

    #[test]
    fn little_stays_in_memory_and_much_does_not() {
        for (pieces, spills) in [(0, false), (3, false), (100, true)] {
            let mut output = Output::default();
            let written: Vec<u8> = (0..pieces * 50_000_u32).map(|at| (at % 251) as u8).collect();
            written.chunks(50_000).for_each(|piece| output.push(piece));
            assert_eq!((output.len(), output.file.is_some()), (written.len() as u64, spills));
            assert!(output.in_memory() <= IN_MEMORY && output.is_empty() == written.is_empty());
            assert!(read(&output, 4096) == written && read(&output, 1 << 22) == written);
            assert!(output.into_bytes().unwrap() == written);
        }
    }

    #[test]
    fn what_the_file_refuses_stays_in_memory() {
        let mut output = Output { is_full: true, ..Output::default() };
        output.push(&vec![7; IN_MEMORY + 1]);
        assert_eq!((output.in_memory(), output.in_file), (IN_MEMORY + 1, 0));
    }
}
