//! The response, read from bytes: no sockets, no time.

mod body;
mod head;
mod malformed;
mod reader;
#[cfg(test)]
mod reference;

pub(super) use head::Reuse;
pub(super) use malformed::{MAX_HEAD_BYTES, MAX_HEADERS, Malformed};
pub(super) use reader::ResponseReader;
