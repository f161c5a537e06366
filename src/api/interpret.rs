//! From an exchange to a result: what a response, or its absence, means for a call.
//!
//! The table in [`classify`] rests on what servers decide before they look at any event, and on what they may have done by the
//! time they answer.

use std::borrow::Cow;
use std::iter;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::call::Effect;
use crate::bytes::{copied_text, lossy};
use crate::error::{Error, FailedExchange, OutOfMemory, Problem};
use crate::headers::Headers;
use crate::http::{Cause, Failure, Progress, Response};
use crate::json::Json;
use crate::rate_limit::RateLimitHeaders;
use crate::status::{Delivery, Status};
use crate::time_limit::TimeLimit;

/// Interprets the exchange of one request.
pub struct Interpreter<'a> {
    /// What the call changes.
    pub effect: Effect,
    /// The request's signature. It is redacted wherever the server or a transport repeats it.
    pub signature: &'a str,
    /// The headers that the caller added. Their values are redacted in the same way.
    pub caller_headers: &'a Headers,
    /// The limit of the exchange and its key in the configuration, if that time has passed.
    pub elapsed: Option<(&'static str, Duration)>,
    /// The limit of the time for checking a response.
    pub limit: TimeLimit,
    /// Returns the time of day.
    pub now: fn() -> SystemTime,
}

/// Why a response is not a success.
struct Refusal {
    status: Status,
    delivery: Delivery,
    cause: Option<Cause>,
    message: String,
}

impl Interpreter<'_> {
    /// Returns the result of the call.
    pub fn interpret(&self, exchange: Result<Response, Failure>) -> Result<String, Error> {
        match exchange {
            Ok(response) => match self.refusal(&response) {
                Some(refusal) => Err(Error::Exchange(Box::new(self.refused(&response, refusal)))),
                // Some servers answer without a body.
                None if response.body.is_empty() => Ok("{}".to_owned()),
                // `refusal` has checked that it is UTF-8.
                None => String::from_utf8(response.body).map_err(|_| Error::Internal("a string changed".to_owned())),
            },
            Err(failure) => Err(Error::Exchange(Box::new(self.failed(&failure)))),
        }
    }

    /// Returns why a response is not a success.
    fn refusal(&self, response: &Response) -> Option<Refusal> {
        let http_status = response.status;
        if !(200..300).contains(&http_status) {
            let (status, delivery) = classify(self.effect, http_status);
            return Some(Refusal { status, delivery, cause: None, message: self.refusal_message(http_status) });
        }
        if !response.request_was_sent {
            return Some(unreadable(http_status, Cause::Malformed, "before the whole request had been sent"));
        }
        if response.body.is_empty() {
            // Without a length, an empty body may be one that was truncated.
            let cut = || unreadable(http_status, Cause::Closed, "closed the connection without a body");
            return (!response.has_length).then(cut);
        }
        let Ok(text) = std::str::from_utf8(&response.body) else {
            return Some(unreadable(http_status, Cause::Malformed, "its body is not UTF-8"));
        };
        let json = match Json::parse_within(text, "", self.limit) {
            Ok(json) => json,
            Err(Error::Argument(_)) => return Some(unreadable(http_status, Cause::Malformed, "its body is not JSON")),
            Err(Error::Unavailable(_)) => return Some(without_memory(http_status)),
            // An error may be in it.
            Err(_) => {
                let key = self.elapsed.map_or("timeout_ms", |(key, _)| key);
                let reason = format!("{key} passed before its body was checked");
                return Some(unreadable(http_status, Cause::Timeout, &reason));
            }
        };
        let code = match error_code_in(json) {
            Ok(code) => code?,
            Err(OutOfMemory) => return Some(without_memory(http_status)),
        };
        let (status, delivery) = classify(self.effect, code);
        let message = format!("the server answered {http_status} with an error inside, code {code}: {}", meaning(code));
        Some(Refusal { status, delivery, cause: None, message })
    }

    /// Returns the error for a response that is not a success.
    fn refused(&self, response: &Response, refusal: Refusal) -> FailedExchange {
        let Refusal { status, delivery, cause, message } = refusal;
        let date = response.date.as_deref().and_then(http_date);
        FailedExchange {
            status,
            delivery: self.delivery(delivery),
            cause: cause.map(Cause::name),
            message,
            retryable: self.may_repeat(status),
            attempts: 1,
            http_status: Some(response.status),
            response: self.excerpt(&response.body),
            server_code: server_code(&response.body)
                .filter(|code| self.redacted().all(|(secret, _)| !code.contains(secret))),
            retry_after_ms: response.retry_after.as_deref().and_then(|value| retry_after_ms(value, date, self.now)),
            rate_limit: response.rate_limit,
            server_time: date.and_then(|date| date.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs()),
        }
    }

    /// Returns the error for an exchange without a complete response.
    fn failed(&self, failure: &Failure) -> FailedExchange {
        // The same call of the same handle would be cancelled, too.
        let may_repeat = self.effect == Effect::Nothing && failure.cause != Cause::Cancelled;
        let (status, delivery, retryable) = match failure.progress {
            Progress::NotSent => (Status::NotSent, Delivery::NotSent, is_transient(failure.cause)),
            Progress::Sent => (Status::DeliveryUnknown, Delivery::Unknown, may_repeat),
            Progress::Answered(200..300) => (Status::BadResponse, Delivery::Unknown, may_repeat),
            Progress::Answered(http_status) => {
                let (status, delivery) = classify(self.effect, http_status);
                (status, delivery, self.may_repeat(status))
            }
        };
        FailedExchange {
            status,
            delivery: self.delivery(delivery),
            cause: Some(failure.cause.name()),
            message: self.failure_message(failure),
            retryable,
            attempts: 1,
            http_status: match failure.progress {
                Progress::Answered(http_status) => Some(http_status),
                Progress::NotSent | Progress::Sent => None,
            },
            response: None,
            server_code: None,
            retry_after_ms: None,
            rate_limit: RateLimitHeaders::default(),
            server_time: None,
        }
    }

    fn failure_message(&self, failure: &Failure) -> String {
        // A user's transport may put the whole URL into its message.
        let reason = self.excerpt(failure.message.as_bytes()).unwrap_or_else(|| "the transport failed".to_owned());
        let doubt = self.doubt();
        match (failure.progress, failure.cause, self.elapsed) {
            (Progress::NotSent, ..) => reason,
            (Progress::Sent, Cause::Timeout, Some((key, timeout))) => {
                format!("no response within {key} ({}){doubt}", timeout.as_millis())
            }
            (Progress::Sent, ..) => format!("no response: {reason}{doubt}"),
            (Progress::Answered(status @ 200..300), ..) => format!("the server answered {status}, but {reason}"),
            (Progress::Answered(status), ..) => self.refusal_message(status),
        }
    }

    fn refusal_message(&self, http_status: u16) -> String {
        let doubt = if (500..600).contains(&http_status) { self.doubt() } else { "" };
        format!("the server answered {http_status}: {}{doubt}", meaning(http_status))
    }

    /// Returns the end of a message about a request whose delivery is unknown.
    fn doubt(&self) -> &'static str {
        if self.effect == Effect::Nothing { "" } else { "; the event may have been delivered" }
    }

    /// Returns the delivery of a call that publishes. A query has none.
    fn delivery(&self, delivery: Delivery) -> Option<Delivery> {
        Some(delivery).filter(|_| self.effect != Effect::Nothing)
    }

    /// Returns whether a call that ended with `status` can be repeated without doing anything twice, and may then succeed.
    fn may_repeat(&self, status: Status) -> bool {
        match status {
            Status::RateLimited => true,
            Status::ServerError | Status::BadResponse | Status::DeliveryUnknown => self.effect == Effect::Nothing,
            _ => false,
        }
    }

    /// Returns the beginning of a server's or a transport's string, at most 1 KiB, with the signature and the values of the
    /// caller's headers redacted.
    fn excerpt(&self, text: &[u8]) -> Option<String> {
        const MAX_EXCERPT_BYTES: usize = 1024;
        if text.is_empty() {
            return None;
        }
        // A byte of the excerpt stands for no more bytes than the longest secret has. So no secret is cut off before it is
        // redacted.
        let longest = self.redacted().map(|(secret, _)| secret.len()).max().unwrap_or(0);
        let window = MAX_EXCERPT_BYTES * longest;
        let mut text = lossy(&text[..text.len().min(window)]).ok()?;
        for (secret, shown) in self.redacted() {
            if text.contains(secret) {
                text = Cow::Owned(replaced(&text, secret, shown).ok()?);
            }
        }
        let end = (0..=MAX_EXCERPT_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
        copied_text(text.get(..end.unwrap_or(0)).unwrap_or_default()).ok()
    }

    /// Returns what must not be shown, and what is shown instead. A server may repeat the last word of `Bearer TOKEN` alone.
    fn redacted(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let values = self.caller_headers.iter().flat_map(|(_, value)| [Some(value), value.rsplit(' ').next()]);
        // Short values, such as `1`, are no secrets, and would be found everywhere.
        let secrets = values.flatten().filter(|value| value.len() >= MIN_SECRET_BYTES);
        iter::once((self.signature, REDACTED_SIGNATURE)).chain(secrets.map(|value| (value, REDACTED_HEADER)))
    }
}

/// Returns the text with something shorter in place of a secret.
fn replaced(text: &str, secret: &str, shown: &str) -> Result<String, OutOfMemory> {
    let mut result = String::new();
    result.try_reserve_exact(text.len()).map_err(|_| OutOfMemory)?;
    for (index, piece) in text.split(secret).enumerate() {
        result.push_str(if index == 0 { "" } else { shown });
        result.push_str(piece);
    }
    Ok(result)
}

const REDACTED_SIGNATURE: &str = "[signature]";

const REDACTED_HEADER: &str = "[header]";

/// The length of the shortest value of a header that is redacted.
const MIN_SECRET_BYTES: usize = 8;

/// A 2xx whose body may hold an error, which takes memory to find.
fn without_memory(http_status: u16) -> Refusal {
    unreadable(http_status, Cause::Malformed, "there is not enough memory to check its body")
}

/// A 2xx whose body cannot be used.
fn unreadable(http_status: u16, cause: Cause, reason: &str) -> Refusal {
    Refusal {
        status: Status::BadResponse,
        delivery: Delivery::Unknown,
        cause: Some(cause),
        message: format!("the server answered {http_status}, but {reason}"),
    }
}

/// Returns the code of an error within a 2xx, `{"error":…,"code":400…599}`. One self-hosted server (soketi) answers like this.
fn error_code_in(json: Json<'_>) -> Result<Option<u16>, OutOfMemory> {
    // Most responses are `{}` or `{"ok":true}` and need not be parsed. A key may be written with escapes.
    if !json.text().contains("\"code\"") && !json.text().contains('\\') {
        return Ok(None);
    }
    let members = match json.members_lenient("") {
        Ok(members) => members,
        Err(problem) if problem == Problem::OUT_OF_MEMORY => return Err(OutOfMemory),
        Err(_) => return Ok(None),
    };
    if !members.iter().any(|(key, _)| key == "error") {
        return Ok(None);
    }
    let code = |(key, value): &(Cow<'_, str>, Json<'_>)| {
        let code = value.integer().filter(|_| key == "code").and_then(|code| u16::try_from(code).ok());
        code.filter(|code| (400..600).contains(code))
    };
    Ok(members.iter().find_map(code))
}

/// Returns the member `code` of a JSON error body, such as sockudo's `{"error":…,"code":"feature_disabled","status":422}`. Left
/// out if it is not a word or a number.
fn server_code(body: &[u8]) -> Option<String> {
    /// Errors are short. The members of a longer body would take memory that the server decides.
    const MAX_BODY_BYTES: usize = 64 << 10;
    const MAX_CODE_BYTES: usize = 64;
    if body.len() > MAX_BODY_BYTES || !body.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let json = Json::parse(std::str::from_utf8(body).ok()?, "").ok()?;
    let (_, code) = json.members_lenient("").ok()?.into_iter().find(|(key, _)| key == "code")?;
    let code = if code.is_string() { code.string("").ok()? } else { Cow::Borrowed(code.text()) };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let is_code = (1..=MAX_CODE_BYTES).contains(&code.len()) && code.bytes().all(is_plain);
    (is_code && !matches!(&*code, "null" | "true" | "false")).then(|| code.into_owned())
}

/// Returns whether a retry may help after a request that was not sent.
fn is_transient(cause: Cause) -> bool {
    match cause {
        Cause::Dns | Cause::Connect | Cause::Timeout | Cause::Reset | Cause::Closed | Cause::Write => true,
        Cause::NoSuchHost | Cause::Tls | Cause::Proxy | Cause::Malformed | Cause::Cancelled | Cause::Transport => false,
    }
}

/// Returns what a status other than 2xx means for a call.
fn classify(effect: Effect, http_status: u16) -> (Status, Delivery) {
    // A server that stops at the event it refuses has already delivered those before it.
    let unless_in_part = match effect {
        Effect::Nothing | Effect::One => Delivery::Rejected,
        Effect::Several => Delivery::Unknown,
    };
    match http_status {
        300..400 => (Status::Redirected, Delivery::Rejected),
        // Servers decide these before they look at any event.
        401 => (Status::Unauthorized, Delivery::Rejected),
        403 => (Status::Forbidden, Delivery::Rejected),
        404 => (Status::NotFound, Delivery::Rejected),
        // 407 comes from a proxy, which has forwarded nothing.
        405 | 407 | 415 => (Status::BadRequest, Delivery::Rejected),
        429 => (Status::RateLimited, Delivery::Rejected),
        413 => (Status::PayloadTooLarge, unless_in_part),
        400..500 => (Status::BadRequest, unless_in_part),
        500..600 => (Status::ServerError, Delivery::Unknown),
        // HTTP defines no such response.
        _ => (Status::DeliveryUnknown, Delivery::Unknown),
    }
}

/// Returns what the caller should check.
fn meaning(http_status: u16) -> &'static str {
    match http_status {
        300..400 => "a redirect, which is never followed; check host, ssl and path",
        400 => "the request is not valid",
        401 => "check the key, the secret and this machine's clock",
        403 => "the application is disabled or over its quota",
        404 => "there is no such application or path; check app_id, host or cluster, and path",
        407 => "the proxy requires other credentials (user and password in `proxy`)",
        413 => "the event or the request is too large for the server",
        429 => "too many requests; try again later",
        400..500 => "the request was refused",
        500..600 => "an error in the server",
        _ => "not a final status of HTTP",
    }
}

/// The longest wait that is reported. More than a day is as good as never.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads `Retry-After`: seconds, or a date, which counts from the server's own `Date` so that clocks need not agree (RFC 9110,
/// 10.2.3). Anything else is ignored.
fn retry_after_ms(value: &str, date: Option<SystemTime>, now: fn() -> SystemTime) -> Option<u64> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long time as well.
        value.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        http_date(value)?.duration_since(date.unwrap_or_else(now)).unwrap_or_default()
    };
    u64::try_from(wait.min(MAX_RETRY_AFTER).as_millis()).ok()
}

fn http_date(value: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(value.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_a_day() {
        // A minute before the date below.
        let now = || UNIX_EPOCH + Duration::from_secs(784_111_777 - 60);
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let servers = http_date("Sun, 06 Nov 1994 08:49:27 GMT");
        let day = Some(24 * 60 * 60 * 1000);
        for (value, date, expected) in [
            ("0", None, Some(0)),
            (" 12 ", None, Some(12_000)),
            ("99999999999999999999999", None, day),
            ("86401", None, day),
            (date, None, Some(60_000)),
            (date, servers, Some(10_000)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None, Some(60_000)),
            ("Sun Nov  6 08:49:37 1994", None, Some(60_000)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", None, day),
            // A date in the past means now.
            ("Sat, 05 Nov 1994 08:49:37 GMT", None, Some(0)),
            ("", None, None),
            ("-1", None, None),
            ("+1", None, None),
            ("1.5", None, None),
            ("soon", None, None),
        ] {
            assert_eq!(retry_after_ms(value, date, now), expected, "{value:?}");
        }
    }

    #[test]
    fn a_message_says_what_to_check() {
        for (http_status, words) in [
            (302, "redirect"),
            (400, "not valid"),
            (401, "secret"),
            (402, "was refused"),
            (403, "quota"),
            (404, "app_id"),
            (407, "proxy"),
            (413, "too large"),
            (418, "was refused"),
            (429, "too many"),
            (500, "in the server"),
            (599, "in the server"),
            (600, "not a final status"),
            (199, "not a final status"),
        ] {
            assert!(meaning(http_status).contains(words), "{http_status}: {}", meaning(http_status));
        }
    }

    #[test]
    fn each_occurrence_of_a_secret_is_replaced_and_nothing_else() {
        for (text, expected) in
            [("a", "a"), ("secret", "[x]"), ("a secret", "a [x]"), ("secretsecret b secret", "[x][x] b [x]"), ("", "")]
        {
            assert_eq!(replaced(text, "secret", "[x]").unwrap(), expected);
        }
    }
}
