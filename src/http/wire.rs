//! The transport below everything: ureq, and rustls where there is TLS, hand it bytes.
//!
//! Stock transports can't tell whether a request left: under TLS a write that failed is reported as done. So this one sends
//! nothing when it is handed bytes; it keeps them, however many. ureq asks for input only when it has written the whole
//! request, and at that moment everything is sent, in one write where the kernel takes it. "Sent" is what the kernel took.
//! To send earlier would be to call a request not sent that the server may have read to its end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use std::{fmt, io};

use ::ureq::Error;
use ::ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::connection::Socket;
use super::message::{Origin, Proxy};
use super::phases::{self, Exchange, Phase};
use super::resolver::{Resolver, Unresolved};
use super::sys::Readiness;
use super::transport::{Cause, Failure, TIME_IS_UP, classify_io_error};
use super::tunnel;

/// Makes connections.
#[derive(Debug)]
pub(super) struct WireConnector {
    pub(super) origin: Origin,
    pub(super) resolver: Resolver,
    pub(super) connect_timeout: Duration,
    pub(super) proxy: Option<Proxy>,
}

impl Connector for WireConnector {
    type Out = Wire;

    fn connect(&self, _: &ConnectionDetails, _: Option<()>) -> Result<Option<Wire>, Error> {
        let tls = self.origin.tls;
        let (peer, peer_port) = match &self.proxy {
            Some(proxy) => (proxy.host.as_str(), proxy.port),
            None => (self.origin.host.as_str(), self.origin.port),
        };
        phases::current(|exchange| {
            exchange.phase = Phase::Resolving;
            exchange.deadline = exchange.final_deadline.min(Instant::now() + self.connect_timeout);
            let addresses =
                self.resolver.resolve(peer, peer_port, exchange.deadline).map_err(|e| unresolved(exchange, peer, e))?;
            exchange.phase = Phase::Connecting;
            let mut socket =
                Socket::connect(&addresses, exchange.deadline).map_err(|e| not_connected(exchange, &addresses, &e))?;
            let mut absolute = None;
            match &self.proxy {
                Some(proxy) if tls => {
                    exchange.phase = Phase::Tunnel;
                    tunnel::open(&mut socket, proxy, &self.origin.host_and_port(), exchange.deadline)
                        .map_err(|(cause, what)| exchange.failure(cause, what))?;
                }
                // Without TLS, a proxy gets the whole URL in the request line; proxies often refuse a tunnel to port 80.
                Some(_) => absolute = Some(self.origin.url()),
                None => {}
            }
            exchange.phase = if tls { Phase::Handshake } else { Phase::Sending };
            Ok(Some(Wire::new(socket, absolute)))
        })
        .map_err(|failure: Failure| Error::Other(Box::new(failure)))
    }
}

fn unresolved(exchange: &Exchange, host: &str, error: Unresolved) -> Failure {
    match error {
        Unresolved::NoSuchHost => exchange.failure(Cause::NoSuchHost, format_args!("there is no host {host}")),
        Unresolved::Failed(why) => exchange.failure(Cause::Dns, why),
        Unresolved::TimedOut => exchange.failure(Cause::Timeout, TIME_IS_UP),
    }
}

fn not_connected(exchange: &Exchange, addresses: &[SocketAddr], error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::TimedOut {
        return exchange.failure(Cause::Timeout, format_args!("no answer from {}", Addresses(addresses)));
    }
    // A server may accept and reset before we have seen that it accepted.
    let (cause, what) = classify_io_error(error, Cause::Connect);
    exchange.failure(cause, format_args!("{}: {what}", Addresses(addresses)))
}

/// Addresses with commas between them.
struct Addresses<'a>(&'a [SocketAddr]);

impl fmt::Display for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.0.iter().enumerate() {
            write!(f, "{}{address}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// A connection: a socket, and the bytes on their way through.
pub(super) struct Wire {
    socket: Socket,
    buffers: WireBuffers,
    /// Why nothing can be written any more.
    write_error: Option<(Cause, String)>,
    /// Whether an exchange has used it since it was last found idle.
    in_use: bool,
    /// What a proxy needs before the path in the request line.
    absolute: Option<String>,
}

/// What became of the bytes that were kept.
enum Flushed {
    /// The kernel took all.
    All,
    /// It takes no more for now, and the peer has something to say.
    InputFirst,
    /// It takes no more at all.
    Failed,
}

impl Wire {
    fn new(socket: Socket, absolute: Option<String>) -> Wire {
        Wire { socket, buffers: WireBuffers::default(), write_error: None, in_use: true, absolute }
    }

    /// Sends what is kept, then waits for input. False at its end.
    fn exchange_bytes(&mut self, exchange: &mut Exchange) -> Result<bool, Failure> {
        if exchange.request_is_whole {
            // What TLS may add behind it is no part of the request.
            exchange.request_end.get_or_insert(self.buffers.queued);
            exchange.was_read = true;
        }
        if self.buffers.input().len() > MAX_UNUSED {
            return Err(exchange.failure(Cause::Malformed, "a line or a head of it is too long"));
        }
        let received = loop {
            let flushed = self.flush(exchange.deadline);
            if !exchange.request_was_sent && exchange.request_end.is_some_and(|end| self.buffers.sent >= end) {
                exchange.request_was_sent = true;
                if exchange.status.is_none() {
                    exchange.phase = Phase::Waiting;
                }
            }
            let received = match flushed {
                Flushed::All => self.socket.recv(self.buffers.input_append_buf(), exchange.deadline),
                // A server may refuse before it has read the whole request, and then read no further. What a peer sent before
                // it reset the connection can still be read, and nothing more will come.
                Flushed::InputFirst | Flushed::Failed => self.socket.recv_now(self.buffers.input_append_buf()),
            };
            match received {
                // The kernel took its word back; there is still something to send.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.write_error.is_none() => {}
                received => break received,
            }
        };
        match (received, &self.write_error) {
            (Ok(0) | Err(_), Some((cause, what))) => Err(exchange.failure(*cause, what)),
            (Ok(length), _) => {
                self.buffers.input_appended(length);
                Ok(length > 0)
            }
            (Err(error), None) => {
                let (cause, what) = classify_io_error(&error, Cause::Reset);
                Err(exchange.failure(cause, what))
            }
        }
    }

    /// Sends what is kept until the kernel has it, or it can't be sent, or the peer speaks first.
    fn flush(&mut self, deadline: Instant) -> Flushed {
        while self.write_error.is_none() && !self.buffers.kept().is_empty() {
            // A kernel that keeps on taking is no reason to go on past the deadline.
            let result = match Instant::now() < deadline {
                true => self.socket.send(self.buffers.kept()),
                false => Err(io::ErrorKind::TimedOut.into()),
            };
            let error = match result {
                Ok(length) => {
                    self.buffers.sent(length);
                    continue;
                }
                Err(error) => error,
            };
            let result = match error.kind() {
                io::ErrorKind::WouldBlock => self.socket.wait(Readiness { read: true, write: true }, deadline),
                _ => Err(error),
            };
            match result {
                Ok(ready) if ready.write => {}
                Ok(_) => return Flushed::InputFirst,
                Err(error) => self.write_error = Some(classify_io_error(&error, Cause::Write)),
            }
        }
        if self.write_error.is_none() { Flushed::All } else { Flushed::Failed }
    }
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        let begins = self.buffers.kept().is_empty();
        self.buffers.keep(amount);
        if let (true, Some(absolute)) = (begins, &self.absolute) {
            self.buffers.insert_behind_method(absolute);
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        phases::current(|exchange| self.exchange_bytes(exchange)).map_err(|failure| Error::Other(Box::new(failure)))
    }

    /// ureq asks when it gives a connection back and when it takes it out again. Only the second answer needs the kernel.
    fn is_open(&mut self) -> bool {
        if self.write_error.is_some() || !self.buffers.kept().is_empty() || !self.buffers.input().is_empty() {
            return false;
        }
        if self.in_use {
            self.in_use = false;
            self.buffers.shrink();
            return true;
        }
        self.in_use = self.socket.is_idle();
        self.in_use
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The buffers hold signed requests.
        f.write_str("Wire")
    }
}

/// How much room ureq is offered at a time. A request line with its query has to fit, and so do most whole requests.
const CHUNK: usize = 8 * 1024;

/// More than any head or line that an answer may have. Whatever else comes is used up as it comes, but a chunk's size or a
/// trailer that does not end is waited for, and would be for ever.
const MAX_UNUSED: usize = 3 * CHUNK;

/// What an idle connection may keep of each buffer.
const IDLE: usize = 2 * CHUNK;

/// The bytes on their way. What is kept to be sent lies at the front of `output`, and ureq writes on behind it: nothing is
/// copied, and it is all one write.
#[derive(Default)]
struct WireBuffers {
    input: Vec<u8>,
    input_start: usize,
    input_end: usize,
    /// Whether the last use of the input got anywhere with it.
    progress: bool,
    output: Vec<u8>,
    output_start: usize,
    output_end: usize,
    /// All that was ever kept to be sent, and all that was sent.
    queued: u64,
    sent: u64,
}

impl WireBuffers {
    fn keep(&mut self, amount: usize) {
        self.output_end += amount;
        self.queued += amount as u64;
    }

    /// Writes `text` before the target in the request line, which is kept.
    fn insert_behind_method(&mut self, text: &str) {
        if let Some(space) = self.kept().iter().position(|byte| *byte == b' ') {
            let at = self.output_start + space + 1;
            self.output.splice(at..at, text.bytes());
            self.output_end += text.len();
            self.queued += text.len() as u64;
        }
    }

    fn kept(&self) -> &[u8] {
        &self.output[self.output_start..self.output_end]
    }

    fn sent(&mut self, length: usize) {
        self.output_start += length;
        self.sent += length as u64;
        if self.output_start == self.output_end {
            (self.output_start, self.output_end) = (0, 0);
        }
    }

    /// Gives back what a large request or answer needed. Both buffers are empty.
    fn shrink(&mut self) {
        for buffer in [&mut self.input, &mut self.output] {
            if buffer.len() > IDLE {
                buffer.truncate(IDLE);
                buffer.shrink_to_fit();
            }
        }
        (self.input_start, self.input_end) = (0, 0);
    }
}

impl Buffers for WireBuffers {
    fn output(&mut self) -> &mut [u8] {
        let enough = self.output_end + CHUNK;
        // Without memory ureq is offered no room, and gives up before anything was sent.
        if self.output.len() < enough && self.output.try_reserve(enough - self.output.len()).is_ok() {
            self.output.resize(enough, 0);
        }
        &mut self.output[self.output_end..]
    }

    fn input(&self) -> &[u8] {
        &self.input[self.input_start..self.input_end]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        if self.input_start > 0 {
            self.input.copy_within(self.input_start..self.input_end, 0);
            self.input_end -= self.input_start;
            self.input_start = 0;
        }
        if self.input_end == self.input.len() {
            self.input.resize((2 * self.input.len()).max(CHUNK), 0);
        }
        &mut self.input[self.input_end..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.input_end += amount;
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.input_start += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        // The first is for bodies in chunks, of which we have none.
        self.output();
        self.input_append_buf();
        (&mut self.input[self.input_end..], &mut self.output[self.output_end..])
    }

    fn can_use_input(&self) -> bool {
        self.progress && self.input_start < self.input_end
    }
}
