//! The topmost transport, above TLS: it sees the response in plain text.
//!
//! It records when the request is complete and which status line came, so that both are known
//! however the exchange ends. It also removes interim responses (1xx), because ureq refuses some of
//! them.

use std::io;

use ::ureq::Error;
use ::ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport as UreqTransport};

use super::phases::{self, Phase};
use super::transport::{Cause, Failure};

/// The longest head of a response.
pub(super) const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The most header lines in a response.
pub(super) const MAX_HEADERS: usize = 64;

/// The most interim responses (1xx) before a final one.
const MAX_INTERIM_RESPONSES: usize = 1000;

/// Wraps a connection that is ready for a request.
#[derive(Debug)]
pub(super) struct WatchConnector;

impl<In: UreqTransport> Connector<In> for WatchConnector {
    type Out = Watch<In>;

    fn connect(&self, _: &ConnectionDetails, chained: Option<In>) -> Result<Option<Watch<In>>, Error> {
        Ok(chained.map(|inner| Watch { inner, has_failed: false, interim_count: 0 }))
    }
}

/// A connection whose responses are recorded.
#[derive(Debug)]
pub(super) struct Watch<In> {
    inner: In,
    /// Whether the server failed (5xx). The state of this connection is then uncertain, so it is
    /// not reused.
    has_failed: bool,
    /// How many interim responses came before the final one.
    interim_count: usize,
}

impl<In: UreqTransport> Watch<In> {
    /// Inspects the beginning of the response. Returns false if an interim response was removed and
    /// nothing is left.
    fn inspect(&mut self) -> Result<bool, Failure> {
        loop {
            let input = self.inner.buffers().input();
            if !input.is_empty() && !phases::current(|exchange| exchange.was_read) {
                // The bytes came with the previous response, and TLS had already read them. Nothing
                // of this request was sent.
                return Err(failure("the server had sent unexpected bytes before"));
            }
            // Wait for the whole status line: 40 may be the beginning of 401.
            if !input.contains(&b'\n') {
                return Ok(!input.is_empty());
            }
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut head = httparse::Response::new(&mut headers);
            let parsed = head.parse(input);
            match (head.code, parsed) {
                (Some(100 | 102..200), Ok(httparse::Status::Complete(_)))
                    if self.interim_count == MAX_INTERIM_RESPONSES =>
                {
                    return Err(failure("too many interim responses (1xx) came before it"));
                }
                (Some(100 | 102..200), Ok(httparse::Status::Complete(length))) => {
                    self.interim_count += 1;
                    self.inner.buffers().input_consume(length);
                }
                (Some(100 | 102..200), Ok(httparse::Status::Partial)) => return Ok(true),
                // `HTTP/1.1 2000` is not a status line. ureq reports it.
                (None, _) | (_, Err(httparse::Error::Status | httparse::Error::Token | httparse::Error::Version)) => {
                    return Ok(true);
                }
                (Some(100 | 102..200), Err(_)) => return Err(failure("an interim response (1xx) is not HTTP")),
                (Some(status), parsed) => {
                    phases::current(|exchange| {
                        exchange.status = Some(status);
                        exchange.response_was_early = !exchange.request_was_sent;
                        exchange.phase = Phase::Reading;
                    });
                    self.has_failed = status >= 500;
                    self.interim_count = 0;
                    return match parsed {
                        Err(httparse::Error::TooManyHeaders) => Err(failure("it has more than 64 headers")),
                        _ => Ok(true),
                    };
                }
            }
        }
    }
}

fn failure(what: &str) -> Failure {
    phases::current(|exchange| exchange.failure(Cause::Malformed, what))
}

impl<In: UreqTransport> UreqTransport for Watch<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        phases::current(|exchange| {
            if !exchange.request_is_whole {
                exchange.request_is_whole = true;
                exchange.phase = Phase::Sending;
                exchange.deadline = exchange.final_deadline;
            }
        });
        loop {
            let progress = self.inner.await_input(timeout).map_err(unclean_end)?;
            let status = phases::current(|exchange| {
                exchange.at_end |= !progress;
                exchange.status
            });
            if status.is_some() || !progress || self.inspect().map_err(|failure| Error::Other(Box::new(failure)))? {
                return Ok(progress);
            }
        }
    }

    fn is_open(&mut self) -> bool {
        !self.has_failed && self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// Converts the error of a connection that ends without a TLS close_notify. ureq would take it for
/// the end of a body without length, but the body may have been truncated.
fn unclean_end(error: Error) -> Error {
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Error::Other(Box::new(phases::current(|exchange| {
                exchange.failure(Cause::Closed, "the connection ended without a TLS close_notify")
            })))
        }
        error => error,
    }
}
