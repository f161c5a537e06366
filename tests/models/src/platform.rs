//! The sockets in use from `src/platform`, with the model checker's atomics.
#![cfg(not(feature = "shuttle"))]

#[path = "../../../src/platform/in_use.rs"]
pub mod in_use;
#[path = "platform_sync.rs"]
pub mod sync;
