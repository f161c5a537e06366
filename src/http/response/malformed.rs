//! Input that is no response, and the limits of a response.

use std::fmt;

/// The longest head of a response, and the longest line in its body.
pub(crate) const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The most header lines in a response.
pub(crate) const MAX_HEADERS: usize = 64;

/// Why the input is not a response that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It breaks a rule of HTTP, or a limit.
    Because(&'static str),
    /// Its body is longer than this many bytes.
    TooLong(usize),
    /// There is no memory for its body.
    NoMemory,
    /// The connection ended before the response did.
    Cut,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Because(why) => f.write_str(why),
            Malformed::TooLong(limit) => write!(f, "it is longer than {limit} bytes"),
            Malformed::NoMemory => f.write_str("there is not enough memory for its body"),
            Malformed::Cut => f.write_str("the server closed the connection"),
        }
    }
}
