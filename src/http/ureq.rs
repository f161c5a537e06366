//! ureq, with the parts of it replaced that would cost or hide something: see [`super`].

use std::io::Read;
use std::time::{Duration, Instant};

use ::ureq::http::header::{CONTENT_LENGTH, RETRY_AFTER, TRANSFER_ENCODING};
use ::ureq::http::uri::{Authority, PathAndQuery, Scheme, Uri};
use ::ureq::http::{self, HeaderName, HeaderValue, StatusCode};
use ::ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as UreqResolver};
use ::ureq::unversioned::transport::{Connector, NextTimeout, RustlsConnector};
use ::ureq::{Agent, Error};

use super::fork::PerProcess;
use super::message::{Method, Origin, Request, Response};
use super::phases::{self, Exchange};
use super::resolver::Resolver;
use super::tls;
use super::transport::{Cause, Failure, Progress, Transport};
use super::watch::WatchConnector;
use super::wire::WireConnector;

/// How an [`HttpClient`] connects.
#[derive(Debug)]
pub struct Settings {
    /// Where to.
    pub origin: Origin,
    /// For the look-up, the connection and the TLS handshake together.
    pub connect_timeout: Duration,
    /// How many idle connections are kept.
    pub max_idle_connections: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// The longest body of an answer.
    pub max_response_bytes: usize,
    /// A PEM file of certificates to trust instead of the system's.
    pub ca_file: Option<String>,
}

/// The most that is read of an answer that is no success: enough for its text, and no reason to wait for more.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The longest head of an answer.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Sends requests to one origin over kept-alive connections.
pub struct HttpClient {
    settings: Settings,
    /// ureq's agent with its pool, for each process that uses this client.
    agent: PerProcess<Agent>,
}

impl HttpClient {
    /// A client that has not connected, read or started anything yet.
    pub fn new(settings: Settings) -> HttpClient {
        HttpClient { settings, agent: PerProcess::new() }
    }

    fn make_agent(&self) -> Result<Agent, Failure> {
        let settings = &self.settings;
        let mut config = Agent::config_builder()
            // The environment's proxy is a hole under CGI, where a request header can set HTTP_PROXY.
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent("")
            .accept("")
            .accept_encoding("")
            .max_response_header_size(MAX_HEAD_BYTES)
            .input_buffer_size(MAX_HEAD_BYTES)
            .output_buffer_size(MAX_HEAD_BYTES)
            .max_idle_connections(settings.max_idle_connections)
            .max_idle_connections_per_host(settings.max_idle_connections)
            .max_idle_age(settings.idle_timeout);
        if settings.origin.tls {
            let tls = tls::configuration(settings.ca_file.as_deref()).map_err(|message| Failure {
                progress: Progress::NotSent,
                cause: Cause::Tls,
                message,
            })?;
            config = config.tls_config(tls);
        }
        let wire = WireConnector { resolver: Resolver::default(), connect_timeout: settings.connect_timeout };
        Ok(Agent::with_parts(config.build(), wire.chain(RustlsConnector::default()).chain(WatchConnector), NoLookUp))
    }

    fn request<'a>(&self, request: &Request<'a>) -> Result<http::Request<&'a [u8]>, Error> {
        let origin = &self.settings.origin;
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(if origin.tls { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(Authority::try_from(&*origin.authority()).map_err(http::Error::from)?);
        parts.path_and_query = Some(PathAndQuery::try_from(request.target.as_str()).map_err(http::Error::from)?);
        let mut converted = http::Request::new(request.body.unwrap_or_default());
        *converted.method_mut() = match request.method {
            Method::Post => http::Method::POST,
        };
        *converted.uri_mut() = Uri::from_parts(parts).map_err(http::Error::from)?;
        for (name, value) in request.headers {
            converted.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Ok(converted)
    }

    fn exchange(&self, agent: &Agent, request: &Request<'_>) -> Result<Response, Error> {
        let (head, mut body) = agent.run(self.request(request)?)?.into_parts();
        let limit = match head.status.is_success() {
            true => self.settings.max_response_bytes,
            false => self.settings.max_response_bytes.min(MAX_ERROR_BYTES),
        };
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
            request_was_sent: phases::current(|exchange| exchange.request_was_sent),
            retry_after: text(RETRY_AFTER),
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

/// A failure for an error of ureq's, by the record of the exchange.
fn failure(error: Error, exchange: &Exchange) -> Failure {
    let (cause, what) = match error {
        // Ours, from below or above; its progress is brought up to date.
        Error::Other(inner) => match inner.downcast::<Failure>() {
            Ok(failure) => return Failure { progress: exchange.progress(), ..*failure },
            Err(other) => (Cause::Malformed, other.to_string()),
        },
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(error) => (Cause::Tls, error.to_string()),
            None => (Cause::Closed, "the server closed the connection".to_owned()),
        },
        Error::Rustls(error) => (Cause::Tls, error.to_string()),
        Error::Tls(error) => (Cause::Tls, error.to_owned()),
        Error::BodyExceedsLimit(limit) => (Cause::Malformed, format!("it is longer than {limit} bytes")),
        Error::LargeResponseHeader(..) => (Cause::Malformed, format!("its head is longer than {MAX_HEAD_BYTES} bytes")),
        Error::BodyStalled => (Cause::Closed, "the server closed the connection".to_owned()),
        Error::Protocol(error) => (Cause::Malformed, format!("it is not HTTP ({error})")),
        error => (Cause::Malformed, error.to_string()),
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
