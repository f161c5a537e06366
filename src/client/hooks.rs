//! The callbacks of a client: a transport that sends its requests, a log, and an observer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use once_cell::race::OnceBox;

use crate::api::Endpoint;
use crate::error::{Error, FailedExchange, Problem};
use crate::http::Transport;
use crate::json::Writer;
use crate::log::{Level, Log};
use crate::observer::Observer;
use crate::status::{Delivery, Status};

/// The callbacks of a client. They are released with the last handle that may call them.
pub struct Hooks {
    transport: OnceBox<Box<dyn Transport>>,
    log: OnceBox<Box<dyn Log>>,
    log_level: Level,
    observer: OnceBox<Box<dyn Observer>>,
    /// The number of calls that were observed.
    observed: AtomicU64,
    /// Whether a call was made, after which no callback can be set.
    used: AtomicBool,
}

impl Hooks {
    /// Returns hooks without callbacks.
    pub(super) fn new(log_level: Level) -> Hooks {
        Hooks {
            transport: OnceBox::new(),
            log: OnceBox::new(),
            log_level,
            observer: OnceBox::new(),
            observed: AtomicU64::new(0),
            used: AtomicBool::new(false),
        }
    }

    /// Sets the transport.
    pub(super) fn set_transport(&self, transport: Box<dyn Transport>) -> Result<(), Error> {
        self.set(&self.transport, transport, "the transport")
    }

    /// Sets the log.
    pub(super) fn set_log(&self, log: Box<dyn Log>) -> Result<(), Error> {
        self.set(&self.log, log, "the log")
    }

    /// Sets the observer.
    pub(super) fn set_observer(&self, observer: Box<dyn Observer>) -> Result<(), Error> {
        self.set(&self.observer, observer, "the observer")
    }

    fn set<T>(&self, place: &OnceBox<T>, hook: T, what: &str) -> Result<(), Error> {
        if self.used.load(Ordering::Relaxed) {
            return Err(Error::State(Problem::new("", format!("{what} must be set before the first call"))));
        }
        place.set(Box::new(hook)).map_err(|_| Error::State(Problem::new("", format!("{what} is set already"))))
    }

    /// Records that a call was made.
    pub fn mark_used(&self) {
        // Once it is set it is only read, so that threads do not contend for its cache line.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Returns the user's transport.
    pub fn transport(&self) -> Option<&dyn Transport> {
        self.transport.get().map(Box::as_ref)
    }

    /// Returns the observer, if there is one, and the id of a new call.
    pub(super) fn observer(&self) -> Option<(&dyn Observer, u64)> {
        let observer = self.observer.get()?;
        Some((&**observer, self.observed.fetch_add(1, Ordering::Relaxed) + 1))
    }

    /// Returns whether there is a log.
    pub(super) fn has_log(&self) -> bool {
        self.log.get().is_some()
    }

    /// Runs `body`, logs its result and returns it. A panic is caught here, and not only at the boundary to C, because the boundary
    /// has no log.
    pub(super) fn logged(
        &self,
        name: &str,
        started: Option<Instant>,
        body: impl FnOnce() -> Result<String, Error>,
    ) -> Result<String, Error> {
        let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(Error::from_panic(&*panic)));
        self.log_result(name, &result, started);
        result
    }

    fn log_result(&self, name: &str, result: &Result<String, Error>, started: Option<Instant>) {
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
                    match error {
                        Error::Exchange(failed) => add(fields, failed),
                        // Without the parts, which may be thousands.
                        Error::Partial(partial) => {
                            fields.key("attempts").number(partial.attempts);
                            fields.key("delivery").string(Delivery::Unknown.name());
                        }
                        _ => {}
                    }
                    error.to_string()
                }
            }
        });
    }

    /// Logs that a call will be retried.
    pub(super) fn log_retry(&self, endpoint: Endpoint, failed: &FailedExchange, wait: Duration) {
        self.tell(Level::Info, |fields| {
            fields.key("call").string(endpoint.name());
            fields.key("wait_ms").number(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            add(fields, failed);
            format!("will be retried: {}", failed.message)
        });
    }

    /// Logs a message if there is a log and its level includes `level`.
    pub(super) fn tell(&self, level: Level, what: impl FnOnce(&mut Writer) -> String) {
        let Some(log) = self.log.get().filter(|_| level <= self.log_level) else { return };
        let mut fields = Writer::new();
        fields.begin_object();
        let message = what(&mut fields);
        fields.end_object();
        log.log(level, &message, &fields.finish_string().unwrap_or_default());
    }
}

/// Adds what a log says about a failed exchange.
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    struct Recorder(Arc<Mutex<Vec<(Level, String)>>>);

    impl Log for Recorder {
        fn log(&self, level: Level, message: &str, fields: &str) {
            self.0.lock().unwrap().push((level, format!("{message} {fields}")));
        }
    }

    #[test]
    fn a_panic_reaches_the_log_and_becomes_an_error() {
        let (hooks, messages) = (Hooks::new(Level::Error), Arc::default());
        hooks.set_log(Box::new(Recorder(Arc::clone(&messages)))).unwrap();
        let result = hooks.logged("validate_webhook", None, || panic!("a bug"));
        assert_eq!(result, Err(Error::Internal("a bug".to_owned())));
        let messages = messages.lock().unwrap();
        let [(Level::Error, message)] = messages.as_slice() else { panic!("{messages:?}") };
        assert!(message.contains("a bug") && message.contains(r#""call":"validate_webhook""#), "{message}");
    }
}
