//! Model checks of the publisher's queue: the files of `src/publisher`, compiled with a model
//! checker's locks.
//!
//! Every schedule must satisfy: each event ends exactly once; the events of a channel are sent in
//! order; a shard has at most one request in flight; no thread sleeps for ever (a missing wake-up
//! shows as a deadlock).

pub mod bench;
pub mod publisher;
