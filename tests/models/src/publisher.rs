//! The files of `src/publisher` that know of threads or are below them, with another `sync`.

#[path = "../../../src/publisher/queue/mod.rs"]
pub mod queue;
#[path = "../../../src/publisher/rate_limit.rs"]
pub mod rate_limit;
#[path = "../../../src/publisher/shared.rs"]
pub mod shared;
#[path = "sync.rs"]
pub mod sync;
