//! The calls of Windows.
//!
//! Its sockets never wait: Winsock has no flag for one call (`MSG_DONTWAIT`), so every wait polls. There are no signals
//! and no fork.
//!
//! The code is unsafe because no safe crate offers WSAPoll(), and shutdown() of a socket that another thread uses.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket, RawSocket};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};
use windows_sys::Win32::Foundation::{ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY, ERROR_TOO_MANY_OPEN_FILES};
use windows_sys::Win32::Networking::WinSock::{
    self, POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, SD_BOTH, SOCKET_ERROR, WSAEMFILE, WSAENOBUFS, WSAESHUTDOWN,
    WSAPOLLFD,
};
use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};

use crate::platform::readiness::{Readiness, Receive};

/// What an event loop waits on.
pub type Descriptor = RawSocket;

/// A socket to wait for.
#[repr(transparent)]
pub struct PollEntry<'a>(WSAPOLLFD, PhantomData<BorrowedSocket<'a>>);

/// Returns an entry that waits for what is wanted.
pub fn poll_entry(socket: &impl AsSocket, wanted: Readiness) -> PollEntry<'_> {
    let events = if wanted.read { POLLIN } else { 0 } | if wanted.write { POLLOUT } else { 0 };
    PollEntry(WSAPOLLFD { fd: socket.as_socket().as_raw_socket() as usize, events, revents: 0 }, PhantomData)
}

/// Returns what has happened.
pub fn happened(entry: &PollEntry<'_>) -> Readiness {
    let failed = POLLERR | POLLHUP | POLLNVAL;
    Readiness { read: entry.0.revents & (POLLIN | failed) != 0, write: entry.0.revents & (POLLOUT | failed) != 0 }
}

/// Waits until one of the entries is ready or `timeout` has passed.
pub fn poll(entries: &mut [PollEntry<'_>], timeout: Duration) -> io::Result<()> {
    if entries.is_empty() {
        thread::sleep(timeout);
        return Ok(());
    }
    // Rounded up: rounded down, the last fraction of a millisecond would be a busy loop.
    let ms = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    let count = u32::try_from(entries.len()).map_err(|_| ErrorKind::InvalidInput)?;
    // SAFETY: `entries` are `count` structures that may be changed; an entry is a WSAPOLLFD (`repr(transparent)`), and its
    // socket is open, because it is borrowed.
    match unsafe { WinSock::WSAPoll(entries.as_mut_ptr().cast::<WSAPOLLFD>(), count, ms) } {
        SOCKET_ERROR => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// How often a wait looks whether its socket was shut down by this process: nothing says that WSAPoll() ends then.
const SLICE: Duration = Duration::from_millis(20);

/// Waits until a connected socket is ready or `timeout` has passed.
pub fn wait(socket: &Socket, wanted: Readiness, timeout: Duration) -> io::Result<Readiness> {
    let end = Instant::now() + timeout;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut entries = [poll_entry(socket, wanted)];
        poll(&mut entries, left.min(SLICE))?;
        let ready = happened(&entries[0]);
        if ready.read || ready.write || left.is_zero() {
            return Ok(ready);
        }
        if let Err(error) = receive(socket, &mut [], Receive::Peek) {
            if error.raw_os_error() == Some(WSAESHUTDOWN) {
                return Ok(wanted);
            }
        }
    }
}

/// Returns whether the error of a connect means that the system goes on connecting.
pub fn is_connecting(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

/// Leaves a connected socket as it is: [`Receive::Waiting`] does not wait either, and its caller then polls.
pub fn let_receive_wait(_: &Socket) -> io::Result<()> {
    Ok(())
}

/// Sends without waiting.
pub fn send(socket: &Socket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    socket.send_vectored(parts)
}

/// Receives, and never waits. [`Receive::Peek`] leaves the buffer as it is.
pub fn receive(mut socket: &Socket, buffer: &mut [u8], how: Receive) -> io::Result<usize> {
    let count = match how {
        Receive::Waiting | Receive::Now => socket.read(buffer)?,
        Receive::Peek => socket.peek(&mut [MaybeUninit::uninit()])?,
    };
    // Wine forgets a reset before recv() can return it, and then reads the end of a stream that nobody ended. WSAPoll() still
    // knows.
    if count == 0 {
        let mut entries = [poll_entry(socket, Readiness::READ)];
        poll(&mut entries, Duration::ZERO)?;
        if entries[0].0.revents & POLLERR != 0 {
            return Err(ErrorKind::ConnectionReset.into());
        }
    }
    Ok(count)
}

/// Returns what an event loop waits on for a socket.
pub fn descriptor(socket: &Socket) -> Descriptor {
    socket.as_raw_socket()
}

/// Returns the number of a socket, for [`shut_down`]. Handles of Windows have 32 significant bits, and small values.
pub fn number(socket: &Socket) -> i32 {
    socket.as_raw_socket() as i32
}

/// Shuts down the socket with this number.
pub fn shut_down(number: i32) {
    // It fails if the connection has ended by itself.
    // SAFETY: it takes no memory, and any number.
    let _ = unsafe { WinSock::shutdown(number as u32 as usize, SD_BOTH) };
}

/// Returns two sockets that are connected to each other, on the loopback. None of their calls waits.
pub fn pair() -> io::Result<(Socket, Socket)> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))?;
    listener.listen(1)?;
    let address = listener.local_addr()?;
    // The system accepts the connection by itself, so connecting does not wait for accept().
    let one = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    one.connect(&address)?;
    let own = one.local_addr()?;
    // Another process may have been quicker to connect.
    let other = loop {
        let (other, peer) = listener.accept()?;
        if peer.as_socket() == own.as_socket() {
            break other;
        }
    };
    one.set_nonblocking(true)?;
    other.set_nonblocking(true)?;
    one.set_tcp_nodelay(true)?;
    other.set_tcp_nodelay(true)?;
    Ok((one, other))
}

/// Runs `signal`. There are no signal handlers whose errors it could replace.
pub fn keep_errno(signal: impl FnOnce()) {
    signal();
}

/// Opens a file to read it.
pub fn open(path: &str) -> io::Result<File> {
    File::open(path)
}

/// Returns whether the process lacked handles or memory.
pub fn lacks_resources(error: &io::Error) -> bool {
    const CODES: [i32; 5] = [
        WSAEMFILE,
        WSAENOBUFS,
        ERROR_TOO_MANY_OPEN_FILES as i32,
        ERROR_NOT_ENOUGH_MEMORY as i32,
        ERROR_OUTOFMEMORY as i32,
    ];
    error.raw_os_error().is_some_and(|code| CODES.contains(&code))
}

/// Returns the nanoseconds since some moment in the past. They never decrease.
pub fn nanoseconds() -> u64 {
    let (mut ticks, mut per_second) = (0, 0);
    // SAFETY: both places are writable. Neither function fails on a version of Windows that std supports.
    unsafe {
        QueryPerformanceFrequency(&raw mut per_second);
        QueryPerformanceCounter(&raw mut ticks);
    }
    u64::try_from(i128::from(ticks) * 1_000_000_000 / i128::from(per_second.max(1_i64))).unwrap_or(0)
}

/// Runs `start`, which starts a thread. There are no signals to block.
pub fn with_signals_blocked<T>(start: impl FnOnce() -> T) -> T {
    start()
}
