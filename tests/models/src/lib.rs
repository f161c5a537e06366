//! The publisher's queue between threads, as it stands in `src/publisher`, over the locks of a model checker.
//!
//! What is looked for in every schedule: each event ends exactly once; a channel's events are sent in their order, and never two
//! requests of a shard at a time; nobody sleeps for ever (a wake-up that is missing shows as a deadlock).

pub mod bench;
pub mod publisher;
