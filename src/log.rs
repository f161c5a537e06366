//! What the log hook is told: the outcome of calls. Never a secret, a signature or a payload.

/// How much it matters.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A call failed by a bug, or for want of memory.
    Error = 1,
    /// A call failed.
    Warn = 2,
    /// Something happened that explains later behaviour.
    Info = 3,
    /// A call succeeded.
    Debug = 4,
}

impl Level {
    /// The level with this name in a configuration.
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

/// Takes what is logged. Called on the thread that makes the call.
pub trait Log: Send + Sync {
    /// A sentence, and a JSON object with what it speaks of.
    fn log(&self, level: Level, message: &str, fields: &str);
}
