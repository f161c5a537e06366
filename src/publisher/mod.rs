//! The background publisher: events are checked and queued on the caller's thread, and sent, several at a time, by threads of
//! its own.
//!
//! ```text
//! handle → worker (sends) → shared (the queue between threads) → queue (its state) → governor
//!      ╰ settings           ╰─ reports (what became of events) → histogram ← stats
//! ```

mod governor;
mod handle;
mod histogram;
mod queue;
mod reports;
mod settings;
mod shared;
mod stats;
mod sync;
mod worker;

pub use handle::PusherPublisher;
