//! Regular files, read whole.

use std::io::{self, ErrorKind, Read};

use zeroize::Zeroizing;

use super::system;

/// The longest file that is read.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Reads a regular file. Refuses files that could block, such as pipes. The result is wiped when
/// it is dropped, because it may hold a private key.
pub fn read_file(path: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut file = system::open(path)?;
    let metadata = file.metadata()?;
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(io::Error::other("it is not a regular file of at most 16 MiB"));
    }
    // One byte more than the file has, to see its end. Allocated once: a buffer that grows leaves
    // copies of its beginning in memory.
    let mut bytes = zeroed(length.saturating_add(1))?;
    let mut filled = 0;
    loop {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if filled > length {
        return Err(io::Error::other("it changed while it was read"));
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Returns whether a file could not be read because the process lacked descriptors or memory.
pub fn lacks_resources(error: &io::Error) -> bool {
    error.kind() == ErrorKind::OutOfMemory || system::lacks_resources(error)
}

/// Returns a buffer of zeros that is wiped when it is dropped. Fails if there is no memory for it.
pub fn zeroed(length: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    bytes.try_reserve_exact(length).map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
    bytes.resize(length, 0);
    Ok(bytes)
}
