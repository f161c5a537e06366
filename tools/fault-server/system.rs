//! What the server needs of the operating system, and std does not have: waiting for a socket, sending without waiting, and signals.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

pub use platform::Signals;

/// What to wait for. The end of both directions of the connection ends each wait.
#[derive(Clone, Copy, PartialEq)]
pub enum Event {
    Readable,
    Writable,
    /// The client's end of a connection that is not read. Some systems report only the end of both directions.
    HangUp,
}

/// Waits for an event, for at most `patience` or without limit. Returns whether it has happened, or the connection has ended.
pub fn wait(socket: &TcpStream, event: Event, patience: Option<Duration>) -> io::Result<bool> {
    platform::wait(socket, event, patience)
}

/// Sends as much as the kernel takes at once. `WouldBlock` if that is nothing.
pub fn send_without_waiting(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    platform::send_without_waiting(socket, bytes)
}

/// Sends bytes, and holds the last segment back until FIN where the system can.
pub fn send_before_the_end(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    platform::send_before_the_end(socket, bytes)
}

#[cfg(unix)]
mod platform {
    use std::io;
    use std::net::TcpStream;
    use std::os::fd::AsRawFd;
    use std::process::Child;
    use std::time::Duration;

    use nix::sys::signal::{self, SigSet, Signal};
    use nix::unistd::Pid;
    use socket2::SockRef;

    use super::Event;

    #[cfg(target_os = "linux")]
    const HANG_UP: libc::c_short = libc::POLLRDHUP;
    #[cfg(not(target_os = "linux"))]
    const HANG_UP: libc::c_short = 0;

    #[cfg(target_os = "linux")]
    const MORE_FOLLOWS: libc::c_int = libc::MSG_MORE;
    #[cfg(not(target_os = "linux"))]
    const MORE_FOLLOWS: libc::c_int = 0;

    pub fn wait(socket: &TcpStream, event: Event, patience: Option<Duration>) -> io::Result<bool> {
        let events = match event {
            Event::Readable => libc::POLLIN,
            Event::Writable => libc::POLLOUT,
            Event::HangUp => HANG_UP,
        };
        let mut wanted = libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 };
        let patience = patience.map_or(-1, |patience| i32::try_from(patience.as_millis()).unwrap_or(i32::MAX));
        loop {
            // SAFETY: `wanted` is one valid structure for the whole call.
            match unsafe { libc::poll(&raw mut wanted, 1, patience) } {
                -1 => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
                happened => return Ok(happened > 0),
            }
        }
    }

    pub fn send_without_waiting(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        SockRef::from(socket).send_with_flags(bytes, libc::MSG_DONTWAIT)
    }

    pub fn send_before_the_end(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        SockRef::from(socket).send_with_flags(bytes, MORE_FOLLOWS)
    }

    /// The signals that end a program.
    pub struct Signals(SigSet);

    impl Signals {
        /// Blocks them, in this thread and in those that it starts, so that one thread can wait for them.
        pub fn block() -> io::Result<Signals> {
            let mut signals = SigSet::empty();
            signals.add(Signal::SIGTERM);
            signals.add(Signal::SIGINT);
            signals.thread_block()?;
            Ok(Signals(signals))
        }

        /// Runs `end` in a thread of its own when one arrives.
        pub fn on_arrival(self, end: impl FnOnce() + Send + 'static) {
            std::thread::spawn(move || {
                if self.0.wait().is_ok() {
                    end();
                }
            });
        }

        /// Passes all that arrive on to a child. std clears the mask of signals in it.
        pub fn pass_on(self, child: &Child) -> io::Result<()> {
            let number = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
            std::thread::spawn(move || {
                while let Ok(signal) = self.0.wait() {
                    let _ = signal::kill(number, signal);
                }
            });
            Ok(())
        }
    }
}

#[cfg(windows)]
mod platform {
    use std::io;
    use std::net::TcpStream;
    use std::os::windows::io::AsRawSocket;
    use std::process::Child;
    use std::time::{Duration, Instant};

    use socket2::SockRef;
    use windows_sys::Win32::Networking::WinSock::{self, POLLIN, POLLOUT, SOCKET_ERROR, WSAPOLLFD};

    use super::Event;

    /// How often a wait looks whether its socket was shut down by this process: nothing says that WSAPoll() ends then.
    const SLICE: Duration = Duration::from_millis(20);

    /// A send of so few bytes does not wait for a socket that is writable.
    const AT_ONCE: usize = 4096;

    pub fn wait(socket: &TcpStream, event: Event, patience: Option<Duration>) -> io::Result<bool> {
        let end = patience.map(|patience| Instant::now() + patience);
        let events = match event {
            Event::Readable => POLLIN,
            Event::Writable => POLLOUT,
            Event::HangUp => 0,
        };
        loop {
            let left = end.map_or(SLICE, |end| end.saturating_duration_since(Instant::now()));
            if poll(socket, events, left.min(SLICE))? || (patience.is_none() && has_ended(socket)?) {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
        }
    }

    /// Returns whether the client sends nothing more, or this process has shut the socket down.
    fn has_ended(socket: &TcpStream) -> io::Result<bool> {
        Ok(poll(socket, POLLIN, Duration::ZERO)? && !matches!(socket.peek(&mut [0]), Ok(1)))
    }

    fn poll(socket: &TcpStream, events: i16, patience: Duration) -> io::Result<bool> {
        let mut wanted = WSAPOLLFD { fd: socket.as_raw_socket() as usize, events, revents: 0 };
        let patience = i32::try_from(patience.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        // SAFETY: `wanted` is one valid structure for the whole call, and its socket is open.
        match unsafe { WinSock::WSAPoll(&raw mut wanted, 1, patience) } {
            SOCKET_ERROR => Err(io::Error::last_os_error()),
            happened => Ok(happened > 0),
        }
    }

    /// Winsock has no flag for a call that does not wait.
    pub fn send_without_waiting(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        if !poll(socket, POLLOUT, Duration::ZERO)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        SockRef::from(socket).send(&bytes[..bytes.len().min(AT_ONCE)])
    }

    pub fn send_before_the_end(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        SockRef::from(socket).send(bytes)
    }

    /// Windows has no signals: Ctrl-C ends a console's programs by itself.
    pub struct Signals;

    impl Signals {
        pub fn block() -> io::Result<Signals> {
            Ok(Signals)
        }

        pub fn on_arrival(self, _: impl FnOnce() + Send + 'static) {}

        pub fn pass_on(self, _: &Child) -> io::Result<()> {
            Ok(())
        }
    }
}
