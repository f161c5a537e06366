//! A connection with or without TLS. It counts bytes exactly, and ends exactly as the script says.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection};
use socket2::SockRef;

use super::ending::Ending;
use super::ledger::Entry;
use super::script::End;
use super::system::{self, Event};

/// The largest write, in bytes.
const CHUNK: usize = 16 * 1024;

/// How long a client may take to close after the end of the connection.
const FAREWELL: Duration = Duration::from_secs(5);

/// A connection of a client.
pub struct Connection {
    socket: Arc<TcpStream>,
    tls: Option<Box<ServerConnection>>,
    /// Received bytes that are not consumed yet.
    arrived: Vec<u8>,
}

impl Connection {
    /// Without TLS.
    pub fn plain(socket: Arc<TcpStream>) -> Connection {
        Connection { socket, tls: None, arrived: Vec::new() }
    }

    /// With TLS, after the handshake.
    pub fn with_tls(socket: Arc<TcpStream>, config: &Arc<ServerConfig>) -> io::Result<Connection> {
        let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            let done = tls.complete_io(&mut &*socket);
            if let Err(error) = done {
                // There may be an alert to send.
                let _ = tls.write_tls(&mut &*socket);
                return Err(error);
            }
        }
        // Send the session tickets now, or they would count as a part of the first response.
        while tls.wants_write() {
            tls.write_tls(&mut &*socket)?;
        }
        Ok(Connection { socket, tls: Some(Box::new(tls)), arrived: Vec::new() })
    }

    /// Returns the socket.
    pub fn socket(&self) -> &Arc<TcpStream> {
        &self.socket
    }

    /// Waits for the first byte. Returns false if the client closed the connection.
    pub fn begins(&mut self) -> bool {
        if !self.arrived.is_empty() {
            return true;
        }
        if self.tls.is_none() {
            // Peek only: unread bytes stay in the kernel.
            return matches!(self.socket.peek(&mut [0]), Ok(1));
        }
        let mut buffer = [0; 1];
        match self.read_tls(&mut buffer) {
            Ok(length) => self.arrived.extend_from_slice(&buffer[..length]),
            Err(_) => return false,
        }
        !self.arrived.is_empty()
    }

    /// Reads and appends at most `limit` bytes. 0 is the end.
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

    /// Returns whether there is something to read now.
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
        matches!(system::wait(&self.socket, Event::Readable, Some(Duration::ZERO)), Ok(true))
    }

    /// Puts back bytes of the next request.
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

    /// Sends bytes of a response. The ledger records at each moment how many the kernel has taken.
    pub fn send(&mut self, bytes: &[u8], entry: &Entry) -> io::Result<()> {
        for chunk in bytes.chunks(CHUNK) {
            if let Some(tls) = &mut self.tls {
                tls.writer().write_all(chunk)?;
            }
            let mut rest = chunk;
            while !rest.is_empty() {
                // Under the lock of the ledger: a reader that has seen a byte must find it there.
                let mut attempt = entry.lock();
                let taken = match &mut self.tls {
                    // A TLS record counts once all of it is sent.
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
                        system::wait(&self.socket, Event::Writable, None)?;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Sends a response and this ending in one write, and FIN. Without TLS, FIN is in the last segment of the response.
    pub fn finish(mut self, bytes: &[u8], ending: Ending, entry: &Entry) -> io::Result<()> {
        {
            // The socket blocks: these responses fit into its buffer.
            let mut attempt = entry.lock();
            match &mut self.tls {
                Some(tls) => {
                    let records = ending.after(bytes, tls)?;
                    (&*self.socket).write_all(&records)?;
                }
                None => {
                    if system::send_before_the_end(&self.socket, bytes)? < bytes.len() {
                        return Err(io::Error::other("the response does not fit into the buffer"));
                    }
                }
            }
            attempt.sent(bytes);
        }
        farewell(&self.socket, true);
        Ok(())
    }

    /// Ends the connection. `rest` says whether the client may still be sending.
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
            // Until the client closes, or until the listener is closed, which shuts the socket down.
            End::Hold => drop(system::wait(&self.socket, Event::HangUp, None)),
            End::Keep | End::ReadOn | End::ApplyLate | End::With(_) => {}
        }
    }
}

/// Sends FIN. Closing a socket with unread bytes sends RST as well, so this reads them first.
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

/// Writes as much as the kernel takes at once.
struct WithoutWaiting<'a>(&'a TcpStream);

impl Write for WithoutWaiting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        system::send_without_waiting(self.0, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
