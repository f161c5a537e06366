//! The host process: its environment, forks, signals and limits.

#[path = "../support/mod.rs"]
mod support;

mod cancellation;
mod descriptors;
mod environment;
mod failing_calls;
mod fork;
mod keyed_states;
mod memory;
mod publisher_fork;
