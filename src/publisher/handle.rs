//! The handle of a publisher: what its functions do.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::client::{Hooks, Pusher};
use crate::error::{Error, Problem, Refusal};
use crate::process::{process_number, spawn};

use super::config::{Settings, StatsFormat};
use super::engine::Engine;
use super::queue::{New, Shards};
use super::reports::{Outcome, Reports};
use super::shared::{Overflow, Refused, Shared, TimedOut};
use super::stats::{Stats, Traffic};
use super::worker::{self, Worker};

/// The most reports that one poll gives.
const MOST_REPORTS: usize = 1000;

/// How long freeing may take.
const PATIENCE_AT_THE_END: Duration = Duration::from_secs(1);

/// What an event takes in memory beside its text, at most: its place in a queue that has grown to twice its size, and what the allocator
/// rounds up.
const EVENT_OVERHEAD: usize = 256;

/// A queue of events that are sent in the background.
///
/// Threads: any number of threads may use one publisher at the same time.
/// Lifetime: from pusher_publisher_new() to pusher_publisher_free(); it may outlive its client.
/// In a forked child, the parent's publishers only return ::PUSHER_STATUS_FORKED.
pub struct PusherPublisher {
    engine: Arc<Engine>,
    /// They end with the last handle: not on a thread of ours, unless they may be called there.
    _hooks: Arc<Hooks>,
    /// The process it belongs to. A forked child has neither its threads nor any claim to its events.
    process: u32,
}

impl PusherPublisher {
    /// An idle one: no thread before the first event.
    pub fn new(client: &Pusher, config: Option<&str>) -> Result<PusherPublisher, Error> {
        let settings = Settings::parse(config, client.application())?;
        if client.hooks().transport().is_some() && !settings.hooks_on_threads {
            let message = "the client has a transport of yours, and a publisher would call it on threads of its own: \
                           allow that with \"hooks_on_threads\":true";
            return Err(Error::State(Problem::new("", message)));
        }
        client.hooks().mark_used();
        let reports = Reports::new(settings.keep, settings.max_reports);
        let engine = Engine {
            shared: Shared::new(settings.limits.clone(), reports),
            application: Arc::clone(client.application()),
            hooks: settings.hooks_on_threads.then(|| Arc::clone(client.hooks())),
            settings,
            traffic: Mutex::new(Traffic::new()),
            started: AtomicU64::new(0),
            threads: Mutex::new(Vec::new()),
            refused: AtomicU64::new(0),
        };
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
        let count = engine.settings.limits.shards;
        let shards = event.channels().fold(Shards::NONE, |shards, channel| shards.and(shard_of(channel, count)));
        start(engine, shards)?;
        let key = publish_options.conflate.as_ref().map_or(0, |key| 2 * key.len());
        let new = New {
            bytes: event.memory() + key + EVENT_OVERHEAD,
            length: event.length(),
            shards,
            is_alone: event.has_several_channels,
            key: publish_options.conflate,
            event,
        };
        let overflow = match (engine.settings.overflow, publish_options.timeout) {
            (Overflow::Block(_), Some(patience)) => Overflow::Block(patience),
            (overflow, _) => overflow,
        };
        engine.shared.publish(new, overflow).map_err(|refused| match refused {
            Refused::Closed => Error::Publisher(Refusal::Closed),
            Refused::Full => {
                engine.refused.fetch_add(1, Ordering::Relaxed);
                Error::Publisher(Refusal::QueueFull)
            }
        })
    }

    /// The next reports, as soon as there are any; `None` if there are none in that time.
    pub fn poll(&self, timeout: Option<Duration>) -> Result<Option<String>, Error> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let taken = self.own()?.shared.poll(deadline, |reports| reports.take(MOST_REPORTS));
        Ok(taken.ok())
    }

    /// Waits until all events have ended.
    pub fn flush(&self, timeout: Option<Duration>) -> Result<(), Error> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        self.own()?.shared.flush(deadline).map_err(timed_out)
    }

    /// Takes no more events, and ends those that it has.
    pub fn close(&self, timeout: Option<Duration>) -> Result<(), Error> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        self.own()?.shared.close(deadline, &Outcome::interrupted()).map_err(timed_out)
    }

    /// Counts and times, as the configuration wants them.
    pub fn stats(&self) -> Result<String, Error> {
        let engine = self.own()?;
        let traffic = engine.traffic.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stats = engine.shared.look(|queue| Stats {
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
        Ok(match engine.settings.stats {
            StatsFormat::Json => stats.json(),
            StatsFormat::Prometheus => stats.prometheus(),
        })
    }

    /// The inside, in the process that it belongs to.
    fn own(&self) -> Result<&Arc<Engine>, Error> {
        if self.process == process_number() { Ok(&self.engine) } else { Err(Error::Publisher(Refusal::Forked)) }
    }
}

impl Drop for PusherPublisher {
    fn drop(&mut self) {
        match self.own() {
            Ok(engine) => {
                let deadline = Instant::now() + PATIENCE_AT_THE_END;
                let _ = engine.shared.close(Some(deadline), &Outcome::interrupted());
                let threads = std::mem::take(&mut *engine.threads.lock().unwrap_or_else(PoisonError::into_inner));
                // One that waits for a server's answer ends with that, by itself.
                if engine.shared.wait_for_senders(threads.len(), deadline).is_ok() {
                    threads.into_iter().for_each(|thread| drop(thread.join()));
                }
            }
            // The parent's lock may have been held when it forked. It is neither waited for nor taken apart.
            Err(_) => std::mem::forget(Arc::clone(&self.engine)),
        }
    }
}

/// Sees to it that these shards have a thread each.
fn start(engine: &Arc<Engine>, shards: Shards) -> Result<(), Error> {
    let started = Shards::from_bits(engine.started.load(Ordering::Acquire));
    if shards.each().all(|shard| started.has(shard)) {
        return Ok(());
    }
    // A closed one needs none: that it takes nothing any more is said later.
    if engine.shared.look(|queue| queue.is_closed()) {
        return Ok(());
    }
    let mut threads = engine.threads.lock().unwrap_or_else(PoisonError::into_inner);
    for shard in shards.each() {
        let started = Shards::from_bits(engine.started.load(Ordering::Acquire));
        if started.has(shard) {
            continue;
        }
        let worker = Worker { engine: Arc::clone(engine), shard };
        let thread = spawn(&format!("pusher-send-{shard}"), worker::STACK_BYTES, move || worker.run());
        threads.push(thread.map_err(|_| Error::Unavailable("thread"))?);
        engine.started.store(started.and(shard).bits(), Ordering::Release);
    }
    Ok(())
}

fn timed_out(_: TimedOut) -> Error {
    Error::Publisher(Refusal::TimedOut)
}

/// Which shard a channel belongs to, always the same.
fn shard_of(channel: &str, count: usize) -> usize {
    if count == 1 {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    channel.hash(&mut hasher);
    usize::try_from(hasher.finish() % count as u64).unwrap_or(0)
}
