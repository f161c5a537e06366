//! A TCP socket with absolute deadlines.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket as NewSocket, Type};

use super::sys::{self, Readiness, Recv};

/// The delay before the next address is tried, if time allows. (RFC 8305, "Connection Attempt
/// Delay")
const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The shortest receive timeout worth setting: the kernel's timer may be late by several ticks.
const MIN_RECV_TIMEOUT: Duration = Duration::from_millis(80);

/// A connected socket.
pub(super) struct Socket {
    stream: TcpStream,
    /// The receive timeout set on the socket, if any.
    receive_timeout: Option<Duration>,
}

impl Socket {
    /// Connects to the first address that accepts. Tries the next address when one fails or is
    /// slow.
    pub(super) fn connect(addresses: &[SocketAddr], deadline: Instant) -> io::Result<Socket> {
        let mut addresses = addresses.iter();
        let mut pending: Vec<NewSocket> = Vec::new();
        let mut last_error = io::Error::from(io::ErrorKind::NotConnected);
        let mut next_start = Instant::now();
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if now >= next_start || pending.is_empty() {
                match addresses.next().map(begin) {
                    Some(Ok(Attempt::Connected(socket))) => return Socket::new(socket),
                    Some(Ok(Attempt::Pending(socket))) => {
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
            let wanted = Readiness { write: true, read: false };
            let waiting: Vec<_> = pending.iter().map(|socket| (socket.as_fd(), wanted)).collect();
            let ready = match sys::poll(&waiting, next_start.min(deadline).saturating_duration_since(now)) {
                Ok(ready) => ready,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            for (index, _) in ready.iter().enumerate().filter(|(_, ready)| ready.write).rev() {
                let socket = pending.remove(index);
                match socket.take_error() {
                    Ok(None) => return Socket::new(socket),
                    Ok(Some(error)) | Err(error) => {
                        last_error = error;
                        next_start = now;
                    }
                }
            }
        }
    }

    fn new(socket: NewSocket) -> io::Result<Socket> {
        socket.set_nonblocking(false)?;
        // A request is one write: there is nothing to coalesce. (On Apple's systems socket2 has set
        // SO_NOSIGPIPE.)
        socket.set_tcp_nodelay(true)?;
        Ok(Socket { stream: socket.into(), receive_timeout: None })
    }

    /// Sends without waiting. The kernel may take some of the bytes, or none (`WouldBlock`).
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        uninterrupted(|| sys::send(self.stream.as_fd(), bytes))
    }

    /// Sends all of `bytes`. Fails with `TimedOut` at `deadline`.
    pub(super) fn send_all(&self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.send(bytes) {
                Ok(length) => bytes = &bytes[length..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(Readiness { read: false, write: true }, deadline)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Receives without waiting (`WouldBlock` if there is nothing). Returns 0 at the end of the
    /// stream.
    pub(super) fn recv_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        uninterrupted(|| sys::recv(self.stream.as_fd(), buffer, Recv::Nonblocking))
    }

    /// Receives, and waits for bytes until `deadline` (`TimedOut`). Returns 0 at the end of the
    /// stream.
    pub(super) fn recv(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        if self.may_block_until(deadline)? {
            // One system call instead of two, poll and recv.
            match sys::recv(self.stream.as_fd(), buffer, Recv::Blocking) {
                // The receive timeout passed, or a signal came, after which the timeout would start
                // again. Wait for the exact rest below.
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                result => return result,
            }
        }
        loop {
            self.wait(Readiness { read: true, write: false }, deadline)?;
            match self.recv_now(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
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
            Some(timeout) => Ok(timeout + timeout / 8 + MIN_RECV_TIMEOUT / 8 <= left),
            None if left < MIN_RECV_TIMEOUT => Ok(false),
            None => {
                let timeout = left * 3 / 4;
                self.stream.set_read_timeout(Some(timeout))?;
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
                return Err(io::ErrorKind::TimedOut.into());
            }
            match sys::poll(&[(self.stream.as_fd(), wanted)], left) {
                Ok(ready) => {
                    if let Some(ready) = ready.into_iter().find(|ready| ready.read || ready.write) {
                        return Ok(ready);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns whether the connection is open and has nothing to read: no end, no error, no
    /// unexpected bytes.
    pub(super) fn is_idle(&self) -> bool {
        let peeked = uninterrupted(|| sys::recv(self.stream.as_fd(), &mut [0], Recv::Peek));
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// An attempt to connect that did not fail immediately.
enum Attempt {
    Connected(NewSocket),
    Pending(NewSocket),
}

fn begin(address: &SocketAddr) -> io::Result<Attempt> {
    let socket = NewSocket::new(Domain::for_address(*address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&(*address).into()) {
        Ok(()) => Ok(Attempt::Connected(socket)),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(Attempt::Pending(socket)),
        Err(error) => Err(error),
    }
}

/// Repeats a non-blocking call as long as signals interrupt it.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
