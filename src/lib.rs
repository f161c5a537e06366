//! libpusher: the server-side SDK for the Pusher Channels HTTP API as a C library.
//!
//! The product is the C ABI in `include/pusher.h`, generated from [`ffi`]. Everything below it is
//! safe Rust and independent of C. The layers, roughly (tests/repository/layering.rs checks them
//! exactly):
//!
//! ```text
//! ffi → publisher → client → api, authorization, webhook → config, signing
//!     → encryption, validation, retry → json → error → status
//! failpoint, headers, http, platform, log, observer, rate_limit, secret: independent of Pusher, used by several layers above
//! ```

#![deny(unsafe_code)]
// No input of a caller or a server may cause a panic. (Tests may panic.)
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

mod api;
mod authorization;
mod bytes;
mod circuit;
mod client;
mod config;
mod decimal;
mod document;
mod encryption;
mod error;
mod failpoint;
mod headers;
mod http;
mod idempotency;
mod json;
mod log;
mod observer;
mod platform;
mod publisher;
mod rate_limit;
mod retry;
mod secret;
mod signing;
mod statistics;
mod status;
mod time_limit;
mod validation;
mod webhook;

/// The keys of configurations and options, for the test that compares docs/configuration.md with
/// the code.
#[doc(hidden)]
pub const KNOWN_KEYS: &[&[&str]] =
    &[config::KEYS, config::values::RETRY_KEYS, config::values::CIRCUIT_KEYS, publisher::KEYS];

#[doc(hidden)]
pub mod ffi;

#[cfg(fuzzing)]
#[doc(hidden)]
pub use http::fuzzing;
