//! HTTP over sockets of our own: it knows nothing of Pusher.
//!
//! ureq speaks HTTP and rustls speaks TLS, but both stand on a socket transport of ours ([`wire`]), because only the one who
//! hands bytes to the kernel knows whether the last of them left.

mod connection;
mod message;
mod phases;
mod resolver;
mod sys;
mod tls;
mod transport;
mod tunnel;
mod ureq;
mod watch;
mod wire;

pub use message::{Method, Origin, Proxy, Request, Response};
pub use tls::Roots;
pub use transport::{Cause, Failure, Progress, Transport};
pub use ureq::{HttpClient, HttpConfig};
