//! Waiting for descriptors.

use std::io;
use std::time::Duration;

use nix::poll::{PollFd, PollTimeout};

/// Waits until one of the entries is ready or `timeout` has passed.
pub(super) fn poll_entries(entries: &mut [PollFd<'_>], timeout: Duration) -> io::Result<()> {
    // Rounded up: rounded down, the last fraction of a millisecond would be a busy loop.
    let ms = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    nix::poll::poll(entries, PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX))?;
    Ok(())
}
