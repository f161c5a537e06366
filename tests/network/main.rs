//! Connections: the pool, failures, deadlines and TLS, against sockets that the tests control.

#[path = "../support/mod.rs"]
mod support;

mod cancellation;
mod connections;
mod deadline;
mod endings;
mod failures;
mod lifetimes;
mod pool;
mod servers;
mod strict;
mod tls;
mod unix_socket;
