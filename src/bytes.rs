//! Byte strings whose size a caller decides.

use crate::error::Error;

/// A copy of bytes whose number is the caller's choice.
pub fn copied(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut copy = Vec::new();
    // One more, for the NUL that C may want behind it.
    copy.try_reserve_exact(bytes.len().saturating_add(1)).map_err(|_| Error::Unavailable("memory"))?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}
