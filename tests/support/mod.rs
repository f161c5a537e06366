//! What the tests of the C ABI share.
//!
//! Nothing in here uses the library's own parsing, hashing or signing: a fault in those must not hide itself.

// Each test binary uses its part of this.
#![allow(dead_code, unreachable_pub, unused_imports)]

pub mod calls;
pub mod child;
pub mod functions;
pub mod hooks;
#[cfg(unix)]
pub mod host;
pub mod publisher;
pub mod random;
pub mod secretbox;
pub mod server;
pub mod signature;
pub mod tls;

pub use calls::{APP_ID, Client, KEY, MASTER_KEY, Outcome, PROXY_PASSWORD, SECRET, WEBHOOK_SECRET, config};
pub use hooks::{Reply, Request, Snapshot};
pub use publisher::Publisher;
pub use random::Random;
pub use server::{Answer, End, Server};

use std::time::Duration;

/// The longest that anything here waits for an event before it says what is missing.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Holds a property of time. A loaded machine may stall any test once; three times in a row it is the library.
#[track_caller]
pub fn in_time(attempt: impl Fn() -> Result<(), String>) {
    let failures: Vec<String> = (0..3).map_while(|_| attempt().err()).collect();
    assert!(failures.len() < 3, "three times in a row: {failures:?}");
}

/// The time on the wall in milliseconds since 1970.
pub fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}
