//! A configuration that is being collected: it starts from the defaults, and each source overwrites
//! them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use strum::{EnumString, VariantNames};
use zeroize::Zeroizing;

use super::address::{self, Address};
use super::client::Config;
use super::environment::Variables;
use super::profile::DefaultHost;
use super::proxy;
use super::server::{BatchRoute, Server};
use super::values::{Value, known_key, known_root_key};
use crate::bytes::{owned_text, push};
use crate::encryption::MasterKey;
use crate::error::Problem;
use crate::headers::Headers;
use crate::http::{Identity, Roots, Trust};
use crate::json::{Json, shown};
use crate::log::Level;
use crate::platform::is_socket_path;
use crate::retry::RetryPolicy;
use crate::secret::Secret;
use crate::statistics::StatsFormat;
use crate::validation::{self, ChannelNames};

/// The form of a configuration URL, for messages.
pub(super) const URL_FORM: &str = "https://KEY:SECRET@api-CLUSTER.pusher.com/apps/APP_ID";

const DEFAULT_CLUSTER: &str = "mt1";

/// Far above the limit of any server. Checking and hashing this much takes a tenth of a second or
/// two.
const MAX_DATA_BYTES: u64 = 64 << 20;

const MAX_REQUEST_BYTES: u64 = 1 << 30;

const MAX_RESPONSE_BYTES: u64 = 1 << 30;

/// A day. Longer than any address should be trusted.
const MAX_CONNECTION_AGE_MS: u64 = 86_400_000;

/// A day. Servers remember keys for minutes.
const MAX_WINDOW_MS: u64 = 86_400_000;

/// More webhook tokens than any application rotates.
const MAX_TOKENS: usize = 100;

/// The keys of a client's configuration, as `pusher_new()` takes them. docs/configuration.md
/// describes them.
pub const KEYS: &[&str] = ConfigKey::VARIANTS;

#[derive(EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
enum ConfigKey {
    Server,
    Url,
    AppId,
    Key,
    Secret,
    Cluster,
    Host,
    Port,
    Ssl,
    Scheme,
    Path,
    SignPathPrefix,
    TimeoutMs,
    AttemptTimeoutMs,
    ConnectTimeoutMs,
    Retry,
    CircuitBreaker,
    Idempotency,
    ServerDeduplicates,
    IdempotencyWindowMs,
    ClockCorrection,
    MaxIdleConnections,
    IdleTimeoutMs,
    MaxConnectionAgeMs,
    CaFile,
    ExtraCaFile,
    TlsRoots,
    ClientCertificateFile,
    ClientKeyFile,
    Headers,
    Proxy,
    UnixSocket,
    EncryptionMasterKeyBase64,
    WebhookTokens,
    WebhookMaxAgeMs,
    LogLevel,
    StatsFormat,
    MaxDataBytes,
    MaxChannels,
    MaxBatchEvents,
    MaxRequestBytes,
    MaxResponseBytes,
    BatchRoute,
    ChannelCharacters,
}

impl ConfigKey {
    /// Returns whether the empty string counts as not given.
    const fn may_be_empty(&self) -> bool {
        match self {
            ConfigKey::Server
            | ConfigKey::Url
            | ConfigKey::AppId
            | ConfigKey::Key
            | ConfigKey::Secret
            | ConfigKey::Cluster
            | ConfigKey::Host
            | ConfigKey::Scheme
            | ConfigKey::Path
            | ConfigKey::Idempotency
            | ConfigKey::CaFile
            | ConfigKey::ExtraCaFile
            | ConfigKey::TlsRoots
            | ConfigKey::ClientCertificateFile
            | ConfigKey::ClientKeyFile
            | ConfigKey::Proxy
            | ConfigKey::UnixSocket
            | ConfigKey::EncryptionMasterKeyBase64
            | ConfigKey::LogLevel
            | ConfigKey::StatsFormat
            | ConfigKey::BatchRoute => true,
            // These are no strings.
            ConfigKey::Port
            | ConfigKey::Ssl
            | ConfigKey::SignPathPrefix
            | ConfigKey::TimeoutMs
            | ConfigKey::AttemptTimeoutMs
            | ConfigKey::ConnectTimeoutMs
            | ConfigKey::Retry
            | ConfigKey::CircuitBreaker
            | ConfigKey::ServerDeduplicates
            | ConfigKey::IdempotencyWindowMs
            | ConfigKey::ClockCorrection
            | ConfigKey::MaxIdleConnections
            | ConfigKey::IdleTimeoutMs
            | ConfigKey::MaxConnectionAgeMs
            | ConfigKey::Headers
            | ConfigKey::WebhookTokens
            | ConfigKey::WebhookMaxAgeMs
            | ConfigKey::MaxDataBytes
            | ConfigKey::MaxChannels
            | ConfigKey::MaxBatchEvents
            | ConfigKey::MaxRequestBytes
            | ConfigKey::MaxResponseBytes => false,
            // It means that names have no more characters.
            ConfigKey::ChannelCharacters => false,
        }
    }

    /// Returns whether a value counts as given.
    fn is_given(&self, value: Value<'_, '_>) -> bool {
        if self.may_be_empty() { value.is_given_string() } else { value.is_given() }
    }
}

/// The words of `tls_roots`.
#[derive(EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
enum TlsRoots {
    System,
    Bundled,
    Both,
}

/// A configuration that is being collected.
pub(super) struct Draft {
    /// The values that do not depend on others. The fields below replace theirs in the end.
    config: Config,
    app_id: Option<String>,
    key: Option<String>,
    secret: Option<Secret>,
    cluster: Option<String>,
    host: Option<String>,
    /// The host of a URL, which `host` and `cluster` override.
    url_host: Option<String>,
    /// Whether the scheme of a URL is https, which `ssl` and `scheme` override.
    url_ssl: Option<bool>,
    port: Option<u16>,
    ssl: Option<bool>,
    scheme: Option<bool>,
    ca_file: Option<String>,
    tls_roots: Option<TlsRoots>,
    client_certificate_file: Option<String>,
    client_key_file: Option<String>,
    proxy: Option<Secret>,
    unix_socket: Option<String>,
}

impl Draft {
    /// Starts from the defaults.
    pub(super) fn new() -> Draft {
        Draft::of(Server::default())
    }

    /// Starts from the defaults for a server.
    fn of(server: Server) -> Draft {
        let profile = server.profile();
        let config = Config {
            server,
            app_id: None,
            key: String::new(),
            secret: Secret::new(String::new()),
            ssl: true,
            host: String::new(),
            port: 0,
            path: String::new(),
            sign_path_prefix: profile.sign_path_prefix,
            timeout: Duration::from_millis(5000),
            attempt_timeout: None,
            connect_timeout: Duration::from_millis(3000),
            retry: RetryPolicy::default(),
            circuit: None,
            idempotency: profile.idempotency,
            server_deduplicates: false,
            idempotency_window: Duration::from_millis(120_000),
            clock_correction: true,
            max_idle_connections: 8,
            idle_timeout: Duration::from_millis(15_000),
            max_connection_age: Duration::from_millis(300_000),
            trust: Trust { roots: Roots::System, extra_file: None, identity: None },
            unix_socket: None,
            headers: Headers::default(),
            proxy: None,
            limits: profile.limits.clone(),
            batch_route: profile.batch_route,
            channel_names: profile.channel_names,
            master_key: None,
            webhook_tokens: Vec::new(),
            webhook_max_age: Duration::from_millis(600_000),
            log_level: Level::Warn,
            stats_format: StatsFormat::Json,
        };
        Draft {
            config,
            app_id: None,
            key: None,
            secret: None,
            cluster: None,
            host: None,
            url_host: None,
            url_ssl: None,
            port: None,
            ssl: None,
            scheme: None,
            ca_file: None,
            tls_roots: None,
            client_certificate_file: None,
            client_key_file: None,
            proxy: None,
            unix_socket: None,
        }
    }

    /// Takes the keys of a JSON object.
    pub(super) fn take_json(&mut self, text: &str) -> Result<(), Problem> {
        let members = Json::parse(text, "config")?.members("")?;
        members.iter().try_for_each(|(key, json)| is_short(json.text(), shown(key), json.is_string()))?;
        // The server is taken before everything else, which overrides its defaults.
        let given = |wanted: &str| {
            let member = members.iter().find(|(key, _)| key == wanted);
            member.map(|(key, json)| Value::new(key, *json)).filter(|value| value.is_given_string())
        };
        if let Some(server) = given("server") {
            *self = Draft::of(server.word()?);
        }
        // The URL is taken next, wherever it is in the object, so that the other keys override its
        // parts.
        if let Some(url) = given("url") {
            // A copy, if there is one, holds the secret.
            let text = Zeroizing::new(owned_text(url.string()?)?);
            self.take_url(&text, url.name())?;
        }
        for (key, json) in &members {
            let value = Value::new(key, *json);
            let known: ConfigKey = known_root_key(key, "a configuration key")?;
            if known.is_given(value) {
                self.take_member(known, value)?;
            }
        }
        Ok(())
    }

    fn take_member(&mut self, key: ConfigKey, value: Value<'_, '_>) -> Result<(), Problem> {
        let string = || value.string().and_then(|string| Ok(owned_text(string)?));
        let config = &mut self.config;
        match key {
            ConfigKey::Server | ConfigKey::Url => {}
            ConfigKey::AppId if !value.json().is_string() => {
                self.app_id = Some(value.integer(0, u64::MAX)?.to_string())
            }
            ConfigKey::AppId => self.app_id = Some(string()?),
            ConfigKey::Key => self.key = Some(string()?),
            ConfigKey::Secret => self.secret = Some(Secret::new(string()?)),
            ConfigKey::Cluster => self.cluster = Some(string()?),
            ConfigKey::Host => self.host = Some(string()?),
            ConfigKey::Port => self.port = Some(address::port(value.json().text(), value.name())?),
            ConfigKey::Ssl => self.ssl = Some(value.boolean()?),
            ConfigKey::Scheme => self.scheme = Some(is_https(&value.string()?, value.name())?),
            ConfigKey::Path => config.path = string()?,
            ConfigKey::SignPathPrefix => config.sign_path_prefix = value.boolean()?,
            ConfigKey::TimeoutMs => config.timeout = value.timeout()?,
            ConfigKey::AttemptTimeoutMs => config.attempt_timeout = Some(value.timeout()?),
            ConfigKey::ConnectTimeoutMs => config.connect_timeout = value.timeout()?,
            ConfigKey::Retry => config.retry = value.retry_policy()?,
            ConfigKey::CircuitBreaker => config.circuit = Some(value.circuit_policy()?),
            ConfigKey::Idempotency => config.idempotency = value.word()?,
            ConfigKey::ServerDeduplicates => config.server_deduplicates = value.boolean()?,
            ConfigKey::IdempotencyWindowMs => config.idempotency_window = value.milliseconds(1, MAX_WINDOW_MS)?,
            ConfigKey::ClockCorrection => config.clock_correction = value.boolean()?,
            ConfigKey::MaxIdleConnections => config.max_idle_connections = value.count(0, 1000)?,
            ConfigKey::IdleTimeoutMs => config.idle_timeout = value.timeout()?,
            ConfigKey::MaxConnectionAgeMs => {
                config.max_connection_age = value.milliseconds(1, MAX_CONNECTION_AGE_MS)?
            }
            ConfigKey::CaFile => self.ca_file = Some(string()?),
            ConfigKey::ExtraCaFile => config.trust.extra_file = Some(string()?),
            ConfigKey::TlsRoots => self.tls_roots = Some(value.word()?),
            ConfigKey::ClientCertificateFile => self.client_certificate_file = Some(string()?),
            ConfigKey::ClientKeyFile => self.client_key_file = Some(string()?),
            ConfigKey::Headers => config.headers = value.headers()?,
            ConfigKey::Proxy => self.proxy = Some(Secret::new(string()?)),
            ConfigKey::UnixSocket => self.unix_socket = Some(string()?),
            ConfigKey::EncryptionMasterKeyBase64 => {
                let text = Zeroizing::new(string()?);
                let key = validation::without_blank_ends(&text).and_then(|()| MasterKey::from_base64(&text));
                config.master_key = Some(key.map_err(|message| value.problem(message))?);
            }
            ConfigKey::WebhookTokens => config.webhook_tokens = webhook_tokens(value)?,
            ConfigKey::WebhookMaxAgeMs => config.webhook_max_age = value.milliseconds(0, u64::from(u32::MAX))?,
            ConfigKey::LogLevel => config.log_level = value.word()?,
            ConfigKey::StatsFormat => config.stats_format = value.word()?,
            ConfigKey::MaxDataBytes => config.limits.data_bytes = value.count(1, MAX_DATA_BYTES)?,
            ConfigKey::MaxChannels => config.limits.channels = value.count(1, 10_000)?,
            ConfigKey::MaxBatchEvents => config.limits.batch_events = value.count(1, 10_000)?,
            ConfigKey::MaxRequestBytes => config.limits.request_bytes = Some(value.count(1, MAX_REQUEST_BYTES)?),
            ConfigKey::MaxResponseBytes => config.limits.response_bytes = value.count(1, MAX_RESPONSE_BYTES)?,
            ConfigKey::BatchRoute => config.batch_route = batch_route(value)?,
            ConfigKey::ChannelCharacters => {
                let names = ChannelNames::with(&value.string()?);
                config.channel_names = names.ok_or_else(|| value.problem("must be \"\", \":\", \"#\" or \":#\""))?;
            }
        }
        Ok(())
    }

    /// Takes `SCHEME://KEY:SECRET@HOST[:PORT][/PREFIX]/apps/APP_ID`, the value of `key`.
    pub(super) fn take_url(&mut self, url: &str, key: &str) -> Result<(), Problem> {
        is_short(url, key, true)?;
        let malformed = |what: &str| Problem::new(key, format!("{what}; its form is {URL_FORM}"));
        let address = Address::parse(url, key, URL_FORM)?;
        self.url_ssl =
            Some(is_https(address.scheme, key).map_err(|_| malformed("its scheme is neither https nor http"))?);
        let (app_key, secret) = address.credentials.ok_or_else(|| malformed("has no key and secret"))?;
        let mut secret = secret.ok_or_else(|| malformed("has a key but no secret"))?;
        self.key = Some(app_key);
        self.secret = Some(Secret::new(std::mem::take(&mut secret)));
        self.url_host = Some(address.host);
        self.port = address.port;
        let (prefix, app_id) =
            address.path.rsplit_once("/apps/").ok_or_else(|| malformed("its path does not end with /apps/APP_ID"))?;
        self.app_id = Some(app_id.strip_suffix('/').unwrap_or(app_id).to_owned());
        if !prefix.is_empty() {
            self.config.path = prefix.to_owned();
        }
        Ok(())
    }

    /// Takes the environment: `PUSHER_URL`, or else `PUSHER_APP_ID`, `PUSHER_KEY`, `PUSHER_SECRET`
    /// and more.
    pub(super) fn take_environment(&mut self, variable: Variables<'_>) -> Result<(), Problem> {
        if let Some(url) = variable("PUSHER_URL")? {
            return self.take_url(&Zeroizing::new(url), "PUSHER_URL");
        }
        let either = |name: &str, other: &str| Ok::<_, Problem>(variable(name)?.or(variable(other)?));
        self.app_id = variable("PUSHER_APP_ID")?;
        self.key = either("PUSHER_KEY", "PUSHER_APP_KEY")?;
        self.secret = either("PUSHER_SECRET", "PUSHER_APP_SECRET")?.map(Secret::new);
        self.cluster = either("PUSHER_CLUSTER", "PUSHER_APP_CLUSTER")?;
        self.host = variable("PUSHER_HOST")?;
        self.port = port(variable, "PUSHER_PORT")?;
        self.scheme = scheme(variable, "PUSHER_SCHEME")?;
        if self.app_id.is_none() && self.key.is_none() && self.secret.is_none() {
            return Err(Problem::new(
                "config",
                "is NULL, and the environment has neither PUSHER_URL nor PUSHER_APP_ID, PUSHER_KEY and PUSHER_SECRET",
            ));
        }
        Ok(())
    }

    /// Takes what the keys leave out from the variables of the server: Reverb's, which Laravel sets. A URL and a
    /// Unix domain socket leave out no part of the address.
    pub(super) fn take_environment_of_server(&mut self, variable: Variables<'_>) -> Result<(), Problem> {
        if self.config.server != Server::Reverb || self.url_host.is_some() {
            return Ok(());
        }
        let left_out = |value: Option<String>, name| if value.is_some() { Ok(value) } else { variable(name) };
        self.app_id = left_out(self.app_id.take(), "REVERB_APP_ID")?;
        self.key = left_out(self.key.take(), "REVERB_APP_KEY")?;
        if self.secret.is_none() {
            self.secret = variable("REVERB_APP_SECRET")?.map(Secret::new);
        }
        if self.unix_socket.is_some() {
            return Ok(());
        }
        if self.cluster.is_none() {
            self.host = left_out(self.host.take(), "REVERB_HOST")?;
        }
        if self.port.is_none() {
            self.port = port(variable, "REVERB_PORT")?;
        }
        if self.ssl.is_none() && self.scheme.is_none() {
            self.scheme = scheme(variable, "REVERB_SCHEME")?;
        }
        Ok(())
    }

    /// Checks what was collected and fills in what depends on other values.
    pub(super) fn finish(self, variable: Variables<'_>) -> Result<Config, Problem> {
        let Draft { config, .. } = self;
        let (host_ssl, host) = match self.host.as_deref().map(address::scheme_of_host) {
            Some((ssl, host)) => (ssl, Some(host)),
            None => (None, None),
        };
        // A Unix domain socket does not leave the machine.
        let ssl = uses_tls(self.ssl, self.scheme, host_ssl)?.or(self.url_ssl).unwrap_or(self.unix_socket.is_none());
        let missing = (self.app_id.is_none(), self.secret.is_none());
        let key = self.key.ok_or_else(|| missing_key(missing))?;
        validation::key(&key, "key")?;
        let secret = self.secret.ok_or_else(|| Problem::new("secret", "is missing"))?;
        check_secret(&secret, "secret")?;
        if let Some(app_id) = &self.app_id {
            validation::app_id(app_id, "app_id")?;
        }
        if secret.expose().is_empty() {
            return Err(Problem::new("secret", "must not be empty"));
        }
        // The cluster is checked even if a host overrides it: a typo should not wait until the host
        // is removed.
        let cluster = self.cluster.as_deref().unwrap_or(DEFAULT_CLUSTER);
        if cluster.is_empty() || !cluster.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Err(Problem::new("cluster", "must be one or more of a-z 0-9 -"));
        }
        let host = match (host, self.url_host) {
            (Some(host), _) => address::checked_host(host, "host")?,
            (None, Some(host)) if self.cluster.is_none() => host,
            (None, None) if self.cluster.is_none() && self.unix_socket.is_some() => "localhost".to_owned(),
            (None, None) if self.cluster.is_none() => default_host(config.server)?,
            (None, _) => host_of_cluster(cluster),
        };
        let roots = match (self.ca_file, self.tls_roots) {
            (Some(_), Some(_)) => {
                return Err(Problem::new("tls_roots", "cannot be combined with ca_file, which replaces them"));
            }
            (Some(path), None) => Roots::File(path),
            (None, None | Some(TlsRoots::System)) => Roots::System,
            (None, Some(TlsRoots::Bundled)) => Roots::Bundled,
            (None, Some(TlsRoots::Both)) => Roots::Both,
        };
        let port = self.port.unwrap_or(if ssl { 443 } else { 80 });
        let proxy = match &self.proxy {
            None => None,
            Some(proxy) => match std::str::from_utf8(proxy.expose()).unwrap_or_default() {
                "env" if self.unix_socket.is_some() => None,
                _ if self.unix_socket.is_some() => {
                    return Err(Problem::new("proxy", "cannot be combined with unix_socket"));
                }
                "env" => proxy::from_environment(ssl, &host, port, variable)?,
                url => Some(proxy::parse(url, "proxy")?),
            },
        };
        let path = checked_prefix(&config.path)?;
        let unix_socket = self.unix_socket.map(checked_socket).transpose()?;
        // The files are read last, once all the rest is right.
        let identity = identity(self.client_certificate_file.as_deref(), self.client_key_file.as_deref())?;
        let trust = Trust { roots, identity, ..config.trust };
        Ok(Config { app_id: self.app_id, key, secret, ssl, host, port, path, trust, proxy, unix_socket, ..config })
    }
}

/// Reads a variable with a port.
fn port(variable: Variables<'_>, name: &str) -> Result<Option<u16>, Problem> {
    variable(name)?.map(|text| address::port(&text, name)).transpose()
}

/// Reads a variable with a scheme, and returns whether it is https.
fn scheme(variable: Variables<'_>, name: &str) -> Result<Option<bool>, Problem> {
    variable(name)?.map(|text| is_https(&text, name)).transpose()
}

/// Returns whether a scheme, the value of `key`, is https. The case of its letters does not count (RFC 3986, 3.1).
fn is_https(scheme: &str, key: &str) -> Result<bool, Problem> {
    match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => Ok(true),
        _ if scheme.eq_ignore_ascii_case("http") => Ok(false),
        _ => Err(Problem::new(key, "must be \"https\" or \"http\"")),
    }
}

/// Returns whether to use TLS, if `ssl`, `scheme` or a scheme before the host says so.
fn uses_tls(ssl: Option<bool>, scheme: Option<bool>, of_host: Option<bool>) -> Result<Option<bool>, Problem> {
    let word = |is_https| if is_https { "https" } else { "http" };
    match (ssl, scheme) {
        (Some(ssl), Some(scheme)) if ssl != scheme => {
            Err(Problem::new("scheme", format!("is {}, but ssl is {ssl}: leave out one of them", word(scheme))))
        }
        _ => match (ssl.or(scheme), of_host) {
            (Some(uses_tls), Some(of_host)) if uses_tls != of_host => {
                let (key, value) =
                    if let Some(ssl) = ssl { ("ssl", ssl.to_string()) } else { ("scheme", word(uses_tls).to_owned()) };
                let message =
                    format!("begins with {}://, but {key} is {value}: leave the scheme out of host", word(of_host));
                Err(Problem::new("host", message))
            }
            (uses_tls, of_host) => Ok(uses_tls.or(of_host)),
        },
    }
}

/// Refuses a secret with white space at an end, which would be signed with it.
fn check_secret(secret: &Secret, key: &str) -> Result<(), Problem> {
    let text = std::str::from_utf8(secret.expose()).unwrap_or_default();
    validation::without_blank_ends(text).map_err(|message| Problem::new(key, message))
}

/// Returns the host of a client that sets neither a host nor a cluster.
fn default_host(server: Server) -> Result<String, Problem> {
    match server.profile().host {
        DefaultHost::Cluster => Ok(host_of_cluster(DEFAULT_CLUSTER)),
        DefaultHost::Named(host) => Ok(host.to_owned()),
        DefaultHost::Required => {
            let variable = if server == Server::Reverb { ", and REVERB_HOST is not set" } else { "" };
            Err(Problem::new("host", format!("is missing: {} has no default{variable}", server.name())))
        }
    }
}

fn host_of_cluster(cluster: &str) -> String {
    format!("api-{cluster}.pusher.com")
}

/// Returns the problem that the key is missing. The message says whether the id and the secret of the application are, too.
fn missing_key((app_id, secret): (bool, bool)) -> Problem {
    let message = match (app_id, secret) {
        (_, false) => "is missing",
        (false, true) => "is missing, and so is secret",
        (true, true) => "is missing, and so are secret and app_id; only signatures and webhooks need no app_id",
    };
    Problem::new("key", message)
}

/// Reads true, false or `"auto"`.
fn batch_route(value: Value<'_, '_>) -> Result<BatchRoute, Problem> {
    match value.json().boolean() {
        Some(true) => Ok(BatchRoute::Present),
        Some(false) => Ok(BatchRoute::Missing),
        None if value.string().is_ok_and(|word| word == "auto") => Ok(BatchRoute::Auto),
        None => Err(value.problem("must be true, false or \"auto\"")),
    }
}

/// Reads `[{"key","secret"}…]`.
fn webhook_tokens(value: Value<'_, '_>) -> Result<Vec<(String, Secret)>, Problem> {
    let mut tokens = Vec::new();
    for (index, json) in value.json().elements(value.name(), MAX_TOKENS)?.into_iter().enumerate() {
        let token = webhook_token(json).map_err(|problem| problem.within(format_args!("{}[{index}]", value.name())))?;
        push(&mut tokens, token)?;
    }
    Ok(tokens)
}

fn webhook_token(json: Json<'_>) -> Result<(String, Secret), Problem> {
    #[derive(EnumString, VariantNames)]
    #[strum(serialize_all = "snake_case")]
    enum TokenKey {
        Key,
        Secret,
    }
    let (mut token_key, mut secret) = (None, None);
    for (member, json) in json.members("")? {
        let value = Value::new(shown(&member), json);
        is_short(json.text(), value.name(), json.is_string())?;
        match known_key(&member, "part of a token; there are key and secret")? {
            _ if !value.is_given_string() => {}
            TokenKey::Key => token_key = Some(owned_text(value.string()?)?),
            TokenKey::Secret => secret = Some(Secret::new(owned_text(value.string()?)?)),
        }
    }
    let token_key = token_key.ok_or_else(|| Problem::new("key", "is missing"))?;
    validation::key(&token_key, "key")?;
    let secret = secret.ok_or_else(|| Problem::new("secret", "is missing"))?;
    check_secret(&secret, "secret")?;
    if secret.expose().is_empty() {
        return Err(Problem::new("secret", "must not be empty"));
    }
    Ok((token_key, secret))
}

/// Checks the length of a string of the configuration: it is copied several times, in memory that is not reserved fallibly.
fn is_short(text: &str, name: &str, is_string: bool) -> Result<(), Problem> {
    const MAX_BYTES: usize = 16 << 10;
    match is_string && text.len() > MAX_BYTES {
        true => Err(Problem::new(name, format!("is longer than {MAX_BYTES} bytes"))),
        false => Ok(()),
    }
}

/// Reads the client's own certificate and its key.
fn identity(certificate_file: Option<&str>, key_file: Option<&str>) -> Result<Option<Identity>, Problem> {
    match (certificate_file, key_file) {
        (None, None) => Ok(None),
        (Some(certificate_file), Some(key_file)) => Identity::load(certificate_file, key_file)
            .map(Some)
            .map_err(|error| Problem::new(error.key_in_config, error.message)),
        (Some(_), None) => Err(Problem::new("client_key_file", "is missing; client_certificate_file needs it")),
        (None, Some(_)) => Err(Problem::new("client_certificate_file", "is missing; client_key_file needs it")),
    }
}

/// Checks the path of a Unix domain socket.
fn checked_socket(path: String) -> Result<PathBuf, Problem> {
    let wrong = |message: &str| Err(Problem::new("unix_socket", message));
    match Path::new(&path) {
        _ if path.contains('\0') => wrong("must not contain a NUL character"),
        socket if !socket.is_absolute() => wrong("must be an absolute path"),
        socket if !is_socket_path(socket) => wrong("is longer than this system allows for a socket"),
        _ => Ok(path.into()),
    }
}

/// Checks a path prefix and returns it as `/one/two`.
fn checked_prefix(path: &str) -> Result<String, Problem> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if !path.is_empty() {
        validation::path(path, "path")?;
    }
    Ok(path.to_owned())
}
