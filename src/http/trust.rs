//! The certificates that TLS trusts, and the TLS configuration made from them.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;
use rustls::{ClientConfig, RootCertStore};

/// The certificate authorities that TLS trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those of the operating system.
    System,
    /// Mozilla's, as of the build of this library.
    Bundled,
    /// Both.
    Both,
    /// Those in a PEM file.
    File(String),
}

/// Returns a TLS configuration that trusts `roots`.
///
/// Reads files, so it is called when the first connection needs it.
pub(super) fn configuration(roots: &Roots) -> Result<Arc<ClientConfig>, String> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::System => add_system(&mut store)?,
        Roots::Bundled => add_bundled(&mut store),
        Roots::Both => {
            add_bundled(&mut store);
            // A machine without authorities of its own uses the bundled ones.
            let _ = add_system(&mut store);
        }
        Roots::File(path) => add_file(&mut store, path)?,
    }
    // Name the provider: the process's default is whatever the host installed.
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
    // Unusable certificates of the system are ignored as long as others are usable.
    let (added, _) = store.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(());
    }
    let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
    Err(format!(
        "this system has no trusted certificates{why}: install its package (ca-certificates), or set ca_file or tls_roots"
    ))
}

fn add_file(store: &mut RootCertStore, path: &str) -> Result<(), String> {
    let pem = read_file(path).map_err(|error| format!("ca_file {path} cannot be read: {error}"))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("ca_file {path} is not PEM: {error}"))?;
        // The user chose this file: report each unusable certificate.
        store.add(certificate).map_err(|error| format!("a certificate in ca_file {path} cannot be used: {error}"))?;
    }
    if store.is_empty() { Err(format!("ca_file {path} contains no certificate")) } else { Ok(()) }
}

/// A key provider without keys. Clients have no certificates, so the code to load private keys is
/// left out (50 KB).
#[derive(Debug)]
struct NoPrivateKeys;

impl KeyProvider for NoPrivateKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("client certificates are not supported".to_owned()))
    }
}

/// Reads a regular file. Refuses files that could block, such as pipes.
fn read_file(path: &str) -> io::Result<Vec<u8>> {
    const MAX_FILE_BYTES: u64 = 16 << 20;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(io::Error::other("it is not a regular file of at most 16 MiB"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
