//! The files of `src/publisher` that know of threads or are below them, with another `sync`.

#[path = "../../../src/publisher/governor.rs"]
pub mod governor;
#[path = "../../../src/publisher/queue.rs"]
pub mod queue;
#[path = "../../../src/publisher/shared.rs"]
pub mod shared;
#[path = "sync.rs"]
pub mod sync;
