//! HTTP/1.1 on the library's own sockets. Knows nothing of Pusher.
//!
//! A request's way: [`client`] takes a connection from its [`pool`], or has the [`connector`] make
//! one; the [`exchange`] sends the request and reads the response. Only the code that passes bytes
//! to the kernel knows whether the kernel took the last of them, so the exchange has no layers
//! between itself and the [`connection`].

mod client;
mod connection;
mod connector;
mod exchange;
mod failure;
mod feed;
#[cfg(fuzzing)]
pub mod fuzzing;
mod message;
mod meter;
mod pem;
mod phase;
mod pool;
mod proxy;
mod request;
mod resolver;
mod response;
mod response_builder;
mod stream;
mod tls;
mod trust;

pub use client::{Connections, HttpClient, HttpConfig, Transport};
pub use failure::{Cause, Failure, Progress};
pub use feed::Fed;
pub use message::{Limit, Method, Origin, Proxy, Request, Response};
pub use meter::Meter;
pub use phase::Phase;
pub use request::{RequestLine, request_size, whole_request};
pub use response_builder::ResponseBuilder;
pub use trust::{Identity, Roots, Trust};
