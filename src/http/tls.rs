//! A TLS session on a stream, by rustls. Certificates are always verified.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, ClientConnection, Error, InvalidMessage};

use crate::platform::Readiness;

use super::failure::{Cause, Fault};
use super::stream::{Idleness, Stream};
use super::trust;

/// A TLS session. It has no socket of its own: each call gets the stream.
pub(super) struct Tls {
    session: ClientConnection,
    /// The error that ended the session. The bytes that came before it can still be read.
    fault: Option<Fault>,
}

/// When a call that receives gives up.
#[derive(Clone, Copy)]
pub(super) enum Wait {
    /// At this time.
    Until(Instant),
    /// At once, if nothing is there. (At this time, if signals interrupt each attempt.)
    No(Instant),
}

impl Tls {
    /// Makes the handshake with the server of this name.
    pub(super) fn handshake(
        stream: &mut Stream,
        config: &Arc<ClientConfig>,
        host: &str,
        deadline: Instant,
    ) -> Result<Tls, Fault> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Fault::new(Cause::Tls, "a certificate cannot name this host"))?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(|error| fault(&error))?;
        let mut tls = Tls { session, fault: None };
        loop {
            tls.send_pending(stream, deadline).map_err(|error| Fault::of_io(&error, Cause::Write))?;
            if !tls.session.is_handshaking() {
                return Ok(tls);
            }
            let received =
                tls.fill(stream, Wait::Until(deadline)).map_err(|error| Fault::of_io(&error, Cause::Reset))?;
            if let Some(fault) = tls.fault.take() {
                // The alert that tells the server why.
                tls.flush(stream, deadline);
                return Err(fault);
            }
            if received == 0 {
                return Err(Fault::new(Cause::Closed, "the server closed the connection"));
            }
        }
    }

    /// Encrypts as much of `parts` as fits into the session's buffer, and hands encrypted bytes to
    /// the kernel once. Returns how much was encrypted.
    ///
    /// Fails with `WouldBlock` if the kernel took nothing and the buffer was full.
    pub(super) fn send(&mut self, stream: &Stream, parts: &[IoSlice<'_>], deadline: Instant) -> io::Result<usize> {
        // Together, so that a small request is one record.
        let encrypted = self.session.writer().write_vectored(parts)?;
        match self.send_some(stream, deadline) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && encrypted > 0 => Ok(encrypted),
            sent => sent.map(|()| encrypted),
        }
    }

    /// Returns whether the kernel has everything that was encrypted.
    pub(super) fn is_flushed(&self) -> bool {
        !self.session.wants_write()
    }

    /// Hands to the kernel what the session itself has to say, as far as the kernel takes it.
    pub(super) fn flush(&mut self, stream: &Stream, deadline: Instant) {
        let _ = self.send_some(stream, deadline);
    }

    /// Hands encrypted bytes to the kernel, once.
    fn send_some(&mut self, stream: &Stream, deadline: Instant) -> io::Result<()> {
        if self.session.wants_write() {
            self.session.write_tls(&mut Output { stream, deadline })?;
        }
        Ok(())
    }

    /// Hands all encrypted bytes to the kernel.
    fn send_pending(&mut self, stream: &Stream, deadline: Instant) -> io::Result<()> {
        while self.session.wants_write() {
            match self.send_some(stream, deadline) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    stream.wait(Readiness::WRITE, deadline)?;
                }
                sent => sent?,
            }
        }
        Ok(())
    }

    /// Receives decrypted bytes. Returns `None` if it may not wait and nothing is there, and 0 if
    /// the server has ended the session by a close_notify.
    ///
    /// Bytes that came before an error are returned before the error.
    pub(super) fn receive(
        &mut self,
        stream: &mut Stream,
        buffer: &mut [u8],
        wait: Wait,
    ) -> Result<Option<usize>, Fault> {
        loop {
            match self.session.reader().read(buffer) {
                Ok(length) => return Ok(Some(length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // A body without a length may have been truncated.
                Err(_) => return Err(Fault::new(Cause::Closed, "the connection ended without a TLS close_notify")),
            }
            if let Some(fault) = &self.fault {
                return Err(fault.clone());
            }
            match self.fill(stream, wait) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(Fault::of_io(&error, Cause::Reset)),
            }
        }
    }

    /// Reads encrypted bytes and decrypts them. Returns 0 at the end of the stream.
    ///
    /// It sends nothing, although the session may have something to send: what is pending may be
    /// the end of a request, and only [`Tls::send`] reports that it was sent.
    fn fill(&mut self, stream: &mut Stream, wait: Wait) -> io::Result<usize> {
        let length = self.session.read_tls(&mut Input { stream, wait })?;
        if let Err(error) = self.session.process_new_packets() {
            self.fault = Some(fault(&error));
        }
        Ok(length)
    }

    /// Returns the state of a session on which nothing is in flight. The server may have sent
    /// messages of TLS, such as session tickets.
    pub(super) fn idleness(&mut self, stream: &mut Stream, deadline: Instant) -> Idleness {
        loop {
            // A close_notify was received, or bytes that were not asked for.
            if self.fault.is_some() || !self.session.wants_read() {
                return if self.has_plaintext() { Idleness::Unusable } else { Idleness::Ended };
            }
            match stream.idleness(deadline) {
                Idleness::Unusable => {}
                idleness => return idleness,
            }
            match self.fill(stream, Wait::No(deadline)) {
                Ok(1..) => {}
                Ok(0) => return Idleness::Ended,
                Err(_) => return Idleness::Unusable,
            }
        }
    }

    fn has_plaintext(&mut self) -> bool {
        self.fault.is_some() || matches!(self.session.reader().read(&mut [0]), Ok(1..))
    }
}

/// Converts an error of rustls.
fn fault(error: &Error) -> Fault {
    match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => Fault::new(
            Cause::Tls,
            "the server does not speak TLS on this port (for plain HTTP set \"ssl\" to false, or use an http:// URL)",
        ),
        Error::AlertReceived(AlertDescription::CertificateRequired) => Fault {
            refused_handshake: true,
            ..Fault::new(
                Cause::Tls,
                "the server requires a client certificate (client_certificate_file, client_key_file)",
            )
        },
        Error::AlertReceived(alert) if concerns_certificate(*alert) => {
            Fault { refused_handshake: true, ..Fault::new(Cause::Tls, format!("the server refused: {error}")) }
        }
        error => Fault::new(Cause::Tls, trust::explain(error)),
    }
}

/// Returns whether an alert refuses the client's certificate. In TLS 1.3 it may come after the
/// client has sent its request, but the server sends it instead of finishing the handshake.
/// (RFC 8446, 6.2)
fn concerns_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateRequired
    )
}

/// The stream as rustls reads it.
struct Input<'a> {
    stream: &'a mut Stream,
    wait: Wait,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.wait {
            Wait::Until(deadline) => self.stream.receive(buffer, deadline),
            Wait::No(deadline) => self.stream.receive_now(buffer, deadline),
        }
    }
}

/// The stream as rustls writes it.
struct Output<'a> {
    stream: &'a Stream,
    deadline: Instant,
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.send(&[IoSlice::new(bytes)], self.deadline)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.send(parts, self.deadline)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
