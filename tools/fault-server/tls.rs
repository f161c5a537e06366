//! Certificates of every kind that a client must distinguish, and bytes of TLS that rustls does not send.

use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs, process};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};

use super::http;

/// The fault of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It is self-signed.
    SelfSigned,
    /// It is for another host.
    WrongHost,
    /// An unknown authority signed it.
    WrongAuthority,
}

/// The authority that clients trust, and the certificates.
pub struct Authorities {
    folder: PathBuf,
    file: PathBuf,
    good: Arc<ServerConfig>,
    expired: Arc<ServerConfig>,
    not_yet_valid: Arc<ServerConfig>,
    self_signed: Arc<ServerConfig>,
    wrong_host: Arc<ServerConfig>,
    wrong_authority: Arc<ServerConfig>,
}

/// The host name of each server.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

impl Authorities {
    /// Creates them, and writes the trusted certificate to a file.
    pub fn new() -> io::Result<Authorities> {
        let (trusted, pem) = authority("Fault server").map_err(io::Error::other)?;
        let (other, _) = authority("Somebody else").map_err(io::Error::other)?;
        let folder = env::temp_dir().join(format!("fault-server-{}", process::id()));
        match fs::create_dir(&folder) {
            // A killed process with the same number may have left a file.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                fs::remove_dir_all(&folder).and_then(|()| fs::create_dir(&folder))?
            }
            result => result?,
        }
        let file = folder.join("ca.pem");
        fs::write(&file, pem)?;
        let signed = |params, issuer| certified(params, Some(issuer)).map_err(io::Error::other);
        let between = |from, to| {
            let mut params = leaf(&NAMES)?;
            (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
            Ok::<_, io::Error>(params)
        };
        Ok(Authorities {
            file,
            folder,
            good: signed(leaf(&NAMES)?, &trusted)?,
            expired: signed(between(2019, 2020)?, &trusted)?,
            not_yet_valid: signed(between(2999, 3000)?, &trusted)?,
            self_signed: certified(leaf(&NAMES)?, None).map_err(io::Error::other)?,
            wrong_host: signed(leaf(&["localhost.example.org"])?, &trusted)?,
            wrong_authority: signed(leaf(&NAMES)?, &other)?,
        })
    }

    /// Returns the file with the trusted certificate.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Removes it.
    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.folder);
    }

    /// Returns the TLS configuration of a server.
    pub fn config(&self, wrong: Option<Certificate>) -> &Arc<ServerConfig> {
        match wrong {
            None => &self.good,
            Some(Certificate::Expired) => &self.expired,
            Some(Certificate::NotYetValid) => &self.not_yet_valid,
            Some(Certificate::SelfSigned) => &self.self_signed,
            Some(Certificate::WrongHost) => &self.wrong_host,
            Some(Certificate::WrongAuthority) => &self.wrong_authority,
        }
    }
}

fn authority(name: &str) -> Result<(Issuer<'static, KeyPair>, String), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    Ok((Issuer::new(params, key), pem))
}

fn leaf(names: &[&str]) -> io::Result<CertificateParams> {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
    // Python 3.13 refuses a certificate without it. (RFC 5280, 4.2.1.1)
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn certified(
    params: CertificateParams,
    issuer: Option<&Issuer<'static, KeyPair>>,
) -> Result<Arc<ServerConfig>, Box<dyn std::error::Error + Send + Sync>> {
    let key = KeyPair::generate()?;
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer)?,
        None => params.self_signed(&key)?,
    };
    let certificate: CertificateDer<'static> = certificate.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(Arc::new(config))
}

/// Returns the first bytes that a healthy server sends to this client.
pub fn first_flight(socket: &TcpStream, config: &Arc<ServerConfig>) -> io::Result<Vec<u8>> {
    let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    while !tls.wants_write() {
        if tls.read_tls(&mut &*socket)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        tls.process_new_packets().map_err(io::Error::other)?;
    }
    let mut flight = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut flight)?;
    }
    Ok(flight)
}

/// A fatal alert. (RFC 8446, 6)
pub fn alert(code: u8) -> Vec<u8> {
    vec![21, 3, 3, 0, 2, 2, code]
}

/// Returns the ServerHello of a server that supports TLS 1.1 at most. (RFC 4346, 7.4.1.3)
pub fn old_server_hello() -> Vec<u8> {
    let version = [3, 2];
    let mut hello = version.to_vec();
    hello.extend([0x5a; 32]);
    // No session, ECDHE_RSA_WITH_AES_128_CBC_SHA, no compression; renegotiation_info, which newer clients insist on.
    hello.extend([0, 0xc0, 0x13, 0, 0, 5, 0xff, 1, 0, 1, 0]);
    let mut message = vec![2, 0, 0, hello.len() as u8];
    message.extend(hello);
    let mut record = vec![22, version[0], version[1], 0, message.len() as u8];
    record.extend(message);
    record
}

/// The response of a plain HTTP server that receives TLS.
pub fn plain_http() -> Vec<u8> {
    http::answer(400, &[("Content-Type", "text/plain"), ("Connection", "close")], "This is no HTTP.\n")
}
