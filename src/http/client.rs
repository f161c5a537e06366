//! An HTTP client for one server: takes a kept-alive connection or makes one, and runs the exchange.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::platform::PerProcess;

use super::connector::Connector;
use super::exchange::{Ended, Exchange};
use super::failure::{Cause, Failure, Progress};
use super::message::{Limit, Origin, Proxy, Request, Response};
use super::pool::{Pool, PoolLimits};
use super::request::{RequestBytes, Unsendable};
use super::resolver::Resolver;
use super::trust::{self, Trust};

/// Sends a request and waits for the response.
pub trait Transport: Send + Sync {
    /// Sends `request` once and waits for the response. `limit` bounds both.
    fn send(&self, request: &Request<'_>, limit: Limit<'_>) -> Result<Response, Failure>;
}

/// The configuration of an [`HttpClient`].
#[derive(Debug)]
pub struct HttpConfig {
    /// The server, and whether to speak TLS with it.
    pub origin: Origin,
    /// The Unix domain socket to connect to instead of the server's host and port.
    pub unix_socket: Option<PathBuf>,
    /// The limit for the lookup, the connection and the TLS handshake together.
    pub connect_timeout: Duration,
    /// The most idle connections kept.
    pub max_idle_connections: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// How long after it was made a connection is used for another request.
    pub max_connection_age: Duration,
    /// The longest body of a response.
    pub max_response_bytes: usize,
    /// The certificates that TLS trusts and presents.
    pub trust: Trust,
    /// The proxy, if any.
    pub proxy: Option<Arc<Proxy>>,
}

/// Sends requests to one server over kept-alive connections.
pub struct HttpClient {
    config: HttpConfig,
    /// Made by each process that uses this client, when it sends.
    process: PerProcess<State>,
    uses: Uses,
}

/// How often a connection was used.
#[derive(Default)]
struct Uses {
    /// For the first time.
    opened: AtomicU64,
    /// For another request.
    reused: AtomicU64,
}

/// The connections of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// The number of idle ones in this process.
    pub idle: usize,
    /// The number that were ever made.
    pub opened: u64,
    /// The number of requests that were sent over one that had been used before.
    pub reused: u64,
}

/// The connections of one process.
struct State {
    pool: Pool,
    connector: Connector,
}

impl HttpClient {
    /// Returns a client. It connects, reads files and starts threads only when it sends.
    pub fn new(config: HttpConfig) -> HttpClient {
        HttpClient { config, process: PerProcess::new(), uses: Uses::default() }
    }

    /// Counts the connections.
    pub fn connections(&self) -> Connections {
        Connections {
            idle: self.process.get().map_or(0, |state| state.pool.idle()),
            opened: self.uses.opened.load(Ordering::Relaxed),
            reused: self.uses.reused.load(Ordering::Relaxed),
        }
    }

    fn make_state(&self) -> Result<State, Failure> {
        let HttpConfig { origin, trust, .. } = &self.config;
        let tls = origin.tls.then(|| trust::configuration(trust)).transpose();
        // A retry may find descriptors and memory, but no other certificates.
        let tls = tls.map_err(|error| match error.is_temporary {
            true => not_sent(Cause::Connect, error.message),
            false => not_sent(Cause::Tls, error.message),
        })?;
        let connector = Connector {
            origin: origin.clone(),
            unix_socket: self.config.unix_socket.clone(),
            connect_timeout: self.config.connect_timeout,
            proxy: self.config.proxy.clone(),
            resolver: Resolver::default(),
            tls,
        };
        let limits = PoolLimits {
            max_idle: self.config.max_idle_connections,
            idle_timeout: self.config.idle_timeout,
            max_age: self.config.max_connection_age,
        };
        Ok(State { pool: Pool::new(limits), connector })
    }
}

impl Transport for HttpClient {
    fn send(&self, request: &Request<'_>, limit: Limit<'_>) -> Result<Response, Failure> {
        let State { pool, connector } = self.process.get_or_try_init(|| self.make_state())?;
        let Request { reads_rate_limit, meter, .. } = *request;
        let request = RequestBytes::new(request, connector.forwarding_proxy()).map_err(|why| match why {
            Unsendable::NoMemory => not_sent(Cause::Write, "there is not enough memory for the request".to_owned()),
            Unsendable::InvalidTarget => {
                not_sent(Cause::Malformed, "the request has a character that no URL may have".to_owned())
            }
        })?;
        let mut exchange = Exchange::new(request, self.config.max_response_bytes, limit);
        exchange.measure(meter);
        if reads_rate_limit {
            exchange.read_rate_limit();
        }
        let idle = pool.take(limit.at);
        let is_reused = idle.is_some();
        let connection = match idle {
            Some(mut connection) => {
                connection.use_until(limit.cancellation);
                connection
            }
            None => connector.connect(&mut exchange)?,
        };
        if let Some(meter) = meter {
            meter.is_reused.set(Some(is_reused));
        }
        let uses = if is_reused { &self.uses.reused } else { &self.uses.opened };
        uses.fetch_add(1, Ordering::Relaxed);
        let Ended { result, connection, reuse, was_closed_unanswered } = exchange.over(connection).run();
        if was_closed_unanswered {
            pool.note_close(&connection);
        }
        pool.put(connection, reuse);
        result
    }
}

fn not_sent(cause: Cause, message: String) -> Failure {
    Failure { progress: Progress::NotSent, cause, message }
}
