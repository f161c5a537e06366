//! HTTP on the library's own sockets. Knows nothing of Pusher.
//!
//! ureq speaks HTTP and rustls speaks TLS, both over the socket transport in [`wire`], because only
//! the code that passes bytes to the kernel knows whether the kernel took the last of them.

mod connection;
mod message;
mod phases;
mod resolver;
mod response_builder;
mod sys;
mod tls;
mod transport;
mod trust;
mod tunnel;
mod ureq;
mod watch;
mod wire;

pub use message::{Method, Origin, Proxy, Request, Response};
pub use response_builder::ResponseBuilder;
pub use transport::{Cause, Failure, Progress, Transport};
pub use trust::Roots;
pub use ureq::{HttpClient, HttpConfig};
