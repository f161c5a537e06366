//! A certificate authority, and certificates of every kind that a client must distinguish.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, process};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SignatureAlgorithm, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

/// A file with this text. Dropping it removes the file.
pub struct PemFile(PathBuf);

impl PemFile {
    /// Writes the file.
    pub fn new(text: &str) -> PemFile {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}.pem", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, text).unwrap();
        PemFile(path)
    }

    /// The path.
    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// Writes another text.
    pub fn rewrite(&self, text: &str) {
        fs::write(&self.0, text).unwrap();
    }
}

impl Drop for PemFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A test authority, with its certificate in a file for `ca_file`.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    file: PemFile,
}

/// A client's certificate and its key, in PEM.
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The key as PKCS#8.
    pub key: String,
    /// The same key as PKCS#1 for RSA, as SEC1 for ECDSA.
    pub old_key: Option<String>,
}

/// The kinds of keys that a client may have.
pub const KEY_KINDS: [&str; 4] = ["P-256", "P-384", "Ed25519", "RSA"];

fn generate(kind: &str) -> KeyPair {
    let algorithm: &SignatureAlgorithm = match kind {
        "P-256" => &PKCS_ECDSA_P256_SHA256,
        "P-384" => &PKCS_ECDSA_P384_SHA384,
        "Ed25519" => &PKCS_ED25519,
        // ring makes no RSA keys. This one is for tests.
        "RSA" => return KeyPair::from_pem(include_str!("rsa.pem")).unwrap(),
        _ => panic!("{kind}"),
    };
    KeyPair::generate_for(algorithm).unwrap()
}

/// Returns the contents of the key in PKCS#8, which are in its third element. (RFC 5958)
fn inner_key(pkcs8: &[u8]) -> Vec<u8> {
    fn contents(der: &[u8]) -> (&[u8], &[u8]) {
        let long = usize::from(der[1] & 0x7f);
        let (length, start) = match der[1] < 0x80 {
            true => (long, 2),
            false => (der[2..2 + long].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), 2 + long),
        };
        der[start..].split_at(length)
    }
    let (_, algorithm) = contents(contents(pkcs8).0);
    let (_, key) = contents(algorithm);
    contents(key).0.to_vec()
}

/// Returns a section of a PEM file.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = super::calls::base64(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

impl Authority {
    /// Creates an authority.
    pub fn new() -> Authority {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let params = authority_params(&format!("Test authority {number}"));
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let file = PemFile::new(&certificate.pem());
        Authority { issuer: Issuer::new(params, key), certificate: certificate.der().clone(), file }
    }

    /// The file with its certificate.
    pub fn file(&self) -> &str {
        self.file.path()
    }

    /// A client's certificate with a key of this kind.
    pub fn client(&self, kind: &str) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Test client");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = generate(kind);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let old_label = match kind {
            "RSA" => Some("RSA PRIVATE KEY"),
            "P-256" | "P-384" => Some("EC PRIVATE KEY"),
            _ => None,
        };
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            old_key: old_label.map(|label| pem(label, &inner_key(&key.serialize_der()))),
        }
    }

    /// An authority whose certificate this one has signed, and that certificate in PEM.
    pub fn intermediate(&self) -> (Authority, String) {
        let params = authority_params("Test intermediate");
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let pem = certificate.pem();
        let file = PemFile::new(&pem);
        (Authority { issuer: Issuer::new(params, key), certificate: certificate.der().clone(), file }, pem)
    }

    /// A server with a valid certificate, which requires a client certificate of this authority.
    pub fn server_for_clients(&self, names: &[&str], version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let key = KeyPair::generate().unwrap();
        let certificate = leaf(names).signed_by(&key, &self.issuer).unwrap().der().clone();
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![certificate], PrivatePkcs8KeyDer::from(key.serialize_der()).into());
        Arc::new(config.unwrap())
    }

    /// A server with a valid certificate that is also one of an authority, as `openssl req -x509` makes it.
    pub fn authority_as_server(&self, names: &[&str]) -> Arc<ServerConfig> {
        let mut params = leaf(names);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        self.signed(params)
    }

    /// A server with a valid certificate, which speaks this version of TLS only.
    pub fn server_of_version(&self, names: &[&str], version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let certificate = leaf(names).signed_by(&key, &self.issuer).unwrap().der().clone();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivatePkcs8KeyDer::from(key.serialize_der()).into());
        Arc::new(config.unwrap())
    }

    /// A server with a valid certificate for these names and addresses.
    pub fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        self.signed(leaf(names))
    }

    /// A server whose certificate has expired.
    pub fn expired_server(&self, names: &[&str]) -> Arc<ServerConfig> {
        let mut params = leaf(names);
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.signed(params)
    }

    fn signed(&self, params: CertificateParams) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        server_config(certificate.der().clone(), &key)
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Returns a server with a self-signed certificate.
pub fn self_signed_server(names: &[&str]) -> Arc<ServerConfig> {
    self_signed_server_and_certificate(names).0
}

/// Returns a server with a self-signed certificate, and that certificate in PEM.
pub fn self_signed_server_and_certificate(names: &[&str]) -> (Arc<ServerConfig>, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = leaf(names).self_signed(&key).unwrap();
    (server_config(certificate.der().clone(), &key), certificate.pem())
}

fn leaf(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn server_config(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}
