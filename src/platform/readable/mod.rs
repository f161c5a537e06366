//! A descriptor that is readable while a flag is raised, for the event loops of callers.

#[cfg(target_os = "linux")]
mod counter;
#[cfg(any(test, not(target_os = "linux")))]
mod pair;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

#[cfg(target_os = "linux")]
type Inner = counter::Counter;
#[cfg(not(target_os = "linux"))]
type Inner = pair::Pair;

/// A flag with a descriptor that is readable while the flag is raised. Closed on exec. No call waits.
pub struct ReadableFlag(Inner);

impl ReadableFlag {
    /// Returns a lowered flag.
    pub fn new() -> io::Result<ReadableFlag> {
        Ok(ReadableFlag(Inner::new()?))
    }

    /// Returns the descriptor, which the flag owns.
    pub fn descriptor(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }

    /// Makes the descriptor readable. If it is readable already, waits by edges end all the same. Async-signal-safe.
    pub fn raise(&self) {
        self.0.raise();
    }

    /// Makes the descriptor unreadable.
    pub fn lower(&self) {
        self.0.lower();
    }
}

impl AsFd for ReadableFlag {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    #[cfg(target_os = "linux")]
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

    use super::*;

    fn is_readable(descriptor: BorrowedFd<'_>) -> bool {
        let mut entries = [PollFd::new(descriptor, PollFlags::POLLIN)];
        poll(&mut entries, PollTimeout::ZERO).expect("poll") == 1
    }

    fn check(descriptor: BorrowedFd<'_>, raise: &dyn Fn(), lower: &dyn Fn()) {
        assert!(!is_readable(descriptor));
        lower();
        // More often than a socket holds bytes.
        for _ in 0..300_000 {
            raise();
        }
        assert!(is_readable(descriptor));
        lower();
        assert!(!is_readable(descriptor));
    }

    #[test]
    fn the_descriptor_is_readable_while_the_flag_is_raised() {
        let flag = ReadableFlag::new().expect("a flag");
        check(flag.0.as_fd(), &|| flag.raise(), &|| flag.lower());
        let flag = pair::Pair::new().expect("a flag");
        check(flag.as_fd(), &|| flag.raise(), &|| flag.lower());
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
        check_edges(flag.as_fd(), &|| flag.raise());
    }
}
