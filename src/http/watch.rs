//! The transport above everything, TLS included: it sees the plain answer go by.
//!
//! It notes when the request is whole and which status line came, so that both are known however the exchange ends, and it
//! takes interim answers (1xx) out, of which ureq refuses some.

use std::io;

use ::ureq::Error;
use ::ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::phases::{self, Phase};
use super::transport::{Cause, Failure};

/// The longest head of a response.
pub(super) const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The most header lines in a response.
pub(super) const MAX_HEADERS: usize = 64;

/// The most interim responses (1xx) before a final one.
const MAX_INTERIM: usize = 1000;

/// Wraps a connection once it is ready for a request.
#[derive(Debug)]
pub(super) struct WatchConnector;

impl<In: Transport> Connector<In> for WatchConnector {
    type Out = Watch<In>;

    fn connect(&self, _: &ConnectionDetails, chained: Option<In>) -> Result<Option<Watch<In>>, Error> {
        Ok(chained.map(|inner| Watch { inner, is_spoilt: false, interim: 0 }))
    }
}

/// A connection whose answers are watched.
#[derive(Debug)]
pub(super) struct Watch<In> {
    inner: In,
    /// Whether the server had an error of its own: what state that left this connection in, it does not say.
    is_spoilt: bool,
    /// How many interim answers came before the one that is waited for.
    interim: usize,
}

impl<In: Transport> Watch<In> {
    /// Looks at the beginning of the answer. False if an interim answer was taken out and nothing is left.
    fn look(&mut self) -> Result<bool, Failure> {
        loop {
            let input = self.inner.buffers().input();
            if !input.is_empty() && !phases::current(|exchange| exchange.was_read) {
                // It came along with the answer before, and TLS had it already. Nothing of this request was sent yet.
                return Err(failure("the server had sent more than it was asked for"));
            }
            // A status line counts when it is whole: 40 may be the beginning of 401.
            if !input.contains(&b'\n') {
                return Ok(!input.is_empty());
            }
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut answer = httparse::Response::new(&mut headers);
            let parsed = answer.parse(input);
            match (answer.code, parsed) {
                (Some(100 | 102..200), Ok(httparse::Status::Complete(_))) if self.interim == MAX_INTERIM => {
                    return Err(failure("it is put off by interim answers without end"));
                }
                (Some(100 | 102..200), Ok(httparse::Status::Complete(length))) => {
                    self.interim += 1;
                    self.inner.buffers().input_consume(length);
                }
                (Some(100 | 102..200), Ok(httparse::Status::Partial)) => return Ok(true),
                // A status line like `HTTP/1.1 2000` is none. ureq says what is wrong with it.
                (None, _) | (_, Err(httparse::Error::Status | httparse::Error::Token | httparse::Error::Version)) => {
                    return Ok(true);
                }
                (Some(100 | 102..200), Err(_)) => return Err(failure("an interim answer is not HTTP")),
                (Some(status), parsed) => {
                    phases::current(|exchange| {
                        exchange.status = Some(status);
                        exchange.answer_was_early = !exchange.request_was_sent;
                        exchange.phase = Phase::Reading;
                    });
                    self.is_spoilt = status >= 500;
                    self.interim = 0;
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

impl<In: Transport> Transport for Watch<In> {
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
            if status.is_some() || !progress || self.look().map_err(|failure| Error::Other(Box::new(failure)))? {
                return Ok(progress);
            }
        }
    }

    fn is_open(&mut self) -> bool {
        !self.is_spoilt && self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// TLS reports a connection that ends without its closing message as an error of this kind, which ureq would take for the
/// end of a body without length. It may as well have been cut.
fn unclean_end(error: Error) -> Error {
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Error::Other(Box::new(phases::current(|exchange| {
                exchange.failure(Cause::Closed, "the connection was cut")
            })))
        }
        error => error,
    }
}
