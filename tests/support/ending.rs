//! The bytes that may follow a response in the same write, so that a client reads both at once.

use std::io::{self, Write};

use rustls::ServerConnection;

/// What follows a response on a TLS connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// close_notify.
    CloseNotify,
    /// A record that cannot be decrypted.
    BadRecord,
    /// A fatal alert, encrypted.
    Alert,
    /// A fatal alert in plain text.
    PlainAlert,
    /// A response in plain text.
    PlainHttp,
    /// The beginning of a record.
    PartialRecord,
}

/// A record of application data that was not encrypted with the keys of any connection.
const BAD_RECORD: [u8; 37] = {
    let mut record = [0xa5; 37];
    [record[0], record[1], record[2], record[3], record[4]] = [23, 3, 3, 0, 32];
    record
};

/// The most plain bytes in a record. (RFC 8446, 5.1)
const MAX_RECORD_BYTES: usize = 16 * 1024;

impl Ending {
    /// All values, each with the end of the names of its faults.
    pub const ALL: [(Ending, &'static str); 6] = [
        (Ending::CloseNotify, "close-notify"),
        (Ending::BadRecord, "bad-record"),
        (Ending::Alert, "alert"),
        (Ending::PlainAlert, "plain-alert"),
        (Ending::PlainHttp, "plain-http"),
        (Ending::PartialRecord, "partial-record"),
    ];

    /// Returns the records of `answer`, followed by the ending.
    pub fn after(self, answer: &[u8], tls: &mut ServerConnection) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for part in answer.chunks(MAX_RECORD_BYTES) {
            tls.writer().write_all(part)?;
            drain(tls, &mut bytes)?;
        }
        match self {
            Ending::CloseNotify => {
                tls.send_close_notify();
                drain(tls, &mut bytes)?;
            }
            Ending::BadRecord => bytes.extend(BAD_RECORD),
            Ending::Alert => {
                // rustls sends a fatal alert only in response to an error.
                tls.read_tls(&mut BAD_RECORD.as_slice())?;
                if tls.process_new_packets().is_ok() {
                    return Err(io::Error::other("a bad record was accepted"));
                }
                let before = bytes.len();
                drain(tls, &mut bytes)?;
                if bytes.len() == before {
                    return Err(io::Error::other("no alert was sent"));
                }
            }
            // internal_error (RFC 8446, 6)
            Ending::PlainAlert => bytes.extend([21, 3, 3, 0, 2, 2, 80]),
            Ending::PlainHttp => bytes.extend(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
            Ending::PartialRecord => bytes.extend(&BAD_RECORD[..12]),
        }
        Ok(bytes)
    }
}

/// Appends what the connection wants to send.
fn drain(tls: &mut ServerConnection, bytes: &mut Vec<u8>) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(bytes)?;
    }
    Ok(())
}
