//! Reads PEM files: certificates and private keys. (RFC 7468)
//!
//! The reader of rustls leaves a private key in memory that it does not wipe, and skips encrypted
//! keys without a word.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use crate::platform::zeroed;

/// A section of a PEM file.
pub(super) struct Section<'a> {
    /// The type: `CERTIFICATE`, `PRIVATE KEY`.
    pub(super) label: &'a [u8],
    /// The lines between BEGIN and END.
    body: &'a [u8],
}

impl Section<'_> {
    /// Returns whether the section is a key that needs a password.
    pub(super) fn is_encrypted(&self) -> bool {
        // The second form is that of OpenSSL before 1.0, with a header before the base64.
        self.label == b"ENCRYPTED PRIVATE KEY" || lines(self.body).any(|(line, _)| line.starts_with(b"Proc-Type:"))
    }

    /// Returns the DER.
    pub(super) fn decode(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut text = zeroed(self.body.len())?;
        let mut length = 0;
        for byte in self.body.iter().filter(|byte| !byte.is_ascii_whitespace()) {
            text[length] = *byte;
            length += 1;
        }
        let mut der = zeroed(base64::decoded_len_estimate(length))?;
        let count =
            BASE64.decode_slice(&text[..length], &mut der).map_err(|_| malformed("a section of it is not base64"))?;
        der.truncate(count);
        Ok(der)
    }
}

/// Returns the sections of a PEM file in order. Ignores what is between them.
pub(super) fn sections(pem: &[u8]) -> impl Iterator<Item = io::Result<Section<'_>>> {
    let mut rest = pem;
    std::iter::from_fn(move || {
        let (label, body) = lines(rest).find_map(|(line, after)| Some((line.strip_prefix(b"-----BEGIN ")?, after)))?;
        rest = body;
        let Some(label) = label.trim_ascii_end().strip_suffix(b"-----") else {
            return Some(Err(malformed("a BEGIN line of it does not end in -----")));
        };
        let is_end = |line: &[u8]| {
            line.strip_prefix(b"-----END ")
                .and_then(|line| line.strip_prefix(label))
                .is_some_and(|line| line.starts_with(b"-----"))
        };
        let mut before = 0;
        for (line, after) in lines(body) {
            if is_end(line) {
                rest = after;
                return Some(Ok(Section { label, body: &body[..before] }));
            }
            before = body.len() - after.len();
        }
        rest = &[];
        Some(Err(malformed("a section of it has no END line")))
    })
}

/// Returns the lines, each with all that follows it.
fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, after) = match rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        rest = after;
        Some((line, after))
    })
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pem: &str) -> Vec<Result<(String, Vec<u8>), String>> {
        let section = |section: io::Result<Section<'_>>| {
            let section = section?;
            Ok((String::from_utf8_lossy(section.label).into_owned(), section.decode()?.to_vec()))
        };
        sections(pem.as_bytes()).map(|found| section(found).map_err(|error: io::Error| error.to_string())).collect()
    }

    fn found(label: &str, der: &[u8]) -> Result<(String, Vec<u8>), String> {
        Ok((label.to_owned(), der.to_vec()))
    }

    #[test]
    fn sections_are_read_in_order_and_the_rest_is_ignored() {
        let pem = "subject=x\r\n-----BEGIN A B-----\r\nAAEC\r\nAw==\r\n-----END A B-----\r\ntext\n\
                   -----BEGIN C----- \nBA ==\n\n-----END C-----";
        assert_eq!(read(pem), [found("A B", &[0, 1, 2, 3]), found("C", &[4])]);
        assert_eq!(read(""), []);
        assert_eq!(read("no section\n"), []);
        assert_eq!(read("-----BEGIN A-----\n-----END A-----\n"), [found("A", &[])]);
    }

    #[test]
    fn a_malformed_section_is_an_error() {
        for (pem, expected) in [
            ("-----BEGIN A-----\nAA==\n", "a section of it has no END line"),
            ("-----BEGIN A-----\nAA==\n-----END B-----\n", "a section of it has no END line"),
            ("-----BEGIN A----\nAA==\n-----END A-----\n", "a BEGIN line of it does not end in -----"),
            ("-----BEGIN A-----\nA\n-----END A-----\n", "a section of it is not base64"),
            ("-----BEGIN A-----\n-----BEGIN A-----\nAA==\n-----END A-----\n", "a section of it is not base64"),
            ("-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nAA==\n-----END A-----\n", "a section of it is not base64"),
        ] {
            assert_eq!(read(pem), [Err(expected.to_owned())], "{pem:?}");
        }
    }

    #[test]
    fn both_forms_of_an_encrypted_key_are_known() {
        for (pem, expected) in [
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n", true),
            ("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAA==\n-----END EC PRIVATE KEY-----\n", true),
            ("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n", false),
        ] {
            let is_encrypted: Vec<bool> = sections(pem.as_bytes()).map(|found| found.unwrap().is_encrypted()).collect();
            assert_eq!(is_encrypted, [expected], "{pem}");
        }
    }
}
