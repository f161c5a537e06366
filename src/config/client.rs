//! The configuration of a client, checked.

use std::path::PathBuf;
use std::time::Duration;

use crate::circuit::CircuitPolicy;
use crate::encryption::MasterKey;
use crate::headers::Headers;
use crate::http::{Proxy, Trust};
use crate::idempotency::Idempotency;
use crate::log::Level;
use crate::retry::RetryPolicy;
use crate::secret::Secret;
use crate::statistics::StatsFormat;
use crate::validation::ChannelNames;

use super::server::{BatchRoute, Server};

/// Limits on what is sent and received.
#[derive(Clone, Debug)]
pub struct RequestLimits {
    /// The size of `data`, in bytes.
    pub data_bytes: usize,
    /// The number of channels of one event.
    pub channels: usize,
    /// The number of events in one batch.
    pub batch_events: usize,
    /// The size of a request, head and body, in bytes. `None` for any size.
    pub request_bytes: Option<usize>,
    /// The size of a response body, in bytes.
    pub response_bytes: usize,
}

/// The configuration of a client.
#[derive(Debug)]
pub struct Config {
    /// The kind of server.
    pub server: Server,
    /// The application's id, which is part of every path. Signatures and webhooks do without.
    pub app_id: Option<String>,
    /// The application's key, which is public.
    pub key: String,
    /// The application's secret, which signs requests.
    pub secret: Secret,
    /// Whether to use TLS.
    pub ssl: bool,
    /// A host name or an IP address, without brackets. It names the server also behind a Unix domain
    /// socket.
    pub host: String,
    /// The port to connect to.
    pub port: u16,
    /// The path before `/apps/…`: empty, or `/prefix`.
    pub path: String,
    /// Whether `path` is part of the signed path.
    pub sign_path_prefix: bool,
    /// The time for a whole call, retries included.
    pub timeout: Duration,
    /// Which requests that publish have an idempotency key.
    pub idempotency: Idempotency,
    /// Whether the server publishes a request with a key only once.
    pub server_deduplicates: bool,
    /// How long the server remembers a key.
    pub idempotency_window: Duration,
    /// The time for one attempt of a call.
    pub attempt_timeout: Option<Duration>,
    /// The time to connect: name resolution, TCP, proxy and TLS handshake.
    pub connect_timeout: Duration,
    /// Which failures are retried, and how often.
    pub retry: RetryPolicy,
    /// When calls fail at once because the server cannot be reached. `None` for never.
    pub circuit: Option<CircuitPolicy>,
    /// Whether to correct a wrong local clock by the server's `Date`.
    pub clock_correction: bool,
    /// The number of idle connections to keep.
    pub max_idle_connections: usize,
    /// How long to keep an idle connection.
    pub idle_timeout: Duration,
    /// How long to reuse a connection.
    pub max_connection_age: Duration,
    /// The certificates that TLS trusts and presents.
    pub trust: Trust,
    /// The Unix domain socket to connect to.
    pub unix_socket: Option<PathBuf>,
    /// Headers to add to each request.
    pub headers: Headers,
    /// The proxy to connect through.
    pub proxy: Option<Proxy>,
    /// The rule for the names of channels.
    pub channel_names: ChannelNames,
    /// Limits on what is sent and received.
    pub limits: RequestLimits,
    /// Whether the server has the route for batches.
    pub batch_route: BatchRoute,
    /// The master key of end-to-end encrypted channels.
    pub master_key: Option<MasterKey>,
    /// More keys and secrets that webhooks may be signed with.
    pub webhook_tokens: Vec<(String, Secret)>,
    /// The maximum age of a webhook; zero for any age.
    pub webhook_max_age: Duration,
    /// The least severe level that is logged.
    pub log_level: Level,
    /// The format of statistics.
    pub stats_format: StatsFormat,
}
