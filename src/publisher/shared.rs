//! The queue shared between threads: those that publish, those that send, and those that wait.
//!
//! There is one lock, which is never held over anything slow, and a condition variable for each
//! kind of wait. A thread that changes the state wakes the threads that the change concerns, and
//! only if they wait: waking costs a system call. This module reads the clock; the modules below
//! take time as an argument.

use std::time::{Duration, Instant};

use super::queue::{Batch, Ledger, MAX_SHARDS, NewEvent, Next, Queue, QueueLimits, ShardSet};
use super::sync::{Condvar, Mutex, MutexGuard, wait, wait_until};

/// What to do with a new event when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Refuse it.
    Reject,
    /// Wait for space, at most this long.
    Block(Duration),
    /// Drop the oldest waiting event.
    DropOldest,
}

/// Why an event was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The queue is full.
    Full,
    /// The publisher is closed.
    Closed,
}

/// The deadline of a wait passed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

/// How often blocked publishers are woken while little space is free.
const SPACE_WAKE_INTERVAL: Duration = Duration::from_millis(5);

/// The shared queue.
pub struct Shared<E, L: Ledger> {
    state: Mutex<State<E, L>>,
    /// One for the sender of each shard.
    senders: Vec<Condvar>,
    /// For publishers that wait for space.
    space: Condvar,
    /// For callers that poll.
    reports: Condvar,
    /// For callers that wait for the queue to drain.
    drained: Condvar,
}

struct State<E, L: Ledger> {
    queue: Queue<E, L>,
    senders: Vec<SenderState>,
    /// The number of publishers that wait for space.
    waiting_for_space: usize,
    /// When those were last woken.
    last_space_wake: Instant,
    polling: usize,
    draining: usize,
    /// The number of senders that have ended.
    finished: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SenderState {
    /// It runs, or it has been woken.
    Awake,
    /// It waits for any event.
    Idle,
    /// It waits for its batch to fill up, until a deadline.
    Lingering,
}

/// A ledger that holds reports until they are fetched.
pub trait Backlog: Ledger {
    /// Returns whether there are reports.
    fn has_reports(&self) -> bool;
}

impl<E, L: Backlog> Shared<E, L> {
    /// Returns an empty queue.
    pub fn new(limits: QueueLimits, ledger: L) -> Shared<E, L> {
        let (shards, now) = (limits.shards.min(MAX_SHARDS), Instant::now());
        Shared {
            state: Mutex::new(State {
                queue: Queue::new(limits, ledger, now),
                senders: vec![SenderState::Awake; shards],
                waiting_for_space: 0,
                last_space_wake: now,
                polling: 0,
                draining: 0,
                finished: 0,
            }),
            senders: (0..shards).map(|_| Condvar::new()).collect(),
            space: Condvar::new(),
            reports: Condvar::new(),
            drained: Condvar::new(),
        }
    }

    /// Queues an event and returns its id.
    pub fn publish(&self, mut new: NewEvent<E>, overflow: Overflow) -> Result<u64, Refused> {
        let (shards, memory_bytes) = (new.shards, new.memory_bytes);
        let started = Instant::now();
        let (mut now, mut state) = (started, self.lock());
        let mut timed_out = false;
        loop {
            if state.queue.is_closed() {
                return Err(Refused::Closed);
            }
            match state.queue.push(new, now) {
                Ok(id) => {
                    self.wake_for_new_event(&mut state, shards);
                    // The push may have ended events.
                    self.wake_after_ends(&mut state, now);
                    return Ok(id);
                }
                Err(rejected) => new = rejected,
            }
            // Events may have expired, and the queue may still be full.
            self.wake_after_ends(&mut state, now);
            match overflow {
                Overflow::Reject => return Err(Refused::Full),
                Overflow::DropOldest if !state.queue.could_hold(memory_bytes) => return Err(Refused::Full),
                Overflow::DropOldest => match state.queue.drop_oldest(now) {
                    Some(woken) => self.wake_senders(&mut state, woken),
                    None => return Err(Refused::Full),
                },
                Overflow::Block(_) if timed_out => return Err(Refused::Full),
                Overflow::Block(patience) => {
                    state.waiting_for_space += 1;
                    // Not every change of space wakes this thread, so it checks once more at its
                    // deadline.
                    (state, timed_out) = wait_until(&self.space, state, started + patience);
                    state.waiting_for_space -= 1;
                    now = Instant::now();
                }
            }
        }
    }

    /// Waits until a shard has something to send. Returns `None` once it never will again.
    pub fn next(&self, shard: usize) -> Option<Batch<E>> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let (next, woken) = state.queue.next(shard, now);
            self.wake_senders(&mut state, woken);
            // Expired events are reported, and have freed space.
            self.wake_after_ends(&mut state, now);
            state = match next {
                Next::Send(batch) => return Some(batch),
                Next::Finished => {
                    state.finished += 1;
                    self.drained.notify_all();
                    return None;
                }
                Next::Wait => {
                    state.senders[shard] = SenderState::Idle;
                    wait(&self.senders[shard], state)
                }
                Next::WaitUntil(until) => {
                    state.senders[shard] = SenderState::Lingering;
                    wait_until(&self.senders[shard], state, until).0
                }
            };
            state.senders[shard] = SenderState::Awake;
        }
    }

    /// Waits between two attempts of a request. If the publisher gives up first, the request's
    /// events end with `outcome`, and this returns false.
    pub fn wait_for_retry(&self, shard: usize, request: u64, outcome: L::Outcome, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        let mut state = self.lock();
        let mut is_in_flight = state.queue.suspend(shard, request, outcome);
        while is_in_flight {
            // No other thread waits on the sender's condition variable, and only abandoning the
            // request wakes it here.
            let (woken, timed_out) = wait_until(&self.senders[shard], state, until);
            state = woken;
            if timed_out {
                return state.queue.resume(shard, request);
            }
            is_in_flight = state.queue.is_in_flight(shard, request);
        }
        false
    }

    /// Returns whether a request is in flight: neither complete nor abandoned.
    pub fn is_in_flight(&self, shard: usize, request: u64) -> bool {
        self.lock().queue.is_in_flight(shard, request)
    }

    /// Ends the first `count` events of a request that have not ended.
    pub fn complete(&self, shard: usize, request: u64, count: usize, outcome: &L::Outcome) {
        let now = Instant::now();
        let mut state = self.lock();
        let woken = state.queue.complete(shard, request, count, outcome, now);
        self.wake_senders(&mut state, woken);
        self.wake_after_ends(&mut state, now);
    }

    /// Takes reports, and waits for them until the deadline, if there is one. Returns immediately
    /// once the publisher is closed and drained.
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

    /// Waits until no event waits and none is in flight.
    pub fn flush(&self, deadline: Option<Instant>) -> Result<(), TimedOut> {
        let state = self.lock();
        self.drain(state, deadline).1
    }

    /// Closes the queue and drains it. At the deadline it abandons what is left; requests in flight
    /// then end with `interrupted`.
    pub fn close(&self, deadline: Option<Instant>, interrupted: &L::Outcome) -> Result<(), TimedOut> {
        let mut state = self.lock();
        state.queue.close();
        self.wake_all(&mut state);
        let (mut state, result) = self.drain(state, deadline);
        if result.is_err() {
            state.queue.abandon(interrupted, Instant::now());
            self.wake_all(&mut state);
        }
        result
    }

    /// Waits until this many senders of a closed publisher have ended.
    pub fn wait_for_senders(&self, count: usize, deadline: Instant) -> Result<(), TimedOut> {
        let mut state = self.lock();
        while state.finished < count {
            let (woken, timed_out) = wait_until(&self.drained, state, deadline);
            if timed_out && woken.finished < count {
                return Err(TimedOut);
            }
            state = woken;
        }
        Ok(())
    }

    /// Calls `read` with the queue.
    pub fn read<R>(&self, read: impl FnOnce(&Queue<E, L>) -> R) -> R {
        read(&self.lock().queue)
    }

    fn lock(&self) -> MutexGuard<'_, State<E, L>> {
        super::sync::lock(&self.state)
    }

    fn drain<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<E, L>>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, State<E, L>>, Result<(), TimedOut>) {
        if state.queue.events() == 0 {
            return (state, Ok(()));
        }
        // No sender lingers during a drain.
        state.queue.begin_drain();
        for shard in 0..self.senders.len() {
            self.wake_sender(&mut state, shard);
        }
        let mut timed_out = false;
        while state.queue.events() > 0 && !timed_out {
            state.draining += 1;
            (state, timed_out) = wait_or_until(&self.drained, state, deadline);
            state.draining -= 1;
        }
        state.queue.end_drain();
        let result = if state.queue.events() == 0 { Ok(()) } else { Err(TimedOut) };
        (state, result)
    }

    /// Wakes the senders that wait for an event in these shards. A lingering one is woken only by a
    /// full batch.
    fn wake_for_new_event(&self, state: &mut State<E, L>, shards: ShardSet) {
        for shard in shards.iter() {
            let wake = match state.senders[shard] {
                SenderState::Awake => false,
                SenderState::Idle => true,
                SenderState::Lingering => state.queue.has_full_batch(shard),
            };
            if wake {
                self.wake_sender(state, shard);
            }
        }
    }

    /// Wakes the threads that may wait for the end of an event.
    fn wake_after_ends(&self, state: &mut State<E, L>, now: Instant) {
        // Waking several publishers for each request that ends, only for them to wait again, costs
        // more than the request.
        let is_due = || now.saturating_duration_since(state.last_space_wake) >= SPACE_WAKE_INTERVAL;
        if state.waiting_for_space > 0 && (state.queue.has_spare_space() || is_due()) {
            state.last_space_wake = now;
            self.space.notify_all();
        }
        if state.polling > 0 && state.queue.ledger.has_reports() {
            self.reports.notify_all();
        }
        if state.queue.events() == 0 {
            if state.draining > 0 {
                self.drained.notify_all();
            }
            // No more reports will come.
            if state.polling > 0 && state.queue.is_closed() {
                self.reports.notify_all();
            }
        }
    }

    fn wake_all(&self, state: &mut State<E, L>) {
        state.senders.fill(SenderState::Awake);
        self.senders.iter().for_each(Condvar::notify_all);
        self.space.notify_all();
        self.reports.notify_all();
        self.drained.notify_all();
    }

    fn wake_senders(&self, state: &mut State<E, L>, shards: ShardSet) {
        for shard in shards.iter() {
            self.wake_sender(state, shard);
        }
    }

    fn wake_sender(&self, state: &mut State<E, L>, shard: usize) {
        if state.senders[shard] != SenderState::Awake {
            state.senders[shard] = SenderState::Awake;
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
