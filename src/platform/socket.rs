//! Stream sockets, with the flags and options that std does not offer.
//!
//! No call waits, except a receive that asks for it and those that poll. None raises SIGPIPE.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, TcpKeepalive, Type};

use super::cancellation::Cancellation;
use super::in_use::Entry;
use super::readiness::{Readiness, Receive};
use super::system;

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A port at an IP address.
    Ip(SocketAddr),
    /// A Unix domain socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Returns whether a path is short enough for a Unix domain socket.
pub fn is_socket_path(path: &Path) -> bool {
    SockAddr::unix(path).is_ok()
}

/// A stream socket.
pub struct Socket {
    /// Dropped before the socket is closed.
    entry: Option<Entry>,
    socket: socket2::Socket,
    is_tcp: bool,
}

impl Socket {
    /// Begins to connect. Returns the socket, and whether it is connected already.
    pub fn connect(address: &Address) -> io::Result<(Socket, bool)> {
        let (domain, address) = match address {
            Address::Ip(address) => (Domain::for_address(*address), SockAddr::from(*address)),
            Address::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
        };
        // Closed on exec. (On Apple's systems socket2 also sets SO_NOSIGPIPE.)
        let socket = socket2::Socket::new(domain, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        let is_connected = match socket.connect(&address) {
            Ok(()) => true,
            Err(error) if system::is_connecting(&error) => false,
            Err(error) => return Err(error),
        };
        Ok((Socket { entry: None, socket, is_tcp: domain != Domain::UNIX }, is_connected))
    }

    /// Returns the result of connecting, once the socket is ready to write.
    pub fn connected(&self) -> io::Result<()> {
        self.socket.take_error()?.map_or(Ok(()), Err)
    }

    /// Prepares a connected socket: [`Receive::Waiting`] waits, small writes leave at once, and the kernel probes a
    /// peer that has been silent for `keep_alive`.
    pub fn prepare(&self, keep_alive: Duration) -> io::Result<()> {
        system::let_receive_wait(&self.socket)?;
        if self.is_tcp {
            self.socket.set_tcp_nodelay(true)?;
            // A system without these options has its own, longer times.
            let _ = self.socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(keep_alive).with_interval(keep_alive));
        }
        Ok(())
    }

    /// Sets the time after which [`Receive::Waiting`] gives up. The kernel may be late by an eighth of it.
    pub fn set_receive_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.socket.set_read_timeout(Some(timeout))
    }

    /// Makes a cancellation end every use of the socket from now on, until it is [released](Socket::release).
    pub fn use_until(&mut self, cancellation: &Cancellation) {
        self.release();
        self.entry = Some(cancellation.enter(system::number(&self.socket)));
    }

    /// Makes cancellations leave the socket alone.
    pub fn release(&mut self) {
        self.entry = None;
    }

    /// Sends without waiting. The kernel may take some of the bytes, or none (`WouldBlock`).
    pub fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        system::send(&self.socket, parts)
    }

    /// Receives. Returns 0 at the end of the stream, and `WouldBlock` if there is nothing.
    pub fn receive(&self, buffer: &mut [u8], how: Receive) -> io::Result<usize> {
        system::receive(&self.socket, buffer, how)
    }

    /// Waits until the socket is ready or `timeout` has passed.
    pub fn wait(&self, wanted: Readiness, timeout: Duration) -> io::Result<Readiness> {
        system::wait(&self.socket, wanted, timeout)
    }
}

/// Waits until one of the sockets is ready, `timeout` has passed, or the calls are cancelled. Returns what each of the sockets
/// is ready for.
pub fn poll(
    sockets: &[Socket],
    wanted: Readiness,
    timeout: Duration,
    cancellation: Option<&Cancellation>,
) -> io::Result<Vec<Readiness>> {
    let no_memory = |_| ErrorKind::OutOfMemory;
    let (mut entries, mut all) = (Vec::new(), Vec::new());
    // The cancellation adds an entry.
    entries.try_reserve_exact(sockets.len() + 1).map_err(no_memory)?;
    all.try_reserve_exact(sockets.len()).map_err(no_memory)?;
    entries.extend(sockets.iter().map(|socket| system::poll_entry(&socket.socket, wanted)));
    match cancellation {
        None => system::poll(&mut entries, timeout)?,
        Some(cancellation) => cancellation.poll(&mut entries, timeout)?,
    }
    all.extend(entries.iter().take(sockets.len()).map(system::happened));
    Ok(all)
}
