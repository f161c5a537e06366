//! An HTTP client on ureq, with its resolver, its sockets and its TLS replaced: see [`super`].

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::ureq::http::header::{CONTENT_LENGTH, DATE, PROXY_AUTHORIZATION, RETRY_AFTER, TRANSFER_ENCODING};
use ::ureq::http::uri::{Authority, PathAndQuery, Scheme, Uri};
use ::ureq::http::{self, HeaderName, HeaderValue, StatusCode};
use ::ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as UreqResolver};
use ::ureq::unversioned::transport::{Connector, NextTimeout};
use ::ureq::{Agent, Body, Error};
use rustls::InvalidMessage;

use crate::process::PerProcess;

use super::message::{Method, Origin, Proxy, Request, Response};
use super::phases::{self, Exchange};
use super::resolver::Resolver;
use super::tls::TlsConnector;
use super::transport::{Cause, Failure, Progress, Transport};
use super::trust::{self, Roots};
use super::watch::{MAX_HEAD_BYTES, WatchConnector};
use super::wire::WireConnector;

/// The configuration of an [`HttpClient`].
#[derive(Debug)]
pub struct HttpConfig {
    /// The server, and whether to speak TLS with it.
    pub origin: Origin,
    /// The limit for the lookup, the connection and the TLS handshake together.
    pub connect_timeout: Duration,
    /// The most idle connections kept.
    pub max_idle_connections: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// The longest body of a response.
    pub max_response_bytes: usize,
    /// The certificate authorities that TLS trusts.
    pub roots: Roots,
    /// The proxy, if any.
    pub proxy: Option<Proxy>,
}

/// The most that is read of the body of a response that is not 2xx: enough for its message.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The time limit for that body. Its status is already known, and decides.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_millis(500);

/// Sends requests to one server over kept-alive connections.
pub struct HttpClient {
    config: HttpConfig,
    /// ureq's agent with its connection pool, one for each process that uses this client.
    agent: PerProcess<Agent>,
}

impl HttpClient {
    /// Returns a client. It connects, reads files and starts threads only when it sends.
    pub fn new(config: HttpConfig) -> HttpClient {
        make_statics();
        HttpClient { config, agent: PerProcess::new() }
    }

    fn make_agent(&self) -> Result<Agent, Failure> {
        let settings = &self.config;
        let config = Agent::config_builder()
            // Our own connector handles the proxy.
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent("")
            .accept("")
            .accept_encoding("")
            .max_response_header_size(MAX_HEAD_BYTES)
            .max_idle_connections(settings.max_idle_connections)
            .max_idle_connections_per_host(settings.max_idle_connections)
            .max_idle_age(settings.idle_timeout)
            .build();
        let tls = settings
            .origin
            .tls
            .then(|| trust::configuration(&settings.roots))
            .transpose()
            .map_err(|message| Failure { progress: Progress::NotSent, cause: Cause::Tls, message })?;
        let wire = WireConnector {
            origin: settings.origin.clone(),
            resolver: Resolver::default(),
            connect_timeout: settings.connect_timeout,
            proxy: settings.proxy.clone(),
        };
        Ok(Agent::with_parts(
            config,
            wire.chain(TlsConnector { config: tls, host: settings.origin.host.clone() }).chain(WatchConnector),
            NoLookup,
        ))
    }

    /// Sends the request and reads the head of the response.
    fn run(&self, agent: &Agent, request: &Request<'_>) -> Result<http::Response<Body>, Error> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(if request.origin.tls { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(Authority::try_from(&*request.origin.authority()).map_err(http::Error::from)?);
        parts.path_and_query = Some(PathAndQuery::try_from(request.target.as_str()).map_err(http::Error::from)?);
        let mut head = http::Request::new(());
        *head.uri_mut() = Uri::from_parts(parts).map_err(http::Error::from)?;
        for (name, value) in request.headers {
            head.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        // A tunnel has been authorized already, and the server must not see the proxy's
        // credentials.
        if let (false, Some(proxy)) = (request.origin.tls, &self.config.proxy) {
            if let Some(authorization) = &proxy.authorization {
                let mut value = HeaderValue::from_str(authorization).map_err(http::Error::from)?;
                value.set_sensitive(true);
                head.headers_mut().insert(PROXY_AUTHORIZATION, value);
            }
        }
        *head.method_mut() = match request.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
        };
        match request.body {
            None => agent.run(head),
            Some(body) => agent.run(head.map(|()| body)),
        }
    }

    fn exchange(&self, agent: &Agent, request: &Request<'_>) -> Result<Response, Error> {
        let (head, mut body) = self.run(agent, request)?.into_parts();
        let mut limit = self.config.max_response_bytes;
        if !head.status.is_success() {
            limit = limit.min(MAX_ERROR_BYTES);
            phases::current(|exchange| exchange.deadline = exchange.deadline.min(Instant::now() + ERROR_BODY_TIMEOUT));
        }
        let has_length = head.headers.contains_key(CONTENT_LENGTH)
            || head.headers.contains_key(TRANSFER_ENCODING)
            || head.status == StatusCode::NO_CONTENT;
        let mut bytes = Vec::new();
        // Read one byte more than the limit, to detect that it is exceeded.
        let read = body.as_reader().take(limit as u64 + 1).read_to_end(&mut bytes).map_err(Error::from);
        if head.status.is_success() {
            read?;
            if bytes.len() > limit {
                return Err(Error::BodyExceedsLimit(limit as u64));
            }
            // ureq accepts a chunked body that ends without its last chunk.
            if has_length && phases::current(|exchange| exchange.at_end) {
                return Err(Error::BodyStalled);
            }
        }
        // For a refusal the status counts. A body that could not be read completely is kept as it
        // is.
        bytes.truncate(limit);
        let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
        Ok(Response {
            status: head.status.as_u16(),
            body: bytes,
            has_length,
            request_was_sent: phases::current(|exchange| !exchange.response_was_early),
            retry_after: text(RETRY_AFTER),
            date: text(DATE),
        })
    }
}

impl Transport for HttpClient {
    fn send(&self, request: &Request<'_>, deadline: Instant) -> Result<Response, Failure> {
        let agent = self.agent.get_or_try_init(|| self.make_agent())?;
        let (result, exchange) = phases::record(deadline, || self.exchange(agent, request));
        result.map_err(|error| failure(error, &exchange))
    }
}

/// Makes ureq initialise its statics (a `LazyLock` in its `run`). A fork during the initialisation
/// would leave them locked in the child, so it is done before any caller has a client.
fn make_statics() {
    static MADE: AtomicBool = AtomicBool::new(false);
    if MADE.load(Ordering::Acquire) {
        return;
    }
    // This agent has no connector, so the request fails once it is complete.
    let agent = Agent::with_parts(Agent::config_builder().proxy(None).build(), (), NoLookup);
    let mut request = http::Request::new(());
    *request.uri_mut() = Uri::from_static("http://localhost/");
    let _ = agent.run(request);
    MADE.store(true, Ordering::Release);
}

const CLOSED: &str = "the server closed the connection";

const NO_TLS: &str =
    "the server does not speak TLS on this port (for plain HTTP set \"ssl\" to false, or use an http:// URL)";

/// Converts an error of ureq, with the record of the exchange.
fn failure(error: Error, exchange: &Exchange) -> Failure {
    let (cause, what) = match error {
        // A failure of our own layers. Its progress may be older than the record's.
        Error::Other(inner) => match inner.downcast::<Failure>() {
            Ok(failure) => return Failure { progress: exchange.progress(), ..*failure },
            Err(_) => (Cause::Malformed, "an error in the HTTP client".to_owned()),
        },
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => (Cause::Tls, NO_TLS.to_owned()),
            Some(error) => (Cause::Tls, error.to_string()),
            None if error.kind() == io::ErrorKind::UnexpectedEof => (Cause::Closed, CLOSED.to_owned()),
            None => (Cause::Malformed, error.to_string()),
        },
        Error::Tls(error) => (Cause::Tls, error.to_owned()),
        Error::BodyExceedsLimit(limit) => (Cause::Malformed, format!("it is longer than {limit} bytes")),
        Error::LargeResponseHeader(..) => (Cause::Malformed, "a line or its head is too long".to_owned()),
        Error::BodyStalled => (Cause::Closed, CLOSED.to_owned()),
        Error::Protocol(error) => (Cause::Malformed, format!("it is not HTTP ({error})")),
        // Some of ureq's errors contain the URL, which is signed.
        _ => (Cause::Malformed, "an error in the HTTP client".to_owned()),
    };
    exchange.failure(cause, what)
}

/// A resolver that does nothing. ureq resolves before each request, even on a kept-alive
/// connection; our connector resolves when it connects.
#[derive(Debug)]
struct NoLookup;

impl UreqResolver for NoLookup {
    fn resolve(&self, _: &Uri, _: &::ureq::config::Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}
