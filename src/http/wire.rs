//! The bottom transport: it takes bytes from ureq, or from rustls if there is TLS.
//!
//! ureq's own transports cannot tell whether a request left: under TLS they report a failed write
//! as done. So this one sends nothing when it gets bytes; it queues them. ureq asks for input only
//! after it has written the whole request. At that moment the queue is sent, in one write if the
//! kernel takes it. "Sent" means: taken by the kernel. A transport that sent earlier would report a
//! request as not sent although the server may have read all of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use std::{fmt, io};

use ::ureq::Error;
use ::ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport as UreqTransport};

use super::connection::Socket;
use super::message::{Origin, Proxy};
use super::phases::{self, Exchange, Phase};
use super::resolver::{Resolver, Unresolved};
use super::sys::Readiness;
use super::transport::{Cause, Failure, classify_io_error};
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
            let mut url_prefix = None;
            match &self.proxy {
                Some(proxy) if tls => {
                    exchange.phase = Phase::Tunnel;
                    tunnel::open(&mut socket, proxy, &self.origin.host_and_port(), exchange.deadline)
                        .map_err(|(cause, what)| exchange.failure(cause, what))?;
                }
                // Without TLS, a proxy gets the whole URL in the request line; proxies often refuse
                // a tunnel to port 80.
                Some(_) => url_prefix = Some(self.origin.url()),
                None => {}
            }
            exchange.phase = if tls { Phase::Handshake } else { Phase::Sending };
            Ok(Some(Wire::new(socket, url_prefix)))
        })
        .map_err(|failure: Failure| Error::Other(Box::new(failure)))
    }
}

fn unresolved(exchange: &Exchange, host: &str, error: Unresolved) -> Failure {
    match error {
        Unresolved::NoSuchHost => exchange.failure(Cause::NoSuchHost, format_args!("there is no host {host}")),
        Unresolved::Failed(why) => exchange.failure(Cause::Dns, why),
        Unresolved::TimedOut => exchange.failure(Cause::Timeout, host),
    }
}

fn not_connected(exchange: &Exchange, addresses: &[SocketAddr], error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::TimedOut {
        return exchange.failure(Cause::Timeout, Addresses(addresses));
    }
    // A server may accept and reset before connect() reports success.
    let (cause, what) = classify_io_error(error, Cause::Connect);
    exchange.failure(cause, format_args!("{}: {what}", Addresses(addresses)))
}

/// A list of addresses, separated by commas.
struct Addresses<'a>(&'a [SocketAddr]);

impl fmt::Display for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.0.iter().enumerate() {
            write!(f, "{}{address}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// A connection: a socket and its buffers.
pub(super) struct Wire {
    socket: Socket,
    buffers: WireBuffers,
    /// Why a write failed. Nothing is written after that.
    write_error: Option<(Cause, String)>,
    /// Whether an exchange has used it since it was last found idle.
    in_use: bool,
    /// The URL without its path, which a proxy needs in the request line.
    url_prefix: Option<String>,
}

/// The result of sending the queue.
enum Flushed {
    /// The kernel took all of it.
    All,
    /// The kernel takes no more for now, and there is input to read.
    InputFirst,
    /// A write failed.
    Failed,
}

impl Wire {
    fn new(socket: Socket, url_prefix: Option<String>) -> Wire {
        Wire { socket, buffers: WireBuffers::default(), write_error: None, in_use: true, url_prefix }
    }

    /// Sends the queue, then waits for input. Returns false at the end of the input.
    fn exchange_bytes(&mut self, exchange: &mut Exchange) -> Result<bool, Failure> {
        if exchange.request_is_whole {
            // What TLS may queue after this is not part of the request.
            exchange.request_end.get_or_insert(self.buffers.queued);
            exchange.was_read = true;
        }
        if self.buffers.input().len() > MAX_UNPARSED_BYTES {
            return Err(exchange.failure(Cause::Malformed, "a line or its head is too long"));
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
                // A server may refuse before it has read the whole request, and then stop reading.
                // After a reset, what the peer sent before can still be read, and nothing more will
                // come.
                Flushed::InputFirst | Flushed::Failed => self.socket.recv_now(self.buffers.input_append_buf()),
            };
            match received {
                // Spurious readiness: try again.
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

    /// Sends the queue until the kernel has taken it, a write fails, or there is input first.
    fn flush(&mut self, deadline: Instant) -> Flushed {
        while self.write_error.is_none() && !self.buffers.queue().is_empty() {
            // Stop at the deadline even while the kernel takes more.
            let result = match Instant::now() < deadline {
                true => self.socket.send(self.buffers.queue()),
                false => Err(io::ErrorKind::TimedOut.into()),
            };
            let error = match result {
                Ok(length) => {
                    self.buffers.mark_sent(length);
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

impl UreqTransport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        let is_start = self.buffers.queue().is_empty();
        self.buffers.enqueue(amount);
        if let (true, Some(prefix)) = (is_start, &self.url_prefix) {
            self.buffers.insert_after_method(prefix);
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        phases::current(|exchange| self.exchange_bytes(exchange)).map_err(|failure| Error::Other(Box::new(failure)))
    }

    /// ureq calls this when it returns a connection to the pool and when it takes it out. Only the
    /// second call needs to ask the kernel.
    fn is_open(&mut self) -> bool {
        if self.write_error.is_some() || !self.buffers.queue().is_empty() || !self.buffers.input().is_empty() {
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
        // Do not print the buffers: they hold signed requests.
        f.write_str("Wire")
    }
}

/// The free space that ureq gets at a time. A request line with its query must fit; most whole
/// requests do.
const CHUNK_BYTES: usize = 8 * 1024;

/// More than any head or line that a response may have. Other input is consumed as it comes, but
/// ureq would wait forever for the end of an endless chunk size or trailer.
const MAX_UNPARSED_BYTES: usize = 3 * CHUNK_BYTES;

/// The most that an idle connection keeps of each buffer.
const MAX_IDLE_BUFFER_BYTES: usize = 2 * CHUNK_BYTES;

/// The buffers of a connection. The queue to be sent is at the front of `output`, and ureq writes
/// directly after it. So nothing is copied, and sending takes one write.
#[derive(Default)]
struct WireBuffers {
    input: Vec<u8>,
    input_start: usize,
    input_end: usize,
    /// Whether ureq consumed anything of the input the last time.
    made_progress: bool,
    output: Vec<u8>,
    output_start: usize,
    output_end: usize,
    /// Bytes queued and bytes sent since the connection was made.
    queued: u64,
    sent: u64,
}

impl WireBuffers {
    fn enqueue(&mut self, amount: usize) {
        self.output_end += amount;
        self.queued += amount as u64;
    }

    /// Inserts `prefix` before the target in the queued request line.
    fn insert_after_method(&mut self, prefix: &str) {
        if let Some(space) = self.queue().iter().position(|byte| *byte == b' ') {
            let at = self.output_start + space + 1;
            self.output.splice(at..at, prefix.bytes());
            self.output_end += prefix.len();
            self.queued += prefix.len() as u64;
        }
    }

    fn queue(&self) -> &[u8] {
        &self.output[self.output_start..self.output_end]
    }

    fn mark_sent(&mut self, length: usize) {
        self.output_start += length;
        self.sent += length as u64;
        if self.output_start == self.output_end {
            (self.output_start, self.output_end) = (0, 0);
        }
    }

    /// Frees what a large request or response needed. Both buffers are empty.
    fn shrink(&mut self) {
        for buffer in [&mut self.input, &mut self.output] {
            if buffer.len() > MAX_IDLE_BUFFER_BYTES {
                buffer.truncate(MAX_IDLE_BUFFER_BYTES);
                buffer.shrink_to_fit();
            }
        }
        (self.input_start, self.input_end) = (0, 0);
    }
}

impl Buffers for WireBuffers {
    fn output(&mut self) -> &mut [u8] {
        let enough = self.output_end + CHUNK_BYTES;
        // Out of memory, ureq gets no space and fails before anything is sent.
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
            self.input.resize((2 * self.input.len()).max(CHUNK_BYTES), 0);
        }
        &mut self.input[self.input_end..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.input_end += amount;
    }

    fn input_consume(&mut self, amount: usize) {
        self.made_progress = amount > 0;
        self.input_start += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        // The first buffer is for chunked request bodies, which this library does not send.
        self.output();
        self.input_append_buf();
        (&mut self.input[self.input_end..], &mut self.output[self.output_end..])
    }

    fn can_use_input(&self) -> bool {
        self.made_progress && self.input_start < self.input_end
    }
}
