//! Model checks of the publisher's queue and of cancellations: the files of `src/publisher` and
//! `src/platform`, compiled with a model checker's locks and atomics.
//!
//! Every schedule must satisfy: each event ends exactly once; the events of a channel are sent in
//! order; a shard has at most one request in flight; no thread sleeps for ever (a missing wake-up
//! shows as a deadlock).

pub mod bench;
pub mod platform;
pub mod publisher;
