//! The queue's locks, scheduled by a model checker.
//!
//! Time does not pass in a model. What may happen at any time instead, a wait that ends because its time is up, or for no reason
//! at all as condition variables may, is a choice: which waits of an execution end so is given before it (loom), or drawn (shuttle).
//! For the models' own tests wake-ups can be lost.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::time::Instant;

#[cfg(not(feature = "shuttle"))]
pub use loom as checker;
#[cfg(feature = "shuttle")]
pub use shuttle as checker;

/// What goes wrong in an execution, or may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// The waits that end without having been woken: the bits of a number, the first wait's the lowest.
    pub unwoken: u32,
    /// The condition variable on which time is always up, by the order in which they were made.
    pub due: Option<usize>,
    /// The wake-ups that are lost.
    pub lost: Lost,
}

/// Wake-ups that never come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lost {
    /// All come.
    #[default]
    None,
    /// Those of a condition variable, by the order in which they were made.
    Of(usize),
    /// Those of one place in the source.
    At(Site),
    /// Every n-th.
    Every(usize),
}

/// A place in the source that wakes those who wait on a condition variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    line: u32,
    condvar: usize,
}

// Both checkers run all threads of a model on one of the system's, and a schedule at a time.
thread_local! {
    static TROUBLE: Cell<Trouble> = const { Cell::new(Trouble { unwoken: 0, due: None, lost: Lost::None }) };
    static WAITS: Cell<u32> = const { Cell::new(0) };
    static CONDVARS: Cell<usize> = const { Cell::new(0) };
    static NOTIFIES: Cell<usize> = const { Cell::new(0) };
    static SITES: RefCell<BTreeSet<Site>> = const { RefCell::new(BTreeSet::new()) };
}

/// At the beginning of each execution.
pub fn begin(trouble: Trouble) {
    TROUBLE.set(trouble);
    WAITS.set(0);
    CONDVARS.set(0);
    NOTIFIES.set(0);
}

/// All places that have woken anybody on this thread of the system's.
pub fn sites() -> BTreeSet<Site> {
    SITES.take()
}

fn next<T: Copy + std::ops::Add<Output = T>>(counter: &'static std::thread::LocalKey<Cell<T>>, one: T) -> T {
    counter.replace(counter.get() + one)
}

/// Whether the wait that begins ends by itself.
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

/// A lock whose guard knows it, so that it can be let go of and taken again.
pub struct Mutex<T>(checker::sync::Mutex<T>);

/// Holds a [`Mutex`].
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    guard: checker::sync::MutexGuard<'a, T>,
}

impl<T> Mutex<T> {
    /// Not held.
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

/// A condition variable that may lose wake-ups.
pub struct Condvar {
    number: usize,
    condvar: checker::sync::Condvar,
}

impl Condvar {
    /// Nobody waits.
    #[expect(clippy::new_without_default, reason = "as it stands in std, where the queue is concerned")]
    pub fn new() -> Condvar {
        Condvar { number: next(&CONDVARS, 1), condvar: checker::sync::Condvar::new() }
    }

    /// Wakes all that wait.
    #[track_caller]
    pub fn notify_all(&self) {
        let site = Site { line: Location::caller().line(), condvar: self.number };
        SITES.with_borrow_mut(|sites| sites.insert(site));
        let notify = next(&NOTIFIES, 1) + 1;
        let is_lost = match TROUBLE.get().lost {
            Lost::None => false,
            Lost::Of(number) => number == self.number,
            Lost::At(lost) => lost == site,
            Lost::Every(n) => notify % n == 0,
        };
        if !is_lost {
            self.condvar.notify_all();
        }
    }
}

/// Locks.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    MutexGuard { mutex, guard: mutex.0.lock().expect("a thread of the model panicked") }
}

/// Waits to be woken.
pub fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    let is_unwoken = ends_unwoken();
    wait_or_not(condition, guard, is_unwoken).0
}

/// Waits to be woken, or until it is time, whenever that is; says whether it is.
pub fn wait_until<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>, _: Instant) -> (MutexGuard<'a, T>, bool) {
    let is_due = ends_unwoken() || TROUBLE.get().due == Some(condition.number);
    wait_or_not(condition, guard, is_due)
}

fn wait_or_not<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>, not: bool) -> (MutexGuard<'a, T>, bool) {
    let MutexGuard { mutex, guard } = guard;
    if not {
        // Whatever others do meanwhile, they do before it gets the lock again.
        drop(guard);
        return (lock(mutex), true);
    }
    let guard = condition.condvar.wait(guard).expect("a thread of the model panicked");
    (MutexGuard { mutex, guard }, false)
}
