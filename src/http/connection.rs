//! A TCP socket with absolute deadlines, and how to connect one.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket as NewSocket, Type};

use super::sys::{self, Readiness, Recv};

/// How long one address may keep the next waiting, where there is time for all. (RFC 8305, "Connection Attempt Delay")
const STAGGER: Duration = Duration::from_millis(250);

/// Below this a receive timeout is not worth setting: the kernel's timer may be late by several of its ticks.
const SHORT: Duration = Duration::from_millis(80);

/// A connected socket.
pub(super) struct Socket {
    stream: TcpStream,
    /// The receive timeout that is set on the socket, if one is.
    receive_timeout: Option<Duration>,
}

impl Socket {
    /// Connects to the first address that answers. The next is tried when one fails, or keeps us waiting.
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
                    Some(Ok(Begun::Connected(socket))) => return Socket::new(socket),
                    Some(Ok(Begun::Pending(socket))) => {
                        pending.push(socket);
                        let still = u32::try_from(addresses.len()).unwrap_or(u32::MAX).saturating_add(1);
                        next_start = now + STAGGER.min(deadline.saturating_duration_since(now) / still);
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
        // A request is one write: there is nothing to wait for and gather. (SO_NOSIGPIPE, where there is one, socket2 sets.)
        socket.set_tcp_nodelay(true)?;
        Ok(Socket { stream: socket.into(), receive_timeout: None })
    }

    /// Hands bytes to the kernel without waiting: it may take some of them, or none (`WouldBlock`).
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        uninterrupted(|| sys::send(self.stream.as_fd(), bytes))
    }

    /// Hands all of `bytes` to the kernel, until `deadline` (`TimedOut`).
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

    /// Takes what has come without waiting (`WouldBlock` if nothing has). 0 is the end.
    pub(super) fn recv_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        uninterrupted(|| sys::recv(self.stream.as_fd(), buffer, Recv::Nonblocking))
    }

    /// Waits for bytes until `deadline` (`TimedOut`). 0 is the end.
    pub(super) fn recv(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        if self.may_block_until(deadline)? {
            // One system call where poll and recv would be two.
            match sys::recv(self.stream.as_fd(), buffer, Recv::Blocking) {
                // The receive timeout came, or a signal, after which it would begin anew. What is left is waited for exactly.
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

    /// Whether a blocking receive is sure to be back before `deadline`.
    ///
    /// The kernel's receive timeout may be late by an eighth. It is set once, to three quarters of the first deadline, and then
    /// fits the calls that follow, because they mostly have the same.
    fn may_block_until(&mut self, deadline: Instant) -> io::Result<bool> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.receive_timeout {
            Some(timeout) => Ok(timeout + timeout / 8 + SHORT / 8 <= left),
            None if left < SHORT => Ok(false),
            None => {
                let timeout = left * 3 / 4;
                self.stream.set_read_timeout(Some(timeout))?;
                self.receive_timeout = Some(timeout);
                Ok(true)
            }
        }
    }

    /// Waits until the socket is ready, or until `deadline` (`TimedOut`).
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

    /// Whether the connection is open with nothing to read: no end, no error, no bytes that nobody asked for.
    pub(super) fn is_idle(&self) -> bool {
        let peeked = uninterrupted(|| sys::recv(self.stream.as_fd(), &mut [0], Recv::Peek));
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// An attempt to connect that did not fail at once.
enum Begun {
    Connected(NewSocket),
    Pending(NewSocket),
}

fn begin(address: &SocketAddr) -> io::Result<Begun> {
    let socket = NewSocket::new(Domain::for_address(*address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&(*address).into()) {
        Ok(()) => Ok(Begun::Connected(socket)),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(Begun::Pending(socket)),
        Err(error) => Err(error),
    }
}

/// Repeats a call that does not wait while signals interrupt it.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
