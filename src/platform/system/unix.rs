//! The calls of Unix systems, by nix. They go through the C library.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::socket::{self, MsgFlags, Shutdown};
use nix::time::{ClockId, clock_gettime};
use socket2::Socket;

use crate::platform::readiness::{Readiness, Receive};

/// What an event loop waits on.
pub type Descriptor = RawFd;

/// The flag of a send that raises no SIGPIPE.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: MsgFlags = MsgFlags::MSG_NOSIGNAL;
/// There the socket has an option for it (`SO_NOSIGPIPE`), which socket2 sets.
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: MsgFlags = MsgFlags::empty();

/// A socket or a descriptor to wait for.
pub type PollEntry<'a> = PollFd<'a>;

/// Returns an entry that waits for what is wanted.
pub fn poll_entry(descriptor: &impl AsFd, wanted: Readiness) -> PollEntry<'_> {
    let mut events = PollFlags::empty();
    events.set(PollFlags::POLLIN, wanted.read);
    events.set(PollFlags::POLLOUT, wanted.write);
    PollFd::new(descriptor.as_fd(), events)
}

/// Returns what has happened.
pub fn happened(entry: &PollEntry<'_>) -> Readiness {
    let failed = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
    let happened = entry.revents().unwrap_or_else(PollFlags::empty);
    Readiness {
        read: happened.intersects(PollFlags::POLLIN | failed),
        write: happened.intersects(PollFlags::POLLOUT | failed),
    }
}

/// Waits until one of the entries is ready or `timeout` has passed.
pub fn poll(entries: &mut [PollEntry<'_>], timeout: Duration) -> io::Result<()> {
    // Rounded up: rounded down, the last fraction of a millisecond would be a busy loop.
    let ms = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    nix::poll::poll(entries, PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX))?;
    Ok(())
}

/// Waits until a connected socket is ready or `timeout` has passed.
pub fn wait(socket: &Socket, wanted: Readiness, timeout: Duration) -> io::Result<Readiness> {
    let mut entries = [poll_entry(socket, wanted)];
    poll(&mut entries, timeout)?;
    Ok(happened(&entries[0]))
}

/// Returns whether the error of a connect means that the system goes on connecting. After a signal, too, it does.
pub fn is_connecting(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR))
}

/// Makes [`Receive::Waiting`] wait, on a connected socket.
pub fn let_receive_wait(socket: &Socket) -> io::Result<()> {
    socket.set_nonblocking(false)
}

/// Sends without waiting.
pub fn send(socket: &Socket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(socket::sendmsg::<()>(socket.as_raw_fd(), parts, &[], NO_SIGNAL | MsgFlags::MSG_DONTWAIT, None)?)
}

/// Receives.
pub fn receive(socket: &Socket, buffer: &mut [u8], how: Receive) -> io::Result<usize> {
    let flags = match how {
        Receive::Waiting => MsgFlags::empty(),
        Receive::Now => MsgFlags::MSG_DONTWAIT,
        Receive::Peek => MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK,
    };
    Ok(socket::recv(socket.as_raw_fd(), buffer, flags)?)
}

/// Returns what an event loop waits on for a socket.
#[cfg(not(target_os = "linux"))]
pub fn descriptor(socket: &Socket) -> Descriptor {
    socket.as_raw_fd()
}

/// Returns the number of a socket, for [`shut_down`].
pub fn number(socket: &Socket) -> i32 {
    socket.as_raw_fd()
}

/// Shuts down the socket with this number. Async-signal-safe.
pub fn shut_down(number: i32) {
    // It fails if the connection has ended by itself.
    let _ = socket::shutdown(number, Shutdown::Both);
}

/// Returns two sockets that are connected to each other. None of their calls waits.
#[cfg(any(test, not(target_os = "linux")))]
pub fn pair() -> io::Result<(Socket, Socket)> {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    let own = |socket: UnixStream| {
        socket.set_nonblocking(true)?;
        let socket = Socket::from(OwnedFd::from(socket));
        #[cfg(target_vendor = "apple")]
        socket.set_nosigpipe(true)?;
        io::Result::Ok(socket)
    };
    let (one, other) = UnixStream::pair()?;
    Ok((own(one)?, own(other)?))
}

/// Runs `signal`, and restores errno for the code that a signal handler has interrupted.
pub fn keep_errno(signal: impl FnOnce()) {
    let errno = Errno::last_raw();
    signal();
    Errno::set_raw(errno);
}

/// Opens a file to read it. A pipe without a writer does not block.
pub fn open(path: &str) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Returns whether the process lacked descriptors or memory.
pub fn lacks_resources(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

/// Returns the nanoseconds since some moment in the past. They never decrease.
#[inline]
pub fn nanoseconds() -> u64 {
    // It fails only for a clock that the system does not have.
    let Ok(time) = clock_gettime(ClockId::CLOCK_MONOTONIC) else { return 0 };
    (time.tv_sec() as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec() as u64)
}

/// Runs `start`, which starts a thread, with signals blocked, because a thread inherits the mask.
///
/// Signals of a crash are not blocked: the host handles a crash on any thread.
pub fn with_signals_blocked<T>(start: impl FnOnce() -> T) -> T {
    const CRASH_SIGNALS: [Signal; 6] =
        [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL, Signal::SIGTRAP, Signal::SIGABRT];
    /// Restores the mask of the calling thread, also when `start` panics.
    struct Restore(SigSet);
    impl Drop for Restore {
        fn drop(&mut self) {
            // It fails for no mask that the system returned.
            let _ = self.0.thread_set_mask();
        }
    }
    let mut blocked = SigSet::all();
    for signal in CRASH_SIGNALS {
        blocked.remove(signal);
    }
    let restore = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK).map(Restore);
    let started = start();
    drop(restore);
    started
}
