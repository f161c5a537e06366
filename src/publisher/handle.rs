//! The handle of a publisher.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::api::{DrainedEvent, Event};
use crate::client::{Hooks, Pusher};
use crate::error::{Error, OutOfMemory, Problem, Refusal};
use crate::platform::{Descriptor, process_number, spawn};
use crate::statistics::StatsFormat;

use super::config::PublisherConfig;
use super::drained::{self, Clock};
use super::engine::Engine;
use super::hashing::Hashing;
use super::queue::{NewEvent, OldEvent, ShardSet};
use super::reports::{Outcome, Reports};
use super::shared::{Overflow, Refused, Shared, TimedOut};
use super::stats::{Stats, Traffic};
use super::worker::{self, CircuitGate, Worker};

/// The maximum number of reports that one poll returns.
const MAX_POLLED_REPORTS: usize = 1000;

/// How long freeing a publisher waits for its events.
const MAX_FREE_TIME: Duration = Duration::from_secs(1);

/// The memory that an event takes at most besides its strings: its slot in a queue that has just
/// doubled its capacity, and the rounding of the allocator.
const EVENT_OVERHEAD_BYTES: usize = 256;

/// A queue of events that are sent in the background.
///
/// Threads: any number of threads may use one publisher at the same time.
/// Lifetime: from pusher_publisher_new() to pusher_publisher_free(); it may outlive its client.
/// In a forked child, the parent's publishers only return ::PUSHER_STATUS_FORKED.
pub struct PusherPublisher {
    engine: Arc<Engine>,
    /// Kept so that the callbacks are dropped with the last handle, and not on a thread of the
    /// publisher that must not call them.
    _hooks: Arc<Hooks>,
    /// The process that owns the publisher. A forked child has neither its threads nor its events.
    process: u32,
}

impl PusherPublisher {
    /// Creates an idle publisher. It starts no thread before its first event.
    pub fn new(client: &Pusher, config: Option<&str>) -> Result<PusherPublisher, Error> {
        let config = PublisherConfig::parse(config, client.application())?;
        if client.hooks().transport().is_some() && !config.hooks_on_threads {
            let message = "the client has a transport callback, and a publisher would call it on its own threads: \
                           allow that with \"hooks_on_threads\":true";
            return Err(Error::State(Problem::new("", message)));
        }
        client.hooks().mark_used();
        let reports = Reports::new(config.keep, config.max_reports, config.limits.bytes);
        let engine = Engine {
            shared: Shared::new(config.limits.clone(), Hashing::random()?, reports),
            application: Arc::clone(client.application()),
            hooks: config.hooks_on_threads.then(|| Arc::clone(client.hooks())),
            config,
            traffic: Mutex::new(Traffic::new()),
            started: AtomicU64::new(0),
            threads: Mutex::new(Vec::new()),
            refused: AtomicU64::new(0),
        };
        if engine.application.circuit().is_some() {
            engine.shared.set_gate(Box::new(CircuitGate(Arc::clone(&engine.application))));
        }
        Ok(PusherPublisher { engine: Arc::new(engine), _hooks: Arc::clone(client.hooks()), process: process_number() })
    }

    /// Queues an event. See pusher_publisher_publish().
    pub fn publish(
        &self,
        channels: Option<&str>,
        event: &str,
        data: &str,
        options: Option<&str>,
    ) -> Result<u64, Error> {
        let engine = self.own()?;
        let (event, publish_options) = engine.application.event(channels, event, data, options)?;
        if let Some(limit) = engine.config.event_size {
            engine.application.check_size(&event, limit)?;
        }
        let new = new_event(engine, event, publish_options.conflate)?;
        start(engine, new.shards)?;
        let overflow = match (engine.config.overflow, publish_options.timeout) {
            (Overflow::Block(_), Some(patience)) => Overflow::Block(patience),
            (overflow, _) => overflow,
        };
        engine.shared.publish(new, overflow).map_err(Error::from).map_err(|error| counted(engine, error))
    }

    /// Waits for reports and returns them, or `None` at the timeout. See pusher_publisher_poll().
    pub fn poll(&self, timeout: Option<Duration>) -> Result<Option<Vec<u8>>, Error> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let shared = &self.own()?.shared;
        let Ok(taken) = shared.poll(deadline, |reports| reports.take(MAX_POLLED_REPORTS)) else { return Ok(None) };
        let taken = taken?;
        let document = taken.document();
        if document.is_err() {
            shared.put_back(|reports| reports.put_back(taken));
        }
        document.map(Some)
    }

    /// Returns a descriptor to wait on. See pusher_publisher_fd().
    pub fn descriptor(&self) -> Result<Descriptor, Error> {
        self.own()?.shared.descriptor().map_err(|_| Error::Unavailable("descriptor"))
    }

    /// Waits until all events have ended. See pusher_publisher_flush().
    pub fn flush(&self, timeout: Option<Duration>) -> Result<(), Error> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        self.own()?.shared.flush(deadline).map_err(timed_out)
    }

    /// Stops taking events, and ends those in the queue. See pusher_publisher_close().
    pub fn close(&self, timeout: Option<Duration>) -> Result<(), Error> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        self.own()?.shared.close(deadline, &Outcome::interrupted()).map_err(timed_out)
    }

    /// Stops taking events, and returns those that were never sent. See pusher_publisher_drain().
    pub fn drain(&self, timeout: Option<Duration>) -> Result<Vec<u8>, Error> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let engine = self.own()?;
        engine.shared.hand_over(deadline, &Outcome::interrupted(), |queue| {
            let unsent = queue.unsent().map_err(|_| OutOfMemory)?;
            drained::document(&engine.application, &unsent, Clock::read())
        })
    }

    /// Queues the events that another publisher did not send. See pusher_publisher_restore().
    pub fn restore(&self, drained: &str) -> Result<Vec<u8>, Error> {
        let engine = self.own()?;
        let PublisherConfig { limits, event_size, .. } = &engine.config;
        let restored = drained::read(&engine.application, drained, limits.events, *event_size);
        let restored = restored.map_err(|error| counted(engine, error))?;
        let (mut ids, mut events, mut shards) = (Vec::new(), Vec::new(), ShardSet::EMPTY);
        ids.try_reserve_exact(restored.len()).map_err(|_| OutOfMemory)?;
        events.try_reserve_exact(restored.len()).map_err(|_| OutOfMemory)?;
        let clock = Clock::read();
        for DrainedEvent { id, event, conflate, published_ms } in restored {
            let new = new_event(engine, event, conflate)?;
            shards = shards.union(new.shards);
            ids.push(id);
            events.push(OldEvent { new, published: clock.instant(published_ms) });
        }
        start(engine, shards)?;
        let result = engine.shared.restore(events, |first| drained::restored(&ids, first));
        result.map_err(|error| counted(engine, error))
    }

    /// Returns the statistics, in the configured format. See pusher_publisher_stats().
    pub fn stats(&self) -> Result<String, Error> {
        let engine = self.own()?;
        let traffic = engine.traffic.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stats = engine.shared.read(|queue| Stats {
            queue_events: queue.events(),
            queue_bytes: queue.bytes(),
            in_flight: queue.in_flight(),
            published: queue.published(),
            refused: engine.refused.load(Ordering::Relaxed),
            counts: queue.ledger.counts.clone(),
            latency: queue.ledger.latency.clone(),
            reports_waiting: queue.ledger.waiting(),
            reports_lost: queue.ledger.lost,
            traffic,
        });
        match engine.config.stats {
            StatsFormat::Json => stats.json(),
            StatsFormat::Prometheus => Ok(stats.prometheus()),
        }
    }

    /// Returns the engine, or an error in a forked child.
    fn own(&self) -> Result<&Arc<Engine>, Error> {
        if self.process == process_number() { Ok(&self.engine) } else { Err(Error::Publisher(Refusal::Forked)) }
    }
}

impl Drop for PusherPublisher {
    fn drop(&mut self) {
        match self.own() {
            Ok(engine) => {
                let deadline = Instant::now() + MAX_FREE_TIME;
                let _ = engine.shared.close(Some(deadline), &Outcome::interrupted());
                // A thread that waits for a response keeps the rest alive.
                engine.shared.close_descriptor();
                let threads = std::mem::take(&mut *engine.threads.lock().unwrap_or_else(PoisonError::into_inner));
                // A thread that waits for a response ends by itself after it.
                if engine.shared.wait_for_senders(threads.len(), deadline).is_ok() {
                    threads.into_iter().for_each(|thread| drop(thread.join()));
                }
            }
            // Another thread of the parent may have held a lock at the fork: neither wait for it
            // nor drop it.
            Err(_) => std::mem::forget(Arc::clone(&self.engine)),
        }
    }
}

/// Returns an event for the queue.
fn new_event(engine: &Engine, event: Event, key: Option<Box<str>>) -> Result<NewEvent<Event>, Error> {
    let count = engine.config.limits.shards;
    Ok(NewEvent {
        memory_bytes: event.memory() + key.as_ref().map_or(0, |key| 2 * key.len()) + EVENT_OVERHEAD_BYTES,
        request_bytes: engine.application.request_bytes(&event)?,
        shards: event.channels().fold(ShardSet::EMPTY, |shards, channel| shards.with(shard_of(channel, count))),
        is_alone: event.is_alone(),
        key,
        event,
    })
}

/// Counts a call that found the queue full, and returns its error.
fn counted(engine: &Engine, error: Error) -> Error {
    if error == Error::Publisher(Refusal::QueueFull) {
        engine.refused.fetch_add(1, Ordering::Relaxed);
    }
    error
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        match refused {
            Refused::OutOfMemory => OutOfMemory.into(),
            Refused::Closed => Error::Publisher(Refusal::Closed),
            Refused::Full => Error::Publisher(Refusal::QueueFull),
        }
    }
}

/// Starts a thread for each of these shards that has none.
fn start(engine: &Arc<Engine>, shards: ShardSet) -> Result<(), Error> {
    let started = ShardSet::from_bits(engine.started.load(Ordering::Acquire));
    if shards.iter().all(|shard| started.contains(shard)) {
        return Ok(());
    }
    // A closed publisher needs no thread; the caller gets the error later.
    if engine.shared.read(|queue| queue.is_closed()) {
        return Ok(());
    }
    let mut threads = engine.threads.lock().unwrap_or_else(PoisonError::into_inner);
    for shard in shards.iter() {
        let started = ShardSet::from_bits(engine.started.load(Ordering::Acquire));
        if started.contains(shard) {
            continue;
        }
        let worker = Worker { engine: Arc::clone(engine), shard };
        let thread = spawn(&format!("pusher-send-{shard}"), worker::STACK_BYTES, move || worker.run());
        threads.push(thread.map_err(|_| Error::Unavailable("thread"))?);
        engine.started.store(started.with(shard).bits(), Ordering::Release);
    }
    Ok(())
}

fn timed_out(_: TimedOut) -> Error {
    Error::Publisher(Refusal::TimedOut)
}

/// Returns the shard of a channel, which is always the same.
fn shard_of(channel: &str, count: usize) -> usize {
    if count == 1 {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    channel.hash(&mut hasher);
    usize::try_from(hasher.finish() % count as u64).unwrap_or(0)
}
