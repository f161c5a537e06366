//! The certificates that TLS trusts and presents, and the TLS configuration made from them.
//!
//! Certificates are always verified; no option turns that off.

use std::io;
use std::mem;
use std::sync::Arc;
use std::{error, fmt};

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, InconsistentKeys, RootCertStore};

use super::pem;
use crate::platform;

/// The certificates that TLS trusts and presents.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The certificate authorities to trust.
    pub roots: Roots,
    /// A PEM file with more certificates to trust.
    pub extra_file: Option<String>,
    /// The client's own certificate.
    pub identity: Option<Identity>,
}

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

/// A client's certificate, with the certificates that lead to its authority, and its private key.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[client certificate]")
    }
}

/// The reason why a client's certificate cannot be used.
#[derive(Debug)]
pub struct IdentityError {
    /// The configuration key of the file that is wrong.
    pub key_in_config: &'static str,
    /// What is wrong with it. The path is not shown, because it may be a secret in the wrong place.
    pub message: String,
}

const CERTIFICATE_KEY: &str = "client_certificate_file";
const PRIVATE_KEY: &str = "client_key_file";

impl Identity {
    /// Reads a certificate and its private key from PEM files, and checks that they match.
    pub fn load(certificate_file: &str, key_file: &str) -> Result<Identity, IdentityError> {
        let wrong = |key_in_config, message: String| IdentityError { key_in_config, message };
        let chain = read_chain(certificate_file).map_err(|message| wrong(CERTIFICATE_KEY, message))?;
        let key = read_key(key_file).map_err(|message| wrong(PRIVATE_KEY, message))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => Ok(Identity(Arc::new(certified))),
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(wrong(
                PRIVATE_KEY,
                format!(
                    "does not belong to the first certificate of {CERTIFICATE_KEY}, which must be the client's own"
                ),
            )),
            Err(error) => {
                Err(wrong(CERTIFICATE_KEY, format!("its first certificate cannot be used: {}", unusable(&error))))
            }
        }
    }
}

/// Reads the certificates of a PEM file.
fn read_chain(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = platform::read_file(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut chain = Vec::new();
    for section in pem::sections(&pem) {
        let section = section.map_err(not_pem)?;
        if section.label == CERTIFICATE {
            chain.push(CertificateDer::from(mem::take(&mut *section.decode().map_err(not_pem)?)));
        }
    }
    if chain.is_empty() { Err("contains no certificate in PEM (BEGIN CERTIFICATE)".to_owned()) } else { Ok(chain) }
}

/// Reads the first private key of a PEM file. Its bytes are wiped; rustls keeps the key that it
/// makes from them.
fn read_key(path: &str) -> Result<Arc<dyn rustls::sign::SigningKey>, String> {
    let pem = platform::read_file(path).map_err(|error| format!("cannot be read: {error}"))?;
    for section in pem::sections(&pem) {
        let section = section.map_err(not_pem)?;
        if !section.label.ends_with(b"PRIVATE KEY") {
            continue;
        }
        if section.is_encrypted() {
            return Err("contains an encrypted key; decrypt it (openssl pkey -in KEY -out DECRYPTED)".to_owned());
        }
        let der = section.decode().map_err(not_pem)?;
        let key = match section.label {
            b"PRIVATE KEY" => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(&der[..])),
            b"RSA PRIVATE KEY" => PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(&der[..])),
            b"EC PRIVATE KEY" => PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(&der[..])),
            _ => return Err("contains a key that is not PKCS#8, PKCS#1 or SEC1".to_owned()),
        };
        // The error of rustls says nothing more.
        return ring::sign::any_supported_type(&key).map_err(|_| {
            "contains a key that cannot be used; supported are RSA of 2048 to 4096 bits, ECDSA with P-256 or P-384, \
             and Ed25519"
                .to_owned()
        });
    }
    Err("contains no private key in PEM (BEGIN PRIVATE KEY)".to_owned())
}

const CERTIFICATE: &[u8] = b"CERTIFICATE";

fn not_pem(error: io::Error) -> String {
    format!("is not PEM: {error}")
}

/// The reason why there is no TLS configuration.
#[derive(Debug)]
pub(super) struct TrustError {
    pub(super) message: String,
    /// Whether the process lacked descriptors or memory, which may pass.
    pub(super) is_temporary: bool,
}

impl TrustError {
    fn lasting(message: impl Into<String>) -> TrustError {
        TrustError { message: message.into(), is_temporary: false }
    }

    fn io(error: &io::Error, message: String) -> TrustError {
        TrustError { message, is_temporary: platform::lacks_resources(error) }
    }
}

/// The sessions that are kept for resumption. A client connects to one server, and that server may
/// send several tickets. The default of rustls, 256, is meant for clients of many servers.
const MAX_SESSIONS: usize = 8;

/// Returns a TLS configuration with these certificates.
///
/// Reads files, so it is called when the first connection needs it.
pub(super) fn configuration(trust: &Trust) -> Result<Arc<ClientConfig>, TrustError> {
    has_randomness()?;
    let mut store = RootCertStore::empty();
    match &trust.roots {
        Roots::System => add_system(&mut store)?,
        Roots::Bundled => add_bundled(&mut store),
        Roots::Both => {
            add_bundled(&mut store);
            match add_system(&mut store) {
                // The store is kept for as long as the client: it must not lack a part.
                Err(error) if error.is_temporary => return Err(error),
                // A machine without authorities of its own uses the bundled ones.
                _ => {}
            }
        }
        Roots::File(path) => add_file(&mut store, "ca_file", path)?,
    }
    if let Some(path) = &trust.extra_file {
        add_file(&mut store, "extra_ca_file", path)?;
    }
    // Name the provider: the process's default is whatever the host installed.
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TrustError::lasting(error.to_string()))?
        .with_root_certificates(store);
    let mut config = match &trust.identity {
        None => builder.with_no_client_auth(),
        Some(Identity(key)) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(key)))),
    };
    config.resumption = Resumption::in_memory_sessions(MAX_SESSIONS);
    Ok(Arc::new(config))
}

/// Returns an error if the system has no randomness, without which TLS is not possible: rustls makes a table of the standard
/// library, which would panic.
fn has_randomness() -> Result<(), TrustError> {
    let no_randomness =
        |error| TrustError { message: format!("the system has no randomness: {error}"), is_temporary: true };
    getrandom::fill(&mut [0; 16]).map_err(no_randomness)
}

fn add_bundled(store: &mut RootCertStore) {
    store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
}

fn add_system(store: &mut RootCertStore) -> Result<(), TrustError> {
    let found = rustls_native_certs::load_native_certs();
    add_found(store, found.certs, &found.errors)
}

/// Adds the system's certificates, of which reading may have failed in part.
fn add_found(
    store: &mut RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
    errors: &[rustls_native_certs::Error],
) -> Result<(), TrustError> {
    const REMEDY: &str = "set ca_file or tls_roots";
    let is_io = |error: &&rustls_native_certs::Error| match &error.kind {
        rustls_native_certs::ErrorKind::Io { inner, .. } => platform::lacks_resources(inner),
        _ => false,
    };
    // The store is kept for as long as the client: it must not lack the certificates of a file that
    // could not be opened this time.
    if let Some(error) = errors.iter().find(is_io) {
        let message = format!("the system's certificates cannot be read: {error}");
        return Err(TrustError { message, is_temporary: true });
    }
    let count = certificates.len();
    // Unusable certificates of the system are ignored as long as others are usable.
    let (added, _) = store.add_parsable_certificates(certificates);
    match (added, count, errors.first()) {
        (1.., ..) => Ok(()),
        (0, _, Some(error)) => {
            Err(TrustError::lasting(format!("the system's certificates cannot be read: {error}; {REMEDY}")))
        }
        (0, 0, None) => Err(TrustError::lasting(format!(
            "this system has no trusted certificates: install its package (ca-certificates), or {REMEDY}"
        ))),
        (0, _, None) => Err(TrustError::lasting(format!("the system's {count} certificates cannot be used; {REMEDY}"))),
    }
}

/// Adds the certificates of a PEM file, the value of `key`.
fn add_file(store: &mut RootCertStore, key: &str, path: &str) -> Result<(), TrustError> {
    let malformed = |error: io::Error| TrustError::io(&error, format!("{key} {path} is not PEM: {error}"));
    let pem = platform::read_file(path)
        .map_err(|error| TrustError::io(&error, format!("{key} {path} cannot be read: {error}")))?;
    let mut is_empty = true;
    for section in pem::sections(&pem) {
        let section = section.map_err(malformed)?;
        if section.label != CERTIFICATE {
            continue;
        }
        let der = section.decode().map_err(malformed)?;
        // The user chose this file: report each unusable certificate.
        store.add(CertificateDer::from(&der[..])).map_err(|error| {
            TrustError::lasting(format!("a certificate in {key} {path} cannot be used: {}", unusable(&error)))
        })?;
        is_empty = false;
    }
    if is_empty {
        return Err(TrustError::lasting(format!("{key} {path} contains no certificate in PEM (BEGIN CERTIFICATE)")));
    }
    Ok(())
}

/// Returns the reason why a certificate of the user's cannot be used.
fn unusable(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::BadEncoding) => "it is not a certificate".to_owned(),
        rustls::Error::InvalidCertificate(CertificateError::Other(other))
            if is_webpki(other, "UnsupportedCertVersion") =>
        {
            "it is of X.509 version 1; make one of version 3, which has extensions".to_owned()
        }
        error => error.to_string(),
    }
}

/// Returns whether an error of the certificate library has this name. rustls passes on only some of
/// these errors with a type.
fn is_webpki(error: &rustls::OtherError, name: &str) -> bool {
    error::Error::source(error).is_some_and(|source| source.to_string() == name)
}

/// Returns the message of a failure of TLS, with the remedy if one is known.
pub(super) fn explain(error: &rustls::Error) -> String {
    let remedy = match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate is of an authority that is not trusted: set extra_ca_file to the certificate of \
             that authority"
        }
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) if is_webpki(other, "CaUsedAsEndEntity") => {
            return "the server presents the certificate of an authority (CA:TRUE) as its own: give it one with CA:FALSE, \
                    signed by that authority or by itself (CaUsedAsEndEntity)"
                .to_owned();
        }
        _ => return error.to_string(),
    };
    format!("{error}: {remedy}")
}
