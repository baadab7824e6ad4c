//! process-queue: one process puts messages into a queue, another gets them.

use std::thread;
use std::time::Duration;

use ipcpipe::mp::{self, Queue, Result, Scope};
use ipcpipe::task;

use super::say;

fn sender(queue: Queue<String>) -> Result<()> {
    for i in 0..10 {
        queue.put(&format!("Message {i}"))?;
    }
    // What Python has besides, join_thread() and cancel_join_thread(), has nothing to do here.
    say!("has sent 10 messages and ends: they are in shared memory, and no thread has to carry them");
    Ok(())
}

fn receiver(queue: Queue<String>) -> Result<u32> {
    let mut received = 0;
    loop {
        let message = queue.get()?;
        if message == "END" {
            return Ok(received);
        }
        say!("received {message}");
        received += 1;
    }
}

/// The same without a message that means the end: the loop ends when the queue is closed and empty.
fn iterator(queue: Queue<String>) -> usize {
    queue.iter().inspect(|_| thread::sleep(Duration::from_millis(1))).count()
}

pub(super) fn run() -> Result<String> {
    // Whoever puts waits for room, and whoever gets for a message. If one of them cannot be started, the other one would wait
    // for ever, and we for him: the scope ends him then.
    mp::scope(send_and_receive)
}

fn send_and_receive(scope: &Scope) -> Result<String> {
    // It has room for 4: a sender who is faster than the receiver waits for him.
    let queue = Queue::bounded(4)?;
    let sends = scope.spawn(task!(sender), queue.clone())?;
    let receives = scope.spawn(task!(receiver), queue.clone())?;
    sends.join()??;
    queue.put(&"END".to_owned())?;
    let received = receives.join()??;

    // END works for one receiver; many need as many of them, and nobody may take two. close() ends all at once.
    let receivers: Vec<_> = (0..2).map(|_| scope.spawn(task!(iterator), queue.clone())).collect::<Result<_>>()?;
    for i in 0..10 {
        queue.put(&format!("Message {i}"))?;
    }
    queue.close();
    for receiver in receivers {
        let name = receiver.name().to_owned();
        say!("{name} got {} of 10 messages until close", receiver.join()?);
    }
    Ok(format!("{received} messages in order, then END"))
}
