//! The caller's own functions in a client: they send its requests, and are told what it does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use once_cell::race::OnceBox;

use crate::api::Endpoint;
use crate::error::{Error, FailedExchange, Problem};
use crate::http::Transport;
use crate::json::Writer;
use crate::log::{Level, Log};
use crate::status::Status;

/// Functions of the caller's. They end with the last handle that may call them.
pub struct Hooks {
    transport: OnceBox<Box<dyn Transport>>,
    log: OnceBox<Box<dyn Log>>,
    log_level: Level,
    /// Whether a call has gone out, after which none can be set any more.
    used: AtomicBool,
}

impl Hooks {
    /// None yet.
    pub(super) fn new(log_level: Level) -> Hooks {
        Hooks { transport: OnceBox::new(), log: OnceBox::new(), log_level, used: AtomicBool::new(false) }
    }

    /// Sends by this from now on.
    pub(super) fn set_transport(&self, transport: Box<dyn Transport>) -> Result<(), Error> {
        self.set(&self.transport, transport, "the transport")
    }

    /// Tells this from now on.
    pub(super) fn set_log(&self, log: Box<dyn Log>) -> Result<(), Error> {
        self.set(&self.log, log, "the log")
    }

    fn set<T>(&self, place: &OnceBox<T>, hook: T, what: &str) -> Result<(), Error> {
        if self.used.load(Ordering::Relaxed) {
            return Err(Error::State(Problem::new("", format!("{what} has to be set before the first call"))));
        }
        place.set(Box::new(hook)).map_err(|_| Error::State(Problem::new("", format!("{what} is set already"))))
    }

    /// None can be set any more.
    pub fn mark_used(&self) {
        // Once it is set it is only read: threads that make calls do not fight for it.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// What sends requests instead of us, if there is such a thing.
    pub fn transport(&self) -> Option<&dyn Transport> {
        self.transport.get().map(Box::as_ref)
    }

    /// Whether anybody is told anything.
    pub(super) fn has_log(&self) -> bool {
        self.log.get().is_some()
    }

    /// Tells how a call ended.
    pub(super) fn log_result(&self, name: &str, result: &Result<String, Error>, started: Option<Instant>) {
        let level = match result {
            Ok(_) => Level::Debug,
            Err(error) if error.status() == Status::Internal => Level::Error,
            Err(_) => Level::Warn,
        };
        self.tell(level, |fields| {
            fields.key("call").string(name);
            if let Some(started) = started {
                fields.key("duration_us").number(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
            match result {
                Ok(_) => "done".to_owned(),
                Err(error) => {
                    fields.key("status").string(error.status().name());
                    if let Error::Exchange(failed) = error {
                        add(fields, failed);
                    }
                    error.to_string()
                }
            }
        });
    }

    /// Tells that a call will be sent again.
    pub(super) fn log_retry(&self, endpoint: Endpoint, failed: &FailedExchange, wait: Duration) {
        self.tell(Level::Info, |fields| {
            fields.key("call").string(endpoint.name());
            fields.key("wait_ms").number(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            add(fields, failed);
            format!("will be sent again: {}", failed.message)
        });
    }

    /// Tells the log, if there is one and it wants to know.
    pub(super) fn tell(&self, level: Level, what: impl FnOnce(&mut Writer) -> String) {
        let Some(log) = self.log.get().filter(|_| level <= self.log_level) else { return };
        let mut fields = Writer::new();
        fields.begin_object();
        let message = what(&mut fields);
        fields.end_object();
        log.log(level, &message, &fields.finish_string().unwrap_or_default());
    }
}

/// What a log says of an exchange.
fn add(fields: &mut Writer, failed: &FailedExchange) {
    fields.key("attempts").number(failed.attempts);
    if let Some(cause) = failed.cause {
        fields.key("cause").string(cause);
    }
    if let Some(http_status) = failed.http_status {
        fields.key("http_status").number(http_status);
    }
    if let Some(delivery) = failed.delivery {
        fields.key("delivery").string(delivery.name());
    }
}
