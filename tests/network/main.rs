//! Connections: the pool, failures, deadlines and TLS, against sockets that the tests control.

#[path = "../support/mod.rs"]
mod support;

mod connections;
mod deadline;
mod failures;
mod pool;
mod strict;
mod tls;
