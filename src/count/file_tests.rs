//! Files of every kind, and what can happen to them meanwhile.

use std::io::{self, Read, Seek as _, Write as _};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const PLAIN: Rules =
    Rules { letters: Letters::Letter, case: Case::Upper, invalid: OnInvalid::Strict, stats: false, words: false };

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn options(workers: usize, io: Io) -> Options {
    Options { workers: NonZeroUsize::new(workers), io, ..Options::default() }
}

fn message(result: Result<Outcome, Error>) -> String {
    result.unwrap_err().to_string()
}

/// Long enough for several looks at a window, with stretches of ASCII and others, and characters on the borders.
#[test]
fn letters_alone_are_the_same_mapped_and_read() {
    let mut text = "ASCII only, as most of it is.\n".repeat(3000) + &"Größe 日本語 😀\n".repeat(3000);
    text += &"and ASCII once more\n".repeat(3000);
    for shift in 0..4 {
        let text = "x".repeat(shift) + &text;
        let file = file(text.as_bytes());
        for (workers, io) in [(1, Io::Mmap), (3, Io::Mmap), (1, Io::Read), (2, Io::Auto)] {
            for case in [Case::Upper, Case::Keep] {
                let rules = Rules { case, ..PLAIN };
                let outcome =
                    count(Source::Path(file.path()), &rules, &options(workers, io), &Progress::new()).unwrap();
                assert!(!outcome.is_partial && outcome.workers == workers && outcome.io != Io::Auto);
                assert_eq!(Ok(outcome.count), oracle::count(text.as_bytes(), &rules));
            }
        }
    }
}

#[test]
fn an_invalid_byte_in_a_mapping_is_found_at_its_place() {
    let mut bytes = "ASCII\n".repeat(20_000).into_bytes();
    bytes[70_001] = 0xc3;
    let file = file(&bytes);
    for (workers, io) in [(1, Io::Mmap), (4, Io::Mmap), (1, Io::Read)] {
        let error = message(count(Source::Path(file.path()), &PLAIN, &options(workers, io), &Progress::new()));
        assert!(error.contains("invalid UTF-8 at byte 70001, 1 byte"), "{error}");
    }
}

#[test]
fn a_file_that_shrinks_is_an_error_and_never_a_wrong_sum() {
    for (io, size) in [(Io::Mmap, 100_001), (Io::Mmap, 99_999), (Io::Read, 0), (Io::Mmap, 0)] {
        let file = file(&[b'a'; 200_000]);
        let text = TextFile::open(file.path(), io).unwrap();
        file.as_file().set_len(size).unwrap();
        let mut counter = Counter::new(&PLAIN, Kernel::Auto).unwrap();
        let error = text.reader().count(0..200_000, &mut counter, &mut Seams::default()).unwrap_err().to_string();
        assert!(error.ends_with("the file became shorter while it was counted"), "{error}");
    }
}

#[test]
fn a_file_that_grows_is_counted_up_to_its_size_at_opening() {
    let mut file = file(b"ab");
    let text = TextFile::open(file.path(), Io::Mmap).unwrap();
    file.write_all("ß".as_bytes()).unwrap();
    let (mut counter, mut seams) = (Counter::new(&PLAIN, Kernel::Auto).unwrap(), Seams::default());
    text.reader().count(0..100, &mut counter, &mut seams).unwrap();
    assert_eq!(counter.finish().finish(seams, &PLAIN).sum(), 2);
}

#[test]
fn what_a_write_that_had_begun_before_leaves_at_the_end_is_noticed() {
    let mut file = file(&[b'a'; 1000]);
    let before = file.as_file().metadata().unwrap().modified().unwrap();
    let text = TextFile::open(file.path(), Io::Read).unwrap();
    file.as_file_mut().seek(io::SeekFrom::Start(990)).unwrap();
    file.write_all(b"b").unwrap();
    file.as_file().set_modified(before).unwrap();
    assert!(text.check().unwrap_err().to_string().ends_with("was changed while it was counted"));
}

#[test]
fn bytes_that_were_read_are_the_text_until_somebody_writes_into_it() {
    let mut file = file(b"some text");
    file.as_file().set_modified(std::time::UNIX_EPOCH).unwrap();
    let (handle, before) = (file.reopen().unwrap(), file.as_file().metadata().unwrap());
    let is_still = || super::file::is_still(&handle, &before, b"some text").unwrap();
    assert!(is_still());
    file.write_all(b", and more").unwrap();
    assert!(is_still(), "it grew");
    file.as_file_mut().rewind().unwrap();
    file.write_all(b"S").unwrap();
    assert!(!is_still());
}

/// Bytes that others change: what is counted may be anything, but nobody panics.
#[test]
fn a_file_may_change_at_any_moment() {
    use std::os::unix::fs::FileExt as _;
    let file = file(&[b'a'; 64]);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for text in ["😀", "ß語", "a", "\u{301}"] {
                    file.as_file().write_all_at(&text.repeat(64).as_bytes()[..64], 0).unwrap();
                }
            }
        });
        for _ in 0..100 {
            let rules = Rules { invalid: OnInvalid::Lossy, ..PLAIN };
            // As small as pieces get, so that the ends of each are looked at.
            let _ = count(Source::Path(file.path()), &rules, &options(16, Io::Mmap), &Progress::new());
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_file_that_was_written_to_is_one_text_only_if_it_grew() {
    let mut file = file(&[b'a'; 100]);
    let opened = || TextFile::open(file.path(), Io::Read).unwrap();
    let later = |seconds| file.as_file().set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds));
    later(1).unwrap();
    let text = opened();
    text.check().unwrap();
    later(2).unwrap();
    assert!(text.check().unwrap_err().to_string().ends_with("the file was changed while it was counted"));
    let text = opened();
    file.as_file().set_len(99).unwrap();
    assert!(text.check().unwrap_err().to_string().ends_with("became shorter while it was counted"));
    let text = opened();
    file.as_file().set_len(10).unwrap();
    file.as_file().set_len(200).unwrap();
    // There are zeros now between the cut and the old end.
    assert!(text.check().unwrap_err().to_string().ends_with("the file was changed while it was counted"));
    let text = opened();
    file.seek(io::SeekFrom::End(0)).unwrap();
    file.write_all(b"more").unwrap();
    text.check().unwrap();
}

#[test]
fn files_without_a_size_are_read_to_their_end() {
    let outcome = count(Source::Path(Path::new("/proc/self/status")), &PLAIN, &Options::default(), &Progress::new());
    let outcome = outcome.unwrap();
    assert!(outcome.count.letters[&'N'] > 0 && outcome.size == Some(outcome.count.totals.bytes) && !outcome.is_partial);
    let empty = file(b"");
    let outcome = count(Source::Path(empty.path()), &PLAIN, &Options::default(), &Progress::new()).unwrap();
    assert_eq!((outcome.count, outcome.size, outcome.is_partial), (Count::default(), Some(0), false));
}

#[test]
fn what_is_no_file_is_refused() {
    let of = |path: &Path| message(count(Source::Path(path), &PLAIN, &Options::default(), &Progress::new()));
    let dir = tempfile::tempdir().unwrap();
    assert!(of(dir.path()).ends_with("it is a directory"));
    assert!(of(&dir.path().join("none")).ends_with("No such file or directory"));
    assert!(TextFile::open(dir.path(), Io::Auto).is_err());
}

/// A stream that fails after a while.
struct Broken(u32);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::ConnectionReset)?;
        buffer.fill(b'a');
        Ok(buffer.len())
    }
}

#[test]
fn a_stream_that_breaks_is_an_error() {
    for workers in [1, 3] {
        let source = Source::Reader("stream", Box::new(Broken(9)));
        let error = message(count(source, &PLAIN, &options(workers, Io::Auto), &Progress::new()));
        assert!(error.starts_with("cannot read stream: "), "{error}");
    }
}

#[test]
fn a_count_that_is_stopped_is_partial() {
    let progress = Progress::new();
    progress.stop();
    let outcome = count(Source::Bytes("text", b"abc"), &PLAIN, &Options::default(), &progress).unwrap();
    assert!(outcome.is_partial && outcome.count.totals.bytes == 0 && outcome.size == Some(3));

    // Stopped by its own text, in the middle.
    struct Stopping<'a>(&'a Progress, u32);
    impl Read for Stopping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1 == 5 {
                self.0.stop();
            }
            buffer.fill(b'a');
            Ok(buffer.len())
        }
    }
    let progress = Progress::new();
    let source = Source::Reader("text", Box::new(Stopping(&progress, 0)));
    let outcome = count(source, &PLAIN, &options(2, Io::Auto), &progress).unwrap();
    assert!(outcome.is_partial && outcome.size.is_none());
    assert_eq!(outcome.count.letters[&'A'], outcome.count.totals.bytes);
    assert_eq!(progress.done(), outcome.count.totals.bytes);
}

/// What one process hands to another is all that the other needs.
#[test]
fn tallies_and_seams_travel_as_text() {
    let text = "The Größe of 日本語 isn’t known.\n".repeat(10);
    let rules = Rules { stats: true, words: true, ..PLAIN };
    let file = file(text.as_bytes());
    let text_file = TextFile::open(file.path(), Io::Read).unwrap();
    let (mut tally, mut seams) = (Tally::default(), Seams::default());
    for worker in [1, 0] {
        let (mut counter, mut ends) = (Counter::new(&rules, Kernel::Auto).unwrap(), Seams::default());
        for piece in (worker..text.len() as u64).step_by(2).filter(|piece| *piece < 20) {
            text_file.reader().count(piece * 21..piece * 21 + 21, &mut counter, &mut ends).unwrap();
        }
        let sent = serde_json::to_string(&(counter.finish(), ends)).unwrap();
        let (part, ends): (Tally, Seams) = serde_json::from_str(&sent).unwrap();
        tally.merge(part);
        seams.merge(ends);
    }
    assert_eq!(Ok(tally.finish(seams, &rules)), oracle::count(text.as_bytes(), &rules));
}
