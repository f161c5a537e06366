//! What the log hook is told: the outcome of calls. Never a secret, a signature or a payload.

use std::fmt::{self, Write};

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

/// A JSON object of what a message speaks of.
#[derive(Debug)]
pub struct Fields(String);

impl Fields {
    /// None yet.
    pub fn new() -> Fields {
        Fields(String::from("{"))
    }

    /// Adds a text of ours, which needs no escaping.
    pub fn word(&mut self, name: &str, word: &str) -> &mut Fields {
        self.add(name, format_args!("\"{word}\""))
    }

    /// Adds a number.
    pub fn number(&mut self, name: &str, number: impl Into<i128>) -> &mut Fields {
        self.add(name, format_args!("{}", number.into()))
    }

    fn add(&mut self, name: &str, value: fmt::Arguments<'_>) -> &mut Fields {
        let comma = if self.0.len() > 1 { "," } else { "" };
        // A String takes whatever it is given.
        let _ = write!(self.0, "{comma}\"{name}\":{value}");
        self
    }

    /// The object.
    pub fn finish(&mut self) -> String {
        let mut text = std::mem::take(&mut self.0);
        text.push('}');
        text
    }
}
