//! Each call of the HTTP API: arguments to a request, and what came of it to a result. No I/O, no clock, no keys.
//!
//! Source: Channels HTTP API reference; what two self-hosted servers do beyond it is said where it matters.

use std::time::Duration;

use crate::config::Limits;
use crate::error::{Delivery, Error, FailedExchange, Problem, Status};
use crate::http::{Cause, Failure, Method, Progress, Response};
use crate::json::{Json, join};
use crate::validation;

/// A call, ready to be signed and sent.
#[derive(Debug)]
pub struct Call {
    /// POST or GET.
    pub method: Method,
    /// The path below `/apps/{app_id}`.
    pub path: &'static str,
    /// The query's own parameters, raw. They never begin with `auth_`.
    pub parameters: Vec<(String, String)>,
    /// The body, serialized once: what is hashed is what is sent.
    pub body: Option<String>,
    /// What it delivers.
    pub effect: Effect,
    /// How long it may take in all, where the caller said so.
    pub timeout: Option<Duration>,
}

/// What a call may bring about, which decides what a refusal means for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// One thing that is done or not: an event for one channel.
    One,
    /// Several things that a server may do in part: servers apply them in order and stop at the one they refuse.
    Several,
}

/// What the events' calls accept as `options`.
#[derive(Debug, Default)]
struct Options {
    socket_id: Option<String>,
    info: Option<String>,
    timeout: Option<Duration>,
}

impl Options {
    fn parse(text: Option<&str>) -> Result<Options, Problem> {
        const NAME: &str = "options";
        let mut options = Options::default();
        let Some(text) = text else { return Ok(options) };
        for (key, value) in Json::parse(text, NAME)?.members(NAME)? {
            let name = join(NAME, &key);
            match key.as_ref() {
                "socket_id" => {
                    let id = value.string(&name)?;
                    validation::socket_id(&id, &name)?;
                    options.socket_id = Some(id.into_owned());
                }
                "info" => {
                    let list = value.string(&name)?;
                    validation::attributes(&list, &name)?;
                    options.info = Some(list.into_owned());
                }
                "timeout_ms" => match value.integer() {
                    Some(ms @ 1..=600_000) => options.timeout = Some(Duration::from_millis(ms)),
                    _ => return Err(Problem::new(name, "must be an integer from 1 to 600000")),
                },
                _ => return Err(Problem::new(name, "is not an option; there are socket_id, info and timeout_ms")),
            }
        }
        Ok(options)
    }
}

/// POST `/events`: one event on one or more channels.
pub fn trigger(limits: &Limits, channels: &str, event: &str, data: &str, options: Option<&str>) -> Result<Call, Error> {
    let channels = parse_channels(channels, limits).map_err(Error::Argument)?;
    validation::event(event, "event").map_err(Error::Argument)?;
    let data = parse_data(data, limits)?;
    let options = Options::parse(options).map_err(Error::Argument)?;
    if channels.iter().any(|name| name.starts_with("private-encrypted-")) {
        return Err(Error::Encryption(Problem::new(
            "channels",
            "events on private-encrypted- channels have to be encrypted, which this version does not do yet; nothing was sent",
        )));
    }

    let mut body = Body::new(data.text().len())?;
    body.text(r#"{"name":"#).string(event).text(r#","channels":["#);
    for (index, name) in channels.iter().enumerate() {
        body.text(if index > 0 { "," } else { "" }).string(name);
    }
    body.text(r#"],"data":"#);
    if data.is_string() {
        body.text(data.text())
    } else {
        body.string(data.text())
    };
    if let Some(id) = &options.socket_id {
        body.text(r#","socket_id":"#).string(id);
    }
    if let Some(info) = &options.info {
        body.text(r#","info":"#).string(info);
    }
    Ok(Call {
        method: Method::Post,
        path: "/events",
        parameters: Vec::new(),
        body: Some(body.text("}").finish()),
        effect: if channels.len() == 1 { Effect::One } else { Effect::Several },
        timeout: options.timeout,
    })
}

/// One name, or a JSON array of names: a name can't begin with `[`, so there is no doubt which.
fn parse_channels(text: &str, limits: &Limits) -> Result<Vec<String>, Problem> {
    const NAME: &str = "channels";
    if !text.trim_start().starts_with('[') {
        validation::channel(text, NAME)?;
        return Ok(vec![text.to_owned()]);
    }
    let elements = Json::parse(text, NAME)?.elements(NAME)?;
    if elements.is_empty() || elements.len() > limits.channels {
        let message = format!("must hold 1 to {} channel names, not {}", limits.channels, elements.len());
        return Err(Problem::new(NAME, message));
    }
    let parse = |(index, element): (usize, Json<'_>)| {
        let argument = format!("{NAME}[{index}]");
        let name = element.string(&argument)?;
        validation::channel(&name, &argument)?;
        Ok(name.into_owned())
    };
    elements.into_iter().enumerate().map(parse).collect()
}

/// The payload: any JSON. Of a string its content counts and is sent, of anything else its text.
fn parse_data<'a>(text: &'a str, limits: &Limits) -> Result<Json<'a>, Error> {
    let data = Json::parse(text, "data").map_err(Error::Argument)?;
    let size = if data.is_string() { data.string("data").map_err(Error::Argument)?.len() } else { data.text().len() };
    if size > limits.data_bytes {
        let message = format!("is too large: {size} bytes, and the limit is {} (max_data_bytes)", limits.data_bytes);
        return Err(Error::DataTooLarge(Problem::new("data", message)));
    }
    Ok(data)
}

/// Writes a JSON body.
struct Body(Vec<u8>);

impl Body {
    /// A body with room for `data` bytes of payload, however many of them need a backslash.
    fn new(data: usize) -> Result<Body, Error> {
        let mut bytes = Vec::new();
        bytes.try_reserve(data.saturating_mul(2).saturating_add(512)).map_err(|_| Error::OutOfMemory)?;
        Ok(Body(bytes))
    }

    /// Text that is JSON already.
    fn text(&mut self, text: &str) -> &mut Body {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// Text that becomes a JSON string.
    fn string(&mut self, text: &str) -> &mut Body {
        // Neither a str nor a Vec can fail to be written.
        let _ = serde_json::to_writer(&mut self.0, text);
        self
    }

    fn finish(&mut self) -> String {
        // All that went in was UTF-8.
        String::from_utf8(std::mem::take(&mut self.0)).unwrap_or_default()
    }
}

/// What a call returns for what came of its request. `signature` is blotted out wherever the server repeats it.
pub fn outcome(effect: Effect, signature: &str, exchange: Result<Response, Failure>) -> Result<String, Error> {
    match exchange {
        Ok(response) => answered(effect, signature, response),
        Err(failure) => Err(Error::Exchange(Box::new(failed(effect, failure)))),
    }
}

/// A whole answer came.
fn answered(effect: Effect, signature: &str, response: Response) -> Result<String, Error> {
    let http_status = response.status;
    let refused = |status, delivery, message: String| {
        Err(Error::Exchange(Box::new(FailedExchange {
            status,
            delivery: Some(delivery),
            cause: None,
            message,
            retryable: status == Status::RateLimited,
            attempts: 1,
            http_status: Some(http_status),
            response: excerpt(&response.body, signature),
            retry_after_ms: response.retry_after.as_deref().and_then(retry_after_ms),
        })))
    };
    let unreadable = |what: &str| {
        refused(Status::BadResponse, Delivery::Unknown, format!("the server answered {http_status}, but {what}"))
    };
    if !(200..300).contains(&http_status) {
        let (status, delivery) = classify(effect, http_status);
        return refused(status, delivery, refusal(http_status));
    }
    if !response.request_was_sent {
        return unreadable("before the whole request had been sent");
    }
    if response.body.is_empty() {
        // Without a length, an empty body may as well be one that was cut.
        return if response.has_length {
            Ok("{}".to_owned())
        } else {
            unreadable("closed the connection without a body")
        };
    }
    let Ok(text) = std::str::from_utf8(&response.body) else { return unreadable("its body is not UTF-8") };
    let Ok(json) = Json::parse(text, "") else { return unreadable("its body is not JSON") };
    if let Some(code) = error_inside(json) {
        let (status, delivery) = classify(effect, code);
        let message = format!("the server answered {http_status} with an error inside, code {code}: {}", meaning(code));
        return refused(status, delivery, message);
    }
    Ok(text.to_owned())
}

/// An error within a 2xx, `{"error":…,"code":400…599}`: one self-hosted server (soketi) answers so.
fn error_inside(json: Json<'_>) -> Option<u16> {
    // Most answers are `{}` or `{"ok":true}`: they are not taken apart.
    if !json.text().contains("\"code\"") {
        return None;
    }
    let members = json.members("").ok()?;
    let find = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
    find("error")?;
    find("code")?.integer().and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code))
}

/// No whole answer came.
fn failed(effect: Effect, failure: Failure) -> FailedExchange {
    let (status, delivery, retryable) = match failure.progress {
        Progress::NotSent => (Status::NotSent, Delivery::NotSent, can_pass(failure.cause)),
        Progress::Sent => (Status::DeliveryUnknown, Delivery::Unknown, false),
        Progress::Answered(200..300) => (Status::BadResponse, Delivery::Unknown, false),
        Progress::Answered(status) => {
            let (status, delivery) = classify(effect, status);
            (status, delivery, status == Status::RateLimited)
        }
    };
    let message = match failure.progress {
        Progress::NotSent => format!("not sent: {}", failure.message),
        Progress::Sent => format!("sent, but no answer came: {}", failure.message),
        Progress::Answered(status @ 200..300) => format!("the server answered {status}, but {}", failure.message),
        Progress::Answered(status) => refusal(status),
    };
    FailedExchange {
        status,
        delivery: Some(delivery),
        cause: Some(failure.cause.name()),
        message,
        retryable,
        attempts: 1,
        http_status: match failure.progress {
            Progress::Answered(status) => Some(status),
            Progress::NotSent | Progress::Sent => None,
        },
        response: None,
        retry_after_ms: None,
    }
}

/// Whether trying again may help where nothing was sent.
fn can_pass(cause: Cause) -> bool {
    match cause {
        Cause::Dns | Cause::Connect | Cause::Timeout | Cause::Reset | Cause::Closed | Cause::Write => true,
        Cause::NoSuchHost | Cause::Tls | Cause::Malformed => false,
    }
}

/// What an answer that is not a 2xx means.
fn classify(effect: Effect, http_status: u16) -> (Status, Delivery) {
    // A server that stops at the event it refuses has already delivered those before it.
    let unless_in_part = match effect {
        Effect::One => Delivery::Rejected,
        Effect::Several => Delivery::Unknown,
    };
    match http_status {
        300..400 => (Status::Redirected, Delivery::Rejected),
        // These are decided before any event is looked at.
        401 => (Status::Unauthorized, Delivery::Rejected),
        403 => (Status::Forbidden, Delivery::Rejected),
        404 => (Status::NotFound, Delivery::Rejected),
        405 | 415 => (Status::BadRequest, Delivery::Rejected),
        429 => (Status::RateLimited, Delivery::Rejected),
        413 => (Status::PayloadTooLarge, unless_in_part),
        400..500 => (Status::BadRequest, unless_in_part),
        500..600 => (Status::ServerError, Delivery::Unknown),
        // No answer that HTTP knows.
        _ => (Status::DeliveryUnknown, Delivery::Unknown),
    }
}

fn refusal(http_status: u16) -> String {
    format!("the server answered {http_status}: {}", meaning(http_status))
}

/// What the caller should look at.
fn meaning(http_status: u16) -> &'static str {
    match http_status {
        300..400 => "a redirect, which is never followed; check host, ssl and path",
        400 => "the request is not what it takes",
        401 => "check the key, the secret and this machine's clock",
        403 => "the application is disabled or over its quota",
        404 => "there is no such application or path; check app_id, host or cluster, and path",
        413 => "the event or the request is too large for it",
        429 => "too many requests; try again later",
        400..500 => "it refused the request",
        500..600 => "an error of its own, after which the event may have been delivered or not",
        _ => "a status that HTTP does not know",
    }
}

/// The beginning of the server's text, at most 1 KiB, with the request's signature blotted out.
fn excerpt(body: &[u8], signature: &str) -> Option<String> {
    const MOST: usize = 1024;
    if body.is_empty() {
        return None;
    }
    // Enough that a signature which begins within the limit is whole.
    let text = String::from_utf8_lossy(&body[..body.len().min(MOST + signature.len())]);
    let mut text = if signature.is_empty() { text.into_owned() } else { text.replace(signature, "[signature]") };
    let end = (0..=MOST.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(end);
    Some(text)
}

/// `Retry-After` in seconds. (RFC 9110, 10.2.3)
fn retry_after_ms(value: &str) -> Option<u64> {
    value.trim().parse::<u64>().ok().map(|seconds| seconds.saturating_mul(1000))
}
