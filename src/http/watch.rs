//! The transport above everything, TLS included: it sees the plain answer go by.
//!
//! It notes when the request is whole and which status line came, so that both are known however the exchange ends, and it
//! takes interim answers (1xx) out, of which ureq refuses some.

use std::io;

use ::ureq::Error;
use ::ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::phases::{self, Phase};
use super::transport::Cause;

/// As many header lines as an answer may have, here and in ureq.
const MAX_HEADERS: usize = 64;

/// Wraps a connection once it is ready for a request.
#[derive(Debug)]
pub(super) struct WatchConnector;

impl<In: Transport> Connector<In> for WatchConnector {
    type Out = Watch<In>;

    fn connect(&self, _: &ConnectionDetails, chained: Option<In>) -> Result<Option<Watch<In>>, Error> {
        Ok(chained.map(Watch))
    }
}

/// A connection whose answers are watched.
#[derive(Debug)]
pub(super) struct Watch<In>(In);

impl<In: Transport> Watch<In> {
    /// Looks at the beginning of the answer. False if an interim answer was taken out and nothing is left.
    fn look(&mut self) -> bool {
        loop {
            let input = self.0.buffers().input();
            // A status line counts when it is whole: 40 may be the beginning of 401.
            if !input.contains(&b'\n') {
                return !input.is_empty();
            }
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut answer = httparse::Response::new(&mut headers);
            let parsed = answer.parse(input);
            match (answer.code, parsed) {
                (Some(100 | 102..200), Ok(httparse::Status::Complete(length))) => {
                    self.0.buffers().input_consume(length)
                }
                (Some(100 | 102..200), _) | (None, _) => return true,
                (Some(status), _) => {
                    phases::current(|exchange| {
                        exchange.status = Some(status);
                        exchange.phase = Phase::Reading;
                    });
                    return true;
                }
            }
        }
    }
}

impl<In: Transport> Transport for Watch<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.0.transmit_output(amount, timeout)
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
            let progress = self.0.await_input(timeout).map_err(unclean_end)?;
            if phases::current(|exchange| exchange.status.is_some()) || !progress || self.look() {
                return Ok(progress);
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
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
