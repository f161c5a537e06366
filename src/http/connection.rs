//! A connection to the server: a stream, TLS if there is any, and the bytes received but not read.

use std::io::{self, ErrorKind, IoSlice};
use std::time::{Duration, Instant};

use crate::platform::{Cancellation, Readiness};

use super::failure::{Cause, Fault};
use super::request::RequestBytes;
use super::stream::{Idleness, Stream};
use super::tls::{Tls, Wait};

/// A connection over which requests can be sent.
pub(super) struct Connection {
    stream: Stream,
    tls: Option<Box<Tls>>,
    input: Input,
    /// When it was made.
    pub(super) since: Instant,
    /// How many responses have come over it, and when the last one did.
    pub(super) responses: u32,
    pub(super) last_response: Instant,
    /// How long it was idle before it was last taken.
    pub(super) idle_time: Duration,
}

/// The result of receiving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// There are more bytes in the input.
    Bytes,
    /// The server has closed its side.
    End,
    /// There was nothing, and the call did not wait.
    Nothing,
}

impl Connection {
    pub(super) fn new(stream: Stream, tls: Option<Tls>, now: Instant) -> Connection {
        let tls = tls.map(Box::new);
        let input = Input::default();
        Connection { stream, tls, input, since: now, responses: 0, last_response: now, idle_time: Duration::ZERO }
    }

    /// Makes a cancellation end every wait from now on, until the connection is released.
    pub(super) fn use_until(&mut self, cancellation: Option<&Cancellation>) {
        self.stream.use_until(cancellation);
    }

    /// Makes cancellations leave the connection alone.
    pub(super) fn release(&mut self) {
        self.stream.release();
    }

    /// Hands the next part of the request to the kernel, without waiting. Returns whether the
    /// kernel has all of it now, and fails with `WouldBlock` if the kernel takes no more.
    pub(super) fn send(&mut self, request: &mut RequestBytes<'_>, deadline: Instant) -> io::Result<bool> {
        let parts = request.unsent().map(IoSlice::new);
        let sent = match &mut self.tls {
            None => self.stream.send(&parts, deadline)?,
            Some(tls) => tls.send(&self.stream, &parts, deadline)?,
        };
        request.mark_sent(sent);
        Ok(request.is_sent() && self.tls.as_ref().is_none_or(|tls| tls.is_flushed()))
    }

    /// Hands to the kernel what TLS itself has to say after the request, such as the reply to new
    /// keys. The server does not wait for it.
    pub(super) fn flush(&mut self, deadline: Instant) {
        if let Some(tls) = &mut self.tls {
            tls.flush(&self.stream, deadline);
        }
    }

    /// Waits until the stream is ready. Fails with `TimedOut` at `deadline`.
    pub(super) fn wait(&self, wanted: Readiness, deadline: Instant) -> io::Result<Readiness> {
        self.stream.wait(wanted, deadline)
    }

    /// Receives bytes into the input.
    pub(super) fn receive(&mut self, wait: Wait) -> Result<Received, Fault> {
        let space = self.input.space()?;
        let received = match (&mut self.tls, wait) {
            (Some(tls), _) => tls.receive(&mut self.stream, space, wait)?,
            (None, Wait::Until(deadline)) => taken(self.stream.receive(space, deadline))?,
            (None, Wait::No(deadline)) => taken(self.stream.receive_now(space, deadline))?,
        };
        match received {
            None => Ok(Received::Nothing),
            Some(0) => Ok(Received::End),
            Some(length) => {
                self.input.end += length;
                Ok(Received::Bytes)
            }
        }
    }

    /// Returns the bytes that were received and not consumed.
    pub(super) fn unread(&self) -> &[u8] {
        &self.input.bytes[self.input.start..self.input.end]
    }

    /// Consumes bytes of the input.
    pub(super) fn consume(&mut self, length: usize) {
        self.input.start += length;
    }

    /// Returns the state of a connection on which nothing is in flight.
    pub(super) fn idleness(&mut self, deadline: Instant) -> Idleness {
        match &mut self.tls {
            _ if !self.input.is_empty() => Idleness::Unusable,
            None => self.stream.idleness(deadline),
            Some(tls) => tls.idleness(&mut self.stream, deadline),
        }
    }

    /// Takes note of a response, and frees the memory that it needed.
    pub(super) fn rest(&mut self, now: Instant) {
        self.responses += 1;
        self.last_response = now;
        self.input.shrink();
    }
}

fn taken(received: io::Result<usize>) -> Result<Option<usize>, Fault> {
    match received {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(Fault::of_io(&error, Cause::Reset)),
    }
}

/// The input's size at first, and while the connection is idle. Most responses fit.
const INPUT_BYTES: usize = 4 * 1024;

/// The input's size while a long response is read. A whole head must fit.
const MAX_INPUT_BYTES: usize = 64 * 1024;

/// The bytes that were received: those from `start` to `end` are unread.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    /// Returns free space, at least a byte.
    fn space(&mut self) -> Result<&mut [u8], Fault> {
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.bytes.len() {
            if self.start > 0 {
                self.bytes.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            // The last read filled it: there is more.
            let size = (4 * self.bytes.len()).clamp(INPUT_BYTES, MAX_INPUT_BYTES.max(self.end + 1));
            if size > self.bytes.len() {
                self.grow(size)?;
            }
        }
        Ok(&mut self.bytes[self.end..])
    }

    fn grow(&mut self, size: usize) -> Result<(), Fault> {
        match self.bytes.try_reserve_exact(size - self.bytes.len()) {
            Ok(()) => self.bytes.resize(size, 0),
            // Go on with the space that there is.
            Err(_) if self.end < self.bytes.len() => {}
            Err(_) => return Err(Fault::new(Cause::Malformed, "there is not enough memory for it")),
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn shrink(&mut self) {
        if self.is_empty() && self.bytes.len() > INPUT_BYTES {
            *self = Input::default();
        }
    }
}
