//! ureq, with the parts of it replaced that would cost or hide something: see [`super`].

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::ureq::http::header::{CONTENT_LENGTH, DATE, PROXY_AUTHORIZATION, RETRY_AFTER, TRANSFER_ENCODING};
use ::ureq::http::uri::{Authority, PathAndQuery, Scheme, Uri};
use ::ureq::http::{self, HeaderName, HeaderValue, StatusCode};
use ::ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as UreqResolver};
use ::ureq::unversioned::transport::{Connector, NextTimeout};
use ::ureq::{Agent, Body, Error};

use crate::process::PerProcess;

use super::message::{Method, Origin, Proxy, Request, Response};
use super::phases::{self, Exchange};
use super::resolver::Resolver;
use super::tls::{self, Roots, TlsConnector};
use super::transport::{Cause, Failure, Progress, Transport};
use super::watch::{MAX_HEAD_BYTES, WatchConnector};
use super::wire::WireConnector;

/// How an [`HttpClient`] connects.
#[derive(Debug)]
pub struct HttpConfig {
    /// The server, and whether to speak TLS with it.
    pub origin: Origin,
    /// For the look-up, the connection and the TLS handshake together.
    pub connect_timeout: Duration,
    /// How many idle connections are kept.
    pub max_idle_connections: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// The longest body of an answer.
    pub max_response_bytes: usize,
    /// Whom TLS trusts.
    pub roots: Roots,
    /// The proxy to go through.
    pub proxy: Option<Proxy>,
}

/// The most that is read of an answer that is no success: enough for its text.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// How long that text is waited for. The status is known, and what it means.
const ERROR_PATIENCE: Duration = Duration::from_millis(500);

/// Sends requests to one server over kept-alive connections.
pub struct HttpClient {
    config: HttpConfig,
    /// ureq's agent with its pool, for each process that uses this client.
    agent: PerProcess<Agent>,
}

impl HttpClient {
    /// A client that has not connected, read or started anything yet.
    pub fn new(config: HttpConfig) -> HttpClient {
        make_statics();
        HttpClient { config, agent: PerProcess::new() }
    }

    fn make_agent(&self) -> Result<Agent, Failure> {
        let settings = &self.config;
        let config = Agent::config_builder()
            // The connections below are ours, through a proxy as well.
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
            .then(|| tls::configuration(&settings.roots))
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
            NoLookUp,
        ))
    }

    /// Sends the request and reads the answer's head.
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
        // Through a tunnel the proxy was told already, and the server must not be.
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
            phases::current(|exchange| exchange.deadline = exchange.deadline.min(Instant::now() + ERROR_PATIENCE));
        }
        let has_length = head.headers.contains_key(CONTENT_LENGTH)
            || head.headers.contains_key(TRANSFER_ENCODING)
            || head.status == StatusCode::NO_CONTENT;
        let mut bytes = Vec::new();
        // One byte more than the limit tells that it is exceeded.
        let read = body.as_reader().take(limit as u64 + 1).read_to_end(&mut bytes).map_err(Error::from);
        if head.status.is_success() {
            read?;
            if bytes.len() > limit {
                return Err(Error::BodyExceedsLimit(limit as u64));
            }
            // ureq takes chunks for whole that end without their last line.
            if has_length && phases::current(|exchange| exchange.at_end) {
                return Err(Error::BodyStalled);
            }
        }
        // Where the server said no, its status counts and the text is a courtesy, however it ends.
        bytes.truncate(limit);
        let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
        Ok(Response {
            status: head.status.as_u16(),
            body: bytes,
            has_length,
            request_was_sent: phases::current(|exchange| !exchange.answer_was_early),
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

/// Has ureq make what it keeps for ever from its first request on (a `LazyLock` in its `run`). A fork in that instant would leave
/// that locked for the child, so it is over before anybody has a client.
fn make_statics() {
    static MADE: AtomicBool = AtomicBool::new(false);
    if MADE.load(Ordering::Acquire) {
        return;
    }
    // There is no connector to send it by: the request is given up as soon as it is complete.
    let agent = Agent::with_parts(Agent::config_builder().proxy(None).build(), (), NoLookUp);
    let mut request = http::Request::new(());
    *request.uri_mut() = Uri::from_static("http://localhost/");
    let _ = agent.run(request);
    MADE.store(true, Ordering::Release);
}

const CLOSED: &str = "the server closed the connection";

/// A failure for an error of ureq's, by the record of the exchange.
fn failure(error: Error, exchange: &Exchange) -> Failure {
    let (cause, what) = match error {
        // Ours, from below or above; its progress is brought up to date.
        Error::Other(inner) => match inner.downcast::<Failure>() {
            Ok(failure) => return Failure { progress: exchange.progress(), ..*failure },
            Err(_) => (Cause::Malformed, "the HTTP client gave up".to_owned()),
        },
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(error) => (Cause::Tls, error.to_string()),
            None if error.kind() == io::ErrorKind::UnexpectedEof => (Cause::Closed, CLOSED.to_owned()),
            None => (Cause::Malformed, error.to_string()),
        },
        Error::Tls(error) => (Cause::Tls, error.to_owned()),
        Error::BodyExceedsLimit(limit) => (Cause::Malformed, format!("it is longer than {limit} bytes")),
        Error::LargeResponseHeader(..) => (Cause::Malformed, "a line or a head of it is too long".to_owned()),
        Error::BodyStalled => (Cause::Closed, CLOSED.to_owned()),
        Error::Protocol(error) => (Cause::Malformed, format!("it is not HTTP ({error})")),
        // Some of ureq's errors show the URL, which is signed.
        _ => (Cause::Malformed, "the HTTP client gave up".to_owned()),
    };
    exchange.failure(cause, what)
}

/// ureq resolves before each request, on kept-alive connections too. Here the look-up is part of connecting.
#[derive(Debug)]
struct NoLookUp;

impl UreqResolver for NoLookUp {
    fn resolve(&self, _: &Uri, _: &::ureq::config::Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}
