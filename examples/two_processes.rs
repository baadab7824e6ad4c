//! Two processes and one link: this program starts itself a second time and sends it numbers.
//!
//! ```text
//! cargo run --example two_processes -- mq
//! ```

use std::env;
use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use ipcpipe::channel::{Backend, Endpoint, Geometry, Run};
use ipcpipe::sys::fd::Inheritable;

fn main() -> Result<(), Box<dyn Error>> {
    match env::args_os().nth(2) {
        None => parent(&env::args().nth(1).unwrap_or_else(|| "pipe".into())),
        Some(endpoint) => child(Endpoint::adopt(&endpoint)?),
    }
}

/// Creates the link, starts the child with the receiving end, and sends.
fn parent(backend: &str) -> Result<(), Box<dyn Error>> {
    let backend: Backend = backend.parse()?;
    let mut run = Run::new();
    let link = run.link(backend, "numbers", Geometry::default())?;

    let mut command = Command::new(env::current_exe()?);
    command.arg("child").arg(link.receiver.to_text()).stdout(Stdio::piped());
    let inheritable = Inheritable::new(link.receiver.fds())?;
    let mut child = command.spawn()?;
    drop(inheritable);
    // Our copy of the child's end would keep the kernel from telling us of its death.
    drop(link.receiver);

    let mut sender = link.sender.attach_sender::<f64>()?;
    let mut words = BufReader::new(child.stdout.take().expect("a piped stdout")).lines();
    // "attached": from here on nothing needs the link's name, and a death of either side is noticed by the other.
    words.next().transpose()?;
    run.unlink();

    for n in 0..1_000_000 {
        sender.feed(&[f64::from(n)])?;
    }
    sender.finish()?;
    for word in words {
        println!("the child says: {}", word?);
    }
    child.wait()?;
    Ok(())
}

/// Attaches the receiving end and sums up.
fn child(endpoint: Endpoint) -> Result<(), Box<dyn Error>> {
    let mut receiver = endpoint.attach_receiver::<f64>()?;
    println!("attached");
    let mut sum = 0.0;
    while let Some(batch) = receiver.recv()? {
        sum += batch.iter().sum::<f64>();
    }
    println!("{} records, sum {sum}", receiver.count());
    Ok(())
}
