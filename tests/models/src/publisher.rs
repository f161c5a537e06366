//! The queue and its locking from `src/publisher`, with the model checker's `sync`, and hashes that do not differ.

#[path = "hashing.rs"]
pub mod hashing;
#[path = "../../../src/publisher/pace.rs"]
pub mod pace;
#[path = "../../../src/publisher/queue/mod.rs"]
pub mod queue;
#[path = "../../../src/publisher/rate_limit.rs"]
pub mod rate_limit;
#[path = "../../../src/publisher/shared.rs"]
pub mod shared;
#[path = "sync.rs"]
pub mod sync;
