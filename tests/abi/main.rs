//! The C ABI: what each function takes, sends, returns and reports, against a recorder that shares no code with the library.

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod arguments;
mod authorization;
mod circuit;
mod configuration;
mod documents;
mod encryption;
mod extra;
mod fan_out;
mod headers;
mod idempotency;
mod logs;
mod observer;
#[cfg(pusher_failpoints)]
mod panics;
mod requests;
mod responses;
mod retries;
mod sans_io;
mod secrecy;
mod signatures;
mod stats;
mod time_limits;
mod transports;
mod vectors;
mod webhooks;
