//! Typed connections between processes.

#[cfg(test)]
mod tests;

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};

use crate::mp::attempt::Verb;
use crate::mp::glance::Glance;
use crate::mp::socket::Socket;
use crate::mp::wire::{Message, decode_with_handles, encode_with_handles, receive_owned, send_copy};
use crate::mp::{Error, Result};
use crate::sys::wait::deadline_in;

/// Two ends of a connection, each of which sends what the other receives: one sends `A` and receives `B`.
///
/// Keep one end and move the other into another process, or give both away. See [`Connection`].
///
/// # Errors
/// [`Error::System`]: the process is out of descriptors. An end takes two.
///
/// # Examples
/// ```
/// # fn main() -> ipcpipe::mp::Result<()> {
/// let (mut ours, mut theirs) = ipcpipe::mp::pipe::<u32, String>()?;
/// let other = std::thread::spawn(move || {
///     let number = theirs.recv()?;
///     theirs.send(&format!("got {number}"))
/// });
/// ours.send(&42)?;
/// assert_eq!(ours.recv()?, "got 42");
/// # other.join().unwrap()
/// # }
/// ```
pub fn pipe<A, B>() -> Result<(Connection<A, B>, Connection<B, A>)> {
    let (sender, their_receiver) = channel()?;
    let (their_sender, receiver) = channel()?;
    Ok((Connection { sender, receiver }, Connection { sender: their_sender, receiver: their_receiver }))
}

/// A connection in one direction: what goes into the sender comes out of the receiver, in order.
///
/// # Errors
/// [`Error::System`]: the process is out of descriptors. An end takes one.
///
/// # Examples
/// ```
/// # fn main() -> ipcpipe::mp::Result<()> {
/// let (mut sender, receiver) = ipcpipe::mp::channel::<u32>()?;
/// let other = std::thread::spawn(move || (1..=3).try_for_each(|number| sender.send(&number)));
/// let mut sum = 0;
/// for number in receiver {
///     sum += number?;
/// }
/// assert_eq!(sum, 6);
/// # other.join().unwrap()
/// # }
/// ```
pub fn channel<T>() -> Result<(Sender<T>, Receiver<T>)> {
    let (one, other) = Socket::pair()?;
    Ok((Sender::over(one), Receiver::over(other)))
}

/// The end of a [`channel`] that sends values of type `T`, any that serde can serialise.
///
/// An end can be part of what is sent to another process, as an argument of its task for one. The other process gets a
/// descriptor of its own, so drop the end here, or move it into the call, which is the same: the receiver sees the end
/// of the values when the last sender is gone, and two that send at the same time would garble each other's values.
pub struct Sender<T> {
    socket: Socket,
    values: PhantomData<fn(T)>,
}

impl<T> Sender<T> {
    fn over(socket: Socket) -> Self {
        Self { socket, values: PhantomData }
    }
}

impl<T: Serialize> Sender<T> {
    /// Sends `value`. Returns when it is under way, which is before anybody has received it; waits while there is no
    /// room for it (there is for about 200 KiB). If both sides of a pipe send large values and neither receives, they
    /// wait for each other for ever.
    ///
    /// # Errors
    /// [`Error::Closed`]: there is no receiver any more. [`Error::Codec`]: the value cannot be put into bytes; nothing is
    /// sent then. [`Error::System`]: there are no descriptors for what is in it.
    pub fn send(&mut self, value: &T) -> Result<()> {
        let message = encode_with_handles(value).map_err(|error| error.during(self.socket.attempt(Verb::Send)))?;
        self.socket.send(&message)
    }
}

/// The end of a [`channel`] that receives values of type `T`, any that serde can deserialise without the input telling
/// its type (`serde_json::Value` cannot, [`Any`](crate::mp::Any) can).
///
/// An end can be part of what is sent to another process, as with a [`Sender`], as long as it has read nothing ahead.
/// It may have once it has received or polled: then serialising it is an error. Two processes that receive from the
/// same end would get parts of values.
///
/// It can be waited for together with other descriptors, through [`AsFd`]. When the descriptor is readable, take values
/// with [`try_recv`](Self::try_recv) until it is [`Error::Empty`], because several may have been read at once.
pub struct Receiver<T> {
    socket: Socket,
    glance: Glance,
    values: PhantomData<fn() -> T>,
}

impl<T> Receiver<T> {
    fn over(socket: Socket) -> Self {
        Self { socket, glance: Glance::default(), values: PhantomData }
    }

    /// Waits at most `timeout` (None: for ever) and says whether [`recv`](Self::recv) would answer at once, because a
    /// whole value is there or none will ever come. With a timeout of zero it only looks.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), but for the end, which is true.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> ipcpipe::mp::Result<()> {
    /// use std::time::Duration;
    /// let (mut sender, mut receiver) = ipcpipe::mp::channel::<u32>()?;
    /// assert!(!receiver.poll(Some(Duration::ZERO))?);
    /// sender.send(&1)?;
    /// assert!(receiver.poll(None)?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll(&mut self, timeout: Option<Duration>) -> Result<bool> {
        self.socket.is_ready(timeout.and_then(deadline_in))
    }
}

impl<T: DeserializeOwned> Receiver<T> {
    /// Takes the next value. Waits until there is one.
    ///
    /// # Errors
    /// [`Error::Closed`]: all senders are gone and all values taken. [`Error::Codec`]: what came is no `T`, and the next
    /// value may be one; or the sender died in the middle of a value, and then all that follows is [`Error::Closed`].
    /// [`Error::System`]: there are no descriptors for what is in it, and then the end of the values has come as well.
    pub fn recv(&mut self) -> Result<T> {
        let socket = &mut self.socket;
        let message = self.glance.at(|| socket.try_receive().transpose());
        let message = message.unwrap_or_else(|| self.socket.receive())?;
        self.read(message)
    }

    /// [`recv`](Self::recv) that does not wait.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`Error::Empty`]: no whole value is there.
    pub fn try_recv(&mut self) -> Result<T> {
        let message = self.socket.try_receive()?;
        self.read(message.ok_or_else(|| Error::Empty(self.socket.attempt(Verb::Receive)))?)
    }

    /// [`recv`](Self::recv) that waits at most so long. What has come of a value by then is kept for the next time.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`Error::TimedOut`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> ipcpipe::mp::Result<()> {
    /// use std::time::Duration;
    /// let (_sender, mut receiver) = ipcpipe::mp::channel::<u32>()?;
    /// let error = receiver.recv_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert!(matches!(error, ipcpipe::mp::Error::TimedOut(..)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T> {
        let deadline: Option<Instant> = deadline_in(timeout);
        let received = self.socket.receive_deadline(deadline)?;
        self.read(received.ok_or_else(|| Error::TimedOut(self.socket.attempt(Verb::Receive), timeout))?)
    }

    fn read(&self, message: Message) -> Result<T> {
        decode_with_handles(message).map_err(|error| error.during(self.socket.attempt(Verb::Receive)))
    }

    /// The values as they come, each or the error that came instead. It waits for them, and ends when all senders are gone.
    pub fn iter(&mut self) -> ReceiverIter<'_, T> {
        ReceiverIter(self)
    }
}

/// One end of a [`pipe`]: it sends values of type `A` and receives values of type `B`.
///
/// An end can be part of what is sent to another process; what is said of a [`Sender`] and a [`Receiver`] holds for it.
pub struct Connection<A, B> {
    sender: Sender<A>,
    receiver: Receiver<B>,
}

impl<A: Serialize, B> Connection<A, B> {
    /// Sends `value`: [`Sender::send`].
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub fn send(&mut self, value: &A) -> Result<()> {
        self.sender.send(value)
    }
}

impl<A, B: DeserializeOwned> Connection<A, B> {
    /// Takes the next value, waiting for it: [`Receiver::recv`].
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn recv(&mut self) -> Result<B> {
        self.receiver.recv()
    }

    /// Takes a value if there is one: [`Receiver::try_recv`].
    ///
    /// # Errors
    /// As [`Receiver::try_recv`].
    pub fn try_recv(&mut self) -> Result<B> {
        self.receiver.try_recv()
    }

    /// Takes the next value, waiting at most so long: [`Receiver::recv_timeout`].
    ///
    /// # Errors
    /// As [`Receiver::recv_timeout`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<B> {
        self.receiver.recv_timeout(timeout)
    }

    /// The values as they come: [`Receiver::iter`].
    pub fn iter(&mut self) -> ReceiverIter<'_, B> {
        self.receiver.iter()
    }
}

impl<A, B> Connection<A, B> {
    /// Waits for the next value, at most so long: [`Receiver::poll`].
    ///
    /// # Errors
    /// As [`Receiver::poll`].
    pub fn poll(&mut self, timeout: Option<Duration>) -> Result<bool> {
        self.receiver.poll(timeout)
    }

    /// The two directions by themselves, so that one thread or process can send while another receives. When the sender
    /// is dropped the other side sees the end, though it can still send.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> ipcpipe::mp::Result<()> {
    /// let (ours, mut theirs) = ipcpipe::mp::pipe::<u32, u32>()?;
    /// let (mut sender, receiver) = ours.split();
    /// sender.send(&1)?;
    /// drop(sender);
    /// for number in theirs.iter().collect::<Vec<_>>() {
    ///     theirs.send(&(number? + 1))?;
    /// }
    /// drop(theirs);
    /// assert_eq!(receiver.into_iter().collect::<Result<Vec<_>, _>>()?, [2]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn split(self) -> (Sender<A>, Receiver<B>) {
        (self.sender, self.receiver)
    }
}

/// The values of a [`Receiver`] as they come; of [`Receiver::iter`].
#[derive(Debug)]
#[must_use = "it receives nothing before it is asked"]
pub struct ReceiverIter<'a, T>(&'a mut Receiver<T>);

impl<T: DeserializeOwned> Iterator for ReceiverIter<'_, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        next(self.0)
    }
}

/// The values of a [`Receiver`] as they come, and the receiver with them.
#[derive(Debug)]
#[must_use = "it receives nothing before it is asked"]
pub struct ReceiverIntoIter<T>(Receiver<T>);

impl<T: DeserializeOwned> Iterator for ReceiverIntoIter<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        next(&mut self.0)
    }
}

fn next<T: DeserializeOwned>(receiver: &mut Receiver<T>) -> Option<Result<T>> {
    match receiver.recv() {
        Err(Error::Closed(_)) => None,
        received => Some(received),
    }
}

impl<T: DeserializeOwned> IntoIterator for Receiver<T> {
    type Item = Result<T>;
    type IntoIter = ReceiverIntoIter<T>;

    fn into_iter(self) -> ReceiverIntoIter<T> {
        ReceiverIntoIter(self)
    }
}

impl<'a, T: DeserializeOwned> IntoIterator for &'a mut Receiver<T> {
    type Item = Result<T>;
    type IntoIter = ReceiverIter<'a, T>;

    fn into_iter(self) -> ReceiverIter<'a, T> {
        self.iter()
    }
}

impl<T> AsFd for Sender<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<T> AsFd for Receiver<T> {
    /// Readable when something has come, or the end. What was read ahead does not show.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<A, B> AsFd for Connection<A, B> {
    /// The descriptor of the [`Receiver`].
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}

impl<T> Serialize for Sender<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        send_copy(self, serializer)
    }
}

impl<'de, T> Deserialize<'de> for Sender<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        receive_owned(deserializer).map(|fd| Self::over(Socket::from_fd(fd)))
    }
}

impl<T> Serialize for Receiver<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.socket.is_between_messages() {
            send_copy(self, serializer)
        } else {
            Err(ser::Error::custom("the receiver has read ahead, so what it has read would be missing elsewhere"))
        }
    }
}

impl<'de, T> Deserialize<'de> for Receiver<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        receive_owned(deserializer).map(|fd| Self::over(Socket::from_fd(fd)))
    }
}

impl<A, B> Serialize for Connection<A, B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.sender, &self.receiver).serialize(serializer)
    }
}

impl<'de, A, B> Deserialize<'de> for Connection<A, B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (sender, receiver) = Deserialize::deserialize(deserializer)?;
        Ok(Self { sender, receiver })
    }
}

/// Shows the socket and the type of the values, which need not be able to show themselves.
fn show<T>(name: &str, socket: &Socket, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{name}<{}>({socket:?})", std::any::type_name::<T>())
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show::<T>("Sender", &self.socket, f)
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show::<T>("Receiver", &self.socket, f)
    }
}

impl<A, B> fmt::Debug for Connection<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.sender).field(&self.receiver).finish()
    }
}
