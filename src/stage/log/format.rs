//! How a record lies in the log file. Pure: samples in, bytes out.

use serde::{Deserialize, Serialize};

use crate::record::Sample;
use crate::stage::number;

/// The layout of the log file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// One value a line.
    #[default]
    Text,
    /// `seq,time,value` under a header line; the time is in seconds of the epoch with nine decimals.
    Csv,
    /// One object a line: `{"seq":1,"time":1767225600.000000000,"value":42}`. What is no number is null.
    Jsonl,
    /// The values alone, as little-endian 64-bit floats.
    Binary,
}

/// Room for the longest record, in bytes.
pub(super) const RECORD: usize = 128;

/// The size of a binary record, in bytes.
pub(super) const BINARY: usize = size_of::<Sample>();

const CSV_HEADER: &[u8] = b"seq,time,value\n";

/// What is the same for all samples of a frame.
pub(super) struct Frame<'a> {
    pub(super) samples: &'a [Sample],
    pub(super) first_seq: u64,
    pub(super) time: &'a Time,
}

impl LogFormat {
    /// All of them, in the order in which they are listed everywhere.
    pub const ALL: [LogFormat; 4] = [LogFormat::Text, LogFormat::Csv, LogFormat::Jsonl, LogFormat::Binary];

    /// The name that people type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LogFormat::Text => "text",
            LogFormat::Csv => "csv",
            LogFormat::Jsonl => "jsonl",
            LogFormat::Binary => "binary",
        }
    }

    /// Whether a file of this format may begin with `bytes`, its first few: a log of another one is not appended to.
    pub(crate) fn may_begin_with(self, bytes: &[u8]) -> bool {
        let header = self.header();
        match (self, bytes.first()) {
            (Self::Binary, _) | (_, None) => true,
            (Self::Csv, _) => bytes.starts_with(&header[..header.len().min(bytes.len())]),
            (Self::Jsonl, Some(first)) => *first == b'{',
            (Self::Text, Some(first)) => first.is_ascii_digit() || b"+-.".contains(first),
        }
    }

    /// What a file begins with.
    pub(super) fn header(self) -> &'static [u8] {
        if self == Self::Csv { CSV_HEADER } else { b"" }
    }

    /// Whether the lines of a log tell of the time that their frame was sent.
    pub(super) fn has_time(self) -> bool {
        matches!(self, Self::Csv | Self::Jsonl)
    }

    /// Writes the records of `frame` at `out[at..]` and returns where they end; `out` has [`RECORD`] bytes
    /// for each there.
    pub(super) fn put(self, out: &mut [u8], at: usize, frame: &Frame<'_>) -> usize {
        match self {
            Self::Text => put_text(out, at, frame.samples),
            Self::Csv => put_csv(out, at, frame),
            Self::Jsonl => put_jsonl(out, at, frame),
            Self::Binary => put_binary(out, at, frame.samples),
        }
    }

    /// How many bytes of `written`, which begins with a whole record, are whole records, and how many.
    pub(super) fn whole(self, written: &[u8]) -> (usize, u64) {
        if self == Self::Binary {
            let records = written.len() / BINARY;
            return (records * BINARY, records as u64);
        }
        let end = written.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        (end, count_lines(&written[..end]))
    }
}

/// How many newlines there are, counted so that the compiler vectorises it.
pub(super) fn count_lines(bytes: &[u8]) -> u64 {
    let block = |block: &[u8]| block.iter().map(|&byte| u8::from(byte == b'\n')).sum::<u8>();
    bytes.chunks(usize::from(u8::MAX)).map(|bytes| u64::from(block(bytes))).sum()
}

fn put_text(out: &mut [u8], at: usize, samples: &[Sample]) -> usize {
    if number::all_small(samples) {
        return number::put_small_lines(out, at, samples);
    }
    samples.iter().fold(at, |at, &sample| {
        let at = number::put(out, at, sample);
        put_bytes(out, at, b"\n")
    })
}

fn put_csv(out: &mut [u8], at: usize, frame: &Frame<'_>) -> usize {
    (frame.first_seq..).zip(frame.samples).fold(at, |at, (seq, &sample)| {
        let at = number::put_integer(out, at, seq);
        let at = put_bytes(out, at, b",");
        let at = put_bytes(out, at, frame.time.text());
        let at = put_bytes(out, at, b",");
        let at = number::put(out, at, sample);
        put_bytes(out, at, b"\n")
    })
}

fn put_jsonl(out: &mut [u8], at: usize, frame: &Frame<'_>) -> usize {
    (frame.first_seq..).zip(frame.samples).fold(at, |at, (seq, &sample)| {
        let at = put_bytes(out, at, b"{\"seq\":");
        let at = number::put_integer(out, at, seq);
        let at = put_bytes(out, at, b",\"time\":");
        let at = put_bytes(out, at, frame.time.text());
        let at = put_bytes(out, at, b",\"value\":");
        let at = if sample.is_finite() { number::put(out, at, sample) } else { put_bytes(out, at, b"null") };
        put_bytes(out, at, b"}\n")
    })
}

fn put_binary(out: &mut [u8], at: usize, samples: &[Sample]) -> usize {
    let end = at + samples.len() * BINARY;
    let (places, _) = out[at..end].as_chunks_mut::<BINARY>();
    for (place, sample) in places.iter_mut().zip(samples) {
        *place = sample.to_le_bytes();
    }
    end
}

fn put_bytes(out: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let end = at + bytes.len();
    out[at..end].copy_from_slice(bytes);
    end
}

/// An instant as text: seconds of the epoch with nine decimals.
#[derive(Debug, Default)]
pub(super) struct Time {
    text: [u8; number::ROOM],
    length: usize,
}

impl Time {
    /// The instant so many nanoseconds after the epoch.
    pub(super) fn new(epoch_ns: u64) -> Self {
        const SECOND: u64 = 1_000_000_000;
        let mut text = [0; number::ROOM];
        let at = number::put_integer(&mut text, 0, epoch_ns / SECOND);
        let at = put_bytes(&mut text, at, b".");
        let decimals = (epoch_ns % SECOND) as u32;
        let at = number::put_eight(&mut text, at, decimals / 10);
        let length = put_bytes(&mut text, at, &[b'0' + (decimals % 10) as u8]);
        Self { text, length }
    }

    fn text(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(format: LogFormat, samples: &[Sample], first_seq: u64) -> String {
        let time = Time::new(1_767_225_600_000_000_042);
        let mut out = vec![0; samples.len() * RECORD];
        let end = format.put(&mut out, 0, &Frame { samples, first_seq, time: &time });
        String::from_utf8(out[..end].to_vec()).unwrap()
    }

    #[test]
    fn each_format_reads_as_documented() {
        let samples = [1.0, -2.5, 4096.0];
        assert_eq!(text(LogFormat::Text, &samples, 9), "1\n-2.5\n4096\n");
        assert_eq!(text(LogFormat::Csv, &samples[..2], 9), "9,1767225600.000000042,1\n10,1767225600.000000042,-2.5\n");
        assert_eq!(
            text(LogFormat::Jsonl, &[7.0, f64::NAN], 1),
            "{\"seq\":1,\"time\":1767225600.000000042,\"value\":7}\n\
             {\"seq\":2,\"time\":1767225600.000000042,\"value\":null}\n"
        );
    }

    #[test]
    fn binary_is_the_values_alone() {
        let mut out = [0; 3 * RECORD];
        let end =
            LogFormat::Binary.put(&mut out, 8, &Frame { samples: &[1.5, -1.0], first_seq: 1, time: &Time::default() });
        assert_eq!(out[8..end], [1.5f64.to_le_bytes(), (-1.0f64).to_le_bytes()].concat());
    }

    #[test]
    fn the_longest_record_fits_its_room() {
        let time = Time::new(u64::MAX);
        for format in [LogFormat::Text, LogFormat::Csv, LogFormat::Jsonl, LogFormat::Binary] {
            for sample in [-f64::MAX, -f64::MIN_POSITIVE, -1.234_567_890_123_456_7e-5, -9_223_372_036_854_774_784.0] {
                format.put(
                    &mut [0; RECORD],
                    0,
                    &Frame { samples: &[sample], first_seq: 10_000_000_000_000_000_000, time: &time },
                );
            }
        }
    }

    #[test]
    fn whole_records_end_at_a_line_or_at_eight_bytes() {
        assert_eq!(LogFormat::Text.whole(b"1\n22\n3"), (5, 2));
        assert_eq!(LogFormat::Text.whole(b"123"), (0, 0));
        assert_eq!(LogFormat::Binary.whole(&[b'\n'; 23]), (16, 2));
        assert_eq!(count_lines(&[b'\n'; 1_000]), 1_000);
    }
}
