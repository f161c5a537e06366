//! Support code for the tests of the C ABI.
//!
//! Nothing here uses the library's own parsing, hashing or signing: a fault in those must not hide itself.

// Each test program uses a part of this module.
#![allow(dead_code, unreachable_pub, unused_imports)]

pub mod calls;
pub mod child;
pub mod ending;
pub mod fan_out;
pub mod functions;
pub mod hooks;
#[cfg(unix)]
pub mod host;
pub mod memory;
pub mod personalities;
pub mod publisher;
pub mod random;
pub mod secretbox;
pub mod server;
pub mod signature;
pub mod tls;

pub use calls::{APP_ID, Client, KEY, MASTER_KEY, Outcome, PROXY_PASSWORD, SECRET, WEBHOOK_SECRET, config};
pub use ending::Ending;
pub use hooks::{Reply, Request, Snapshot};
pub use personalities::Personality;
pub use publisher::Publisher;
pub use random::Random;
pub use server::{Answer, End, Server};

use std::time::Duration;

/// The longest wait for an event before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Asserts a property of time. A loaded machine may stall any test once; three times in a row, the library is at fault.
#[track_caller]
pub fn in_time(attempt: impl Fn() -> Result<(), String>) {
    let failures: Vec<String> = (0..3).map_while(|_| attempt().err()).collect();
    assert!(failures.len() < 3, "three times in a row: {failures:?}");
}

/// Triggers an event, for tests in which only the connection matters.
#[track_caller]
pub fn trigger(client: &Client) -> Outcome {
    client.trigger("c", "e", "{}")
}

/// Returns the time in milliseconds since 1970.
pub fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}
