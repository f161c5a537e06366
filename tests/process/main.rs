//! The host process: its environment, forks, signals and limits.

#[path = "../support/mod.rs"]
mod support;

mod environment;
mod fork;
mod publisher_fork;
