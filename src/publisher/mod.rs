//! The background publisher: events are checked and queued on the caller's thread, and sent, several at a time, by threads of
//! its own.
//!
//! ```text
//! handle → worker (sends) → engine → shared (the queue between threads) → queue (its state) → rate_limit
//!      ╰ config                    ╰─ reports (what became of events) → histogram ← stats
//! ```

mod config;
mod engine;
mod handle;
mod histogram;
mod queue;
mod rate_limit;
mod reports;
mod shared;
mod stats;
mod sync;
mod worker;

pub use handle::PusherPublisher;
