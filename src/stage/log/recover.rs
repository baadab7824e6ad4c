//! What a log holds after its writer died: counts the whole records and cuts a torn last one.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};

use super::format::{BINARY, LogFormat, RECORD, count_lines};

/// What [`recover`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// The whole records from the given offset on, without a header line.
    pub records: u64,
    /// The bytes of a torn last record, which were cut off.
    pub cut_bytes: u64,
}

/// Cuts a torn last record off a log and counts the whole ones that begin at or after offset `from`, which
/// is where a record begins. It reads all of them. A file that is no regular file has nothing to recover.
///
/// # Errors
/// As [`cut_torn`], and of reading.
pub fn recover(file: &File, format: LogFormat, from: u64) -> io::Result<Recovered> {
    let cut_bytes = cut_torn(file, format, from)?;
    let metadata = file.metadata()?;
    let end = if metadata.is_file() { metadata.len() } else { 0 };
    let records = match format {
        LogFormat::Binary => end.saturating_sub(from) / BINARY as u64,
        _ => count_records(file, format, from)?,
    };
    Ok(Recovered { records, cut_bytes })
}

/// Cuts a torn last record off a log whose records begin at offset `from`, and returns its bytes. It reads
/// no more than the end of the file, whatever its size.
///
/// # Errors
/// The system's, and [`ErrorKind::InvalidData`] where the file ends with something that is no beginning of
/// a record: such a file is not a log of this format, and is left alone.
pub fn cut_torn(file: &File, format: LogFormat, from: u64) -> io::Result<u64> {
    let metadata = file.metadata()?;
    let end = metadata.len();
    if !metadata.is_file() || end <= from {
        return Ok(0);
    }
    let torn = match format {
        LogFormat::Binary => (end - from) % BINARY as u64,
        _ => torn_line(file, format, from, end)?,
    };
    if torn > 0 {
        file.set_len(end - torn)?;
    }
    Ok(torn)
}

/// The length of what follows the last newline.
fn torn_line(file: &File, format: LogFormat, from: u64, end: u64) -> io::Result<u64> {
    let mut tail = [0; RECORD];
    let length = (end - from).min(RECORD as u64);
    let tail = &mut tail[..length as usize];
    file.read_exact_at(tail, end - length)?;
    let torn = match tail.iter().rposition(|&byte| byte == b'\n') {
        Some(newline) => &tail[newline + 1..],
        None if end - length == from => tail,
        None => return Err(foreign("it ends with a line that is longer than any record")),
    };
    if !torn.iter().all(|byte| alphabet(format).contains(byte)) {
        return Err(foreign("it ends with a line that no record begins like"));
    }
    Ok(torn.len() as u64)
}

/// The bytes that records and headers are made of.
fn alphabet(format: LogFormat) -> &'static [u8] {
    match format {
        LogFormat::Csv => b"0123456789.+-eEinfNa,seqtimvalu",
        LogFormat::Jsonl => b"0123456789.+-eE{\"seq:,timvalun}",
        LogFormat::Text | LogFormat::Binary => b"0123456789.+-eEinfNa",
    }
}

fn foreign(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("not a log of this format: {why}"))
}

/// The lines from offset `from` on, without a header at the beginning of the file.
fn count_records(file: &File, format: LogFormat, from: u64) -> io::Result<u64> {
    const BLOCK: usize = 64 * 1024;
    let mut block = vec![0; BLOCK];
    let (mut at, mut lines) = (from, 0);
    loop {
        let bytes = match file.read_at(&mut block, at) {
            Ok(0) => return Ok(lines),
            Ok(bytes) => &block[..bytes],
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        lines += count_lines(bytes);
        if at == 0 && !format.header().is_empty() && bytes.starts_with(format.header()) {
            lines -= 1;
        }
        at += bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn content(mut file: File) -> Vec<u8> {
        let mut content = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut content).unwrap();
        content
    }

    fn check(format: LogFormat, text: &[u8], from: u64, records: u64, cut_bytes: u64) {
        let file = file(text);
        assert_eq!(recover(&file, format, from).unwrap(), Recovered { records, cut_bytes });
        assert_eq!(content(file), text[..text.len() - cut_bytes as usize]);
    }

    #[test]
    fn whole_records_are_counted_and_a_torn_one_is_cut() {
        check(LogFormat::Text, b"", 0, 0, 0);
        check(LogFormat::Text, b"1\n2\n", 0, 2, 0);
        check(LogFormat::Text, b"1\n2\n-3.5e", 0, 2, 5);
        check(LogFormat::Text, b"1\n2\n3", 2, 1, 1);
        check(LogFormat::Text, b"12", 0, 0, 2);
        check(LogFormat::Text, b"1\n2\n", 4, 0, 0);
        check(LogFormat::Jsonl, b"{\"seq\":1,\"time\":1.5,\"value\":null}\n{\"seq\":2,\"ti", 0, 1, 12);
        check(LogFormat::Binary, &[b'\n'; 29], 0, 3, 5);
        check(LogFormat::Binary, &[b'\n'; 29], 3, 3, 2);
    }

    #[test]
    fn a_header_is_no_record() {
        check(LogFormat::Csv, b"seq,time,value\n1,1.5,2\n2,1.", 0, 1, 4);
        check(LogFormat::Csv, b"seq,time,value\n1,1.5,2\n", 15, 1, 0);
        check(LogFormat::Csv, b"seq,ti", 0, 0, 6);
    }

    #[test]
    fn many_records_are_counted_in_many_blocks() {
        check(LogFormat::Text, &b"12345\n".repeat(50_000), 6, 49_999, 0);
    }

    #[test]
    fn a_file_that_is_no_log_is_left_alone() {
        for text in [&b"dear diary"[..], &[b'1'; 200], b"1\n2\nx"] {
            let file = file(text);
            assert_eq!(cut_torn(&file, LogFormat::Text, 0).unwrap_err().kind(), ErrorKind::InvalidData);
            assert_eq!(content(file), text);
        }
    }

    #[test]
    fn a_device_has_nothing_to_recover() {
        let null = File::open("/dev/null").unwrap();
        assert_eq!(recover(&null, LogFormat::Text, 0).unwrap(), Recovered::default());
    }
}
