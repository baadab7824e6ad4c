//! The log file: one buffer of whole records, written at once, and cut back to whole records on failure.

use std::fs::File;
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};

use super::LogOptions;
use super::format::{Frame, LogFormat, RECORD, Time};
use crate::Error;
use crate::record::Sample;

/// The buffer is written when it holds so many bytes: it fits the second-level cache, and the call costs
/// little beside the formatting.
const FULL: usize = 256 * 1024;

/// So many samples are formatted between two looks at the room that is left.
const RUN: usize = 64;

/// An open log, at its end.
#[derive(Debug)]
pub(super) struct LogFile {
    file: File,
    name: String,
    format: LogFormat,
    /// A device has no length to cut back and nothing to sync.
    is_regular: bool,
    buffer: Box<[u8]>,
    filled: usize,
    buffered: u64,
    start: u64,
    end: u64,
    records: u64,
    is_whole: bool,
}

/// A write that failed, after the file was cut back.
#[derive(Debug)]
pub(super) struct WriteFault {
    cause: io::Error,
    at: u64,
}

impl LogFile {
    /// Takes `file` at its end; an empty file gets its header.
    pub(super) fn new(mut file: File, options: &LogOptions) -> Result<Self, Error> {
        let &LogOptions { ref name, format, truncate, .. } = options;
        let opened = file.metadata().and_then(|metadata| {
            let is_regular = metadata.is_file();
            if is_regular && truncate {
                file.set_len(0)?;
            }
            let end = if is_regular { file.seek(SeekFrom::End(0))? } else { 0 };
            Ok((is_regular, end))
        });
        let (is_regular, start) = opened.map_err(|error| Error::os("cannot append to", name, error))?;
        let buffer = vec![0; FULL + RUN * RECORD].into();
        let name = name.clone();
        let (filled, buffered, records, end, is_whole) = (0, 0, 0, start, true);
        let mut log = Self { file, name, format, is_regular, buffer, filled, buffered, start, end, records, is_whole };
        log.write_header().map_err(|fault| log.describe(fault, 0))?;
        Ok(log)
    }

    fn write_header(&mut self) -> Result<(), WriteFault> {
        if self.end > 0 {
            return Ok(());
        }
        let header = self.format.header();
        self.buffer[..header.len()].copy_from_slice(header);
        self.filled = header.len();
        self.write()
    }

    /// Records that are in the file, whole, by this run.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Bytes in the file by this run.
    pub(super) fn bytes(&self) -> u64 {
        self.end - self.start
    }

    /// Whether the file ends with a whole record.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    pub(super) fn is_full(&self) -> bool {
        self.filled >= FULL
    }

    /// Formats samples into the buffer, and writes it whenever it is full.
    pub(super) fn append(&mut self, samples: &[Sample], mut first_seq: u64, time: &Time) -> Result<(), WriteFault> {
        for samples in samples.chunks(RUN) {
            if self.is_full() {
                self.write()?;
            }
            self.filled = self.format.put(&mut self.buffer, self.filled, &Frame { samples, first_seq, time });
            self.buffered += samples.len() as u64;
            first_seq += samples.len() as u64;
        }
        Ok(())
    }

    /// Writes the buffer to the file.
    pub(super) fn write(&mut self) -> Result<(), WriteFault> {
        let mut done = 0;
        while done < self.filled {
            match self.file.write(&self.buffer[done..self.filled]) {
                Ok(0) => return Err(self.cut_back(done, ErrorKind::WriteZero.into())),
                Ok(bytes) => done += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.cut_back(done, error)),
            }
        }
        self.end += done as u64;
        self.records += self.buffered;
        (self.filled, self.buffered) = (0, 0);
        Ok(())
    }

    /// After `done` bytes of the buffer were written and no more could be: leaves whole records only.
    fn cut_back(&mut self, done: usize, cause: io::Error) -> WriteFault {
        let (bytes, records) = self.format.whole(&self.buffer[..done]);
        self.end += bytes as u64;
        self.records += records;
        (self.filled, self.buffered) = (0, 0);
        self.is_whole = bytes == done || !self.is_regular || self.cut_to(self.end, done - bytes);
        WriteFault { cause, at: self.end }
    }

    /// Cuts the file to `end`, unless somebody else has changed its length since: what is behind that is not ours.
    fn cut_to(&self, end: u64, torn: usize) -> bool {
        self.length() == Some(end + torn as u64) && self.file.set_len(end).is_ok()
    }

    fn length(&self) -> Option<u64> {
        self.file.metadata().ok().map(|metadata| metadata.len())
    }

    /// Fails if the file does not end where its records do, because somebody else has written or cut it meanwhile.
    pub(super) fn check_length(&self) -> Result<(), Error> {
        match self.length() {
            Some(length) if self.is_regular && length != self.end => {
                let why = format!("it has {length} bytes instead of {}", self.end);
                Err(Error::refused("cannot vouch for", &self.name, why).hint("another program changed it meanwhile"))
            }
            _ => Ok(()),
        }
    }

    /// Says in one line what failed and what is left, of `received` records.
    pub(super) fn describe(&self, fault: WriteFault, received: u64) -> Error {
        let unit = if self.format == LogFormat::Binary { "record" } else { "line" };
        let state = if self.is_whole { "whole" } else { "torn" };
        let left = format!("{} of {received} records are safe, last {unit} is {state}", self.records);
        let Self { name, .. } = self;
        Error::os("write", format_args!("{name} at byte {}", fault.at), fault.cause).hint(left)
    }

    /// Waits until what was written is on the disk. It is never tried again after it failed: the kernel
    /// forgets what it could not write.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        if !self.is_regular {
            return Ok(());
        }
        let lost = "what of it is on the disk is unknown";
        self.file.sync_data().map_err(|error| Error::os("sync", &self.name, error).hint(lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(format: LogFormat) -> LogOptions {
        LogOptions { name: "run.log".into(), format, ..LogOptions::default() }
    }

    use std::io::Read;

    /// A log into which `done` bytes of two frames were written before the disk was full.
    fn cut_after(format: LogFormat, done: usize) -> (LogFile, Vec<u8>, String) {
        let mut log = LogFile::new(tempfile::tempfile().unwrap(), &options(format)).unwrap();
        log.append(&[1.0, 2.0], 1, &Time::default()).unwrap();
        log.write().unwrap();
        log.append(&[10.0, 11.0, 12.0], 3, &Time::default()).unwrap();
        let buffer = log.buffer[..done].to_vec();
        log.file.write_all(&buffer).unwrap();
        let fault = log.cut_back(done, io::Error::from_raw_os_error(28));
        let text = log.describe(fault, 5).to_string();
        let mut content = Vec::new();
        log.file.rewind().unwrap();
        log.file.read_to_end(&mut content).unwrap();
        (log, content, text)
    }

    #[test]
    fn a_write_that_fails_halfway_leaves_whole_records_and_their_number() {
        for (done, content, records) in
            [(0, "1\n2\n", 2), (2, "1\n2\n", 2), (3, "1\n2\n10\n", 3), (8, "1\n2\n10\n11\n", 4)]
        {
            let (log, left, text) = cut_after(LogFormat::Text, done);
            assert_eq!((left, log.records(), log.bytes()), (content.into(), records, content.len() as u64));
            let expected = format!("{records} of 5 records are safe, last line is whole");
            assert_eq!(text, format!("write run.log at byte {}: No space left on device; {expected}", content.len()));
        }
    }

    #[test]
    fn a_binary_log_is_cut_to_whole_values_and_a_header_is_no_record() {
        let (log, left, text) = cut_after(LogFormat::Binary, 15);
        assert_eq!((log.records(), left.len()), (3, 24));
        assert!(text.ends_with("3 of 5 records are safe, last record is whole"));
        assert_eq!(cut_after(LogFormat::Csv, 3).0.records(), 2);
    }

    #[test]
    fn more_than_a_buffer_is_written_in_pieces() {
        let mut log = LogFile::new(tempfile::tempfile().unwrap(), &options(LogFormat::Text)).unwrap();
        let samples = vec![-0.123_456_789; 3 * FULL / 10];
        log.append(&samples, 1, &Time::default()).unwrap();
        assert!(log.records() > 0);
        log.write().unwrap();
        assert_eq!((log.records(), log.bytes()), (samples.len() as u64, 13 * samples.len() as u64));
    }
}
