//! TLS by rustls, between the socket and ureq. It always verifies certificates; no option turns
//! that off.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use ::ureq::Error;
use ::ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport as UreqTransport,
    TransportAdapter,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Wraps connections in TLS if it has a configuration.
#[derive(Debug)]
pub(super) struct TlsConnector {
    pub(super) config: Option<Arc<ClientConfig>>,
    /// The host that the certificate must name.
    pub(super) host: String,
}

impl<In: UreqTransport> Connector<In> for TlsConnector {
    type Out = Either<In, Tls<In>>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else { return Ok(None) };
        let Some(config) = &self.config else { return Ok(Some(Either::A(transport))) };
        let name =
            ServerName::try_from(self.host.clone()).map_err(|_| Error::Tls("a certificate cannot name this host"))?;
        let mut connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let mut adapter = TransportAdapter::new(transport, details.current_time.clone());
        connection.complete_io(&mut adapter)?;
        let stream = StreamOwned::new(connection, adapter);
        Ok(Some(Either::B(Tls { stream, buffers: LazyBuffers::new(BUFFER_BYTES, BUFFER_BYTES) })))
    }
}

/// Slightly larger than a TLS record and than `MAX_HEAD_BYTES`, so that an oversized head is
/// detected rather than waited for.
const BUFFER_BYTES: usize = 17 * 1024;

/// A connection over TLS.
pub(super) struct Tls<In: UreqTransport> {
    stream: StreamOwned<ClientConnection, TransportAdapter<In>>,
    buffers: LazyBuffers,
}

impl<In: UreqTransport> UreqTransport for Tls<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        let room = self.buffers.input_append_buf();
        if room.is_empty() {
            // The buffer is full of a line or a head without an end.
            return Err(Error::LargeResponseHeader(BUFFER_BYTES, BUFFER_BYTES));
        }
        let length = self.stream.read(room)?;
        self.buffers.input_appended(length);
        Ok(length > 0)
    }

    fn is_open(&mut self) -> bool {
        // TLS may have read the end of the connection, or unexpected bytes, which the socket no
        // longer shows.
        self.stream.conn.wants_read() && self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl<In: UreqTransport> fmt::Debug for Tls<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Do not print the buffers, which hold signed requests, or the connection, which holds
        // keys.
        f.write_str("Tls")
    }
}
