//! Two sockets, with a byte between them while the flag is raised.

use std::io::{self, IoSlice};

use socket2::Socket;

use crate::platform::readiness::{Readiness, Receive};
use crate::platform::system::{self, PollEntry};

pub(super) struct Pair {
    pub(super) user: Socket,
    own: Socket,
}

impl Pair {
    pub(super) fn new() -> io::Result<Pair> {
        let (user, own) = system::pair()?;
        Ok(Pair { user, own })
    }

    pub(super) fn raise(&self) {
        // One byte at a time, or the bytes of a flag that is raised again and again would fill the socket.
        self.lower();
        let _ = system::send(&self.own, &[IoSlice::new(&[0])]);
    }

    pub(super) fn lower(&self) {
        let _ = system::receive(&self.user, &mut [0; 8], Receive::Now);
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn descriptor(&self) -> system::Descriptor {
        system::descriptor(&self.user)
    }

    pub(super) fn poll_entry(&self, wanted: Readiness) -> PollEntry<'_> {
        system::poll_entry(&self.user, wanted)
    }
}
