//! Linux's counter: one descriptor and 8 bytes in the kernel.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::platform::readiness::Readiness;
use crate::platform::system::{self, Descriptor, PollEntry};

pub(super) struct Counter(EventFd);

impl Counter {
    pub(super) fn new() -> io::Result<Counter> {
        Ok(Counter(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?))
    }

    pub(super) fn raise(&self) {
        // It fails only at 2^64 - 1, or if the user has closed the descriptor.
        let _ = self.0.write(1);
    }

    pub(super) fn lower(&self) {
        let _ = self.0.read();
    }

    pub(super) fn descriptor(&self) -> Descriptor {
        self.0.as_fd().as_raw_fd()
    }

    pub(super) fn poll_entry(&self, wanted: Readiness) -> PollEntry<'_> {
        system::poll_entry(&self.0, wanted)
    }
}

impl AsFd for Counter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
