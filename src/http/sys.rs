//! The system calls of a socket, with flags that std does not offer.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{self, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{self, MsgFlags};

/// Sends without blocking and without SIGPIPE, which would kill a host that does not handle it.
pub(super) fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(socket::send(socket.as_raw_fd(), bytes, NO_SIGNAL | MsgFlags::MSG_DONTWAIT)?)
}

/// Receives.
pub(super) fn recv(socket: BorrowedFd<'_>, buffer: &mut [u8], mode: Recv) -> io::Result<usize> {
    let flags = match mode {
        Recv::Blocking => MsgFlags::empty(),
        Recv::Nonblocking => MsgFlags::MSG_DONTWAIT,
        Recv::Peek => MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK,
    };
    Ok(socket::recv(socket.as_raw_fd(), buffer, flags)?)
}

/// How to receive.
#[derive(Clone, Copy)]
pub(super) enum Recv {
    /// Wait for bytes, up to the socket's receive timeout.
    Blocking,
    /// Take the bytes that are there.
    Nonblocking,
    /// Look at the bytes that are there, and leave them.
    Peek,
}

/// The events to wait for, and the events that happened.
#[derive(Clone, Copy, Default)]
pub(super) struct Readiness {
    /// Bytes, an end or an error can be read.
    pub(super) read: bool,
    /// Bytes can be written, or a write will return the error.
    pub(super) write: bool,
}

/// Waits until one of the sockets is ready or `timeout` has passed. Returns what each of them is
/// ready for.
pub(super) fn poll(sockets: &[(BorrowedFd<'_>, Readiness)], timeout: Duration) -> io::Result<Vec<Readiness>> {
    let events = |wanted: Readiness| {
        let mut events = PollFlags::empty();
        events.set(PollFlags::POLLIN, wanted.read);
        events.set(PollFlags::POLLOUT, wanted.write);
        events
    };
    let mut entries: Vec<PollFd<'_>> =
        sockets.iter().map(|(socket, wanted)| PollFd::new(*socket, events(*wanted))).collect();
    // Rounded up: rounded down, the last fraction of a millisecond would be a busy loop.
    let ms = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    poll::poll(&mut entries, PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX))?;
    let failed = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
    let ready = |entry: &PollFd<'_>| {
        let happened = entry.revents().unwrap_or_else(PollFlags::empty);
        Readiness {
            read: happened.intersects(PollFlags::POLLIN | failed),
            write: happened.intersects(PollFlags::POLLOUT | failed),
        }
    };
    Ok(entries.iter().map(ready).collect())
}

#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: MsgFlags = MsgFlags::MSG_NOSIGNAL;
/// There the socket has an option for it (`SO_NOSIGPIPE`).
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: MsgFlags = MsgFlags::empty();
