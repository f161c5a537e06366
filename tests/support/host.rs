//! What may surround a library: a process that forks and is interrupted by signals, a C library other than expected, addresses
//! that do not answer.

use std::ffi::{CStr, c_int, c_void};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{fs, io};

use socket2::{Domain, Socket, Type};

use super::calls;

/// How long a forked process may live. Whatever hangs in it ends with it, by SIGALRM.
const LIFE_SECONDS: u32 = 8;

/// A process that was forked off this one.
#[derive(Debug)]
#[must_use]
pub struct Forked(libc::pid_t);

/// Forks, and runs `body` in the child, which ends with 0, or with 101 if that panics.
pub fn fork(body: impl FnOnce()) -> Forked {
    // What the tests themselves make lazily has to be there: another thread of this process might be making it just now.
    let _ = calls::secret_in("");
    // SAFETY: the child goes on with this thread only. It waits for no lock of the tests (other than the one of standard error,
    // which only a test that fails holds), and leaves by `_exit`.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", io::Error::last_os_error()),
        0 => {
            // SAFETY: it changes nothing in memory.
            unsafe { libc::alarm(LIFE_SECONDS) };
            let result = catch_unwind(AssertUnwindSafe(body));
            exit(if result.is_ok() { 0 } else { 101 })
        }
        pid => Forked(pid),
    }
}

/// Ends a forked process at once, as a library must be able to bear: nothing is dropped, flushed or joined.
pub fn exit(code: i32) -> ! {
    // SAFETY: it does not return.
    unsafe { libc::_exit(code) }
}

impl Forked {
    /// Its process id.
    pub fn pid(&self) -> libc::pid_t {
        self.0
    }

    /// Waits for its end, which its alarm bounds.
    pub fn wait(self) -> ExitStatus {
        let mut status = 0;
        loop {
            // SAFETY: the status is a live integer.
            if unsafe { libc::waitpid(self.0, &raw mut status, 0) } == self.0 {
                return ExitStatus::from_raw(status);
            }
            let error = io::Error::last_os_error();
            assert_eq!(error.kind(), io::ErrorKind::Interrupted, "waitpid: {error}");
        }
    }

    /// Waits for its end, which has to be a good one.
    #[track_caller]
    pub fn join(self) {
        let status = self.wait();
        // The kernel's name for the signal is no use to anybody: it is the alarm, and something hung.
        let why = if status.signal() == Some(libc::SIGALRM) { ": it hung" } else { "" };
        assert!(status.success(), "a forked process ended with {status}{why}");
    }
}

/// The handler for a signal.
#[derive(Clone, Copy)]
pub enum Handler {
    /// What the system does.
    Default,
    /// This function, and system calls are not restarted.
    Interrupting(extern "C" fn(c_int)),
}

/// Sets what happens on a signal. For processes that are a test's own.
pub fn handle(signal: c_int, handler: Handler) {
    // SAFETY: the structure is initialised, and the function is one that a signal may call.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = match handler {
            Handler::Default => libc::SIG_DFL,
            Handler::Interrupting(function) => function as *const () as libc::sighandler_t,
        };
        libc::sigemptyset(&raw mut action.sa_mask);
        assert_eq!(libc::sigaction(signal, &raw const action, std::ptr::null_mut()), 0);
    }
}

/// Builds `tests/c/{name}.c` as a library to be preloaded. It goes with the value.
pub struct Preload(PathBuf);

impl Preload {
    /// Builds it.
    pub fn new(name: &str) -> Preload {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{number}.so", process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/c/{name}.c"));
        let status = Command::new("cc")
            .args([
                "-std=c11",
                "-D_GNU_SOURCE",
                "-O1",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-shared",
                "-fPIC",
                "-pthread",
                "-o",
            ])
            .args([&file, &source])
            .arg("-ldl")
            .status()
            .expect("a C compiler");
        assert!(status.success(), "{} can't be compiled", source.display());
        Preload(file)
    }

    /// As `LD_PRELOAD` wants it.
    pub fn file(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Preload {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A function or variable of a preloaded library.
pub fn symbol(name: &CStr) -> *mut c_void {
    // SAFETY: the name is a C string.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    assert!(!symbol.is_null(), "{name:?} is not there: nothing was preloaded");
    symbol
}

/// How many threads of this process have this name.
pub fn threads_named(name: &str) -> usize {
    let named =
        |task: &fs::DirEntry| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name);
    fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok).filter(named).count()
}

/// An address to which a connection does not come about: its queue is full. What fills it is kept.
pub struct BlackHole {
    listener: Socket,
    _fillers: Vec<Socket>,
}

impl BlackHole {
    /// One on 127.0.0.1. None where the system answers a full queue otherwise.
    pub fn new() -> Option<BlackHole> {
        BlackHole::at((Ipv4Addr::LOCALHOST, 0).into()).unwrap()
    }

    /// One at this address, if that can be had.
    pub fn at(address: SocketAddr) -> io::Result<Option<BlackHole>> {
        let listener = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        listener.bind(&address.into())?;
        listener.listen(0)?;
        let address = listener.local_addr()?;
        let mut fillers = Vec::new();
        for _ in 0..16 {
            let filler = Socket::new(address.domain(), Type::STREAM, None)?;
            if filler.connect_timeout(&address, Duration::from_millis(150)).is_err() {
                return Ok(Some(BlackHole { listener, _fillers: fillers }));
            }
            fillers.push(filler);
        }
        Ok(None)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().as_socket().unwrap().port()
    }
}
