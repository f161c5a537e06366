//! The configuration of a publisher.

use std::time::Duration;

use strum::{EnumString, VariantNames};

use super::queue::{MAX_SHARDS, QueueLimits};
use super::reports::Keep;
use super::shared::Overflow;
use crate::api;
use crate::client::{Application, SizeLimit};
use crate::config::BatchRoute;
use crate::config::values::{Value, known_root_key};
use crate::error::{Error, Problem};
use crate::json::Json;
use crate::retry::{Mode, RetryPolicy};
use crate::statistics::StatsFormat;

/// The highest rate that may be configured.
const MAX_EVENTS_PER_SECOND: u64 = 10_000_000;

const MAX_QUEUE_EVENTS: u64 = 10_000_000;

const MAX_QUEUE_BYTES: u64 = 1 << 40;

const MAX_BATCH_BYTES: u64 = 1 << 30;

const MAX_LINGER_MS: u64 = 60_000;

const MAX_TTL_MS: u64 = u32::MAX as u64;

/// The keys of a publisher's configuration. docs/configuration.md describes them.
pub const KEYS: &[&str] = ConfigKey::VARIANTS;

#[derive(EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
enum ConfigKey {
    Connections,
    MaxQueueEvents,
    MaxQueueBytes,
    MaxBatchEvents,
    MaxBatchBytes,
    LingerMs,
    EventTtlMs,
    MaxEventsPerSecond,
    PaceByRateLimit,
    Overflow,
    Reports,
    MaxReports,
    BatchIsAtomic,
    HooksOnThreads,
    Retry,
    TimeoutMs,
    StatsFormat,
}

/// The values of `overflow`.
#[derive(Clone, Copy, EnumString, PartialEq, Eq, VariantNames)]
#[strum(serialize_all = "snake_case")]
enum OverflowMode {
    Reject,
    Block,
    DropOldest,
}

/// The configuration of a publisher.
#[derive(Debug)]
pub struct PublisherConfig {
    /// The limits of the queue and of its batches.
    pub limits: QueueLimits,
    /// What to do with a new event when the queue is full.
    pub overflow: Overflow,
    /// Which reports are kept.
    pub keep: Keep,
    /// How many reports are kept.
    pub max_reports: usize,
    /// The limit of a request with one event, if there is one.
    pub event_size: Option<SizeLimit>,
    /// Whether the server applies a batch as a whole or not at all.
    pub batch_is_atomic: bool,
    /// Whether the client's callbacks may run on the publisher's threads.
    pub hooks_on_threads: bool,
    /// Which failures are retried.
    pub retry: RetryPolicy,
    /// The limit of a request, with all its attempts.
    pub timeout: Duration,
    /// The format of statistics.
    pub stats: StatsFormat,
}

impl PublisherConfig {
    /// Reads a JSON object; `None` is `{}`. Some of the defaults are the client's.
    pub fn parse(text: Option<&str>, client: &Application) -> Result<PublisherConfig, Error> {
        client.require_app_id()?;
        let mut config = PublisherConfig {
            limits: QueueLimits {
                shards: 2,
                events: 10_000,
                bytes: 16 << 20,
                batch_events: client.max_batch_events(),
                batch_bytes: 1 << 20,
                linger: Duration::from_millis(5),
                ttl: None,
                events_per_second: None,
                is_paced: false,
            },
            overflow: Overflow::Reject,
            keep: Keep::Failures,
            max_reports: 10_000,
            event_size: client.size_limit(api::EVENTS)?,
            batch_is_atomic: client.profile().batch_is_atomic,
            hooks_on_threads: false,
            retry: client.retry(),
            timeout: client.timeout(),
            stats: StatsFormat::Json,
        };
        config.take(text.unwrap_or("{}"), client).map_err(Problem::in_config)?;
        if let Some(limit) = client.size_limit(api::BATCH_EVENTS)? {
            let events = limit.max_body().saturating_sub(api::BATCH_FRAME_BYTES);
            config.limits.batch_bytes = config.limits.batch_bytes.min(events);
        }
        if client.batch_route() == BatchRoute::Missing {
            config.limits.batch_events = 1;
        }
        Ok(config)
    }

    fn take(&mut self, text: &str, client: &Application) -> Result<(), Problem> {
        let mut overflow = OverflowMode::Reject;
        let json = Json::parse(text, "config")?;
        if !json.is_object() {
            return Err(Problem::new("config", "must be a JSON object"));
        }
        for (key, json) in json.members("")? {
            let value = Value::new(&key, json);
            match known_root_key(&key, "a configuration key of a publisher")? {
                ConfigKey::Overflow | ConfigKey::Reports | ConfigKey::StatsFormat if !value.is_given_string() => {}
                _ if !value.is_given() => {}
                ConfigKey::Connections => self.limits.shards = value.count(1, MAX_SHARDS as u64)?,
                ConfigKey::MaxQueueEvents => self.limits.events = value.count(1, MAX_QUEUE_EVENTS)?,
                ConfigKey::MaxQueueBytes => self.limits.bytes = value.count(1, MAX_QUEUE_BYTES)?,
                ConfigKey::MaxBatchEvents => {
                    self.limits.batch_events = value.count(1, client.max_batch_events() as u64)?;
                }
                ConfigKey::MaxBatchBytes => self.limits.batch_bytes = value.count(1, MAX_BATCH_BYTES)?,
                ConfigKey::LingerMs => self.limits.linger = value.milliseconds(0, MAX_LINGER_MS)?,
                ConfigKey::EventTtlMs => {
                    self.limits.ttl = Some(value.milliseconds(0, MAX_TTL_MS)?).filter(|ttl| !ttl.is_zero());
                }
                ConfigKey::MaxEventsPerSecond => {
                    let rate = value.integer(1, MAX_EVENTS_PER_SECOND)?;
                    self.limits.events_per_second = Some(u32::try_from(rate).unwrap_or(u32::MAX));
                }
                ConfigKey::PaceByRateLimit => self.limits.is_paced = value.boolean()?,
                ConfigKey::Overflow => overflow = value.word()?,
                ConfigKey::Reports => self.keep = value.word()?,
                ConfigKey::MaxReports => self.max_reports = value.count(1, MAX_QUEUE_EVENTS)?,
                ConfigKey::BatchIsAtomic => self.batch_is_atomic = value.boolean()?,
                ConfigKey::HooksOnThreads => self.hooks_on_threads = value.boolean()?,
                ConfigKey::Retry => self.retry = value.retry_policy()?,
                ConfigKey::TimeoutMs => self.timeout = value.timeout()?,
                ConfigKey::StatsFormat => self.stats = value.word()?,
            }
        }
        if let Some(ttl) = self.limits.ttl {
            // A batch that lingers must not expire before it is sent.
            self.limits.linger = self.limits.linger.min(ttl / 2);
        }
        self.overflow = match overflow {
            OverflowMode::Reject => Overflow::Reject,
            OverflowMode::Block => Overflow::Block(self.timeout),
            OverflowMode::DropOldest => Overflow::DropOldest,
        };
        Ok(())
    }

    /// Returns whether the events of a batch that the server refused as a whole may be sent one at
    /// a time.
    pub fn splits_refused_batches(&self) -> bool {
        match self.retry.mode {
            Mode::Never => false,
            // The server applied none of them, so no event is delivered twice.
            Mode::Safe => self.batch_is_atomic,
            Mode::AtLeastOnce => true,
        }
    }
}
