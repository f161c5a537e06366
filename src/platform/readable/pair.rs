//! Two sockets, with a byte between them while the flag is raised.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{self, MsgFlags};

use crate::platform::no_signal::NO_SIGNAL;

pub(super) struct Pair {
    user: UnixStream,
    own: UnixStream,
}

impl Pair {
    pub(super) fn new() -> io::Result<Pair> {
        let (user, own) = UnixStream::pair()?;
        user.set_nonblocking(true)?;
        own.set_nonblocking(true)?;
        #[cfg(target_vendor = "apple")]
        socket2::SockRef::from(&own).set_nosigpipe(true)?;
        Ok(Pair { user, own })
    }

    pub(super) fn raise(&self) {
        // One byte at a time, or the bytes of a flag that is raised again and again would fill the socket.
        self.lower();
        let _ = socket::send(self.own.as_raw_fd(), &[0], NO_SIGNAL);
    }

    pub(super) fn lower(&self) {
        let _ = socket::recv(self.user.as_raw_fd(), &mut [0; 8], MsgFlags::empty());
    }
}

impl AsFd for Pair {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.user.as_fd()
    }
}
