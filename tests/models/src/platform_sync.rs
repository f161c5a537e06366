//! The atomics of a model checker, and a kernel that knows whose each descriptor is.

use std::cell::{Cell, RefCell};
use std::os::fd::RawFd;

use loom::sync::atomic;
pub use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread::yield_now;

/// The number of entries of a table.
pub const ENTRIES: usize = 2;

/// A fault that the models must find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Planted {
    #[default]
    Nothing,
    /// The fences do nothing.
    NoFence,
    /// An entry is removed while its socket is being shut down.
    EarlyRemoval,
}

/// The file that a descriptor's number belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum File {
    Closed,
    /// The socket of a call, and whether it was shut down.
    OfCall(bool),
    /// A file of the host, or of a call that is not cancelled.
    OfOther,
}

// The checker runs all threads of a model on one system thread, and one schedule at a time. These are
// not atomics of the checker: they order nothing.
thread_local! {
    static PLANTED: Cell<Planted> = const { Cell::new(Planted::Nothing) };
    static FILES: RefCell<[File; 4]> = const { RefCell::new([File::Closed; 4]) };
}

/// Begins a schedule.
pub fn begin(planted: Planted) {
    PLANTED.set(planted);
    FILES.set([File::Closed; 4]);
}

/// Lets the checker switch threads, without ordering anything.
fn step() {
    atomic::AtomicI32::new(0).load(Ordering::Relaxed);
}

fn file(fd: RawFd) -> File {
    step();
    FILES.with_borrow(|files| files[fd as usize])
}

fn set_file(fd: RawFd, file: File) {
    FILES.with_borrow_mut(|files| files[fd as usize] = file);
    step();
}

/// Opens the socket of a call.
pub fn open(fd: RawFd) {
    set_file(fd, File::OfCall(false));
}

/// Closes it. Another file gets the number at once.
pub fn close(fd: RawFd) {
    set_file(fd, File::OfOther);
}

/// Waits until a socket is shut down.
pub fn wait(fd: RawFd) {
    while file(fd) != File::OfCall(true) {
        yield_now();
    }
}

/// Shuts a socket down.
pub fn shut_down(fd: RawFd) {
    let before = file(fd);
    assert!(matches!(before, File::OfCall(_)), "descriptor {fd} is shut down, but it is {before:?}");
    set_file(fd, File::OfCall(true));
}

/// Gives another thread time.
pub fn pause() {
    yield_now();
}

/// A fence.
pub fn fence(ordering: Ordering) {
    if PLANTED.get() != Planted::NoFence {
        atomic::fence(ordering);
    }
}

/// An atomic integer.
pub struct AtomicI32(atomic::AtomicI32);

impl AtomicI32 {
    /// Returns an integer.
    pub fn new(value: i32) -> AtomicI32 {
        AtomicI32(atomic::AtomicI32::new(value))
    }

    /// Loads.
    pub fn load(&self, ordering: Ordering) -> i32 {
        self.0.load(ordering)
    }

    /// Stores.
    pub fn store(&self, value: i32, ordering: Ordering) {
        self.0.store(value, ordering);
    }

    /// Stores if the value is this one.
    pub fn compare_exchange(&self, current: i32, new: i32, success: Ordering, failure: Ordering) -> Result<i32, i32> {
        if new == 0 && PLANTED.get() == Planted::EarlyRemoval {
            return Ok(self.0.swap(0, success));
        }
        self.0.compare_exchange(current, new, success, failure)
    }
}
