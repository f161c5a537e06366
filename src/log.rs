//! Log messages: how calls ended, and what explains it. They never hold a secret, a signature or a payload.

/// The severity of a log message.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A call failed because of a bug, or because the system is out of memory or randomness.
    Error = 1,
    /// A call failed.
    Warn = 2,
    /// Something that explains later behaviour: a retry, or a correction of the clock.
    Info = 3,
    /// A call succeeded.
    Debug = 4,
}

impl Level {
    /// Returns the level with this name in a configuration.
    pub fn from_name(name: &str) -> Option<Level> {
        Some(match name {
            "error" => Level::Error,
            "warn" => Level::Warn,
            "info" => Level::Info,
            "debug" => Level::Debug,
            _ => return None,
        })
    }
}

/// Receives log messages, on the thread that makes the call.
pub trait Log: Send + Sync {
    /// Receives a message, and its details as a JSON object.
    fn log(&self, level: Level, message: &str, fields: &str);
}
