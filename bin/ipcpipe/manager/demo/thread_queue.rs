//! thread-queue: one thread sends messages, another receives them.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use ipcpipe::mp::Result;

use super::say;

fn producer(queue: SyncSender<String>) {
    for i in 0..10 {
        queue.send(format!("Message {i}")).expect("the consumer waits for END");
    }
    say!("has sent 10 messages");
}

fn consumer(queue: Receiver<String>) -> u32 {
    let mut received = 0;
    for message in queue {
        if message == "END" {
            break;
        }
        say!("received {message}");
        received += 1;
    }
    received
}

/// Starts a thread that has a name.
fn start<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new().name(name.to_owned()).spawn(work).expect("a thread can be started")
}

pub(super) fn run() -> Result<String> {
    // Between threads the channel of the standard library does: a message is moved and not copied, so the sender cannot
    // change what he has sent. This one has room for 4; without END the loop would end when the last sender is gone.
    let (queue, receiver) = sync_channel(4);
    let consumes = start("Consumer", move || consumer(receiver));
    let own = queue.clone();
    let produces = start("Producer", move || producer(own));

    produces.join().expect("the producer does not panic");
    queue.send("END".to_owned()).expect("the consumer waits for END");
    let received = consumes.join().expect("the consumer does not panic");
    Ok(format!("{received} messages in order, then END"))
}
