//! What a client is made of, from JSON, a URL or the environment.
//!
//! Errors name the key and say what would be right; they never show a value, which may be a secret in the wrong place.

mod address;
mod proxy;

use std::borrow::Cow;
use std::env;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::encryption::MasterKey;
use crate::error::{Error, Problem};
use crate::http::{Proxy, Roots};
use crate::json::{Json, join};
use crate::log::Level;
use crate::retry::{Mode, RetryPolicy};
use crate::secret::Secret;
use crate::validation;

use address::Address;

/// How large things may be before they are sent, and how large an answer.
#[derive(Clone, Debug)]
pub struct RequestLimits {
    /// Of `data`, in bytes.
    pub data_bytes: usize,
    /// Channels of one event.
    pub channels: usize,
    /// Events of one batch.
    pub batch_events: usize,
    /// Of an answer, in bytes.
    pub response_bytes: usize,
}

/// A client's whole configuration, checked.
#[derive(Debug)]
pub struct Config {
    /// The application's id, which stands in paths.
    pub app_id: String,
    /// The application's key, which is public.
    pub key: String,
    /// The application's secret, with which requests are signed.
    pub secret: Secret,
    /// Whether to speak TLS.
    pub ssl: bool,
    /// A host name or an IP address, without brackets.
    pub host: String,
    /// The port to connect to.
    pub port: u16,
    /// What comes before `/apps/…` in the path; empty, or `/prefix`.
    pub path: String,
    /// Whether `path` is part of what is signed.
    pub sign_path_prefix: bool,
    /// A whole call.
    pub timeout: Duration,
    /// From the look-up of the name to the end of the TLS handshake.
    pub connect_timeout: Duration,
    /// What is sent again.
    pub retry: RetryPolicy,
    /// Whether a wrong clock of this machine is corrected by the server's.
    pub clock_correction: bool,
    /// How many idle connections are kept.
    pub max_idle_connections: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// Whom TLS trusts.
    pub roots: Roots,
    /// The proxy to go through.
    pub proxy: Option<Proxy>,
    /// Sizes.
    pub limits: RequestLimits,
    /// The key of end-to-end encrypted channels.
    pub master_key: Option<MasterKey>,
    /// More keys and secrets that webhooks may be signed with.
    pub webhook_tokens: Vec<(String, Secret)>,
    /// How old a webhook may be; zero for any age.
    pub webhook_max_age: Duration,
    /// What the log hook is told.
    pub log_level: Level,
}

/// The URL that every message about a malformed one shows.
const URL_FORM: &str = "https://KEY:SECRET@api-CLUSTER.pusher.com/apps/APP_ID";

const DEFAULT_CLUSTER: &str = "mt1";

/// The longest time that may be configured, ten minutes.
pub const MAX_MS: u64 = 600_000;

/// More than any deadline has room for.
const MAX_ATTEMPTS: u64 = 100;

/// Far above what any server takes. Checking and hashing so much takes a tenth of a second or two.
const MAX_DATA_BYTES: u64 = 64 << 20;

const MAX_RESPONSE_BYTES: u64 = 1 << 30;

impl Config {
    /// A configuration from a JSON object, a URL, or for `None` from the environment.
    pub fn parse(text: Option<&str>) -> Result<Config, Error> {
        let mut draft = Draft::default();
        match text {
            None => draft.take_environment(&variable),
            Some(text) if text.trim_start().starts_with('{') => draft.take_json(text),
            Some(text) if text.contains("://") => draft.take_url(text, "url"),
            Some(_) => Err(Problem::new("config", format!("must be a JSON object or a URL of the form {URL_FORM}"))),
        }
        .and_then(|()| draft.finish())
        .map_err(Error::Config)
    }
}

/// A variable of the environment, if it is set and not empty.
fn variable(name: &str) -> Result<Option<String>, Problem> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Problem::new(name, "is not UTF-8")),
    }
}

/// How the environment is looked at; in tests, not the real one.
type Variables<'a> = &'a dyn Fn(&str) -> Result<Option<String>, Problem>;

/// What has been said so far.
#[derive(Default)]
struct Draft {
    app_id: Option<String>,
    key: Option<String>,
    secret: Option<Secret>,
    cluster: Option<String>,
    host: Option<String>,
    /// The host of a URL, over which `host` and `cluster` win.
    url_host: Option<String>,
    port: Option<u16>,
    ssl: Option<bool>,
    path: Option<String>,
    sign_path_prefix: Option<bool>,
    timeout_ms: Option<u64>,
    connect_timeout_ms: Option<u64>,
    retry: Option<RetryPolicy>,
    clock_correction: Option<bool>,
    max_idle_connections: Option<u64>,
    idle_timeout_ms: Option<u64>,
    ca_file: Option<String>,
    tls_roots: Option<Roots>,
    proxy: Option<Secret>,
    master_key: Option<MasterKey>,
    webhook_tokens: Vec<(String, Secret)>,
    webhook_max_age_ms: Option<u64>,
    log_level: Option<Level>,
    max_data_bytes: Option<u64>,
    max_batch_events: Option<u64>,
    max_channels: Option<u64>,
    max_response_bytes: Option<u64>,
}

impl Draft {
    fn take_json(&mut self, text: &str) -> Result<(), Problem> {
        let members = Json::parse(text, "config")?.members("")?;
        // The URL comes first wherever it stands, so that the other keys win over its parts.
        if let Some((key, value)) = members.iter().find(|(key, _)| key == "url") {
            // The copy, if there is one, holds the secret.
            let url = Zeroizing::new(value.string(key)?.into_owned());
            self.take_url(&url, key)?;
        }
        for (key, value) in &members {
            self.take_member(key, *value)?;
        }
        Ok(())
    }

    fn take_member(&mut self, key: &str, value: Json<'_>) -> Result<(), Problem> {
        let string = || value.string(key).map(Cow::into_owned);
        let boolean = || value.boolean().ok_or_else(|| Problem::new(key, "must be true or false"));
        let integer = |min: u64, max: u64| integer(key, value, min, max);
        match key {
            "url" => {}
            "app_id" if !value.is_string() => self.app_id = Some(integer(0, u64::MAX)?.to_string()),
            "app_id" => self.app_id = Some(string()?),
            "key" => self.key = Some(string()?),
            "secret" => self.secret = Some(Secret::new(string()?)),
            "cluster" => self.cluster = Some(string()?),
            "host" => self.host = Some(string()?),
            "port" => self.port = Some(address::port(value.text(), key)?),
            "ssl" => self.ssl = Some(boolean()?),
            "path" => self.path = Some(string()?),
            "sign_path_prefix" => self.sign_path_prefix = Some(boolean()?),
            "timeout_ms" => self.timeout_ms = Some(integer(1, MAX_MS)?),
            "connect_timeout_ms" => self.connect_timeout_ms = Some(integer(1, MAX_MS)?),
            "retry" => self.retry = Some(retry(key, value)?),
            "clock_correction" => self.clock_correction = Some(boolean()?),
            "max_idle_connections" => self.max_idle_connections = Some(integer(0, 1000)?),
            "idle_timeout_ms" => self.idle_timeout_ms = Some(integer(1, MAX_MS)?),
            "ca_file" => self.ca_file = Some(string()?),
            "tls_roots" => {
                self.tls_roots = Some(match value.string(key)?.as_ref() {
                    "system" => Roots::System,
                    "bundled" => Roots::Bundled,
                    "both" => Roots::Both,
                    _ => return Err(Problem::new(key, "must be system, bundled or both")),
                });
            }
            "proxy" => self.proxy = Some(Secret::new(string()?)),
            "encryption_master_key_base64" => {
                let text = Zeroizing::new(string()?);
                self.master_key = Some(MasterKey::from_base64(&text).map_err(|what| Problem::new(key, what))?);
            }
            "webhook_tokens" => self.webhook_tokens = webhook_tokens(key, value)?,
            "webhook_max_age_ms" => self.webhook_max_age_ms = Some(integer(0, u64::from(u32::MAX))?),
            "log_level" => {
                let level = Level::from_name(&value.string(key)?);
                self.log_level = Some(level.ok_or_else(|| Problem::new(key, "must be error, warn, info or debug"))?);
            }
            "max_batch_events" => self.max_batch_events = Some(integer(1, 10_000)?),
            "max_data_bytes" => self.max_data_bytes = Some(integer(1, MAX_DATA_BYTES)?),
            "max_channels" => self.max_channels = Some(integer(1, 10_000)?),
            "max_response_bytes" => self.max_response_bytes = Some(integer(1, MAX_RESPONSE_BYTES)?),
            _ => return Err(Problem::new(key, "is not a configuration key")),
        }
        Ok(())
    }

    /// Takes `SCHEME://KEY:SECRET@HOST[:PORT][/PREFIX]/apps/APP_ID`, the value of `key`.
    fn take_url(&mut self, url: &str, key: &str) -> Result<(), Problem> {
        let malformed = |what: &str| Problem::new(key, format!("{what}; its form is {URL_FORM}"));
        let address = Address::parse(url, key, URL_FORM)?;
        self.ssl = Some(match address.scheme {
            "https" => true,
            "http" => false,
            _ => return Err(malformed("its scheme is neither https nor http")),
        });
        let (app_key, mut secret) = address.credentials.ok_or_else(|| malformed("has no key and secret"))?;
        self.key = Some(app_key);
        self.secret = Some(Secret::new(std::mem::take(&mut secret)));
        self.url_host = Some(address.host);
        self.port = address.port;
        let (prefix, app_id) =
            address.path.rsplit_once("/apps/").ok_or_else(|| malformed("its path does not end with /apps/APP_ID"))?;
        self.app_id = Some(app_id.strip_suffix('/').unwrap_or(app_id).to_owned());
        if !prefix.is_empty() {
            self.path = Some(prefix.to_owned());
        }
        Ok(())
    }

    fn take_environment(&mut self, variable: Variables<'_>) -> Result<(), Problem> {
        if let Some(url) = variable("PUSHER_URL")? {
            return self.take_url(&Zeroizing::new(url), "PUSHER_URL");
        }
        let either = |name: &str, other: &str| Ok(variable(name)?.or(variable(other)?));
        self.app_id = variable("PUSHER_APP_ID")?;
        self.key = either("PUSHER_KEY", "PUSHER_APP_KEY")?;
        self.secret = either("PUSHER_SECRET", "PUSHER_APP_SECRET")?.map(Secret::new);
        self.cluster = either("PUSHER_CLUSTER", "PUSHER_APP_CLUSTER")?;
        self.host = variable("PUSHER_HOST")?;
        if let Some(text) = variable("PUSHER_PORT")? {
            self.port = Some(address::port(&text, "PUSHER_PORT")?);
        }
        self.ssl = match variable("PUSHER_SCHEME")?.as_deref() {
            None => None,
            Some("https") => Some(true),
            Some("http") => Some(false),
            Some(_) => return Err(Problem::new("PUSHER_SCHEME", "must be https or http")),
        };
        if self.app_id.is_none() && self.key.is_none() && self.secret.is_none() {
            return Err(Problem::new(
                "config",
                "is NULL, and the environment has neither PUSHER_URL nor PUSHER_APP_ID, PUSHER_KEY and PUSHER_SECRET",
            ));
        }
        Ok(())
    }

    /// Checks what was said and fills in the rest.
    fn finish(self) -> Result<Config, Problem> {
        let missing = |key: &'static str| move || Problem::new(key, "is missing");
        let app_id = self.app_id.ok_or_else(missing("app_id"))?;
        validation::credential(&app_id, "app_id")?;
        let key = self.key.ok_or_else(missing("key"))?;
        validation::credential(&key, "key")?;
        let secret = self.secret.ok_or_else(missing("secret"))?;
        if secret.expose().is_empty() {
            return Err(Problem::new("secret", "must not be empty"));
        }
        let ssl = self.ssl.unwrap_or(true);
        // The cluster is checked even where a host wins over it: a typo should not wait for the day the host goes.
        let cluster = self.cluster.as_deref().unwrap_or(DEFAULT_CLUSTER);
        if cluster.is_empty() || !cluster.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Err(Problem::new("cluster", "must be one or more of a-z 0-9 -"));
        }
        let host = match (self.host, self.url_host) {
            (Some(host), _) => address::checked_host(&host, "host")?,
            (None, Some(host)) if self.cluster.is_none() => host,
            (None, _) => format!("api-{cluster}.pusher.com"),
        };
        let roots = match (self.ca_file, self.tls_roots) {
            (Some(_), Some(_)) => {
                return Err(Problem::new("tls_roots", "can't be combined with ca_file, which replaces them"));
            }
            (Some(path), None) => Roots::File(path),
            (None, roots) => roots.unwrap_or(Roots::System),
        };
        let proxy = match &self.proxy {
            None => None,
            Some(proxy) => match std::str::from_utf8(proxy.expose()).unwrap_or_default() {
                "env" => proxy::from_environment(ssl, &host, &variable)?,
                url => Some(proxy::parse(url, "proxy")?),
            },
        };
        let bytes = |limit: Option<u64>, default: usize| limit.and_then(|n| usize::try_from(n).ok()).unwrap_or(default);
        Ok(Config {
            app_id,
            key,
            secret,
            ssl,
            host,
            port: self.port.unwrap_or(if ssl { 443 } else { 80 }),
            path: self.path.as_deref().map_or(Ok(String::new()), checked_prefix)?,
            sign_path_prefix: self.sign_path_prefix.unwrap_or(true),
            timeout: Duration::from_millis(self.timeout_ms.unwrap_or(5000)),
            connect_timeout: Duration::from_millis(self.connect_timeout_ms.unwrap_or(3000)),
            max_idle_connections: bytes(self.max_idle_connections, 8),
            idle_timeout: Duration::from_millis(self.idle_timeout_ms.unwrap_or(15_000)),
            retry: self.retry.unwrap_or_default(),
            clock_correction: self.clock_correction.unwrap_or(true),
            roots,
            proxy,
            master_key: self.master_key,
            webhook_tokens: self.webhook_tokens,
            webhook_max_age: Duration::from_millis(self.webhook_max_age_ms.unwrap_or(600_000)),
            log_level: self.log_level.unwrap_or(Level::Warn),
            limits: RequestLimits {
                data_bytes: bytes(self.max_data_bytes, 10_240),
                channels: bytes(self.max_channels, 100),
                batch_events: bytes(self.max_batch_events, 10),
                response_bytes: bytes(self.max_response_bytes, 16 << 20),
            },
        })
    }
}

/// The integer in this range that `value` has to be.
pub fn integer(key: &str, value: Json<'_>, min: u64, max: u64) -> Result<u64, Problem> {
    let number = value.integer().filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| Problem::new(key, format!("must be an integer from {min} to {max}")))
}

/// `{"mode","max_attempts"}`, either of which may be left out.
pub fn retry(key: &str, value: Json<'_>) -> Result<RetryPolicy, Problem> {
    let mut policy = RetryPolicy::default();
    for (member, value) in value.members(key)? {
        let name = join(key, &member);
        match member.as_ref() {
            "mode" => {
                let mode = Mode::from_name(&value.string(&name)?);
                policy.mode = mode.ok_or_else(|| Problem::new(name, "must be safe, never or at_least_once"))?;
            }
            "max_attempts" => {
                policy.max_attempts = u32::try_from(integer(&name, value, 1, MAX_ATTEMPTS)?).unwrap_or(u32::MAX);
            }
            _ => return Err(Problem::new(name, "is not a configuration key")),
        }
    }
    Ok(policy)
}

/// More webhook tokens than anybody rotates.
const MAX_TOKENS: usize = 100;

/// `[{"key","secret"}…]`.
fn webhook_tokens(key: &str, value: Json<'_>) -> Result<Vec<(String, Secret)>, Problem> {
    let mut tokens = Vec::new();
    for (index, token) in value.elements(key, MAX_TOKENS)?.into_iter().enumerate() {
        let argument = format!("{key}[{index}]");
        let (mut token_key, mut secret) = (None, None);
        for (member, value) in token.members(&argument)? {
            let name = join(&argument, &member);
            match member.as_ref() {
                "key" => token_key = Some(value.string(&name)?.into_owned()),
                "secret" => secret = Some(Secret::new(value.string(&name)?.into_owned())),
                _ => return Err(Problem::new(name, "is not part of a token; there are key and secret")),
            }
        }
        let missing = |what: &str| Problem::new(join(&argument, what), "is missing");
        let token_key = token_key.ok_or_else(|| missing("key"))?;
        validation::credential(&token_key, &join(&argument, "key"))?;
        let secret = secret.ok_or_else(|| missing("secret"))?;
        if secret.expose().is_empty() {
            return Err(Problem::new(join(&argument, "secret"), "must not be empty"));
        }
        tokens.push((token_key, secret));
    }
    Ok(tokens)
}

/// A path prefix as `/one/two`.
fn checked_prefix(path: &str) -> Result<String, Problem> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(String::new());
    }
    validation::path(path, "path")?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = r#""app_id":"1","key":"k","secret":"s3cr3t""#;

    fn with(more: &str) -> Result<Config, Error> {
        Config::parse(Some(&format!("{{{KEYS}{more}}}")))
    }

    fn named(result: Result<Config, Error>) -> String {
        match result {
            Err(Error::Config(problem)) => problem.argument,
            other => panic!("{other:?}"),
        }
    }

    fn from_environment(variables: &[(&str, &str)]) -> Result<Config, Error> {
        let mut draft = Draft::default();
        let find = |name: &str| Ok(variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()));
        draft.take_environment(&find).and_then(|()| draft.finish()).map_err(Error::Config)
    }

    #[test]
    fn what_is_left_out_has_the_documented_default() {
        let config = with("").unwrap();
        assert_eq!((config.host.as_str(), config.port, config.ssl), ("api-mt1.pusher.com", 443, true));
        assert_eq!((config.timeout.as_millis(), config.connect_timeout.as_millis()), (5000, 3000));
        assert_eq!((config.retry.mode, config.retry.max_attempts, config.clock_correction), (Mode::Safe, 3, true));
        assert_eq!((config.max_idle_connections, config.idle_timeout.as_millis()), (8, 15_000));
        assert_eq!(
            (config.limits.data_bytes, config.limits.channels, config.limits.response_bytes),
            (10_240, 100, 16 << 20)
        );
        assert_eq!((config.path.as_str(), config.sign_path_prefix), ("", true));
    }

    #[test]
    fn host_wins_over_cluster_and_a_port_does_not_change_ssl() {
        let config = with(r#","cluster":"eu","host":"example.org","port":80"#).unwrap();
        assert_eq!((config.host.as_str(), config.port, config.ssl), ("example.org", 80, true));
        assert_eq!(with(r#","cluster":"eu","ssl":false"#).unwrap().host, "api-eu.pusher.com");
        assert_eq!(with(r#","ssl":false"#).unwrap().port, 80);
    }

    #[test]
    fn a_part_of_the_retry_policy_leaves_the_rest_as_it_is() {
        let retry = |text: &str| with(&format!(r#","retry":{text}"#)).unwrap().retry;
        assert_eq!(retry("{}"), RetryPolicy::default());
        assert_eq!(retry(r#"{"max_attempts":1}"#), RetryPolicy { max_attempts: 1, ..RetryPolicy::default() });
        assert_eq!(
            retry(r#"{"mode":"at_least_once"}"#),
            RetryPolicy { mode: Mode::AtLeastOnce, ..RetryPolicy::default() }
        );
        assert_eq!(retry(r#"{"mode":"never"}"#).mode, Mode::Never);
    }

    #[test]
    fn an_app_id_may_be_an_integer() {
        assert_eq!(Config::parse(Some(r#"{"app_id":42,"key":"k","secret":"s"}"#)).unwrap().app_id, "42");
    }

    #[test]
    fn a_url_says_all() {
        let config = Config::parse(Some("http://my-key:a%3Ab%2F@127.0.0.1:6001/apps/7")).unwrap();
        assert_eq!(
            (config.app_id.as_str(), config.key.as_str(), config.secret.expose()),
            ("7", "my-key", &b"a:b/"[..])
        );
        assert_eq!((config.host.as_str(), config.port, config.ssl), ("127.0.0.1", 6001, false));
        let config = Config::parse(Some("https://k:s@[::1]/pre/fix/apps/7/")).unwrap();
        assert_eq!((config.host.as_str(), config.port, config.path.as_str()), ("::1", 443, "/pre/fix"));
    }

    #[test]
    fn other_keys_win_over_the_parts_of_a_url() {
        let config = Config::parse(Some(r#"{"port":81,"url":"http://k:s@h/apps/7","app_id":8,"secret":"t"}"#)).unwrap();
        assert_eq!((config.app_id.as_str(), config.port, config.secret.expose()), ("8", 81, &b"t"[..]));
    }

    #[test]
    fn the_environment_is_read_under_both_spellings() {
        let config = from_environment(&[
            ("PUSHER_APP_ID", "1"),
            ("PUSHER_APP_KEY", "k"),
            ("PUSHER_APP_SECRET", "s"),
            ("PUSHER_APP_CLUSTER", "ap1"),
            ("PUSHER_SCHEME", "http"),
            ("PUSHER_PORT", "8080"),
        ])
        .unwrap();
        assert_eq!((config.host.as_str(), config.port, config.ssl), ("api-ap1.pusher.com", 8080, false));
        let config = from_environment(&[("PUSHER_URL", "https://k:s@h/apps/1"), ("PUSHER_APP_ID", "2")]).unwrap();
        assert_eq!(config.app_id, "1");
    }

    #[test]
    fn what_is_wrong_in_the_environment_is_named() {
        assert_eq!(named(from_environment(&[])), "config");
        assert_eq!(named(from_environment(&[("PUSHER_URL", "x")])), "PUSHER_URL");
        let three = [("PUSHER_APP_ID", "1"), ("PUSHER_KEY", "k"), ("PUSHER_SECRET", "s")];
        for (name, value) in
            [("PUSHER_PORT", "http"), ("PUSHER_PORT", "+80"), ("PUSHER_PORT", "0"), ("PUSHER_SCHEME", "HTTPS")]
        {
            assert_eq!(named(from_environment(&[&three[..], &[(name, value)]].concat())), name);
        }
        assert_eq!(named(from_environment(&three[..2])), "secret");
    }

    #[test]
    fn every_wrong_value_names_its_key() {
        for (more, key) in [
            (r#","colour":1"#, "colour"),
            (r#","app_id":"2""#, "app_id"),
            (r#","\u0061pp_id":"2""#, "app_id"),
            (r#","ssl":"yes""#, "ssl"),
            (r#","ssl":null"#, "ssl"),
            (r#","port":0"#, "port"),
            (r#","port":65536"#, "port"),
            (r#","port":"80""#, "port"),
            (r#","port":80.0"#, "port"),
            (r#","timeout_ms":0"#, "timeout_ms"),
            (r#","timeout_ms":600001"#, "timeout_ms"),
            (r#","timeout_ms":1e3"#, "timeout_ms"),
            (r#","connect_timeout_ms":-1"#, "connect_timeout_ms"),
            (r#","idle_timeout_ms":0"#, "idle_timeout_ms"),
            (r#","max_idle_connections":1001"#, "max_idle_connections"),
            (r#","max_data_bytes":0"#, "max_data_bytes"),
            (r#","max_channels":0"#, "max_channels"),
            (r#","max_response_bytes":0"#, "max_response_bytes"),
            (r#","cluster":"EU""#, "cluster"),
            (r#","cluster":"eu.evil.org/""#, "cluster"),
            (r#","path":"pre""#, "path"),
            (r#","path":"/../x""#, "path"),
            (r#","path":"/a?b""#, "path"),
            (r#","path":"//""#, "path"),
            (r#","retry":"never""#, "retry"),
            (r#","retry":{"mode":"always"}"#, "retry.mode"),
            (r#","retry":{"mode":null}"#, "retry.mode"),
            (r#","retry":{"max_attempts":0}"#, "retry.max_attempts"),
            (r#","retry":{"max_attempts":101}"#, "retry.max_attempts"),
            (r#","retry":{"attempts":3}"#, "retry.attempts"),
            (r#","retry":{"mode":"safe","mode":"never"}"#, "retry.mode"),
            (r#","clock_correction":1"#, "clock_correction"),
            (r#","ca_file":1"#, "ca_file"),
            (r#","tls_roots":"all""#, "tls_roots"),
            (r#","tls_roots":"both","ca_file":"x""#, "tls_roots"),
            (r#","proxy":"proxy:3128""#, "proxy"),
            (r#","encryption_master_key_base64":"AAAA""#, "encryption_master_key_base64"),
            (r#","webhook_tokens":{}"#, "webhook_tokens"),
            (r#","webhook_tokens":[{"key":"k"}]"#, "webhook_tokens[0].secret"),
            (r#","webhook_tokens":[{"key":"k","secret":"s"},{"key":"","secret":"s"}]"#, "webhook_tokens[1].key"),
            (r#","webhook_tokens":[{"key":"k","secret":"s","x":1}]"#, "webhook_tokens[0].x"),
            (r#","webhook_max_age_ms":-1"#, "webhook_max_age_ms"),
            (r#","log_level":"all""#, "log_level"),
            (r#","max_batch_events":0"#, "max_batch_events"),
            (r#","url":"https://h/apps/1""#, "url"),
        ] {
            assert_eq!(named(with(more)), key, "{more}");
        }
        for (config, key) in [
            ("", "config"),
            ("{", "config"),
            ("[]", "config"),
            ("null", "config"),
            ("api.pusher.com", "config"),
            (r#"{"key":"k","secret":"s"}"#, "app_id"),
            (r#"{"app_id":"1","secret":"s"}"#, "key"),
            (r#"{"app_id":"1","key":"k"}"#, "secret"),
            (r#"{"app_id":"1","key":"k","secret":""}"#, "secret"),
            (r#"{"app_id":"1/2","key":"k","secret":"s"}"#, "app_id"),
            (r#"{"app_id":1.5,"key":"k","secret":"s"}"#, "app_id"),
            (r#"{"app_id":"1","key":"k:l","secret":"s"}"#, "key"),
            ("ftp://k:s@h/apps/1", "url"),
            ("https://h/apps/1", "url"),
            ("https://k@h/apps/1", "url"),
            ("https://k:s@h", "url"),
            ("https://k:s@h/", "url"),
            ("https://k:s@h/apps/1?x=1", "url"),
            ("https://k:s@h/apps/1#x", "url"),
            ("https://k:s@h:0/apps/1", "url"),
            ("https://k:s@h:+1/apps/1", "url"),
            ("https://k:%ff@h/apps/1", "url"),
            ("https://k:s@h\r\n/apps/1", "url"),
            ("https://k:s@/apps/1", "url"),
            ("https://k:s@h/apps/", "app_id"),
        ] {
            assert_eq!(named(Config::parse(Some(config))), key, "{config:?}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let config = with("").unwrap();
        assert!(!format!("{config:?}").contains("s3cr3t"));
        for wrong in [
            r#"{"app_id":"1","key":"k","secret":"s3cr3t","secret":"s3cr3t"}"#,
            "https://k:s3cr3t@h",
            "http://s3cr3t",
            r#"{"s":"s3cr3t""#,
        ] {
            let error = Config::parse(Some(wrong)).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("s3cr3t"), "{error}");
        }
    }
}
