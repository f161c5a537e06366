//! A client: each call validated and built, signed, sent, and its outcome told.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::api::{self, Call};
use crate::config::{self, Config, Limits};
use crate::error::Error;
use crate::http::{HttpClient, Origin, Request, Settings, Transport};
use crate::signing::Signer;

/// A client of one Channels application.
///
/// Threads: any number may use one client at the same time. Life: from pusher_new() to pusher_free().
pub struct Pusher {
    signer: Signer,
    /// `/apps/{app_id}` as it is sent, with the path prefix.
    base: String,
    /// `/apps/{app_id}` as it is signed: without the prefix where a proxy strips it.
    signed_base: String,
    timeout: Duration,
    limits: Limits,
    transport: HttpClient,
}

/// What every request carries. `Content-Type` is required by one self-hosted server, and harmless elsewhere.
const HEADERS: [(&str, &str); 3] = [
    ("content-type", "application/json"),
    ("user-agent", concat!("libpusher/", env!("CARGO_PKG_VERSION"))),
    ("x-pusher-library", concat!("libpusher ", env!("CARGO_PKG_VERSION"))),
];

impl Pusher {
    /// A client with a configuration as [`Config::parse`] takes it. Nothing is connected, read or started.
    pub fn new(configuration: Option<&str>) -> Result<Pusher, Error> {
        let config = Config::parse(configuration)?;
        let signer = Signer::new(&config.key, &config.secret);
        let signed_base = format!("/apps/{}", config.app_id);
        let base = format!("{}{signed_base}", config.path);
        let origin = Origin { tls: config.ssl, host: config::url_host(&config.host).into_owned(), port: config.port };
        let transport = HttpClient::new(Settings {
            origin,
            connect_timeout: config.connect_timeout,
            max_idle_connections: config.max_idle_connections,
            idle_timeout: config.idle_timeout,
            max_response_bytes: config.limits.response_bytes,
            ca_file: config.ca_file,
        });
        Ok(Pusher {
            signer,
            signed_base: if config.sign_path_prefix { base.clone() } else { signed_base },
            base,
            timeout: config.timeout,
            limits: config.limits,
            transport,
        })
    }

    /// Publishes an event. See pusher_trigger().
    pub fn trigger(&self, channels: &str, event: &str, data: &str, options: Option<&str>) -> Result<String, Error> {
        self.run(&api::trigger(&self.limits, channels, event, data, options)?)
    }

    /// Makes a call: one request.
    fn run(&self, call: &Call) -> Result<String, Error> {
        let deadline = Instant::now() + call.timeout.unwrap_or(self.timeout);
        let body = call.body.as_deref().map(str::as_bytes);
        // A clock before 1970 signs with 0, and the server says that the clock is wrong.
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let path = format!("{}{}", self.signed_base, call.path);
        let signed = self.signer.query(call.method.name(), &path, &call.parameters, body, timestamp);
        let target = format!("{}{}?{}", self.base, call.path, signed.query);
        let request = Request { method: call.method, target, headers: &HEADERS, body };
        api::outcome(call.effect, &signed.signature, self.transport.send(&request, deadline))
    }
}
