//! System calls that std and socket2 do not offer, behind safe functions. Beside `ffi`, the one file that may be unsafe.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Sends without blocking and without SIGPIPE, which would kill a host that has no handler for it.
pub(super) fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the descriptor is open while it is borrowed, and the kernel reads `len` bytes of a live slice.
    let sent =
        unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), NO_SIGNAL | libc::MSG_DONTWAIT) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Receives.
pub(super) fn recv(socket: BorrowedFd<'_>, buffer: &mut [u8], flags: Recv) -> io::Result<usize> {
    let flags = match flags {
        Recv::Blocking => 0,
        Recv::Nonblocking => libc::MSG_DONTWAIT,
        Recv::Peek => libc::MSG_DONTWAIT | libc::MSG_PEEK,
    };
    // SAFETY: the descriptor is open while it is borrowed, and the kernel writes at most `len` bytes into a live slice.
    let received = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), flags) };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
}

/// How to receive.
#[derive(Clone, Copy)]
pub(super) enum Recv {
    /// Wait for bytes, as long as the socket's receive timeout says.
    Blocking,
    /// Take what is there.
    Nonblocking,
    /// Look at what is there, and leave it.
    Peek,
}

/// What to wait for, and what came.
#[derive(Clone, Copy, Default)]
pub(super) struct Readiness {
    /// Bytes, an end or an error can be read.
    pub(super) read: bool,
    /// Bytes can be written, or writing will say why not.
    pub(super) write: bool,
}

/// Waits until one of the sockets is ready or the time is up, and says for each what it is ready for.
pub(super) fn poll(sockets: &[(BorrowedFd<'_>, Readiness)], patience: Duration) -> io::Result<Vec<Readiness>> {
    let mut entries: Vec<libc::pollfd> = sockets
        .iter()
        .map(|(socket, wanted)| libc::pollfd {
            fd: socket.as_raw_fd(),
            events: if wanted.read { libc::POLLIN } else { 0 } | if wanted.write { libc::POLLOUT } else { 0 },
            revents: 0,
        })
        .collect();
    // Rounded up: rounded down, the last fraction of a millisecond would be spun away.
    let ms = i32::try_from(patience.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    let count = libc::nfds_t::try_from(entries.len()).unwrap_or_default();
    // SAFETY: the array is live and has that many entries, and each descriptor is open while it is borrowed.
    if unsafe { libc::poll(entries.as_mut_ptr(), count, ms) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let failed = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;
    let ready = |entry: &libc::pollfd| Readiness {
        read: entry.revents & (libc::POLLIN | failed) != 0,
        write: entry.revents & (libc::POLLOUT | failed) != 0,
    };
    Ok(entries.iter().map(ready).collect())
}

#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: libc::c_int = libc::MSG_NOSIGNAL;
/// There the socket itself is told (`SO_NOSIGPIPE`).
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: libc::c_int = 0;
