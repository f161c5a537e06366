//! A publisher's configuration.

use std::time::Duration;

use super::queue::{Limits, MAX_SHARDS};
use super::reports::Keep;
use super::shared::Overflow;
use crate::client::Application;
use crate::config::values::{MAX_TIMEOUT_MS, Value};
use crate::error::{Error, Problem};
use crate::json::Json;
use crate::retry::{Mode, RetryPolicy};

/// As many requests as a second may be configured to have; more is no limit.
const MAX_RATE: u64 = 10_000_000;

const MAX_EVENTS: u64 = 10_000_000;

/// All that is said of a publisher.
#[derive(Debug)]
pub struct Settings {
    /// What may wait, and how it is put together.
    pub limits: Limits,
    /// What happens where there is no room.
    pub overflow: Overflow,
    /// Which reports are kept.
    pub keep: Keep,
    /// How many of them.
    pub max_reports: usize,
    /// Whether a batch that is refused was not applied in part.
    pub batch_is_atomic: bool,
    /// Whether hooks of the client's may be called on the publisher's threads.
    pub hooks_on_threads: bool,
    /// What is sent again.
    pub retry: RetryPolicy,
    /// A whole request, with all its attempts.
    pub timeout: Duration,
    /// How statistics are written.
    pub stats: StatsFormat,
}

/// How statistics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsFormat {
    /// A JSON object.
    Json,
    /// The text that Prometheus scrapes.
    Prometheus,
}

impl Settings {
    /// Those of a JSON object, or the defaults, some of which are the client's.
    pub fn parse(text: Option<&str>, client: &Application) -> Result<Settings, Error> {
        let mut settings = Settings {
            limits: Limits {
                shards: 2,
                events: 10_000,
                bytes: 16 << 20,
                batch_events: client.max_batch_events(),
                batch_bytes: 1 << 20,
                linger: Duration::from_millis(5),
                ttl: None,
                events_per_second: None,
            },
            overflow: Overflow::Reject,
            keep: Keep::Failures,
            max_reports: 10_000,
            batch_is_atomic: false,
            hooks_on_threads: false,
            retry: client.retry(),
            timeout: client.timeout(),
            stats: StatsFormat::Json,
        };
        settings.take(text.unwrap_or("{}"), client).map_err(Error::Config)?;
        Ok(settings)
    }

    fn take(&mut self, text: &str, client: &Application) -> Result<(), Problem> {
        let mut block = false;
        let config = Json::parse(text, "config")?;
        if !config.is_object() {
            return Err(Problem::new("config", "must be a JSON object"));
        }
        for (key, value) in config.members("")? {
            let key = key.as_ref();
            let integer = |min, max| Value::new(key, value).integer(min, max);
            let count = |min, max| integer(min, max).map(|count| usize::try_from(count).unwrap_or(usize::MAX));
            let time = |min, max| integer(min, max).map(Duration::from_millis);
            let boolean = || value.boolean().ok_or_else(|| Problem::new(key, "must be true or false"));
            let one_of = |words: &str| Problem::new(key, format!("must be {words}"));
            match key {
                "connections" => self.limits.shards = count(1, MAX_SHARDS as u64)?,
                "max_queue_events" => self.limits.events = count(1, MAX_EVENTS)?,
                "max_queue_bytes" => self.limits.bytes = count(1, 1 << 40)?,
                "max_batch_events" => self.limits.batch_events = count(1, client.max_batch_events() as u64)?,
                "max_batch_bytes" => self.limits.batch_bytes = count(1, 1 << 30)?,
                "linger_ms" => self.limits.linger = time(0, 60_000)?,
                "event_ttl_ms" => self.limits.ttl = Some(time(0, u64::from(u32::MAX))?).filter(|ttl| !ttl.is_zero()),
                "max_events_per_second" => {
                    self.limits.events_per_second = Some(u32::try_from(integer(1, MAX_RATE)?).unwrap_or(u32::MAX));
                }
                "overflow" => {
                    (self.overflow, block) = match value.string(key)?.as_ref() {
                        "reject" => (Overflow::Reject, false),
                        "drop_oldest" => (Overflow::DropOldest, false),
                        "block" => (Overflow::Reject, true),
                        _ => return Err(one_of("reject, block or drop_oldest")),
                    };
                }
                "reports" => {
                    self.keep = match value.string(key)?.as_ref() {
                        "failures" => Keep::Failures,
                        "all" => Keep::All,
                        "none" => Keep::None,
                        _ => return Err(one_of("failures, all or none")),
                    };
                }
                "max_reports" => self.max_reports = count(1, MAX_EVENTS)?,
                "batch_is_atomic" => self.batch_is_atomic = boolean()?,
                "hooks_on_threads" => self.hooks_on_threads = boolean()?,
                "retry" => self.retry = Value::new(key, value).retry_policy()?,
                "timeout_ms" => self.timeout = time(1, MAX_TIMEOUT_MS)?,
                "stats_format" => {
                    self.stats = match value.string(key)?.as_ref() {
                        "json" => StatsFormat::Json,
                        "prometheus" => StatsFormat::Prometheus,
                        _ => return Err(one_of("json or prometheus")),
                    };
                }
                _ => return Err(Problem::new(key, "is not a configuration key of a publisher")),
            }
        }
        if let Some(ttl) = self.limits.ttl {
            // What lingers is meant to be sent, and not to expire.
            self.limits.linger = self.limits.linger.min(ttl / 2);
        }
        if block {
            self.overflow = Overflow::Block(self.timeout);
        }
        Ok(())
    }

    /// Whether what a server refused as a whole may be sent again event by event.
    pub fn splits_refused_batches(&self) -> bool {
        match self.retry.mode {
            Mode::Never => false,
            // Nothing of it was applied, so nothing is doubled.
            Mode::Safe => self.batch_is_atomic,
            Mode::AtLeastOnce => true,
        }
    }
}
