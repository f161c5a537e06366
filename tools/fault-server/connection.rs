//! A connection with or without TLS: bytes are counted exactly, and it ends exactly as it is told.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection};
use socket2::SockRef;

use super::ledger::Entry;
use super::script::End;

/// How much is handed over at a time.
const CHUNK: usize = 16 * 1024;

/// How long a client may take to go once it was told that the connection has ended.
const FAREWELL: Duration = Duration::from_secs(5);

/// The client's end of a connection whose bytes nobody reads. Elsewhere only the end of both directions is told.
#[cfg(target_os = "linux")]
const HANG_UP: libc::c_short = libc::POLLRDHUP;
#[cfg(not(target_os = "linux"))]
const HANG_UP: libc::c_short = 0;

/// A connection of a client's.
pub struct Connection {
    socket: Arc<TcpStream>,
    tls: Option<Box<ServerConnection>>,
    /// What has arrived and nobody has asked for yet.
    arrived: Vec<u8>,
}

impl Connection {
    /// Without TLS.
    pub fn plain(socket: Arc<TcpStream>) -> Connection {
        Connection { socket, tls: None, arrived: Vec::new() }
    }

    /// With TLS, once the handshake is through.
    pub fn with_tls(socket: Arc<TcpStream>, config: &Arc<ServerConfig>) -> io::Result<Connection> {
        let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            let done = tls.complete_io(&mut &*socket);
            if let Err(error) = done {
                // It may have an alert to tell.
                let _ = tls.write_tls(&mut &*socket);
                return Err(error);
            }
        }
        // Its tickets go along, or they would be counted with the first answer.
        while tls.wants_write() {
            tls.write_tls(&mut &*socket)?;
        }
        Ok(Connection { socket, tls: Some(Box::new(tls)), arrived: Vec::new() })
    }

    /// The socket below.
    pub fn socket(&self) -> &Arc<TcpStream> {
        &self.socket
    }

    /// Waits for the first byte of something. False if the client has gone.
    pub fn begins(&mut self) -> bool {
        if !self.arrived.is_empty() {
            return true;
        }
        if self.tls.is_none() {
            // Without taking anything: what is not read stays with the kernel.
            return matches!(self.socket.peek(&mut [0]), Ok(1));
        }
        let mut buffer = [0; 1];
        match self.read_tls(&mut buffer) {
            Ok(length) => self.arrived.extend_from_slice(&buffer[..length]),
            Err(_) => return false,
        }
        !self.arrived.is_empty()
    }

    /// Appends at most so many bytes. 0 is the end.
    pub fn read(&mut self, into: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        if !self.arrived.is_empty() {
            let length = most.min(self.arrived.len());
            into.extend(self.arrived.drain(..length));
            return Ok(length);
        }
        let mut buffer = [0; CHUNK];
        let room = &mut buffer[..most.min(CHUNK)];
        let length = if self.tls.is_some() { self.read_tls(room)? } else { (&*self.socket).read(room)? };
        into.extend_from_slice(&buffer[..length]);
        Ok(length)
    }

    /// Whether there is something to read now.
    pub fn has_arrived(&mut self) -> bool {
        if !self.arrived.is_empty() {
            return true;
        }
        if let Some(tls) = &mut self.tls {
            let pending = tls.process_new_packets().map(|state| state.plaintext_bytes_to_read());
            if pending.is_ok_and(|length| length > 0) {
                return true;
            }
        }
        matches!(poll(&self.socket, libc::POLLIN, Some(Duration::ZERO)), Ok(events) if events & libc::POLLIN != 0)
    }

    /// Puts back what belongs to the next request.
    pub fn put_back(&mut self, bytes: &[u8]) {
        self.arrived.splice(0..0, bytes.iter().copied());
    }

    fn read_tls(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return Ok(0) };
        loop {
            match tls.reader().read(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            if tls.read_tls(&mut &*self.socket)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
            while tls.wants_write() {
                tls.write_tls(&mut &*self.socket)?;
            }
        }
    }

    /// Hands bytes of an answer to the kernel. The ledger knows at every moment how many it has taken.
    pub fn send(&mut self, bytes: &[u8], entry: &Entry) -> io::Result<()> {
        for chunk in bytes.chunks(CHUNK) {
            if let Some(tls) = &mut self.tls {
                tls.writer().write_all(chunk)?;
            }
            let mut rest = chunk;
            while !rest.is_empty() {
                // Under its lock: nobody who has seen a byte may find it missing in the ledger.
                let mut attempt = entry.lock();
                let taken = match &mut self.tls {
                    // A record counts when all of it has left.
                    Some(tls) => loop {
                        match tls.write_tls(&mut WithoutWaiting(&self.socket)) {
                            Ok(_) if tls.wants_write() => {}
                            Ok(_) => break Ok(rest.len()),
                            Err(error) => break Err(error),
                        }
                    },
                    None => WithoutWaiting(&self.socket).write(rest),
                };
                match taken {
                    Ok(length) => {
                        attempt.sent(&rest[..length]);
                        rest = &rest[length..];
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        drop(attempt);
                        poll(&self.socket, libc::POLLOUT, None)?;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Ends it. `rest` says whether the client may still be sending.
    pub fn end(mut self, end: End, rest: bool) {
        match end {
            End::Reset => drop(SockRef::from(&*self.socket).set_linger(Some(Duration::ZERO))),
            End::Fin | End::Cut => {
                if let (End::Fin, Some(tls)) = (end, &mut self.tls) {
                    tls.send_close_notify();
                    let _ = tls.write_tls(&mut WithoutWaiting(&self.socket));
                }
                farewell(&self.socket, rest);
            }
            // As long as the client likes, or until this listener is closed, which shuts the socket down.
            End::Hold => drop(poll(&self.socket, HANG_UP, None)),
            End::Keep | End::ReadOn | End::ApplyLate => {}
        }
    }
}

/// Sends FIN. A socket that is closed with bytes unread sends RST after it, so those are read if there may be any.
fn farewell(socket: &TcpStream, rest: bool) {
    let _ = socket.shutdown(Shutdown::Write);
    let end = Instant::now() + FAREWELL;
    let mut buffer = [0; CHUNK];
    let mut more = rest;
    while more {
        let left = end.saturating_duration_since(Instant::now());
        more = !left.is_zero()
            && socket.set_read_timeout(Some(left)).is_ok()
            && matches!((&*socket).read(&mut buffer), Ok(1..));
    }
}

/// Writes what the kernel takes at once.
struct WithoutWaiting<'a>(&'a TcpStream);

impl Write for WithoutWaiting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        SockRef::from(self.0).send_with_flags(bytes, libc::MSG_DONTWAIT)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits for one of these events, or for the connection's end.
fn poll(socket: &TcpStream, events: libc::c_short, patience: Option<Duration>) -> io::Result<libc::c_short> {
    let mut wanted = libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 };
    let patience = patience.map_or(-1, |patience| i32::try_from(patience.as_millis()).unwrap_or(i32::MAX));
    loop {
        // SAFETY: `wanted` is one such structure, and lives through the call.
        match unsafe { libc::poll(&raw mut wanted, 1, patience) } {
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            _ => return Ok(wanted.revents),
        }
    }
}
