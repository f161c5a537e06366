//! Reads a response from the bytes of a connection, as they come.

use super::super::message::Response;
use super::body::{Framing, Step};
use super::head::{self, Head, Parsed, Reuse};
use super::malformed::Malformed;

/// The most that is read of the body of a response that is not 2xx: enough for its message.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The most interim responses (1xx) before a final one.
const MAX_INTERIM_RESPONSES: u32 = 1000;

/// The space that a body gets at first, however long its stated length is.
const MAX_FIRST_RESERVE_BYTES: usize = 64 * 1024;

/// Reads one response.
///
/// It knows no connection: it gets bytes, and says how many it has used.
#[derive(Debug)]
pub(crate) struct ResponseReader {
    max_body_bytes: usize,
    state: State,
    status: Option<u16>,
    interim_responses: u32,
    head: Head,
    body: Vec<u8>,
}

/// The part of the response that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Body,
    /// Nothing.
    Complete,
    /// Nothing that matters: the rest of a long refusal is left unread.
    Enough,
}

impl ResponseReader {
    /// Returns a reader for the response to one request. Its body may have `max_body_bytes`.
    pub(crate) fn new(max_body_bytes: usize) -> ResponseReader {
        ResponseReader {
            max_body_bytes,
            state: State::Head,
            status: None,
            interim_responses: 0,
            head: Head::default(),
            body: Vec::new(),
        }
    }

    /// Reads from `input`, the unread bytes of the connection. Returns how many it has used. Pass
    /// the others again, followed by more.
    pub(crate) fn read(&mut self, input: &[u8]) -> Result<usize, Malformed> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let step = match self.state {
                State::Complete | State::Enough => return Ok(used),
                State::Head if rest.is_empty() => return Ok(used),
                State::Head => self.read_head(rest)?,
                State::Body => self.read_body(rest)?,
            };
            match step {
                Some(length) => used += length,
                None => return Ok(used),
            }
        }
    }

    /// Reads a head. Returns its length, or `None` if it is incomplete.
    fn read_head(&mut self, input: &[u8]) -> Result<Option<usize>, Malformed> {
        match head::parse(input) {
            Parsed::Incomplete(status) => {
                self.status = status;
                Ok(None)
            }
            Parsed::Interim(_) if self.interim_responses == MAX_INTERIM_RESPONSES => {
                Err(Malformed::Because("too many interim responses (1xx) came before it"))
            }
            Parsed::Interim(length) => {
                self.interim_responses += 1;
                Ok(Some(length))
            }
            Parsed::Final(status, length, head) => {
                self.status = Some(status);
                self.head = head;
                self.state = State::Body;
                self.prepare_body()?;
                Ok(Some(length))
            }
            Parsed::Malformed(status, why) => {
                self.status = status;
                Err(why)
            }
        }
    }

    /// Checks a stated length, and reserves memory for it.
    fn prepare_body(&mut self) -> Result<(), Malformed> {
        if !self.is_success() {
            self.max_body_bytes = self.max_body_bytes.min(MAX_ERROR_BYTES);
        }
        let Framing::Length(length) = self.head.framing else { return Ok(()) };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if self.is_success() && length > self.max_body_bytes {
            return Err(Malformed::TooLong(self.max_body_bytes));
        }
        let first = length.min(self.max_body_bytes).min(MAX_FIRST_RESERVE_BYTES);
        self.body.try_reserve_exact(first).map_err(|_| Malformed::NoMemory)
    }

    /// Reads a part of the body. Returns its length, or `None` if more input is needed.
    fn read_body(&mut self, input: &[u8]) -> Result<Option<usize>, Malformed> {
        let length = match self.head.framing.step(input)? {
            Step::Incomplete => return Ok(None),
            Step::Complete => {
                self.state = State::Complete;
                return Ok(Some(0));
            }
            Step::Framing(length) => return Ok(Some(length)),
            Step::Content(length) => length,
        };
        let fitting = length.min(self.max_body_bytes - self.body.len());
        self.body.try_reserve(fitting).map_err(|_| Malformed::NoMemory)?;
        self.body.extend_from_slice(&input[..fitting]);
        match fitting == length {
            true => Ok(Some(length)),
            false if self.is_success() => Err(Malformed::TooLong(self.max_body_bytes)),
            false => {
                self.state = State::Enough;
                Ok(Some(fitting))
            }
        }
    }

    /// Takes note that the connection has ended, cleanly. That completes a body without a length.
    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        match (self.state, self.head.framing) {
            (State::Complete | State::Enough, _) => Ok(()),
            (State::Body, Framing::UntilClose) => {
                self.state = State::Complete;
                Ok(())
            }
            _ => Err(Malformed::Cut),
        }
    }

    /// Returns the final status, once its line was read.
    pub(crate) fn status(&self) -> Option<u16> {
        self.status
    }

    /// Returns whether the status is 2xx.
    pub(crate) fn is_success(&self) -> bool {
        matches!(self.status, Some(200..300))
    }

    /// Returns whether the whole head was read.
    pub(crate) fn has_head(&self) -> bool {
        self.state != State::Head
    }

    /// Returns whether nothing more is to be read.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete | State::Enough)
    }

    /// Returns whether the connection may be used again after this response.
    pub(crate) fn reuse(&self) -> Reuse {
        match self.state {
            State::Complete => self.head.reuse,
            _ => Reuse::Never,
        }
    }

    /// Returns the response, complete or not, if there is a whole head.
    pub(crate) fn into_response(self, request_was_sent: bool) -> Option<Response> {
        let status = self.status.filter(|_| self.state != State::Head)?;
        Some(Response {
            status,
            body: self.body,
            has_length: self.head.has_length,
            request_was_sent,
            retry_after: self.head.retry_after,
            date: self.head.date,
        })
    }
}
