use std::fs::File;
use std::io::IoSlice;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::thread;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::mp::testing::{as_peer, peer};
use crate::sys::fd::{memory_file, pipe};
use crate::sys::testing::alone;
use crate::sys::wait::look;

/// Bytes that tell whether one of them is missing.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + (i >> 8) * 7) as u8).collect()
}

fn inode(fd: &OwnedFd) -> u64 {
    File::from(fd.try_clone().unwrap()).metadata().unwrap().ino()
}

fn message(length: usize, fds: usize) -> Message {
    let file = memory_file("test").unwrap();
    Message { bytes: pattern(length), fds: (0..fds).map(|_| file.try_clone().unwrap()).collect() }
}

/// Sends bytes that nobody has looked at.
fn send_raw(socket: &Socket, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    assert_eq!(stream::send(socket.as_fd(), &[IoSlice::new(bytes)], fds, Wait::Yes).unwrap(), bytes.len());
}

fn header(length: u64, fds: u32) -> Vec<u8> {
    [&length.to_le_bytes()[..], &fds.to_le_bytes()].concat()
}

fn why<T>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Codec(why)) => why,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("no error"),
    }
}

#[test]
fn b11_messages_of_any_size_pass_between_processes() {
    if let Some(mut socket) = as_peer() {
        while let Ok(message) = socket.receive() {
            socket.send(&message).unwrap();
        }
        return;
    }
    let (mut child, mut socket) = peer("mp::socket::tests::b11_messages_of_any_size_pass_between_processes");
    let edge = 64 * 1024 - HEADER;
    for length in [0, 1, 1000, edge - 1, edge, edge + 1, 100_000, 1 << 20, 64 << 20] {
        let sent = message(length, 0);
        socket.send(&sent).unwrap();
        let back = socket.receive().unwrap();
        assert!(back.bytes == sent.bytes && back.fds.is_empty(), "{length}");
    }
    for (length, number) in [(0, 1), (5, 250), (0, 251), (100_000, 253), (7, 600)] {
        let sent = message(length, number);
        let file = inode(&sent.fds[0]);
        socket.send(&sent).unwrap();
        drop(sent);
        let back = socket.receive().unwrap();
        assert!(back.bytes == pattern(length) && back.fds.len() == number, "{length} {number}");
        assert!(back.fds.iter().all(|fd| inode(fd) == file));
        let flags = back.fds.iter().map(|fd| rustix::io::fcntl_getfd(fd).unwrap());
        assert!(flags.into_iter().all(|it| it == rustix::io::FdFlags::CLOEXEC));
    }
    drop(socket);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_peer_that_is_killed_in_a_message_ends_the_stream() {
    if let Some(mut socket) = as_peer() {
        let message = message(8 << 20, 0);
        while socket.send(&message).is_ok() {}
        return;
    }
    for _ in 0..5 {
        let (mut child, mut socket) = peer("mp::socket::tests::a_peer_that_is_killed_in_a_message_ends_the_stream");
        socket.receive().unwrap();
        child.kill().unwrap();
        let error = std::iter::repeat_with(|| socket.receive()).find_map(Result::err).unwrap();
        assert!(matches!(error, Error::Closed(..) | Error::Codec(_)), "{error:?}");
        assert!(matches!(socket.receive(), Err(Error::Closed(..))));
        assert!(matches!(socket.send(&message(1, 0)), Err(Error::Closed(..))));
        child.wait().unwrap();
    }
}

#[test]
fn the_end_between_messages_is_an_end_and_inside_one_an_error() {
    for (sent, is_end) in [(0, true), (1, false), (11, false), (12, false), (40, false), (100_000, false)] {
        let (mut one, other) = Socket::pair().unwrap();
        let frame = [header(200_000, 0), pattern(200_000)].concat();
        send_raw(&other, &frame[..sent], &[]);
        drop(other);
        if !is_end {
            assert_eq!(why(one.receive()), "the stream ends inside a message", "{sent}");
        }
        assert!(matches!(one.receive(), Err(Error::Closed(..))), "{sent}");
        assert!(matches!(one.try_receive(), Err(Error::Closed(..))), "{sent}");
    }
}

#[test]
fn b34_what_is_no_message_is_an_error() {
    let file = memory_file("test").unwrap();
    let many = vec![file.as_fd(); 3];
    let cases: [(&str, Vec<u8>, &[BorrowedFd<'_>]); 6] = [
        ("a message claims a length of 1099511627777 bytes", header(LONGEST + 1, 0), &[]),
        ("a message claims a length of 18446744073709551615 bytes", header(u64::MAX, 0), &[]),
        ("a message claims 65537 descriptors", header(0, 65537), &[]),
        ("descriptors of a message are missing", [header(0, 4), vec![0]].concat(), &many),
        ("descriptors came that belong to no message", header(1, 2), &many),
        ("descriptors came that belong to no message", [header(1, 0), vec![0]].concat(), &many),
    ];
    for (expected, bytes, fds) in cases {
        let (mut one, other) = Socket::pair().unwrap();
        send_raw(&other, &bytes, fds);
        let error = std::iter::repeat_with(|| one.receive()).find_map(Result::err).unwrap();
        assert_eq!(why::<()>(Err(error)), expected);
        assert!(matches!(one.receive(), Err(Error::Closed(..))), "and nothing can follow");
    }
    let (mut one, other) = Socket::pair().unwrap();
    send_raw(&other, &header(LONGEST, 0), &[]);
    send_raw(&other, &pattern(1000), &[]);
    assert!(one.try_receive().unwrap().is_none(), "memory is had for what has come, not for what is claimed");
}

#[test]
fn descriptors_among_the_bytes_of_a_large_message_are_closed() {
    let (mut one, other) = Socket::pair().unwrap();
    let (read, write) = pipe().unwrap();
    send_raw(&other, &header(150_000, 0), &[]);
    assert!(one.try_receive().unwrap().is_none());
    for part in pattern(150_000).chunks(50_000) {
        send_raw(&other, part, &[write.as_fd()]);
        one.try_receive().unwrap().into_iter().for_each(|message| assert!(message.bytes == pattern(150_000)));
    }
    drop(write);
    assert!(look(read.as_fd(), Interest::HangUp).unwrap().hung_up);
}

#[test]
fn a_message_that_comes_in_parts_is_kept() {
    let (mut one, other) = Socket::pair().unwrap();
    let past = Some(Instant::now());
    for (length, fds) in [(3, 0), (100_000, 2)] {
        let file = memory_file("test").unwrap();
        let head = [header(length, fds), vec![0; carriers(fds as usize)]].concat();
        let frame = [head, pattern(length as usize)].concat();
        for (index, part) in frame.chunks(length as usize / 3).enumerate() {
            assert!(one.try_receive().unwrap().is_none());
            assert!(one.receive_deadline(past).unwrap().is_none() && !one.is_ready(past).unwrap());
            send_raw(&other, part, &vec![file.as_fd(); if index == 0 { fds as usize } else { 0 }]);
        }
        assert!(one.is_ready(None).unwrap() && one.is_ready(past).unwrap() && !one.is_between_messages());
        let message = one.receive_deadline(past).unwrap().unwrap();
        assert_eq!((message.bytes == pattern(length as usize), message.fds.len()), (true, fds as usize));
        assert!(one.is_between_messages());
    }
    drop(other);
    assert!(one.is_ready(None).unwrap() && matches!(one.receive_deadline(past), Err(Error::Closed(..))));
}

#[test]
fn a_wait_with_a_deadline_ends_with_the_message_or_the_time() {
    let (mut one, mut other) = Socket::pair().unwrap();
    let soon = Instant::now() + Duration::from_millis(20);
    assert!(one.receive_deadline(Some(soon)).unwrap().is_none());
    assert!(Instant::now() >= soon);
    let sender = thread::spawn(move || other.send(&message(1 << 20, 3)).map(|()| other));
    let late = Instant::now() + Duration::from_secs(100);
    let got = one.receive_deadline(Some(late)).unwrap().unwrap();
    assert_eq!((got.bytes.len(), got.fds.len()), (1 << 20, 3));
    drop(sender.join().unwrap().unwrap());
    assert!(matches!(one.receive_deadline(Some(late)), Err(Error::Closed(..))));
}

#[test]
fn small_messages_share_a_call_each_way() {
    let (mut one, mut other) = Socket::pair().unwrap();
    for n in 0..100 {
        one.queue(message(n, 0)).unwrap();
    }
    assert!(one.wants_write() && one.flush().unwrap() && !one.wants_write());
    for n in 0..100 {
        assert_eq!(other.receive().unwrap().bytes, pattern(n));
        assert!(!look(other.as_fd(), Interest::Read).unwrap().ready, "all were read with the first");
    }
}

#[test]
fn nobody_to_receive_is_an_error_and_no_signal() {
    let (mut one, other) = Socket::pair().unwrap();
    drop(other);
    assert!(matches!(one.send(&message(3, 1)), Err(Error::Closed(..))));
    let (mut one, other) = Socket::pair().unwrap();
    one.queue(message(3, 0)).unwrap();
    drop(other);
    assert!(matches!(one.flush(), Err(Error::Closed(..))));
    assert!(matches!(one.flush(), Err(Error::Closed(..))) && !one.wants_write());
}

#[test]
fn a_lack_of_descriptors_is_an_error_with_a_way_out_and_loses_none() {
    alone("mp::socket::tests::a_lack_of_descriptors_is_an_error_with_a_way_out_and_loses_none", || {
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let (mut one, mut other) = Socket::pair().unwrap();
        one.send(&message(3, 10)).unwrap();
        let before = open();
        let highest = memory_file("test").unwrap().as_raw_fd() as u64;
        let resource = rustix::process::Resource::Nofile;
        let limit = rustix::process::getrlimit(resource);
        let low = rustix::process::Rlimit { current: Some(highest + 4), ..limit };
        rustix::process::setrlimit(resource, low).unwrap();
        let error = other.receive().map(drop).unwrap_err();
        rustix::process::setrlimit(resource, limit).unwrap();
        assert!(
            error.to_string().ends_with("Too many open files; raise the limit on open files ('ulimit -n')"),
            "{error}"
        );
        assert_eq!(open(), before, "those that had room are closed again");
        assert!(matches!(other.receive(), Err(Error::Closed(..))));
    });
}

#[test]
fn what_is_too_much_for_a_message_is_refused() {
    let refusal = |length, fds| why(outbox::Head::of(length, fds));
    assert!(outbox::Head::of(1 << 40, MOST_FDS_OF_ALL).is_ok());
    assert_eq!(refusal((1 << 40) + 1, 0), "a message of 1099511627777 bytes is too long");
    assert_eq!(refusal(0, 65537), "a message has 65537 descriptors, and 65536 are the most");
}

#[test]
fn what_was_queued_goes_first() {
    let (mut one, mut other) = Socket::pair().unwrap();
    one.queue(message(20_000, 300)).unwrap();
    one.send(&message(5, 0)).unwrap();
    let first = other.receive().unwrap();
    assert_eq!((first.bytes == pattern(20_000), first.fds.len()), (true, 300));
    assert_eq!(other.receive().unwrap().bytes, pattern(5));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    #[test]
    fn queued_messages_come_whole_and_in_order(
        shape in vec((prop_oneof![0..40usize, 0..70_000usize, 0..600_000usize], prop_oneof![Just(0), 0..3usize, Just(251)]), 1..12)
    ) {
        let (mut one, mut other) = Socket::pair().unwrap();
        let mut received = 0;
        let mut queued = shape.iter();
        loop {
            queued.by_ref().take(3).for_each(|&(length, fds)| one.queue(message(length, fds)).unwrap());
            let all_sent = one.flush().unwrap();
            prop_assert_eq!(all_sent, !one.wants_write());
            while let Some(message) = other.try_receive().unwrap() {
                let (length, fds) = shape[received];
                prop_assert!(message.bytes == pattern(length) && message.fds.len() == fds);
                received += 1;
            }
            if all_sent && queued.len() == 0 {
                break;
            }
        }
        prop_assert_eq!(received, shape.len());
        prop_assert!(other.is_between_messages());
    }

    #[test]
    fn b34_a_stream_of_random_bytes_ends_in_an_error(bytes in vec(prop_oneof![4 => Just(0), 1 => any::<u8>()], 0..2000)) {
        let (mut one, other) = Socket::pair().unwrap();
        send_raw(&other, &[&bytes[..], &[0xff; 12]].concat(), &[]);
        drop(other);
        let end = std::iter::repeat_with(|| one.receive()).find_map(Result::err).unwrap();
        prop_assert!(matches!(end, Error::Closed(..) | Error::Codec(_)), "{:?}", end);
    }
}
