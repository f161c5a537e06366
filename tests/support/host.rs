//! The environment of a library: a process that forks and is interrupted by signals, a C library with other behaviour,
//! addresses that do not respond.

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

/// The longest lifetime of a forked process. SIGALRM ends one that hangs.
const LIFE_SECONDS: u32 = 20;

/// A forked child of this process.
#[derive(Debug)]
#[must_use]
pub struct Forked(libc::pid_t);

/// Forks, and runs `body` in the child. The child exits with 0, or with 101 if `body` panics.
pub fn fork(body: impl FnOnce()) -> Forked {
    // Initialise the tests' own lazy values first: another thread of this process may be doing so at the fork.
    let _ = calls::secret_in("");
    // SAFETY: the child continues with this thread only. It takes no lock of the tests (other than that of standard error, which
    // only a failing test holds), and leaves by `_exit`.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", io::Error::last_os_error()),
        0 => {
            // SAFETY: it does not change memory.
            unsafe { libc::alarm(LIFE_SECONDS) };
            let result = catch_unwind(AssertUnwindSafe(body));
            exit(if result.is_ok() { 0 } else { 101 })
        }
        pid => Forked(pid),
    }
}

/// Ends a forked process at once, which a library must tolerate: nothing is dropped, flushed or joined.
pub fn exit(code: i32) -> ! {
    // SAFETY: it does not return.
    unsafe { libc::_exit(code) }
}

impl Forked {
    /// Its process id.
    pub fn pid(&self) -> libc::pid_t {
        self.0
    }

    /// Waits until the process ends; its alarm bounds the wait.
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

    /// Waits until the process ends, and asserts that it succeeded.
    #[track_caller]
    pub fn join(self) {
        let status = self.wait();
        // The signal is the alarm: something hung.
        let why = if status.signal() == Some(libc::SIGALRM) { ": it hung" } else { "" };
        assert!(status.success(), "a forked process ended with {status}{why}");
    }
}

/// The handler for a signal.
#[derive(Clone, Copy)]
pub enum Handler {
    /// The default action of the system.
    Default,
    /// This function; system calls are not restarted.
    Interrupting(extern "C" fn(c_int)),
}

/// Sets the action for a signal, in a process that belongs to the test.
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

/// A preload library, built from `tests/c/{name}.c`. Dropping the value removes the file.
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

    /// Returns the value for `LD_PRELOAD`.
    pub fn file(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Preload {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Returns the address of a function or variable of a preloaded library.
pub fn symbol(name: &CStr) -> *mut c_void {
    // SAFETY: the name is a C string.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    assert!(!symbol.is_null(), "{name:?} is not there: nothing was preloaded");
    symbol
}

/// Returns the number of threads of this process with this name.
pub fn threads_named(name: &str) -> usize {
    let named =
        |task: &fs::DirEntry| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name);
    fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok).filter(named).count()
}

/// An address that accepts no connection: its queue is full. The value keeps the connections that fill it.
pub struct BlackHole {
    listener: Socket,
    _fillers: Vec<Socket>,
}

impl BlackHole {
    /// Returns one on 127.0.0.1; `None` if the system handles a full queue differently.
    pub fn new() -> Option<BlackHole> {
        BlackHole::at((Ipv4Addr::LOCALHOST, 0).into()).unwrap()
    }

    /// Returns one at this address, if it is available.
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
