//! System calls that std and socket2 do not offer, behind safe functions. Beside `ffi`, the one file that may be unsafe.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
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

/// Runs `start`, which starts a thread, with signals blocked: the thread inherits that, and the host's signal handlers never run
/// on a thread that is not the host's. Those of a crash stay as they are: a crash is the host's to handle, wherever.
pub(super) fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    const OF_A_CRASH: [libc::c_int; 6] =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT];
    /// Puts the mask back, also when `start` panics.
    struct Restore(libc::sigset_t);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the set was filled in by the C library, and the mask is the calling thread's own.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
        }
    }
    // SAFETY: all zeroes are a value of the type, and both sets are initialised by the C library before they are used.
    let restore = unsafe {
        let mut blocked: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut blocked);
        for signal in OF_A_CRASH {
            libc::sigdelset(&mut blocked, signal);
        }
        (libc::pthread_sigmask(libc::SIG_BLOCK, &blocked, &mut before) == 0).then_some(Restore(before))
    };
    let started = start();
    drop(restore);
    started
}

/// A number that this process has to itself among all that it descends from.
///
/// On Linux it stands in a page that the kernel wipes in a child, which costs no system call to look at, and tells a child from
/// its parent even when both have the same id, in two namespaces of them. Elsewhere, and on old kernels, it is the process id.
pub fn process_number() -> u32 {
    #[cfg(target_os = "linux")]
    if let Some(page) = wiped_in_children() {
        /// The last number that was given, here or in a process that this one descends from.
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = page.load(Ordering::Acquire);
        if number != 0 {
            return number;
        }
        let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        return page
            .compare_exchange(0, next, Ordering::AcqRel, Ordering::Acquire)
            .map_or_else(|theirs| theirs, |_| next);
    }
    std::process::id()
}

/// A page of memory that is all zeroes in a child, made on first use and kept for ever.
#[cfg(target_os = "linux")]
fn wiped_in_children() -> Option<&'static AtomicU32> {
    /// NULL before the first use, `NONE` where there is no such thing.
    static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(std::ptr::null_mut());
    const NONE: *mut AtomicU32 = std::ptr::dangling_mut();
    const SIZE: usize = 4096;
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        // SAFETY: it is new memory, which nobody else knows of. An emulator that ignores advice says yes to any, so it is asked for
        // advice that there is not.
        page = unsafe {
            let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            let new = libc::mmap(std::ptr::null_mut(), SIZE, access, kind, -1, 0);
            if new == libc::MAP_FAILED {
                NONE
            } else if libc::madvise(new, SIZE, -1) == 0 || libc::madvise(new, SIZE, libc::MADV_WIPEONFORK) != 0 {
                libc::munmap(new, SIZE);
                NONE
            } else {
                new.cast()
            }
        };
        if let Err(theirs) = PAGE.compare_exchange(std::ptr::null_mut(), page, Ordering::AcqRel, Ordering::Acquire) {
            if page != NONE {
                // SAFETY: it came from mmap above, and nobody has seen it.
                unsafe { libc::munmap(page.cast(), SIZE) };
            }
            page = theirs;
        }
    }
    // SAFETY: it is a mapped page, aligned and zeroed, which is never unmapped.
    (page != NONE).then(|| unsafe { &*page })
}

#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: libc::c_int = libc::MSG_NOSIGNAL;
/// There the socket itself is told (`SO_NOSIGPIPE`).
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: libc::c_int = 0;
