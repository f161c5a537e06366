//! Log messages: how calls ended, and what explains it. They never hold a secret, a signature or a
//! payload.

use strum::{EnumString, VariantNames};

/// The severity of a log message.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
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

/// Receives log messages, on the thread that makes the call.
pub trait Log: Send + Sync {
    /// Receives a message, and its details as a JSON object.
    fn log(&self, level: Level, message: &str, fields: &str);
}
