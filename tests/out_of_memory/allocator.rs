//! An allocator whose large allocations fail as planned: those of the calling thread during a call, and those of a publisher's
//! threads.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The size from which an allocation is large. Below it are the buffers of a connection and of a head.
pub const LARGE_BYTES: usize = 20_000;

/// Which large allocations fail, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// None.
    None,
    /// This one.
    Only(usize),
    /// This one and all after it.
    From(usize),
}

thread_local! {
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
}
static COUNT: AtomicUsize = AtomicUsize::new(0);
static FIRST: AtomicUsize = AtomicUsize::new(usize::MAX);
static LAST: AtomicUsize = AtomicUsize::new(0);
static WATCHES_THREADS: AtomicUsize = AtomicUsize::new(0);

/// Waits until no other test uses the plan, which is that of the whole process. Each test holds the guard to its end.
pub fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a call with this plan. Returns its result and the number of its large allocations. Only one call at a time may be
/// watched.
pub fn during<T>(plan: Plan, call: impl FnOnce() -> T) -> (T, usize) {
    begin(plan);
    IS_WATCHED.set(true);
    let result = call();
    IS_WATCHED.set(false);
    (result, end())
}

/// Watches the threads of publishers, until [`end`].
pub fn watch_threads(plan: Plan) {
    begin(plan);
    WATCHES_THREADS.store(1, Ordering::SeqCst);
}

fn begin(plan: Plan) {
    let (first, last) = match plan {
        Plan::None => (usize::MAX, 0),
        Plan::Only(number) => (number, number),
        Plan::From(number) => (number, usize::MAX),
    };
    COUNT.store(0, Ordering::SeqCst);
    FIRST.store(first, Ordering::SeqCst);
    LAST.store(last, Ordering::SeqCst);
}

/// Returns the number of large allocations since the beginning.
pub fn end() -> usize {
    WATCHES_THREADS.store(0, Ordering::SeqCst);
    FIRST.store(usize::MAX, Ordering::SeqCst);
    COUNT.load(Ordering::SeqCst)
}

fn is_publishers_thread() -> bool {
    let mut name = [0_u8; 16];
    // SAFETY: the kernel writes 16 bytes.
    WATCHES_THREADS.load(Ordering::SeqCst) == 1
        && unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) } == 0
        && name.starts_with(b"pusher-send")
}

fn fails(size: usize) -> bool {
    if size < LARGE_BYTES || !(IS_WATCHED.get() || is_publishers_thread()) {
        return false;
    }
    let number = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
    let fails = (FIRST.load(Ordering::SeqCst)..=LAST.load(Ordering::SeqCst)).contains(&number);
    if fails && std::env::var_os("SHOW_ALLOCATIONS").is_some() {
        let was_watched = IS_WATCHED.replace(false);
        eprintln!("allocation {number} of {size} bytes fails:\n{}", std::backtrace::Backtrace::force_capture());
        IS_WATCHED.set(was_watched);
    }
    fails
}

struct Failing;

// SAFETY: it passes everything on, or returns NULL.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        if fails(layout.size()) { ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        if fails(layout.size()) { ptr::null_mut() } else { unsafe { System.alloc_zeroed(layout) } }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        if fails(size) { ptr::null_mut() } else { unsafe { System.realloc(block, layout, size) } }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Failing = Failing;
