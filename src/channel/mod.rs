//! One-way links between two processes of one machine, typed, over five mechanisms of the kernel.
//!
//! # The contract
//! Every backend keeps it, and one conformance suite (`tests/it/conformance.rs`) holds them to it:
//!
//! - **One way, one to one.** A link has one [`Sender`] and one [`Receiver`], each in its own process.
//!   [`Fanout`] sends the same records over several links.
//! - **Lossless and in order.** What was sent arrives once, in order. Frames carry sequence numbers and a
//!   running [`Digest`]; a gap or a changed bit is [`RecvError::Corrupt`], never a wrong record.
//! - **Bounded.** A link buffers at most what its kernel object holds, plus one frame at either end.
//!   A sender whose receiver is behind blocks; that is the back-pressure.
//! - **End and death differ.** [`Sender::finish`] is an end: the receiver gets everything, then `None`.
//!   A sender that is dropped, or whose process dies, leaves the receiver everything that reached the
//!   kernel and then [`RecvError::Disconnected`]. A receiver that goes away is [`SendError::Disconnected`]
//!   at the sender: at the latest when the link is full, is flushed 100 ms later, or is finished.
//! - **Every blocking wait ends when the peer dies**, on all backends: within 100 ms on shared memory, at
//!   once on the others. So does the wait of a socket's receiver for its sender to connect.
//! - **Names are short-lived.** What needs a name in a namespace of the machine has it from
//!   [`Run::link`] to [`Run::unlink`]; after that, no death leaves anything behind.
//!
//! # Two processes
//! The launcher creates a [`Link`], starts a child for each end with the end's text among its arguments
//! and its descriptors open ([`Endpoint::fds`]), and drops its own copies. The child parses the text and
//! attaches. This is `examples/two_processes.rs`, the whole of it:
//!
//! ```no_run
#![doc = include_str!("../../examples/two_processes.rs")]
//! ```
//!
//! Both ends may also be in one process:
//!
//! ```
//! use ipcpipe::channel::{Backend, Geometry, Run};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut run = Run::new();
//! let link = run.link(Backend::Mq, "numbers", Geometry::default())?;
//! let mut sender = link.sender.attach_sender::<f64>()?;
//! let mut receiver = link.receiver.attach_receiver::<f64>()?;
//! run.unlink();
//!
//! sender.send(&[1.5, 2.5])?;
//! sender.finish()?;
//! assert_eq!(receiver.recv()?.as_deref(), Some(&[1.5, 2.5][..]));
//! assert!(receiver.recv()?.is_none());
//! # Ok(()) }
//! ```

mod backend;
mod digest;
mod endpoint;
mod error;
mod fanout;
mod fifo;
mod frame;
mod lifeline;
mod link;
mod mq;
mod names;
mod pipe;
mod receiver;
mod rundir;
mod sender;
mod shm;
mod socket;
mod stream;
mod sweep;
mod transport;

pub use backend::{Backend, UnknownBackend};
pub use digest::Digest;
pub use endpoint::{Endpoint, ParseEndpointError};
pub use error::{RecvError, SendError};
pub use fanout::Fanout;
pub use link::{Geometry, Link, Run};
pub(crate) use mq::BUDGET_IS_SPENT;
pub use names::KernelName;
pub use receiver::{Batch, Received, Receiver};
pub use sender::Sender;
pub use sweep::{Leftover, clean};
