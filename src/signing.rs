//! Signatures of requests: the string to sign, its HMAC, and the query that carries it. Time is an argument.
//!
//! Source: Channels HTTP API reference, "Generating authentication signatures".

use std::fmt::{self, Write};

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

use crate::config::Secret;

/// What a query value is encoded for: all but RFC 3986's unreserved characters.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Signs with one application's key. The secret itself is not kept, only the hash states keyed with it.
pub struct Signer {
    key: String,
    mac: Hmac<Sha256>,
}

/// A query with its signature.
pub struct SignedQuery {
    /// `auth_key=…&…&auth_signature=…`, encoded for a URL.
    pub query: String,
    /// The signature in it, lower-case hex: never to be shown.
    pub signature: String,
}

impl Signer {
    /// A signer for an application.
    pub fn new(key: &str, secret: &Secret) -> Signer {
        #[expect(clippy::expect_used, reason = "HMAC hashes a key that is longer than a block: no length is wrong")]
        let mac = Hmac::<Sha256>::new_from_slice(secret.expose()).expect("HMAC takes keys of any length");
        Signer { key: key.to_owned(), mac }
    }

    /// The lower-case hex HMAC-SHA256 of a message.
    pub fn sign(&self, message: &[u8]) -> String {
        let mut mac = self.mac.clone();
        mac.update(message);
        lower_hex(mac.finalize().into_bytes())
    }

    /// Signs a request made at `timestamp` (seconds since 1970). `path` is the path that is sent; `parameters` are the
    /// call's own, raw.
    pub fn query(
        &self,
        method: &str,
        path: &str,
        parameters: &[(String, String)],
        body: Option<&[u8]>,
        timestamp: u64,
    ) -> SignedQuery {
        let timestamp = timestamp.to_string();
        let body_md5 = body.map(|body| lower_hex(Md5::digest(body)));
        let mut all: Vec<(&str, &str)> =
            vec![("auth_key", &self.key), ("auth_timestamp", &timestamp), ("auth_version", "1.0")];
        all.extend(body_md5.as_deref().map(|md5| ("body_md5", md5)));
        all.extend(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let signature = self.sign(string_to_sign(method, path, &mut all).as_bytes());
        let mut query = String::with_capacity(256);
        for (name, value) in all {
            // Writing to a String can't fail.
            let _ = write!(query, "{name}={}&", utf8_percent_encode(value, VALUE));
        }
        query.push_str("auth_signature=");
        query.push_str(&signature);
        SignedQuery { query, signature }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key", &self.key).finish_non_exhaustive()
    }
}

/// `METHOD\nPATH\nQUERY`, the query sorted by its keys' bytes and its values raw. The keys are lower case already.
fn string_to_sign(method: &str, path: &str, parameters: &mut [(&str, &str)]) -> String {
    parameters.sort_unstable();
    let mut text = String::with_capacity(256);
    text.extend([method, "\n", path, "\n"]);
    for (index, (name, value)) in parameters.iter().enumerate() {
        if index > 0 {
            text.push('&');
        }
        text.extend([name, "=", value]);
    }
    text
}

fn lower_hex(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(bytes)
}
