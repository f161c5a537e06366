//! The background publisher. The caller's thread checks an event and queues it; the publisher's own
//! threads send the events, several in a request.
//!
//! ```text
//! handle → worker → engine → shared (the queue between threads) → queue (its state) → rate_limit, pace
//!      ╰ config, drained  ╰─ reports (how events ended) ← stats
//! ```

mod config;
mod drained;
mod engine;
mod handle;
mod hashing;
mod pace;
mod queue;
mod rate_limit;
mod reports;
mod shared;
mod stats;
mod sync;
mod worker;

pub use config::KEYS;
pub use handle::PusherPublisher;
