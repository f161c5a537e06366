//! The queue shared between threads: those that publish, those that send, and those that wait.
//!
//! There is one lock, which is never held over anything slow, and a condition variable for each
//! kind of wait. A thread that changes the state wakes the threads that the change concerns, and
//! only if they wait: waking costs a system call. It wakes them after it has unlocked: a thread that
//! is woken before would only wait for the lock. This module reads the clock; the modules below take
//! time as an argument.

use std::io;
use std::time::{Duration, Instant};

use super::hashing::Hashing;
use super::pace::Said;
use super::queue::{
    Batch, Gate, Ledger, MAX_SHARDS, NewEvent, Next, NotPushed, NotRestored, OldEvent, Queue, QueueLimits, Reason,
    Remains, ShardSet, Size,
};
use super::sync::{Condvar, Descriptor, Mutex, MutexGuard, ReadableFlag, Wakes, wait, wait_until};

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
    /// There is no memory for one more event.
    OutOfMemory,
}

/// The deadline of a wait passed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

/// How many spent events wait to be dropped.
const MAX_SPENT_EVENTS: usize = 1000;

/// The time that ending an event takes at most: counting it and keeping its report.
const ENDING_TIME: Duration = Duration::from_nanos(200);

/// How long a drain waits after its deadline for a sender that has woken up to give its events back.
const GIVING_BACK_TIME: Duration = Duration::from_secs(1);

/// How often blocked publishers are woken while little space is free.
const SPACE_WAKE_INTERVAL: Duration = Duration::from_millis(5);

/// The shared queue.
pub struct Shared<E, L: Ledger> {
    state: Mutex<State<E, L>>,
    /// One for the sender of each shard, by its number, and then one for each of [`Wait`].
    conditions: Vec<Condvar>,
    shards: usize,
}

/// The waits of threads that are not senders, in the order of their condition variables.
#[derive(Clone, Copy)]
enum Wait {
    /// A publisher waits for space.
    Space,
    /// A caller polls.
    Reports,
    /// A caller waits for the queue to drain, or for the senders to end.
    Drained,
}

impl Wait {
    const COUNT: usize = 3;
}

struct State<E, L: Ledger> {
    queue: Queue<E, L>,
    senders: Vec<SenderState>,
    /// Whether threads wait that have not been woken, in the order of [`Wait`].
    waiting: [bool; Wait::COUNT],
    /// When publishers that wait for space were last woken.
    last_space_wake: Instant,
    /// The number of senders that have ended.
    finished: usize,
    /// Events that were sent, to be dropped by the threads that publish. Allocators keep freed memory
    /// for the thread that freed it, so the next event of that thread takes it without a lock of the
    /// allocator, which all threads would share.
    spent: Vec<E>,
    /// The number of callers that wait to take the events over.
    takers: usize,
    /// Events that a close has ended. A sender drops them, because a close has a deadline. If no sender is left, they are
    /// dropped with the queue.
    remains: Option<Remains<E>>,
    /// The condition variables to be notified after the unlock.
    wakes: Wakes,
    /// The size of the event that the last call found no space for, until there is space for it again.
    refused: Option<Size>,
    /// Whether there was space again for that event, and no call has published since.
    has_space_again: bool,
    /// Tells an event loop about reports and space, once a caller has asked for its descriptor.
    beacon: Option<Beacon>,
}

impl<E, L: Ledger> State<E, L> {
    /// Returns whether events are going to end. Those that a drain has kept wait for the next one, if it could not hand them
    /// over.
    fn awaits_ends(&self) -> bool {
        let is_kept = self.queue.is_held() && self.takers == 0;
        if is_kept { self.queue.in_flight() > 0 } else { self.queue.events() > 0 }
    }
}

/// A descriptor that is readable while there are reports, or space again after a refusal.
struct Beacon {
    flag: ReadableFlag,
    shows_reports: bool,
    shows_space: bool,
}

impl Beacon {
    /// Shows the state. Only a change costs a system call. A second reason to be readable is a change, too: a caller who
    /// waits by edges may have handled the first one already.
    fn show(&mut self, reports: bool, space: bool) {
        let rises = (reports && !self.shows_reports) || (space && !self.shows_space);
        let falls = (self.shows_reports || self.shows_space) && !reports && !space;
        (self.shows_reports, self.shows_space) = (reports, space);
        if rises {
            self.flag.raise();
        } else if falls {
            self.flag.lower();
        }
    }
}

/// The end of the first events of a request that have not ended.
pub struct Done<O> {
    /// The number of the request.
    pub request: u64,
    /// The number of events.
    pub count: usize,
    /// How they ended.
    pub outcome: O,
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
    pub fn new(limits: QueueLimits, hashing: Hashing, ledger: L) -> Shared<E, L> {
        let (shards, now) = (limits.shards.min(MAX_SHARDS), Instant::now());
        Shared {
            state: Mutex::new(State {
                queue: Queue::new(limits, hashing, ledger, now),
                senders: vec![SenderState::Awake; shards],
                waiting: [false; Wait::COUNT],
                last_space_wake: now,
                finished: 0,
                spent: Vec::new(),
                takers: 0,
                remains: None,
                wakes: Wakes::NONE,
                refused: None,
                has_space_again: false,
                beacon: None,
            }),
            conditions: (0..shards + Wait::COUNT).map(|_| Condvar::new()).collect(),
            shards,
        }
    }

    /// Sets the gate that holds requests back.
    pub fn set_gate(&self, gate: Box<dyn Gate>) {
        self.lock().queue.set_gate(gate);
    }

    /// Puts the events of a request back into the queue: nothing of it was sent. If there is no memory for that, they end with
    /// `outcome`.
    pub fn requeue(&self, shard: usize, request: u64, events: Vec<E>, outcome: &L::Outcome) {
        let (now, count) = (Instant::now(), events.len());
        let mut state = self.lock();
        let requeued = state.queue.requeue(shard, request, events);
        let woken = requeued.unwrap_or_else(|| state.queue.complete(shard, request, count, outcome, now));
        self.wake_senders(&mut state, woken);
        self.wake_after_ends(&mut state, now);
        self.unlock(state);
    }

    /// Gives the events of a request back if the queue asks for them, after [`Shared::wait_for_retry`] has returned false.
    pub fn take_back(&self, shard: usize, request: u64, events: Vec<E>) {
        let now = Instant::now();
        let mut state = self.lock();
        let woken = state.queue.take_back(shard, request, events, now);
        self.wake_senders(&mut state, woken);
        self.wake_after_ends(&mut state, now);
        self.unlock(state);
    }

    /// Queues all these events of another publisher, or none. `accept` gets the id of the first one, those of the others
    /// follow. If it fails, none is queued.
    pub fn restore<R, X: From<Refused>>(
        &self,
        events: Vec<OldEvent<E>>,
        accept: impl FnOnce(u64) -> Result<R, X>,
    ) -> Result<R, X> {
        let now = Instant::now();
        let shards = events.iter().fold(ShardSet::EMPTY, |shards, event| shards.union(event.new.shards));
        let mut state = self.lock();
        if state.queue.is_closed() {
            return Err(Refused::Closed.into());
        }
        let (reserved, woken) = state.queue.reserve_for(&events, now);
        self.wake_senders(&mut state, woken);
        let accepted = match reserved {
            Ok(reserved) => accept(state.queue.published() + 1).inspect(|_| {
                state.queue.restore(events, reserved, now);
                self.wake_for_new_event(&mut state, shards);
            }),
            Err(NotRestored::Full) => Err(Refused::Full.into()),
            Err(NotRestored::OutOfMemory) => Err(Refused::OutOfMemory.into()),
        };
        // Events may have expired, or have ended at once.
        self.wake_after_ends(&mut state, now);
        self.unlock(state);
        accepted
    }

    /// Queues an event and returns its id.
    pub fn publish(&self, mut new: NewEvent<E>, overflow: Overflow) -> Result<u64, Refused> {
        let (shards, size) = (new.shards, new.size());
        let started = Instant::now();
        let (mut now, mut state) = (started, self.lock());
        let mut timed_out = false;
        let result = loop {
            if state.queue.is_closed() {
                break Err(Refused::Closed);
            }
            (state.refused, state.has_space_again) = (None, false);
            let (pushed, woken) = state.queue.push(new, now);
            self.wake_senders(&mut state, woken);
            match pushed {
                Ok(id) => {
                    self.wake_for_new_event(&mut state, shards);
                    // The push may have ended events.
                    self.wake_after_ends(&mut state, now);
                    break Ok(id);
                }
                Err(NotPushed::Full(rejected)) => new = rejected,
                Err(NotPushed::OutOfMemory) => break Err(Refused::OutOfMemory),
            }
            // Events may have expired, and the queue may still be full.
            self.wake_after_ends(&mut state, now);
            match overflow {
                Overflow::Reject => break Err(Refused::Full),
                Overflow::DropOldest if !state.queue.could_hold(size) => break Err(Refused::Full),
                Overflow::DropOldest => match state.queue.drop_oldest(now) {
                    Some(woken) => self.wake_senders(&mut state, woken),
                    None => break Err(Refused::Full),
                },
                Overflow::Block(_) if timed_out => break Err(Refused::Full),
                Overflow::Block(patience) => {
                    // Not every change of space wakes this thread, so it checks once more at its
                    // deadline.
                    (state, timed_out) = self.wait(Wait::Space, state, Some(started + patience));
                    now = Instant::now();
                }
            }
        };
        if result == Err(Refused::Full) {
            state.refused = Some(size);
        }
        let spent = state.spent.pop();
        self.unlock(state);
        drop(spent);
        result
    }

    /// Ends the events of the sender's last request, which are `spent`, and waits until its shard
    /// has something to send. Returns `None` once it never will again.
    pub fn next(&self, shard: usize, done: Option<Done<L::Outcome>>, mut spent: Vec<E>) -> Option<Batch<E>> {
        let mut now = Instant::now();
        let mut state = self.lock();
        if let Some(Done { request, count, outcome }) = done {
            let woken = state.queue.complete(shard, request, count, &outcome, now);
            self.wake_senders(&mut state, woken);
        }
        let kept = if state.queue.events() == 0 { 0 } else { spent.len().min(MAX_SPENT_EVENTS - state.spent.len()) };
        if state.spent.try_reserve(kept).is_ok() {
            state.spent.extend(spent.drain(..kept));
        }
        loop {
            let (next, woken) = state.queue.next(shard, now);
            self.wake_senders(&mut state, woken);
            // Events that have ended are reported, and have freed space.
            self.wake_after_ends(&mut state, now);
            let (sender, until) = match next {
                Next::Send(batch) => {
                    self.unlock(state);
                    return Some(batch);
                }
                Next::Finished => {
                    state.finished += 1;
                    self.wake(&mut state, Wait::Drained);
                    spent.append(&mut state.spent);
                    let remains = state.remains.take();
                    self.unlock(state);
                    drop(remains);
                    return None;
                }
                Next::Again => {
                    self.unlock(state);
                    (state, now) = (self.lock(), Instant::now());
                    continue;
                }
                Next::Wait => (SenderState::Idle, None),
                Next::WaitUntil(until) => (SenderState::Lingering, Some(until)),
            };
            if state.queue.events() == 0 {
                // An idle publisher keeps no memory.
                spent.append(&mut state.spent);
            }
            state = if spent.is_empty() {
                self.wait_as_sender(shard, sender, state, until).0
            } else {
                self.unlock(state);
                spent = Vec::new();
                self.lock()
            };
            state.senders[shard] = SenderState::Awake;
            now = Instant::now();
        }
    }

    /// Waits between two attempts of a request. If the publisher gives up first, the request's
    /// events end with `outcome`, and this returns false. So it does if the queue asks for the events: see
    /// [`Shared::take_back`].
    pub fn wait_for_retry(&self, shard: usize, request: u64, outcome: L::Outcome, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        let mut state = self.lock();
        let mut may_retry = state.queue.suspend(shard, request, outcome);
        while may_retry {
            // No other thread waits on the sender's condition variable, and only the end of the
            // publisher wakes it here.
            let (woken, timed_out) = self.wait_as_sender(shard, SenderState::Awake, state, Some(until));
            state = woken;
            may_retry = state.queue.may_retry(shard, request);
            if timed_out && may_retry {
                return state.queue.resume(shard, request);
            }
        }
        false
    }

    /// Puts each event into a request of its own, until then.
    pub fn send_alone(&self, until: Instant) {
        self.lock().queue.send_alone(until);
    }

    /// Grants a request besides those of [`Shared::next`], or returns until when it has to wait.
    pub fn take_turn(&self) -> Result<(), Instant> {
        self.lock().queue.take_turn(Instant::now())
    }

    /// Takes note of what the response to a request says about the rate limit.
    pub fn note_rate_limit(&self, said: Said) {
        let now = Instant::now();
        let mut state = self.lock();
        let woken = state.queue.note_rate_limit(said, now);
        self.wake_senders(&mut state, woken);
        self.unlock(state);
    }

    /// Returns whether a request is in flight: neither complete nor abandoned.
    pub fn is_in_flight(&self, shard: usize, request: u64) -> bool {
        self.lock().queue.is_in_flight(shard, request)
    }

    /// Ends the first events of a request that have not ended.
    pub fn complete(&self, shard: usize, done: Done<L::Outcome>) {
        let now = Instant::now();
        let mut state = self.lock();
        let woken = state.queue.complete(shard, done.request, done.count, &done.outcome, now);
        self.wake_senders(&mut state, woken);
        self.wake_after_ends(&mut state, now);
        self.unlock(state);
    }

    /// Takes reports, and waits for them until the deadline, if there is one. Returns immediately
    /// once the publisher is closed and drained.
    pub fn poll<R>(&self, deadline: Option<Instant>, take: impl FnOnce(&mut L) -> R) -> Result<R, TimedOut> {
        let mut state = self.lock();
        let mut timed_out = false;
        loop {
            if state.queue.ledger.has_reports() {
                let taken = take(&mut state.queue.ledger);
                self.unlock(state);
                return Ok(taken);
            }
            if timed_out || state.queue.is_closed() && state.queue.events() == 0 {
                return Err(TimedOut);
            }
            (state, timed_out) = self.wait(Wait::Reports, state, deadline);
        }
    }

    /// Returns a descriptor that is readable while there are reports, and when there is space again after
    /// [`Refused::Full`] until the next call that publishes. Always the same one; made by the first call.
    pub fn descriptor(&self) -> io::Result<Descriptor> {
        let mut state = self.lock();
        let descriptor = match &state.beacon {
            Some(beacon) => beacon.flag.descriptor(),
            None => {
                let beacon = Beacon { flag: ReadableFlag::new()?, shows_reports: false, shows_space: false };
                state.beacon.insert(beacon).flag.descriptor()
            }
        };
        self.unlock(state);
        Ok(descriptor)
    }

    /// Closes the descriptor.
    pub fn close_descriptor(&self) {
        let beacon = self.lock().beacon.take();
        drop(beacon);
    }

    /// Puts reports back that could not be returned.
    pub fn put_back(&self, put: impl FnOnce(&mut L)) {
        let mut state = self.lock();
        put(&mut state.queue.ledger);
        self.wake_after_ends(&mut state, Instant::now());
        self.unlock(state);
    }

    /// Waits until no event waits and none is in flight.
    pub fn flush(&self, deadline: Option<Instant>) -> Result<(), TimedOut> {
        let (state, result) = self.drain(self.lock(), deadline, Duration::ZERO);
        self.unlock(state);
        result
    }

    /// Closes the queue and drains it. It abandons what is left, in time to have ended it at the deadline; requests in
    /// flight then end with `interrupted`.
    pub fn close(&self, deadline: Option<Instant>, interrupted: &L::Outcome) -> Result<(), TimedOut> {
        let mut state = self.lock();
        state.queue.close();
        (state.refused, state.has_space_again) = (None, false);
        self.wake_all(&mut state);
        let (mut state, result) = self.drain(state, deadline, ENDING_TIME);
        if result.is_err() {
            let remains = state.queue.abandon(interrupted, Reason::Closed, Instant::now());
            state.remains = Some(remains);
            self.wake_all(&mut state);
        }
        self.unlock(state);
        result
    }

    /// Closes the queue, keeps the events that wait, and waits for the requests in flight until the deadline. Then `write`
    /// reads those events, and all events end: those as [`Reason::Drained`], and those in flight with `interrupted`. If
    /// `write` fails, none ends, and the call may be repeated.
    pub fn hand_over<R, X>(
        &self,
        deadline: Option<Instant>,
        interrupted: &L::Outcome,
        write: impl FnOnce(&Queue<E, L>) -> Result<R, X>,
    ) -> Result<R, X> {
        let mut state = self.lock();
        state.queue.hold();
        (state.refused, state.has_space_again) = (None, false);
        self.wake_all(&mut state);
        state.takers += 1;
        let mut timed_out = false;
        while state.queue.in_flight() > 0 && !timed_out {
            (state, timed_out) = self.wait(Wait::Drained, state, deadline);
        }
        let (until, mut timed_out) = (Instant::now() + GIVING_BACK_TIME, false);
        while state.queue.awaits_events() && !timed_out {
            (state, timed_out) = self.wait(Wait::Drained, state, Some(until));
        }
        state.takers -= 1;
        let written = write(&state.queue);
        let remains = written.is_ok().then(|| state.queue.abandon(interrupted, Reason::Drained, Instant::now()));
        self.wake_all(&mut state);
        self.unlock(state);
        drop(remains);
        written
    }

    /// Waits until this many senders of a closed publisher have ended.
    pub fn wait_for_senders(&self, count: usize, deadline: Instant) -> Result<(), TimedOut> {
        let mut state = self.lock();
        let mut timed_out = false;
        while state.finished < count {
            if timed_out {
                return Err(TimedOut);
            }
            (state, timed_out) = self.wait(Wait::Drained, state, Some(deadline));
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

    /// Unlocks, and then wakes the threads that the change concerns.
    fn unlock(&self, mut state: MutexGuard<'_, State<E, L>>) {
        Self::show(&mut state);
        let wakes = state.wakes.take();
        drop(state);
        wakes.notify(&self.conditions);
    }

    /// Tells event loops what has changed. The lock is held meanwhile, so that the descriptor shows the last change. It
    /// never blocks.
    fn show(state: &mut State<E, L>) {
        if let Some(beacon) = &mut state.beacon {
            beacon.show(state.queue.ledger.has_reports(), state.has_space_again);
        }
    }

    /// Waits as a thread that is not a sender. Returns whether the deadline has passed. Threads that
    /// are still to be woken are woken instead, and it returns at once: the state may have changed
    /// while it was unlocked.
    fn wait<'a>(
        &'a self,
        wait: Wait,
        mut state: MutexGuard<'a, State<E, L>>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, State<E, L>>, bool) {
        state.waiting[wait as usize] = true;
        self.wait_on(self.shards + wait as usize, state, deadline)
    }

    /// Waits as the sender of a shard, in the same way.
    fn wait_as_sender<'a>(
        &'a self,
        shard: usize,
        sender: SenderState,
        mut state: MutexGuard<'a, State<E, L>>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, State<E, L>>, bool) {
        state.senders[shard] = sender;
        self.wait_on(shard, state, deadline)
    }

    fn wait_on<'a>(
        &'a self,
        condition: usize,
        mut state: MutexGuard<'a, State<E, L>>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, State<E, L>>, bool) {
        if !state.wakes.is_empty() {
            self.unlock(state);
            return (self.lock(), false);
        }
        Self::show(&mut state);
        let condition = &self.conditions[condition];
        match deadline {
            Some(until) => wait_until(condition, state, until),
            None => (wait(condition, state), false),
        }
    }

    /// Waits until all events have ended, or until a deadline. Returns earlier than that by a time for each event that is
    /// left.
    fn drain<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<E, L>>,
        deadline: Option<Instant>,
        time_for_each: Duration,
    ) -> (MutexGuard<'a, State<E, L>>, Result<(), TimedOut>) {
        if !state.awaits_ends() {
            let result = if state.queue.events() == 0 { Ok(()) } else { Err(TimedOut) };
            return (state, result);
        }
        // No sender lingers during a drain.
        state.queue.begin_drain();
        for shard in 0..self.shards {
            self.wake_sender(&mut state, shard);
        }
        let mut timed_out = false;
        while state.awaits_ends() && !timed_out {
            let events = state.queue.events();
            let until = deadline.map(|deadline| earlier(deadline, time_for_each, events));
            (state, timed_out) = self.wait(Wait::Drained, state, until);
            // Fewer events leave more time.
            timed_out &= time_for_each.is_zero() || state.queue.events() == events;
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
        // An event loop learns of it at once, because nothing else may happen for a long time.
        if state.refused.is_some_and(|size| state.queue.has_space_for(size)) {
            (state.refused, state.has_space_again) = (None, true);
        }
        // Waking several publishers for each request that ends, only for them to wait again, costs
        // more than the request. Such a thread looks for space at its deadline, too.
        let is_due = || now.saturating_duration_since(state.last_space_wake) >= SPACE_WAKE_INTERVAL;
        if state.waiting[Wait::Space as usize] && (state.queue.has_spare_space() || is_due()) {
            state.last_space_wake = now;
            self.wake(state, Wait::Space);
        }
        if state.waiting[Wait::Reports as usize] && state.queue.ledger.has_reports() {
            self.wake(state, Wait::Reports);
        }
        if (state.queue.events() == 0 || state.queue.is_held()) && state.waiting[Wait::Drained as usize] {
            self.wake(state, Wait::Drained);
        }
        if state.queue.events() == 0 {
            // No more reports will come.
            if state.waiting[Wait::Reports as usize] && state.queue.is_closed() {
                self.wake(state, Wait::Reports);
            }
        }
    }

    fn wake_all(&self, state: &mut State<E, L>) {
        for shard in 0..self.shards {
            state.senders[shard] = SenderState::Awake;
            state.wakes.add(shard);
        }
        self.wake(state, Wait::Space);
        self.wake(state, Wait::Reports);
        self.wake(state, Wait::Drained);
    }

    #[track_caller]
    fn wake(&self, state: &mut State<E, L>, wait: Wait) {
        state.waiting[wait as usize] = false;
        state.wakes.add(self.shards + wait as usize);
    }

    fn wake_senders(&self, state: &mut State<E, L>, shards: ShardSet) {
        for shard in shards.iter() {
            self.wake_sender(state, shard);
        }
    }

    fn wake_sender(&self, state: &mut State<E, L>, shard: usize) {
        if state.senders[shard] != SenderState::Awake {
            state.senders[shard] = SenderState::Awake;
            state.wakes.add(shard);
        }
    }
}

/// Returns a deadline that leaves time for some work on each of these events.
fn earlier(deadline: Instant, time_for_each: Duration, events: usize) -> Instant {
    let work = time_for_each.saturating_mul(u32::try_from(events).unwrap_or(u32::MAX));
    deadline.checked_sub(work).unwrap_or(deadline)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::super::queue::End;
    use super::*;

    struct Unreported;

    impl Ledger for Unreported {
        type Outcome = ();
        fn is_not_sent(_: &()) -> bool {
            false
        }
        fn end(&mut self, _: u64, _: Duration, _: End<()>) {}
    }

    impl Backlog for Unreported {
        fn has_reports(&self) -> bool {
            false
        }
    }

    fn publish(shared: &Shared<Arc<()>, Unreported>, event: &Arc<()>) {
        let (event, shards) = (Arc::clone(event), ShardSet::from_bits(1));
        let new = NewEvent { event, memory_bytes: 1, request_bytes: 1, shards, is_alone: false, key: None };
        assert!(shared.publish(new, Overflow::Reject).is_ok());
    }

    fn done(batch: &Batch<Arc<()>>) -> Option<Done<()>> {
        Some(Done { request: batch.request, count: batch.events.len(), outcome: () })
    }

    fn shared() -> Shared<Arc<()>, Unreported> {
        let limits = QueueLimits {
            shards: 1,
            events: 2 * MAX_SPENT_EVENTS,
            bytes: 1 << 20,
            batch_events: 1,
            batch_bytes: 1,
            linger: Duration::ZERO,
            ttl: None,
            events_per_second: None,
            is_paced: false,
        };
        Shared::new(limits, Hashing::fixed(), Unreported)
    }

    #[test]
    fn a_publishing_thread_drops_events_that_were_sent() {
        let (shared, events) = (shared(), [(); 3].map(Arc::new));
        publish(&shared, &events[0]);
        let first = shared.next(0, None, Vec::new()).expect("an event waits");
        publish(&shared, &events[1]);
        let second = shared.next(0, done(&first), first.events).expect("an event waits");
        assert_eq!(Arc::strong_count(&events[0]), 2, "the sender does not drop it");
        publish(&shared, &events[2]);
        assert_eq!(Arc::strong_count(&events[0]), 1);
        drop(second);
    }

    #[test]
    fn a_sender_drops_the_events_that_were_sent_beyond_a_limit() {
        let (shared, event) = (shared(), Arc::new(()));
        for _ in 0..=MAX_SPENT_EVENTS + 1 {
            publish(&shared, &event);
        }
        let (mut ended, mut spent) = (None, Vec::new());
        for _ in 0..=MAX_SPENT_EVENTS + 1 {
            let batch = shared.next(0, ended.take(), spent).expect("an event waits");
            ended = done(&batch);
            spent = batch.events;
        }
        // One of them is in flight, and the sender holds it.
        assert_eq!(Arc::strong_count(&event), 1 + MAX_SPENT_EVENTS + 1);
        assert!(shared.close(Some(Instant::now()), &()).is_err(), "an event is in flight");
        assert!(shared.next(0, ended, spent).is_none());
        assert_eq!(Arc::strong_count(&event), 1, "a closed publisher keeps none");
    }

    #[test]
    fn a_close_leaves_the_events_that_it_ends_to_a_sender() {
        let (shared, event) = (shared(), Arc::new(()));
        for _ in 0..100 {
            publish(&shared, &event);
        }
        assert!(shared.close(Some(Instant::now()), &()).is_err());
        assert_eq!((shared.read(|queue| queue.events()), Arc::strong_count(&event)), (0, 101));
        assert!(shared.next(0, None, Vec::new()).is_none());
        assert_eq!(Arc::strong_count(&event), 1);
    }

    #[test]
    fn a_close_begins_to_end_events_before_its_deadline() {
        let deadline = Instant::now() + Duration::from_secs(60);
        assert_eq!(earlier(deadline, ENDING_TIME, 0), deadline);
        assert_eq!(deadline - earlier(deadline, ENDING_TIME, 1_000_000), Duration::from_millis(200));
        assert_eq!(earlier(deadline, Duration::ZERO, 1_000_000), deadline, "a flush ends none");
        assert!(earlier(deadline, ENDING_TIME, usize::MAX) <= deadline);
    }

    #[test]
    fn an_idle_publisher_keeps_no_event() {
        let (shared, event) = (shared(), Arc::new(()));
        thread::scope(|scope| {
            publish(&shared, &event);
            publish(&shared, &event);
            scope.spawn(|| {
                let (mut ended, mut spent) = (None, Vec::new());
                while let Some(batch) = shared.next(0, ended.take(), spent) {
                    ended = done(&batch);
                    spent = batch.events;
                }
            });
            shared.flush(None).expect("no deadline");
            // The sender drops them before it waits.
            while Arc::strong_count(&event) > 1 {
                thread::yield_now();
            }
            shared.close(None, &()).expect("no deadline");
        });
    }
}
