//! Makes connections: looks up the host name, connects, opens a tunnel, makes the TLS handshake.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::platform::Address;

use super::connection::Connection;
use super::exchange::Exchange;
use super::failure::{Cause, Failure, Fault};
use super::message::{Origin, Proxy};
use super::phase::Phase;
use super::proxy;
use super::resolver::{Resolver, Unresolved};
use super::stream::Stream;
use super::tls::Tls;

/// Makes connections to one server.
pub(super) struct Connector {
    pub(super) origin: Origin,
    pub(super) connect_timeout: Duration,
    pub(super) proxy: Option<Arc<Proxy>>,
    pub(super) unix_socket: Option<PathBuf>,
    pub(super) resolver: Resolver,
    /// The configuration of TLS, if the server speaks it.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl Connector {
    /// Makes the connection that an exchange needs.
    pub(super) fn connect(&self, exchange: &mut Exchange<'_>) -> Result<Connection, Failure> {
        let since = Instant::now();
        let deadline = exchange.begin_connecting(since, self.connect_timeout);
        let addresses = self.addresses(exchange, deadline)?;

        exchange.enter(Phase::Connecting);
        let mut stream = Stream::connect(&addresses, deadline, exchange.cancellation())
            .map_err(|error| not_connected(exchange, &addresses, &error))?;

        if let (Some(proxy), true) = (&self.proxy, self.origin.tls) {
            exchange.enter(Phase::Tunnel);
            let opened = proxy::open_tunnel(&mut stream, proxy, &self.origin.host_and_port(), deadline);
            opened.map_err(|fault| exchange.failure(&fault))?;
        }

        let mut session = None;
        if let Some(config) = &self.tls {
            exchange.enter(Phase::Handshake);
            let handshake = Tls::handshake(&mut stream, config, self.origin.name(), deadline);
            session = Some(handshake.map_err(|fault| exchange.failure(&fault))?);
        }
        Ok(Connection::new(stream, session, since))
    }

    /// Returns the proxy that requests are sent to, if one forwards them.
    pub(super) fn forwarding_proxy(&self) -> Option<&Proxy> {
        self.proxy.as_deref().filter(|_| !self.origin.tls)
    }

    /// Returns the addresses to connect to.
    fn addresses(&self, exchange: &mut Exchange<'_>, deadline: Instant) -> Result<Vec<Address>, Failure> {
        if let Some(path) = &self.unix_socket {
            return Ok(vec![Address::Unix(path.clone())]);
        }
        let (host, port) = match &self.proxy {
            Some(proxy) => (proxy.host.as_str(), proxy.port),
            None => (self.origin.host.as_str(), self.origin.port),
        };
        exchange.enter(Phase::Resolving);
        let resolved = self.resolver.resolve(host, port, deadline, exchange.cancellation());
        let addresses = resolved.map_err(|unresolved| exchange.failure(&fault(unresolved, host)))?;
        let mut all = Vec::new();
        all.try_reserve_exact(addresses.len()).map_err(|_| exchange.failure(&fault(Unresolved::no_memory(), host)))?;
        all.extend(addresses.into_iter().map(Address::Ip));
        Ok(all)
    }
}

fn fault(unresolved: Unresolved, host: &str) -> Fault {
    match unresolved {
        Unresolved::NoSuchHost => Fault::new(Cause::NoSuchHost, format!("there is no host {host}")),
        Unresolved::Failed(why) => Fault::new(Cause::Dns, why),
        Unresolved::Cancelled => Fault::new(Cause::Cancelled, ""),
        Unresolved::TimedOut => Fault::new(Cause::Timeout, ""),
    }
}

fn not_connected(exchange: &Exchange<'_>, addresses: &[Address], error: &io::Error) -> Failure {
    let addresses = Addresses(addresses);
    if error.kind() == ErrorKind::TimedOut && !exchange.is_cancelled() {
        let message = format!("no connection to {addresses} within {}", exchange.limit());
        return Failure { message, ..exchange.failure(&Fault::new(Cause::Timeout, "")) };
    }
    // A server may accept and reset before connect() reports success.
    let Fault { cause, what, .. } = Fault::of_io(error, Cause::Connect);
    exchange.failure(&Fault::new(cause, format!("{addresses}: {what}")))
}

/// A list of addresses, separated by commas.
struct Addresses<'a>(&'a [Address]);

impl fmt::Display for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.0.iter().enumerate() {
            write!(f, "{}{address}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}
