use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use super::*;
use crate::manager::word::Word;

fn pair() -> (UnixStream, Connection) {
    let (client, server) = UnixStream::pair().unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    (client, Connection::new(server).unwrap())
}

fn words(incoming: Option<Incoming>) -> Vec<Word> {
    match incoming {
        Some(Incoming::Request(request)) => request.cmd,
        other => panic!("{other:?} is no request"),
    }
}

fn refusal(incoming: Option<Incoming>) -> String {
    match incoming {
        Some(Incoming::Refused(refusal)) => {
            assert_eq!(refusal.code, Code::Usage);
            assert!(!refusal.message.contains('\n'), "{}", refusal.message);
            refusal.message
        }
        other => panic!("{other:?} is no refusal"),
    }
}

fn end(exit: u8) -> Answer {
    Answer::End { exit, id: None }
}

#[test]
fn a_request_is_taken_when_its_line_is_complete() {
    let (mut client, mut connection) = pair();
    assert!(connection.wants_read());
    for part in ["{\"v\":1,\"cm", "d\":[\"li", "st\"]}"] {
        client.write_all(part.as_bytes()).unwrap();
        connection.receive();
        assert_eq!(connection.next(), None);
    }
    client.write_all(b"\n{\"v\":1,\"cmd\":[\"quit\"],\"id\":7}\n").unwrap();
    connection.receive();
    assert_eq!(words(connection.next()), [Word::Text("list".into())]);
    assert_eq!(words(connection.next()), [Word::Text("quit".into())]);
    assert_eq!(connection.next(), None);
    assert!(!connection.is_closed());
}

#[test]
fn a_half_closed_client_gets_its_answers() {
    let (mut client, mut connection) = pair();
    client.write_all(b"{\"v\":1,\"cmd\":[\"list\"]}\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    connection.receive();
    connection.receive();
    assert!(!connection.is_closed() && !connection.wants_read());
    words(connection.next());
    assert!(!connection.is_closed(), "an answer is owed");
    connection.send(Answer::Name { kind: crate::manager::Kind::Process, name: "p1".into() });
    assert!(!connection.is_closed(), "the end is owed");
    connection.send(end(0));
    assert!(connection.is_closed());
    drop(connection);
    let mut got = String::new();
    client.read_to_string(&mut got).unwrap();
    assert_eq!(got.lines().count(), 2, "{got}");
}

#[test]
fn the_end_of_the_stream_ends_the_last_line() {
    let (mut client, mut connection) = pair();
    client.write_all(b"{\"v\":1,\"cmd\":[\"list\"]}").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    connection.receive();
    words(connection.next());
    connection.send(end(0));
    assert!(connection.is_closed());
}

#[test]
fn what_is_no_request_is_refused_and_the_next_one_taken() {
    let bad: [(&[u8], &str); 10] = [
        (b"", "no JSON object"),
        (b"[1,[\"list\"]]", "no JSON object"),
        (b"{\"v\":1,\"cmd\":[\"\xff\"]}", "no UTF-8 at byte 15"),
        (b"{\"v\":1", "EOF"),
        (b"{\"cmd\":[\"list\"]}", "\"v\":1"),
        (b"{\"v\":2,\"cmd\":{}}", "version 2"),
        (b"{\"v\":\"1\",\"cmd\":[\"list\"]}", "invalid type"),
        (b"{\"v\":1,\"cmd\":\"list\"}", "invalid type"),
        (b"{\"v\":1}", "neither"),
        (b"{\"v\":1,\"cmd\":[\"list\"],\"interrupt\":true}", "both"),
    ];
    let (mut client, mut connection) = pair();
    for (line, why) in bad {
        client.write_all(line).unwrap();
        client.write_all(b"\n").unwrap();
        connection.receive();
        let message = refusal(connection.next());
        assert!(message.contains(why), "{message}");
        connection.send(end(2));
    }
    client.write_all(b"{\"v\":1,\"cmd\":[\"list\"]}\n").unwrap();
    connection.receive();
    words(connection.next());
    let long = format!("{{\"v\":1,\"cmd\":{:?}}}\n", "é".repeat(50_000));
    client.set_nonblocking(true).unwrap();
    feed(&mut client, &mut connection, long.as_bytes());
    assert!(refusal(connection.next()).len() < 300);
}

/// Writes all of it, whatever the size of the kernel's buffer.
fn feed(client: &mut UnixStream, connection: &mut Connection, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match client.write(bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        connection.receive();
    }
}

#[test]
fn a_line_that_is_too_long_is_skipped_in_bounded_memory() {
    let (mut client, mut connection) = pair();
    client.set_nonblocking(true).unwrap();
    feed(&mut client, &mut connection, &vec![b'x'; 1024 * 1024]);
    assert!(connection.backlog.bytes.capacity() <= 2 * LONGEST_REQUEST);
    feed(&mut client, &mut connection, b"\n{\"v\":1,\"cmd\":[\"list\"]}\n");
    assert!(refusal(connection.next()).contains("262144"));
    words(connection.next());
    assert_eq!(connection.next(), None);
}

#[test]
fn the_longest_line_is_a_request() {
    let (mut client, mut connection) = pair();
    client.set_nonblocking(true).unwrap();
    let frame = "{\"v\":1,\"cmd\":[\"\"]}\n".len();
    for (length, is_taken) in [(LONGEST_REQUEST - frame, true), (LONGEST_REQUEST - frame + 1, false)] {
        let line = format!("{{\"v\":1,\"cmd\":[\"{}\"]}}\n", "x".repeat(length));
        feed(&mut client, &mut connection, line.as_bytes());
        assert_eq!(matches!(connection.next(), Some(Incoming::Request(_))), is_taken);
    }
}

#[test]
fn a_full_backlog_is_not_read_on() {
    let (mut client, mut connection) = pair();
    client.set_nonblocking(true).unwrap();
    let line = format!("{{\"v\":1,\"cmd\":[\"{}\"]}}\n", "x".repeat(1000));
    while connection.wants_read() {
        let _ = client.write(line.as_bytes());
        connection.receive();
    }
    assert!(connection.backlog.bytes.len() <= LONGEST_REQUEST);
    words(connection.next());
    assert!(connection.wants_read());
}

#[test]
fn an_interrupt_overtakes_the_requests_that_wait() {
    let (mut client, mut connection) = pair();
    let list = "{\"v\":1,\"cmd\":[\"list\"]}\n";
    let interrupt = "{\"v\":1,\"interrupt\":true}\n";
    client.write_all(format!("{list}{list}{interrupt}{list}").as_bytes()).unwrap();
    connection.receive();
    words(connection.next());
    assert!(connection.peek_interrupt());
    assert!(!connection.peek_interrupt());
    connection.send(end(130));
    words(connection.next());
    client.write_all(interrupt.as_bytes()).unwrap();
    connection.receive();
    assert!(connection.peek_interrupt());
    words(connection.next());
    client.write_all(interrupt.as_bytes()).unwrap();
    connection.receive();
    assert_eq!(connection.next(), Some(Incoming::Interrupt));
}

#[test]
fn a_client_that_does_not_read_fills_its_room_and_gets_everything_later() {
    let (mut client, mut connection) = pair();
    let mut sent = 0;
    while connection.has_room() {
        connection.send(Answer::Name { kind: crate::manager::Kind::Thread, name: "x".repeat(10_000) });
        sent += 1;
    }
    client.write_all(b"{\"v\":1,\"cmd\":[\"list\"]}\n").unwrap();
    connection.receive();
    assert!(connection.wants_write());
    assert_eq!(connection.next(), None, "there is no room for its answers");
    client.set_nonblocking(true).unwrap();
    let (mut lines, mut chunk) = (0, [0; 65536]);
    while lines < sent {
        match client.read(&mut chunk) {
            Ok(length) => lines += chunk[..length].iter().filter(|&&byte| byte == b'\n').count(),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        connection.flush();
    }
    assert!(!connection.wants_write());
    words(connection.next());
}

#[test]
fn a_client_that_is_gone_is_closed_even_while_a_request_of_it_is_under_way() {
    let (mut client, mut connection) = pair();
    client.write_all(b"{\"v\":1,\"cmd\":[\"events\"]}\n").unwrap();
    connection.receive();
    words(connection.next());
    drop(client);
    connection.receive();
    assert!(connection.is_closed());
    connection.send(end(0));
    assert!(connection.is_closed() && !connection.wants_write());
}

#[test]
fn what_a_client_sent_before_it_went_is_still_handed_out() {
    let (mut client, mut connection) = pair();
    client.write_all(b"{\"v\":1,\"cmd\":[\"a\"]}\n{\"v\":1,\"cmd\":[\"b\"]}\n").unwrap();
    drop(client);
    connection.receive();
    for _ in 0..2 {
        assert!(!connection.is_closed());
        words(connection.next());
        connection.send(end(0));
    }
    assert!(connection.is_closed());
}

#[test]
fn a_client_that_is_gone_is_closed_although_its_backlog_is_full() {
    let (mut client, mut connection) = pair();
    client.set_nonblocking(true).unwrap();
    let line = b"{\"v\":1,\"cmd\":[\"wait\"]}\n";
    while connection.wants_read() {
        let _ = client.write(line);
        connection.receive();
    }
    words(connection.next());
    while connection.wants_read() {
        let _ = client.write(line);
        connection.receive();
    }
    while client.write(line).is_ok() {}
    drop(client);
    connection.receive();
    assert!(connection.is_closed());
}
