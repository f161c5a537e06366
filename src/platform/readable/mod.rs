//! A descriptor that is readable while a flag is raised, for the event loops of callers.

#[cfg(target_os = "linux")]
mod counter;
#[cfg(any(test, not(target_os = "linux")))]
mod pair;

use std::io;

use super::readiness::Readiness;
use super::system::{Descriptor, PollEntry};

#[cfg(target_os = "linux")]
type Inner = counter::Counter;
#[cfg(not(target_os = "linux"))]
type Inner = pair::Pair;

/// A flag with a descriptor (on Windows, a socket) that is readable while the flag is raised. Closed on exec. No call waits.
pub struct ReadableFlag(Inner);

impl ReadableFlag {
    /// Returns a lowered flag.
    pub fn new() -> io::Result<ReadableFlag> {
        Ok(ReadableFlag(Inner::new()?))
    }

    /// Returns the descriptor, which the flag owns.
    pub fn descriptor(&self) -> Descriptor {
        self.0.descriptor()
    }

    /// Makes the descriptor readable. If it is readable already, waits by edges end all the same. Async-signal-safe.
    pub fn raise(&self) {
        self.0.raise();
    }

    /// Makes the descriptor unreadable.
    pub fn lower(&self) {
        self.0.lower();
    }

    /// Returns an entry for a poll.
    pub(super) fn poll_entry(&self, wanted: Readiness) -> PollEntry<'_> {
        self.0.poll_entry(wanted)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    use std::os::fd::{AsFd, BorrowedFd};
    use std::time::Duration;

    #[cfg(target_os = "linux")]
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

    use super::*;
    use crate::platform::system::{happened, poll};

    fn is_readable(entry: PollEntry<'_>) -> bool {
        let mut entries = [entry];
        poll(&mut entries, Duration::ZERO).expect("poll");
        happened(&entries[0]).read
    }

    fn check<'a>(entry: &dyn Fn() -> PollEntry<'a>, raise: &dyn Fn(), lower: &dyn Fn()) {
        assert!(!is_readable(entry()));
        lower();
        // More often than a socket holds bytes.
        for _ in 0..300_000 {
            raise();
        }
        assert!(is_readable(entry()));
        lower();
        assert!(!is_readable(entry()));
    }

    #[test]
    fn the_descriptor_is_readable_while_the_flag_is_raised() {
        let flag = ReadableFlag::new().expect("a flag");
        check(&|| flag.poll_entry(Readiness::READ), &|| flag.raise(), &|| flag.lower());
        let flag = pair::Pair::new().expect("a flag");
        check(&|| flag.poll_entry(Readiness::READ), &|| flag.raise(), &|| flag.lower());
    }

    #[cfg(target_os = "linux")]
    fn check_edges(descriptor: BorrowedFd<'_>, raise: &dyn Fn()) {
        let edges = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll");
        edges.add(descriptor, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0)).expect("add");
        let mut events = [EpollEvent::empty()];
        for expected in [0, 1, 1] {
            if expected == 1 {
                raise();
            }
            assert_eq!(edges.wait(&mut events, EpollTimeout::ZERO), Ok(expected));
            assert_eq!(edges.wait(&mut events, EpollTimeout::ZERO), Ok(0));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn each_raise_is_an_edge() {
        let flag = ReadableFlag::new().expect("a flag");
        check_edges(flag.0.as_fd(), &|| flag.raise());
        let flag = pair::Pair::new().expect("a flag");
        check_edges(flag.user.as_fd(), &|| flag.raise());
    }
}
