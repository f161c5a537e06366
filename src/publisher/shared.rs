//! The queue between threads: those that publish, those that send, and those that wait for something.
//!
//! One lock, never held over anything that takes long, and a condition variable for each kind of waiting. Whoever changes
//! something wakes those whom it concerns, and only if they wait: waking costs a system call. Time is read here and nowhere
//! below.

use std::time::{Duration, Instant};

use super::queue::{Batch, Ledger, Limits, MAX_SHARDS, New, Next, Queue, Shards};
use super::sync::{Condvar, Mutex, MutexGuard, wait, wait_until};

/// What to do where there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Refuse the new event.
    Reject,
    /// Wait for room, this long.
    Block(Duration),
    /// Take out the oldest one that waits.
    DropOldest,
}

/// Why an event was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no room.
    Full,
    /// The publisher is closed.
    Closed,
}

/// A wait came to its end before what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

/// How often those who wait for room are told of any, where there is little.
const ROOM_EVERY: Duration = Duration::from_millis(5);

/// The queue, shared.
pub struct Shared<E, L: Ledger> {
    state: Mutex<State<E, L>>,
    /// One for each shard's sender.
    senders: Vec<Condvar>,
    /// For those that publish and find no room.
    room: Condvar,
    /// For those that poll.
    reports: Condvar,
    /// For those that wait until nothing is left.
    quiet: Condvar,
}

struct State<E, L: Ledger> {
    queue: Queue<E, L>,
    /// What each sender waits for.
    asleep: Vec<Asleep>,
    waiting_for_room: usize,
    /// When those were last woken.
    told_of_room: Instant,
    polling: usize,
    waiting_for_quiet: usize,
    /// How many senders have nothing to do any more.
    finished: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asleep {
    /// It is awake, or has been woken.
    No,
    /// Anything.
    Idle,
    /// That its batch is full; else its time comes by itself.
    Lingering,
}

/// A ledger that holds reports until they are fetched.
pub trait Backlog: Ledger {
    /// Whether there is any.
    fn has_reports(&self) -> bool;
}

impl<E, L: Backlog> Shared<E, L> {
    /// An empty queue.
    pub fn new(limits: Limits, ledger: L) -> Shared<E, L> {
        let (shards, now) = (limits.shards.min(MAX_SHARDS), Instant::now());
        Shared {
            state: Mutex::new(State {
                queue: Queue::new(limits, ledger, now),
                asleep: vec![Asleep::No; shards],
                waiting_for_room: 0,
                told_of_room: now,
                polling: 0,
                waiting_for_quiet: 0,
                finished: 0,
            }),
            senders: (0..shards).map(|_| Condvar::new()).collect(),
            room: Condvar::new(),
            reports: Condvar::new(),
            quiet: Condvar::new(),
        }
    }

    /// Takes an event in and says its id.
    pub fn publish(&self, mut new: New<E>, overflow: Overflow) -> Result<u64, Refused> {
        let (shards, bytes) = (new.shards, new.bytes);
        let started = Instant::now();
        let (mut now, mut state) = (started, self.lock());
        let mut timed_out = false;
        loop {
            if state.queue.is_closed() {
                return Err(Refused::Closed);
            }
            match state.queue.push(new, now) {
                Ok(id) => {
                    for shard in shards.each() {
                        let wake = match state.asleep[shard] {
                            Asleep::No => false,
                            Asleep::Idle => true,
                            Asleep::Lingering => state.queue.is_full_batch(shard),
                        };
                        if wake {
                            self.wake_sender(&mut state, shard);
                        }
                    }
                    // What it pushed out is reported.
                    self.after_ends(&mut state, now);
                    return Ok(id);
                }
                Err((_, rejected)) => new = rejected,
            }
            // Some may have ended although there is still no room.
            self.after_ends(&mut state, now);
            if !state.queue.could_hold(bytes) && overflow == Overflow::DropOldest {
                return Err(Refused::Full);
            }
            match overflow {
                Overflow::Reject => return Err(Refused::Full),
                Overflow::DropOldest => match state.queue.drop_oldest(now) {
                    Some(woken) => self.wake_senders(&mut state, woken),
                    None => return Err(Refused::Full),
                },
                Overflow::Block(_) if timed_out => return Err(Refused::Full),
                Overflow::Block(patience) => {
                    state.waiting_for_room += 1;
                    // It is not told of every room, so it looks once more when its time is up.
                    (state, timed_out) = wait_until(&self.room, state, started + patience);
                    state.waiting_for_room -= 1;
                    now = Instant::now();
                }
            }
        }
    }

    /// Waits until a shard has something to send; `None` when it never will again.
    pub fn next(&self, shard: usize) -> Option<Batch<E>> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let (next, woken) = state.queue.next(shard, now);
            self.wake_senders(&mut state, woken);
            // What has expired is reported, and has made room.
            self.after_ends(&mut state, now);
            state = match next {
                Next::Send(batch) => return Some(batch),
                Next::Finished => {
                    state.finished += 1;
                    self.quiet.notify_all();
                    return None;
                }
                Next::Wait => {
                    state.asleep[shard] = Asleep::Idle;
                    wait(&self.senders[shard], state)
                }
                Next::WaitUntil(until) => {
                    state.asleep[shard] = Asleep::Lingering;
                    wait_until(&self.senders[shard], state, until).0
                }
            };
            state.asleep[shard] = Asleep::No;
        }
    }

    /// Waits between two attempts of a request, of which `outcome` came should there be no other. False if it was given up meanwhile.
    pub fn rest(&self, shard: usize, flight: u64, outcome: L::Outcome, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut state = self.lock();
        let mut known = state.queue.rest(shard, flight, outcome);
        while known {
            // The sender's condition variable is nobody else's; only giving up wakes it here.
            let (woken, timed_out) = wait_until(&self.senders[shard], state, until);
            state = woken;
            if timed_out {
                return state.queue.go_on(shard, flight);
            }
            known = state.queue.is_under_way(shard, flight);
        }
        false
    }

    /// Whether a request has not been given up.
    pub fn is_under_way(&self, shard: usize, flight: u64) -> bool {
        self.lock().queue.is_under_way(shard, flight)
    }

    /// What came of the first `count` events of a request that have not ended yet.
    pub fn settle(&self, shard: usize, flight: u64, count: usize, outcome: &L::Outcome) {
        let now = Instant::now();
        let mut state = self.lock();
        let woken = state.queue.settle(shard, flight, count, outcome, now);
        self.wake_senders(&mut state, woken);
        self.after_ends(&mut state, now);
    }

    /// Takes what has been reported, waiting for it until `deadline`, if there is one. Nothing, at once, where nothing can come any
    /// more.
    pub fn poll<R>(&self, deadline: Option<Instant>, take: impl FnOnce(&mut L) -> R) -> Result<R, TimedOut> {
        let mut state = self.lock();
        loop {
            if state.queue.ledger.has_reports() {
                return Ok(take(&mut state.queue.ledger));
            }
            if state.queue.is_closed() && state.queue.events() == 0 {
                return Err(TimedOut);
            }
            state.polling += 1;
            let (mut woken, timed_out) = wait_or_until(&self.reports, state, deadline);
            woken.polling -= 1;
            if timed_out && !woken.queue.ledger.has_reports() {
                return Err(TimedOut);
            }
            state = woken;
        }
    }

    /// Waits until nothing waits and nothing is under way.
    pub fn flush(&self, deadline: Option<Instant>) -> Result<(), TimedOut> {
        let state = self.lock();
        self.wait_for_quiet(state, deadline).1
    }

    /// Lets nothing more in, waits until nothing is left, and gives up what is left then; what may be on the wire ends as
    /// `interrupted`.
    pub fn close(&self, deadline: Option<Instant>, interrupted: &L::Outcome) -> Result<(), TimedOut> {
        let mut state = self.lock();
        state.queue.close();
        self.wake_everybody(&mut state);
        let (mut state, quiet) = self.wait_for_quiet(state, deadline);
        if quiet.is_err() {
            state.queue.give_up(interrupted, Instant::now());
            self.wake_everybody(&mut state);
        }
        quiet
    }

    /// Waits until so many senders, of a closed publisher, have seen that there is nothing to do any more.
    pub fn wait_for_senders(&self, count: usize, deadline: Instant) -> Result<(), TimedOut> {
        let mut state = self.lock();
        while state.finished < count {
            let (woken, timed_out) = wait_until(&self.quiet, state, deadline);
            if timed_out && woken.finished < count {
                return Err(TimedOut);
            }
            state = woken;
        }
        Ok(())
    }

    /// Looks at the queue.
    pub fn look<R>(&self, look: impl FnOnce(&Queue<E, L>) -> R) -> R {
        look(&self.lock().queue)
    }

    fn lock(&self) -> MutexGuard<'_, State<E, L>> {
        super::sync::lock(&self.state)
    }

    fn wait_for_quiet<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<E, L>>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, State<E, L>>, Result<(), TimedOut>) {
        if state.queue.events() == 0 {
            return (state, Ok(()));
        }
        // Nobody lingers while somebody waits.
        state.queue.hurry();
        for shard in 0..self.senders.len() {
            self.wake_sender(&mut state, shard);
        }
        let mut timed_out = false;
        while state.queue.events() > 0 && !timed_out {
            state.waiting_for_quiet += 1;
            (state, timed_out) = wait_or_until(&self.quiet, state, deadline);
            state.waiting_for_quiet -= 1;
        }
        state.queue.calm_down();
        let quiet = if state.queue.events() == 0 { Ok(()) } else { Err(TimedOut) };
        (state, quiet)
    }

    /// Wakes those for whom an event's end may be what they wait for.
    fn after_ends(&self, state: &mut State<E, L>, now: Instant) {
        // Waking several for each request that ends, only for them to wait again, costs more than the request does.
        let is_time = || now.saturating_duration_since(state.told_of_room) >= ROOM_EVERY;
        if state.waiting_for_room > 0 && (state.queue.has_room_to_spare() || is_time()) {
            state.told_of_room = now;
            self.room.notify_all();
        }
        if state.polling > 0 && state.queue.ledger.has_reports() {
            self.reports.notify_all();
        }
        if state.queue.events() == 0 {
            if state.waiting_for_quiet > 0 {
                self.quiet.notify_all();
            }
            // Nothing can come any more.
            if state.polling > 0 && state.queue.is_closed() {
                self.reports.notify_all();
            }
        }
    }

    fn wake_everybody(&self, state: &mut State<E, L>) {
        state.asleep.fill(Asleep::No);
        self.senders.iter().for_each(Condvar::notify_all);
        self.room.notify_all();
        self.reports.notify_all();
        self.quiet.notify_all();
    }

    fn wake_senders(&self, state: &mut State<E, L>, shards: Shards) {
        for shard in shards.each() {
            self.wake_sender(state, shard);
        }
    }

    fn wake_sender(&self, state: &mut State<E, L>, shard: usize) {
        if state.asleep[shard] != Asleep::No {
            state.asleep[shard] = Asleep::No;
            self.senders[shard].notify_all();
        }
    }
}

fn wait_or_until<'a, T>(
    condition: &Condvar,
    guard: MutexGuard<'a, T>,
    deadline: Option<Instant>,
) -> (MutexGuard<'a, T>, bool) {
    match deadline {
        Some(until) => wait_until(condition, guard, until),
        None => (wait(condition, guard), false),
    }
}
