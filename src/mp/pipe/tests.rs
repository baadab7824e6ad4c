use std::collections::BTreeMap;
use std::thread;

use super::*;
use crate::mp::testing::{as_peer, peer};
use crate::sys::testing::eventually;
use crate::sys::wait::{Interest, look};

/// Sends `value` to the other process of the test.
fn hand_over<T: Serialize>(socket: &mut Socket, value: &T) {
    socket.send(&encode_with_handles(value).unwrap()).unwrap();
}

/// What the test handed over to this process.
fn take_over<T: DeserializeOwned>(socket: &mut Socket) -> T {
    decode_with_handles(socket.receive().unwrap()).unwrap()
}

#[test]
fn b11_pipe_is_duplex() {
    type Numbers = BTreeMap<String, f64>;
    if let Some(mut socket) = as_peer() {
        let mut connection: Connection<f64, Numbers> = take_over(&mut socket);
        while let Ok(numbers) = connection.recv() {
            connection.send(&numbers.values().sum()).unwrap();
        }
        return;
    }
    let (mut child, mut socket) = peer("mp::pipe::tests::b11_pipe_is_duplex");
    let (mut ours, theirs) = pipe::<Numbers, f64>().unwrap();
    hand_over(&mut socket, &theirs);
    drop(theirs);
    for count in [1, 10, 20_000] {
        let numbers: Numbers = (0..count).map(|n| (n.to_string(), f64::from(n) / 2.0)).collect();
        ours.send(&numbers).unwrap();
        assert_eq!(ours.recv().unwrap(), numbers.values().sum::<f64>());
    }
    drop(ours);
    assert!(child.wait().unwrap().success());
}

#[test]
fn b11_poll_waits_no_longer_than_told() {
    let (mut sender, mut receiver) = channel::<String>().unwrap();
    let before = Instant::now();
    assert!(!receiver.poll(Some(Duration::ZERO)).unwrap());
    assert!(!receiver.poll(Some(Duration::from_millis(20))).unwrap());
    assert!(before.elapsed() >= Duration::from_millis(20));
    assert!(matches!(receiver.recv_timeout(Duration::from_millis(20)), Err(Error::TimedOut(..))));
    assert!(matches!(receiver.try_recv(), Err(Error::Empty(..))));
    let other = thread::spawn(move || sender.send(&"late".to_owned()));
    assert!(receiver.poll(Some(Duration::MAX)).unwrap(), "longer than the clock goes is for ever");
    assert!(receiver.poll(Some(Duration::ZERO)).unwrap(), "it stays there");
    assert_eq!(receiver.try_recv().unwrap(), "late");
    other.join().unwrap().unwrap();
    assert!(receiver.poll(None).unwrap(), "the end is an answer too");
    assert!(matches!(receiver.recv_timeout(Duration::MAX), Err(Error::Closed(..))));
}

#[test]
fn b12_the_end_is_seen_when_all_writers_are_gone() {
    if let Some(mut socket) = as_peer() {
        let mut sender: Sender<u32> = take_over(&mut socket);
        sender.send(&1).unwrap();
        // Until the test says so, the sender stays.
        assert!(matches!(socket.receive(), Err(Error::Closed(..))));
        return;
    }
    let (mut child, mut socket) = peer("mp::pipe::tests::b12_the_end_is_seen_when_all_writers_are_gone");
    let (mut sender, mut receiver) = channel::<u32>().unwrap();
    hand_over(&mut socket, &sender);
    assert_eq!(receiver.recv().unwrap(), 1);
    sender.send(&2).unwrap();
    drop(sender);
    assert_eq!(receiver.recv().unwrap(), 2);
    assert!(matches!(receiver.try_recv(), Err(Error::Empty(..))), "the other process has its own");
    drop(socket);
    assert!(receiver.iter().next().is_none());
    assert!(child.wait().unwrap().success());
}

#[test]
fn b12_a_killed_process_ends_both_directions() {
    if let Some(mut socket) = as_peer() {
        let mut connection: Connection<u32, u32> = take_over(&mut socket);
        connection.send(&7).unwrap();
        let _ = connection.recv();
        return;
    }
    let (mut child, mut socket) = peer("mp::pipe::tests::b12_a_killed_process_ends_both_directions");
    let (mut ours, theirs) = pipe::<u32, u32>().unwrap();
    hand_over(&mut socket, &theirs);
    drop(theirs);
    assert_eq!(ours.recv().unwrap(), 7);
    child.kill().unwrap();
    assert!(matches!(ours.recv(), Err(Error::Closed(..))));
    eventually(|| matches!(ours.send(&1), Err(Error::Closed(..))));
    child.wait().unwrap();
}

#[test]
fn b11_the_halves_are_independent() {
    let (ours, mut theirs) = pipe::<u8, u8>().unwrap();
    let (sender, receiver) = ours.split();
    drop(sender);
    assert!(matches!(theirs.recv(), Err(Error::Closed(..))));
    theirs.send(&5).unwrap();
    let (mut again, receiver) = (theirs, receiver.into_iter());
    again.send(&6).unwrap();
    drop(again);
    assert_eq!(receiver.map(Result::unwrap).collect::<Vec<_>>(), [5, 6]);
    let (mut sender, receiver) = channel::<u8>().unwrap();
    drop(receiver);
    assert!(matches!(sender.send(&1), Err(Error::Closed(..))));
}

#[test]
fn an_end_that_has_read_ahead_stays_where_it_is() {
    let (mut sender, mut receiver) = channel::<u8>().unwrap();
    sender.send(&1).unwrap();
    assert!(encode_with_handles(&receiver).is_ok(), "nothing is read until somebody asks");
    assert!(receiver.poll(None).unwrap());
    let Err(Error::Codec(why)) = encode_with_handles(&receiver) else { panic!("it went") };
    assert_eq!(why, "the receiver has read ahead, so what it has read would be missing elsewhere");
    receiver.recv().unwrap();
    let moved: Receiver<u8> = decode_with_handles(encode_with_handles(&receiver).unwrap()).unwrap();
    drop(receiver);
    sender.send(&2).unwrap();
    drop(sender);
    assert_eq!(moved.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [2]);
    assert!(serde_json::to_string(&channel::<u8>().unwrap().0).is_err());
}

#[test]
fn an_end_goes_through_another_pipe() {
    let (mut outer, mut receiver) = channel::<(Connection<u8, u8>, Sender<String>)>().unwrap();
    let ((mut near, far), (sender, mut answers)) = (pipe::<u8, u8>().unwrap(), channel::<String>().unwrap());
    outer.send(&(far, sender)).unwrap();
    let (mut far, mut sender) = receiver.recv().unwrap();
    near.send(&9).unwrap();
    sender.send(&far.recv().unwrap().to_string()).unwrap();
    assert_eq!(answers.recv().unwrap(), "9");
}

#[test]
fn a_value_of_another_type_is_an_error_and_the_next_one_comes() {
    let (mut sender, receiver) = channel::<(bool, u8)>().unwrap();
    let mut receiver: Receiver<bool> = Receiver::over(receiver.socket);
    sender.send(&(true, 1)).unwrap();
    let mut bools: Sender<bool> = Sender::over(sender.socket);
    bools.send(&true).unwrap();
    drop(bools);
    let received: Vec<_> = (&mut receiver).into_iter().collect();
    assert!(matches!(received[..], [Err(Error::Codec(_)), Ok(true)]), "{received:?}");
}

#[test]
fn an_end_can_be_waited_for_with_others() {
    let (mut ours, theirs) = pipe::<u8, u8>().unwrap();
    assert!(!look(theirs.as_fd(), Interest::Read).unwrap().ready);
    ours.send(&1).unwrap();
    assert!(look(theirs.as_fd(), Interest::Read).unwrap().ready);
    assert!(look(ours.split().0.as_fd(), Interest::Write).unwrap().ready);
    let shown = format!("{theirs:?}");
    assert!(shown.starts_with("Connection(Sender<u8>(Socket {") && shown.contains("Receiver<u8>(Socket"), "{shown}");
}
