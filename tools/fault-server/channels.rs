//! What a real Channels server does with a request: whether it accepts it, what it publishes, and how it responds.
//!
//! Written from the protocol, without the library's code.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::http::{self, Request};
use super::script::Applies;
use super::signature;

/// The id that the configuration of a client has. The server takes any.
pub const APP_ID: &str = "1";

/// The key of the only application.
pub const KEY: &str = "test-key_1";

/// Its secret, with characters that each encoding writes differently.
pub const SECRET: &str = "s3cr3t/Canary+&=%é";

/// The largest difference of a request's timestamp, in seconds.
const WINDOW: u64 = 600;

/// The result of a complete request.
#[derive(Clone, Debug)]
pub struct Handled {
    /// The response of a healthy server.
    pub answer: Vec<u8>,
    /// The published events.
    pub applied: Vec<Value>,
    /// Whether these are all events of the request.
    pub all: bool,
    /// The reason for a refusal.
    pub refused: Option<String>,
}

impl Handled {
    fn refused(status: u16, why: String) -> Handled {
        let body = json!({"error": why, "code": status}).to_string();
        Handled { answer: http::json_answer(status, &body), applied: Vec::new(), all: false, refused: Some(why) }
    }
}

/// How requests are verified.
#[derive(Clone, Debug)]
pub struct Channels {
    /// Whether signatures are checked.
    pub verifies: bool,
    /// The seconds by which the server's clock is ahead. A client may sign by either clock.
    pub clock: i64,
    /// The paths and idempotency keys of requests that were applied, and how far.
    keys: Arc<Mutex<HashMap<(String, String), Known>>>,
}

/// How far a request was applied whose key the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Whole,
    Part,
}

impl Channels {
    /// Returns a server that knows no keys yet.
    pub fn new(verifies: bool, clock: i64) -> Channels {
        Channels { verifies, clock, keys: Arc::default() }
    }

    /// Processes a request, and applies the part of it that `applies` allows.
    pub fn handle(&self, request: &Request, applies: Applies) -> Handled {
        if let (true, Err(why)) = (self.verifies, self.verify(request)) {
            return Handled::refused(401, why);
        }
        match understand(request) {
            Err((status, why)) => Handled::refused(status, why),
            Ok((events, body)) => {
                let count = match applies {
                    Applies::Nothing => 0,
                    Applies::All => events.len(),
                    Applies::First(count) => count.min(events.len().saturating_sub(1)),
                };
                let all = applies == Applies::All;
                // Like sockudo: a request whose key the server knows is not applied again, whatever its body. After a
                // failure in its middle, sockudo takes it for one that is still being processed.
                let known = self.known(request, all, count);
                let applied = events.into_iter().take(if known.is_some() { 0 } else { count }).collect();
                let answer = match known {
                    Some(Known::Part) => in_progress(),
                    Some(Known::Whole) | None => http::json_answer(200, &body),
                };
                Handled { answer, applied, all: all && known != Some(Known::Part), refused: None }
            }
        }
    }

    /// Returns what the server knows of the key of a request. From now on it knows the key, if `count` events, which may
    /// be `all`, are applied.
    fn known(&self, request: &Request, all: bool, count: usize) -> Option<Known> {
        let (_, key) = request.head.headers.iter().find(|(name, _)| name == "x-idempotency-key")?;
        let key = (request.head.path().to_owned(), key.clone());
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let known = keys.get(&key).copied();
        if known.is_none() && (all || count > 0) {
            keys.insert(key, if all { Known::Whole } else { Known::Part });
        }
        known
    }

    /// Checks whether the request is authentic; the error says why not.
    fn verify(&self, request: &Request) -> Result<(), String> {
        let mut parameters = signature::parameters(request.head.query())?;
        let at = parameters.iter().position(|(name, _)| name == "auth_signature").ok_or("no auth_signature")?;
        let (_, claimed) = parameters.remove(at);
        let one = |wanted: &str| {
            let mut values = parameters.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
            match (values.next(), values.next()) {
                (value, None) => Ok(value),
                _ => Err(format!("{wanted} comes twice")),
            }
        };
        if one("auth_key")? != Some(KEY) || one("auth_version")? != Some("1.0") {
            return Err("another auth_key or auth_version than ours".to_owned());
        }
        let timestamp: i64 = one("auth_timestamp")?.and_then(|t| t.parse().ok()).ok_or("no auth_timestamp")?;
        let now = http::now();
        if [now, now + self.clock].iter().all(|now| timestamp.abs_diff(*now) > WINDOW) {
            return Err(format!("auth_timestamp is {}s away from our clock", timestamp.abs_diff(now)));
        }
        let md5 = one("body_md5")?;
        if md5.is_some() != (request.head.method == "POST") {
            return Err("body_md5 belongs to a POST, and to nothing else".to_owned());
        }
        if md5.is_some_and(|md5| md5 != signature::md5_hex(&request.body)) {
            return Err("body_md5 is not the body's".to_owned());
        }
        let signed = signature::query_to_sign(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let signed = format!("{}\n{}\n{signed}", request.head.method, request.head.path());
        if claimed == signature::hmac_hex(SECRET.as_bytes(), signed.as_bytes()) {
            Ok(())
        } else {
            Err("the signature is wrong".to_owned())
        }
    }
}

/// Returns the response to a request that is still being processed.
fn in_progress() -> Vec<u8> {
    let body = json!({"error": "a request with this key is in progress", "code": 503}).to_string();
    http::answer(503, &[("Content-Type", "application/json"), ("Retry-After", "1")], &body)
}

/// Returns the events of a request, and the body of the response.
fn understand(request: &Request) -> Result<(Vec<Value>, String), (u16, String)> {
    let path: Vec<&str> = request.head.path().split('/').skip(1).collect();
    let ok = |body: Value| Ok((Vec::new(), body.to_string()));
    match (request.head.method.as_str(), &path[..]) {
        ("POST", ["apps", _, "events"]) => trigger(&json_body(request)?),
        ("POST", ["apps", _, "batch_events"]) => batch(&json_body(request)?),
        ("POST", ["apps", _, "users", user, "terminate_connections"]) => {
            json_body(request)?;
            Ok((vec![json!({"terminated": user})], "{}".to_owned()))
        }
        ("DELETE", ["apps", _, "channels", channel]) => Ok((vec![json!({"deleted": channel})], "{}".to_owned())),
        ("GET", ["apps", _, "channels"]) => ok(json!({"channels": {}})),
        ("GET", ["apps", _, "channels", _]) => ok(json!({"occupied": false})),
        ("GET", ["apps", _, "channels", _, "users"]) => ok(json!({"users": []})),
        _ => Err((404, "there is no such path".to_owned())),
    }
}

fn json_body(request: &Request) -> Result<Value, (u16, String)> {
    serde_json::from_slice(&request.body).map_err(|error| (400, format!("the body is not JSON: {error}")))
}

fn text<'a>(event: &'a Value, name: &str) -> Result<&'a str, (u16, String)> {
    event[name].as_str().ok_or_else(|| (400, format!("{name} is no text")))
}

/// A published event.
fn published(channel: &str, event: &Value) -> Result<Value, (u16, String)> {
    let mut published = json!({"channel": channel, "name": text(event, "name")?, "data": text(event, "data")?});
    if event.get("socket_id").is_some() {
        published["socket_id"] = json!(text(event, "socket_id")?);
    }
    Ok(published)
}

fn trigger(body: &Value) -> Result<(Vec<Value>, String), (u16, String)> {
    let channels: Vec<&str> = match (&body["channels"], &body["channel"]) {
        (Value::Array(channels), Value::Null) => channels.iter().filter_map(Value::as_str).collect(),
        (Value::Null, Value::String(channel)) => vec![channel],
        _ => return Err((400, "neither channel nor channels".to_owned())),
    };
    if channels.is_empty() {
        return Err((400, "no channel".to_owned()));
    }
    let events = channels.iter().map(|channel| published(channel, body)).collect::<Result<_, _>>()?;
    let answer = match body.get("info") {
        None => json!({}),
        Some(_) => {
            json!({"channels": channels.iter().map(|c| ((*c).to_owned(), json!({}))).collect::<serde_json::Map<_, _>>()})
        }
    };
    Ok((events, answer.to_string()))
}

fn batch(body: &Value) -> Result<(Vec<Value>, String), (u16, String)> {
    let batch = body["batch"].as_array().ok_or_else(|| (400, "no batch".to_owned()))?;
    let events = batch.iter().map(|event| published(text(event, "channel")?, event)).collect::<Result<_, _>>()?;
    let answer = if batch.iter().any(|event| event.get("info").is_some()) {
        json!({"batch": vec![json!({}); batch.len()]})
    } else {
        json!({})
    };
    Ok((events, answer.to_string()))
}
