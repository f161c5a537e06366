//! Byte strings whose size a caller decides.

use crate::error::Error;

/// Returns a copy of bytes, or an error if memory runs out: a caller decides their number.
pub fn copied(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut copy = Vec::new();
    // One more byte, for a NUL that may follow.
    copy.try_reserve_exact(bytes.len().saturating_add(1)).map_err(|_| Error::Unavailable("memory"))?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}
