//! The queue's locks, scheduled by a model checker.
//!
//! Time does not pass in a model. A wait may end without a wake-up, by its timeout or spuriously.
//! The model chooses which waits do: the test lists them (loom), or they are drawn at random
//! (shuttle). Tests of the models can also drop wake-ups.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::time::Instant;

#[cfg(not(feature = "shuttle"))]
pub use loom as checker;
#[cfg(feature = "shuttle")]
pub use shuttle as checker;

/// The faults of an execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// The waits that end without a wake-up, as bits. The lowest bit is the first wait.
    pub unwoken: u32,
    /// The condition variable whose timed waits always time out, by order of creation.
    pub due: Option<usize>,
    /// The dropped wake-ups.
    pub lost: Lost,
}

/// Dropped wake-ups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lost {
    /// None is dropped.
    #[default]
    None,
    /// Those of one condition variable, by order of creation.
    Of(usize),
    /// Those of one call site.
    At(Site),
    /// Every n-th wake-up.
    Every(usize),
}

/// A call site of [`Wakes::add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    line: u32,
    condvar: usize,
}

// Both checkers run all threads of a model on one system thread, and one schedule at a time.
thread_local! {
    static TROUBLE: Cell<Trouble> = const { Cell::new(Trouble { unwoken: 0, due: None, lost: Lost::None }) };
    static WAITS: Cell<u32> = const { Cell::new(0) };
    static CONDVARS: Cell<usize> = const { Cell::new(0) };
    static WAKES: Cell<usize> = const { Cell::new(0) };
    static SITES: RefCell<BTreeSet<Site>> = const { RefCell::new(BTreeSet::new()) };
}

/// Sets the faults and resets the counters. Each execution calls it first.
pub fn begin(trouble: Trouble) {
    TROUBLE.set(trouble);
    WAITS.set(0);
    CONDVARS.set(0);
    WAKES.set(0);
}

/// Returns, and clears, the call sites of wake-ups on this system thread.
pub fn sites() -> BTreeSet<Site> {
    SITES.take()
}

fn next<T: Copy + std::ops::Add<Output = T>>(counter: &'static std::thread::LocalKey<Cell<T>>, one: T) -> T {
    counter.replace(counter.get() + one)
}

/// Returns whether the wait that begins ends without a wake-up.
fn ends_unwoken() -> bool {
    #[cfg(feature = "shuttle")]
    {
        use shuttle::rand::Rng;
        shuttle::rand::thread_rng().gen_ratio(1, 4)
    }
    #[cfg(not(feature = "shuttle"))]
    {
        let wait = next(&WAITS, 1);
        wait < u32::BITS && TROUBLE.get().unwoken >> wait & 1 == 1
    }
}

/// A lock whose guard refers to it, so that a wait can release and retake it.
pub struct Mutex<T>(checker::sync::Mutex<T>);

/// Unlocks its [`Mutex`] when dropped.
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    guard: checker::sync::MutexGuard<'a, T>,
}

impl<T> Mutex<T> {
    /// Returns an unlocked mutex.
    pub fn new(value: T) -> Mutex<T> {
        Mutex(checker::sync::Mutex::new(value))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// A condition variable.
pub struct Condvar {
    number: usize,
    condvar: checker::sync::Condvar,
}

impl Condvar {
    /// Returns a condition variable without waiting threads.
    #[expect(clippy::new_without_default, reason = "the queue needs only `new`, as of std")]
    pub fn new() -> Condvar {
        Condvar { number: next(&CONDVARS, 1), condvar: checker::sync::Condvar::new() }
    }
}

/// A set of condition variables to be notified, by number. It can drop wake-ups.
pub struct Wakes(Vec<usize>);

impl Wakes {
    /// The empty set.
    pub const NONE: Wakes = Wakes(Vec::new());

    /// Adds a condition variable, unless this wake-up is to be dropped.
    #[track_caller]
    pub fn add(&mut self, number: usize) {
        let site = Site { line: Location::caller().line(), condvar: number };
        SITES.with_borrow_mut(|sites| sites.insert(site));
        let wake = next(&WAKES, 1) + 1;
        let is_lost = match TROUBLE.get().lost {
            Lost::None => false,
            Lost::Of(lost) => lost == number,
            Lost::At(lost) => lost == site,
            Lost::Every(n) => wake % n == 0,
        };
        if !is_lost && !self.0.contains(&number) {
            self.0.push(number);
        }
    }

    /// Returns whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the set, and leaves an empty one.
    pub fn take(&mut self) -> Wakes {
        Wakes(std::mem::take(&mut self.0))
    }

    /// Notifies the condition variables with these numbers.
    pub fn notify(self, conditions: &[Condvar]) {
        self.0.into_iter().for_each(|number| conditions[number].condvar.notify_all());
    }
}

/// Locks the mutex.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    MutexGuard { mutex, guard: mutex.0.lock().expect("a thread of the model panicked") }
}

/// Waits for a wake-up, which may be spurious.
pub fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    let is_unwoken = ends_unwoken();
    wait_or_not(condition, guard, is_unwoken).0
}

/// Waits for a wake-up or a timeout. Returns whether the wait timed out. The model chooses when,
/// not the deadline.
pub fn wait_until<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>, _: Instant) -> (MutexGuard<'a, T>, bool) {
    let is_due = ends_unwoken() || TROUBLE.get().due == Some(condition.number);
    wait_or_not(condition, guard, is_due)
}

fn wait_or_not<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>, not: bool) -> (MutexGuard<'a, T>, bool) {
    let MutexGuard { mutex, guard } = guard;
    if not {
        // Other threads may run before this thread gets the lock again.
        drop(guard);
        return (lock(mutex), true);
    }
    let guard = condition.condvar.wait(guard).expect("a thread of the model panicked");
    (MutexGuard { mutex, guard }, false)
}

/// A flag that threads can wait for, in place of a descriptor.
pub struct ReadableFlag(Descriptor);

/// A thread that waits for it is an event loop.
#[derive(Clone)]
pub struct Descriptor(std::sync::Arc<(Mutex<bool>, Condvar)>);

impl ReadableFlag {
    /// Returns a lowered flag.
    pub fn new() -> std::io::Result<ReadableFlag> {
        Ok(ReadableFlag(Descriptor(std::sync::Arc::new((Mutex::new(false), Condvar::new())))))
    }

    /// Returns what event loops wait on.
    pub fn descriptor(&self) -> Descriptor {
        self.0.clone()
    }

    /// Raises the flag, and wakes the event loops, unless this wake-up is to be dropped.
    pub fn raise(&self) {
        let (is_raised, condition) = &*self.0.0;
        if TROUBLE.get().lost != Lost::Of(condition.number) {
            *lock(is_raised) = true;
            condition.condvar.notify_all();
        }
    }

    /// Lowers the flag.
    pub fn lower(&self) {
        *lock(&self.0.0.0) = false;
    }
}

impl Descriptor {
    /// Waits until the flag is raised, as a poll by levels does.
    pub fn wait(&self) {
        let (is_raised, condition) = &*self.0;
        let mut guard = lock(is_raised);
        while !*guard {
            guard = wait_or_not(condition, guard, false).0;
        }
    }

    /// Returns whether the flag is raised.
    pub fn is_raised(&self) -> bool {
        *lock(&self.0.0)
    }
}
