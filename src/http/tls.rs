//! TLS by rustls, between the socket and ureq. Certificates are always verified; there is no switch to turn that off.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use ::ureq::Error;
use ::ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::SigningKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Whom TLS trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// The operating system's certificate authorities.
    System,
    /// Mozilla's, as they were when the library was built.
    Bundled,
    /// Both of these.
    Both,
    /// Those in a PEM file.
    File(String),
}

/// TLS settings that trust `roots`.
///
/// This reads files: it is called when the first connection needs it.
pub(super) fn configuration(roots: &Roots) -> Result<Arc<ClientConfig>, String> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::System => add_system(&mut store)?,
        Roots::Bundled => add_bundled(&mut store),
        Roots::Both => {
            add_bundled(&mut store);
            // A machine without its own is what the bundled ones are for.
            let _ = add_system(&mut store);
        }
        Roots::File(path) => add_file(&mut store, path)?,
    }
    // Named, not the process's default: nothing of ours depends on what the host has installed there.
    let provider = CryptoProvider { key_provider: &NoPrivateKeys, ..rustls::crypto::ring::default_provider() };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(store).with_no_client_auth()))
}

fn add_bundled(store: &mut RootCertStore) {
    store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
}

fn add_system(store: &mut RootCertStore) -> Result<(), String> {
    let found = rustls_native_certs::load_native_certs();
    // A certificate of the system's that can't be used is no matter as long as others can.
    let (added, _) = store.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(());
    }
    let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
    Err(format!(
        "this system has no trusted certificates{why}: install its package of them (ca-certificates), or set ca_file or tls_roots"
    ))
}

fn add_file(store: &mut RootCertStore, path: &str) -> Result<(), String> {
    let pem = read_file(path).map_err(|error| format!("ca_file {path} can't be read: {error}"))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("ca_file {path} is not PEM: {error}"))?;
        // Here each one was meant.
        store.add(certificate).map_err(|error| format!("a certificate in ca_file {path} can't be used: {error}"))?;
    }
    if store.is_empty() { Err(format!("ca_file {path} has no certificate in it")) } else { Ok(()) }
}

/// A client of ours never signs with a certificate of its own, so the code for that is left out (50 KB).
#[derive(Debug)]
struct NoPrivateKeys;

impl KeyProvider for NoPrivateKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("there are no private keys here".to_owned()))
    }
}

/// Reads a regular file, and nothing that could keep us waiting.
fn read_file(path: &str) -> io::Result<Vec<u8>> {
    const MOST: u64 = 16 << 20;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.len() > MOST {
        return Err(io::Error::other("it is not a regular file of at most 16 MiB"));
    }
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Wraps connections in TLS, where there is a configuration for it.
#[derive(Debug)]
pub(super) struct TlsConnector {
    pub(super) config: Option<Arc<ClientConfig>>,
    /// The host that the certificate must name.
    pub(super) host: String,
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, Tls<In>>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else { return Ok(None) };
        let Some(config) = &self.config else { return Ok(Some(Either::A(transport))) };
        let name =
            ServerName::try_from(self.host.clone()).map_err(|_| Error::Tls("the host can't stand in a certificate"))?;
        let mut connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let mut adapter = TransportAdapter::new(transport, details.current_time.clone());
        connection.complete_io(&mut adapter)?;
        let stream = StreamOwned::new(connection, adapter);
        Ok(Some(Either::B(Tls { stream, buffers: LazyBuffers::new(BUFFER, BUFFER) })))
    }
}

/// A little more than one record of TLS holds, and than the head of an answer may have: the one that is too long is seen to be.
const BUFFER: usize = 17 * 1024;

/// A connection with TLS on it.
pub(super) struct Tls<In: Transport> {
    stream: StreamOwned<ClientConnection, TransportAdapter<In>>,
    buffers: LazyBuffers,
}

impl<In: Transport> Transport for Tls<In> {
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
            // All of it is waiting for the end of a line or a head, which never comes.
            return Err(Error::LargeResponseHeader(BUFFER, BUFFER));
        }
        let length = self.stream.read(room)?;
        self.buffers.input_appended(length);
        Ok(length > 0)
    }

    fn is_open(&mut self) -> bool {
        // TLS may hold the end of the connection, or bytes that nobody asked for, which the socket does not show any more.
        self.stream.conn.wants_read() && self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl<In: Transport> fmt::Debug for Tls<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The buffers hold signed requests, and the connection its keys.
        f.write_str("Tls")
    }
}
