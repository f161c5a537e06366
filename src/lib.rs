//! libpusher: the server-side SDK for the Pusher Channels HTTP API as a C library.
//!
//! The product is the C ABI in `include/pusher.h`, generated from [`ffi`]. Everything below it is safe Rust that knows
//! nothing of C. Who may use whom, roughly (tests/repository/layering.rs holds it exactly):
//!
//! ```text
//! ffi → publisher → client → api, authorization, webhook → config → encryption, validation → json → error → status
//!                │                          ╰─── signing → secret
//!                ╰─── http, process and log, which know nothing of Pusher and of which client, api and config know
//! ```

#![deny(unsafe_code)]
// What a caller or a server supplied never panics. (Tests may.)
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo)
)]

mod api;
mod authorization;
mod bytes;
mod client;
mod config;
mod document;
mod encryption;
mod error;
mod http;
mod json;
mod log;
mod process;
mod publisher;
mod retry;
mod secret;
mod signing;
mod status;
mod validation;
mod webhook;

/// The keys of configurations and options, for the test that compares docs/configuration.md with the code.
#[doc(hidden)]
pub const KNOWN_KEYS: &[&[&str]] = &[config::KEYS, config::values::RETRY_KEYS];

#[doc(hidden)]
pub mod ffi;
