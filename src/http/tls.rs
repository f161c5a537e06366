//! Whom TLS trusts. Certificates are always verified; there is no switch to turn that off.

use std::sync::Arc;

use ::ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

/// TLS settings with the certificates of `ca_file`, else the system's.
///
/// This reads files: it is called when the first connection needs it.
pub(super) fn configuration(ca_file: Option<&str>) -> Result<TlsConfig, String> {
    let certificates = match ca_file {
        Some(path) => from_file(path)?,
        None => from_system()?,
    };
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::Specific(Arc::new(certificates)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

fn from_file(path: &str) -> Result<Vec<Certificate<'static>>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("ca_file {path} can't be read: {error}"))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) =
            item.map_err(|error| format!("ca_file {path} is not PEM: {error}"))?
        {
            // rustls skips what it can't use without a word; here each was meant.
            RootCertStore::empty()
                .add(CertificateDer::from(certificate.der()))
                .map_err(|error| format!("a certificate in ca_file {path} can't be used: {error}"))?;
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(format!("ca_file {path} has no certificate in it"));
    }
    Ok(certificates)
}

fn from_system() -> Result<Vec<Certificate<'static>>, String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(format!(
            "this system has no trusted certificates{why}: install its package of them (ca-certificates), or set ca_file"
        ));
    }
    Ok(found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect())
}
