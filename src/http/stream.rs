//! A connected socket with absolute deadlines.

use std::io::{self, ErrorKind, IoSlice};
use std::thread;
use std::time::{Duration, Instant};

use crate::platform::{self, Address, Cancellation, Readiness, Receive, Socket};

/// The delay before the next address is tried, if time allows. (RFC 8305, "Connection Attempt
/// Delay")
const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The time between two attempts to connect to a Unix domain socket whose listener's queue is full.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(5);

/// The shortest receive timeout worth setting: the kernel's timer may be late by several ticks.
const MIN_RECEIVE_TIMEOUT: Duration = Duration::from_millis(80);

/// How long a peer may be silent before the kernel probes whether it is still there. Shorter than
/// the idle timeouts of usual NATs and load balancers.
const KEEP_ALIVE: Duration = Duration::from_secs(45);

/// The state of a connection on which nothing is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idleness {
    /// It can be used.
    Open,
    /// The server has closed it.
    Ended,
    /// It was reset, or the server has sent bytes that were not asked for.
    Unusable,
}

/// A connected socket.
pub(super) struct Stream {
    socket: Socket,
    /// The receive timeout set on the socket, if any.
    receive_timeout: Option<Duration>,
}

impl Stream {
    /// Connects to the first address that accepts. Tries the next address when one fails or is
    /// slow. Fails if the call is cancelled.
    pub(super) fn connect(
        addresses: &[Address],
        deadline: Instant,
        cancellation: Option<&Cancellation>,
    ) -> io::Result<Stream> {
        let mut addresses = addresses.iter();
        let mut pending: Vec<Socket> = Vec::new();
        let mut last_error = io::Error::from(ErrorKind::NotConnected);
        let mut next_start = Instant::now();
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Err(ErrorKind::TimedOut.into());
            }
            if cancellation.is_some_and(Cancellation::has_happened) {
                return Err(ErrorKind::Interrupted.into());
            }
            if now >= next_start || pending.is_empty() {
                match addresses.next().map(|address| begin_connecting(address, deadline, cancellation)) {
                    Some(Ok((socket, true))) => return Stream::new(socket, cancellation),
                    Some(Ok((socket, false))) => {
                        pending.try_reserve(1).map_err(|_| ErrorKind::OutOfMemory)?;
                        pending.push(socket);
                        let addresses_left = u32::try_from(addresses.len()).unwrap_or(u32::MAX).saturating_add(1);
                        next_start = now
                            + CONNECTION_ATTEMPT_DELAY.min(deadline.saturating_duration_since(now) / addresses_left);
                    }
                    Some(Err(error)) => {
                        last_error = error;
                        next_start = now;
                    }
                    None if pending.is_empty() => return Err(last_error),
                    None => next_start = deadline,
                }
                continue;
            }
            let timeout = next_start.min(deadline).saturating_duration_since(now);
            let ready = match platform::poll(&pending, Readiness::WRITE, timeout, cancellation) {
                Ok(ready) => ready,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            for (index, _) in ready.iter().enumerate().filter(|(_, ready)| ready.write).rev() {
                let socket = pending.remove(index);
                match socket.connected() {
                    Ok(()) => return Stream::new(socket, cancellation),
                    Err(error) => {
                        last_error = error;
                        next_start = now;
                    }
                }
            }
        }
    }

    fn new(socket: Socket, cancellation: Option<&Cancellation>) -> io::Result<Stream> {
        socket.prepare(KEEP_ALIVE)?;
        let mut stream = Stream { socket, receive_timeout: None };
        stream.use_until(cancellation);
        Ok(stream)
    }

    /// Makes a cancellation end every wait from now on, until the stream is released.
    pub(super) fn use_until(&mut self, cancellation: Option<&Cancellation>) {
        if let Some(cancellation) = cancellation {
            self.socket.use_until(cancellation);
        }
    }

    /// Makes cancellations leave the stream alone.
    pub(super) fn release(&mut self) {
        self.socket.release();
    }

    /// Sends without waiting. The kernel may take some of the bytes, or none (`WouldBlock`).
    pub(super) fn send(&self, parts: &[IoSlice<'_>], deadline: Instant) -> io::Result<usize> {
        uninterrupted(deadline, || self.socket.send(parts))
    }

    /// Sends all of `bytes`. Fails with `TimedOut` at `deadline`.
    pub(super) fn send_all(&self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.send(&[IoSlice::new(bytes)], deadline) {
                Ok(length) => bytes = &bytes[length..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.wait(Readiness::WRITE, deadline)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Receives without waiting (`WouldBlock` if there is nothing). Returns 0 at the end of the
    /// stream.
    pub(super) fn receive_now(&self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        uninterrupted(deadline, || self.socket.receive(buffer, Receive::Now))
    }

    /// Receives, and waits for bytes until `deadline` (`TimedOut`). Returns 0 at the end of the
    /// stream.
    pub(super) fn receive(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        if self.may_block_until(deadline)? {
            // One system call instead of two, poll and recv.
            match self.socket.receive(buffer, Receive::Waiting) {
                // The receive timeout passed, or a signal came, after which the timeout would start
                // again. Wait for the exact rest below.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                result => return result,
            }
        }
        loop {
            self.wait(Readiness::READ, deadline)?;
            match self.receive_now(buffer, deadline) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// Returns whether a blocking receive is sure to return before `deadline`.
    ///
    /// The kernel's receive timeout may be late by an eighth. It is set once, to three quarters of
    /// the first deadline. It then fits later calls too, because most have the same timeout.
    fn may_block_until(&mut self, deadline: Instant) -> io::Result<bool> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.receive_timeout {
            Some(timeout) => Ok(timeout + timeout / 8 + MIN_RECEIVE_TIMEOUT / 8 <= left),
            None if left < MIN_RECEIVE_TIMEOUT => Ok(false),
            None => {
                let timeout = left * 3 / 4;
                self.socket.set_receive_timeout(timeout)?;
                self.receive_timeout = Some(timeout);
                Ok(true)
            }
        }
    }

    /// Waits until the socket is ready. Fails with `TimedOut` at `deadline`.
    pub(super) fn wait(&self, wanted: Readiness, deadline: Instant) -> io::Result<Readiness> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            match self.socket.wait(wanted, left) {
                Ok(ready) if ready.read || ready.write => return Ok(ready),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the state of a stream on which nothing is in flight.
    pub(super) fn idleness(&self, deadline: Instant) -> Idleness {
        match uninterrupted(deadline, || self.socket.receive(&mut [0], Receive::Peek)) {
            Ok(0) => Idleness::Ended,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Idleness::Open,
            Ok(_) | Err(_) => Idleness::Unusable,
        }
    }
}

/// Begins to connect. Returns the socket, and whether it is connected already. Fails with `TimedOut`
/// at `deadline`.
fn begin_connecting(
    address: &Address,
    deadline: Instant,
    cancellation: Option<&Cancellation>,
) -> io::Result<(Socket, bool)> {
    loop {
        match Socket::connect(address) {
            // The listener's queue is full, and nothing tells when it no longer is.
            Err(error) if error.kind() == ErrorKind::WouldBlock && matches!(address, Address::Unix(_)) => {}
            result => return result,
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        if cancellation.is_some_and(Cancellation::has_happened) {
            return Err(ErrorKind::Interrupted.into());
        }
        thread::sleep(FULL_QUEUE_PAUSE.min(left));
    }
}

/// Repeats a call that does not wait as long as signals interrupt it. Fails with `TimedOut` at
/// `deadline`: some signals never stop.
fn uninterrupted<T>(deadline: Instant, mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            Err(_) if Instant::now() >= deadline => return Err(ErrorKind::TimedOut.into()),
            Err(_) => {}
            result => return result,
        }
    }
}
