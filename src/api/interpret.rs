//! What came of a request: from an answer, or its absence, to a result.
//!
//! Source of the table: what servers decide before they look at any event, and what they may have done by then.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::call::Effect;
use crate::error::{Error, FailedExchange};
use crate::http::{Cause, Failure, Progress, Response};
use crate::json::Json;
use crate::status::{Delivery, Status};

/// What a call returns for what came of its request. `signature` is blotted out wherever the server repeats it; `now` is the
/// time on the wall.
pub fn interpret(
    effect: Effect,
    signature: &str,
    exchange: Result<Response, Failure>,
    now: fn() -> SystemTime,
) -> Result<String, Error> {
    match exchange {
        Ok(response) => answered(effect, signature, response, now),
        Err(failure) => Err(Error::Exchange(Box::new(failed(effect, signature, failure)))),
    }
}

/// A whole answer came.
fn answered(effect: Effect, signature: &str, response: Response, now: fn() -> SystemTime) -> Result<String, Error> {
    let http_status = response.status;
    let refused = |status, delivery, cause: Option<Cause>, message: String| {
        let date = response.date.as_deref().and_then(http_date);
        Err(Error::Exchange(Box::new(FailedExchange {
            status,
            delivery: delivery_of(effect, delivery),
            cause: cause.map(Cause::name),
            message,
            retryable: may_repeat(effect, status),
            attempts: 1,
            http_status: Some(http_status),
            response: excerpt(&response.body, signature),
            retry_after_ms: response.retry_after.as_deref().and_then(|value| retry_after_ms(value, date, now)),
            server_time: date.and_then(|date| date.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs()),
        })))
    };
    let unreadable = |cause, what: &str| {
        refused(
            Status::BadResponse,
            Delivery::Unknown,
            Some(cause),
            format!("the server answered {http_status}, but {what}"),
        )
    };
    if !(200..300).contains(&http_status) {
        let (status, delivery) = classify(effect, http_status);
        return refused(status, delivery, None, refusal(http_status));
    }
    if !response.request_was_sent {
        return unreadable(Cause::Malformed, "before the whole request had been sent");
    }
    if response.body.is_empty() {
        // Without a length, an empty body may as well be one that was cut.
        return if response.has_length {
            Ok("{}".to_owned())
        } else {
            unreadable(Cause::Closed, "closed the connection without a body")
        };
    }
    let Ok(text) = std::str::from_utf8(&response.body) else {
        return unreadable(Cause::Malformed, "its body is not UTF-8");
    };
    let Ok(json) = Json::parse(text, "") else { return unreadable(Cause::Malformed, "its body is not JSON") };
    if let Some(code) = error_inside(json) {
        let (status, delivery) = classify(effect, code);
        let message = format!("the server answered {http_status} with an error inside, code {code}: {}", meaning(code));
        return refused(status, delivery, None, message);
    }
    // It was found to be UTF-8 above.
    String::from_utf8(response.body).map_err(|_| Error::Internal("a text changed".to_owned()))
}

/// An error within a 2xx, `{"error":…,"code":400…599}`: one self-hosted server (soketi) answers so.
fn error_inside(json: Json<'_>) -> Option<u16> {
    // Most answers are `{}` or `{"ok":true}`: they are not taken apart. A key can be written with escapes.
    if !json.text().contains("\"code\"") && !json.text().contains('\\') {
        return None;
    }
    let members = json.entries("").ok()?;
    members.iter().find(|(key, _)| key == "error")?;
    let code = |(key, value): &(Cow<'_, str>, Json<'_>)| {
        let code = value.integer().filter(|_| key == "code").and_then(|code| u16::try_from(code).ok());
        code.filter(|code| (400..600).contains(code))
    };
    members.iter().find_map(code)
}

/// No whole answer came.
fn failed(effect: Effect, signature: &str, failure: Failure) -> FailedExchange {
    // A transport of the caller's may well put the whole URL into its message.
    let what = excerpt(failure.message.as_bytes(), signature).unwrap_or_default();
    let (status, delivery, retryable) = match failure.progress {
        Progress::NotSent => (Status::NotSent, Delivery::NotSent, can_pass(failure.cause)),
        Progress::Sent => (Status::DeliveryUnknown, Delivery::Unknown, effect == Effect::Nothing),
        Progress::Answered(200..300) => (Status::BadResponse, Delivery::Unknown, effect == Effect::Nothing),
        Progress::Answered(status) => {
            let (status, delivery) = classify(effect, status);
            (status, delivery, may_repeat(effect, status))
        }
    };
    let message = match failure.progress {
        Progress::NotSent => format!("not sent: {what}"),
        Progress::Sent => format!("sent, but no answer came: {what}"),
        Progress::Answered(status @ 200..300) => format!("the server answered {status}, but {what}"),
        Progress::Answered(status) => refusal(status),
    };
    FailedExchange {
        status,
        delivery: delivery_of(effect, delivery),
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
        server_time: None,
    }
}

/// Of a call that only asks there is nothing to deliver.
fn delivery_of(effect: Effect, delivery: Delivery) -> Option<Delivery> {
    Some(delivery).filter(|_| effect != Effect::Nothing)
}

/// Whether a call that was answered so may be made again without doing anything twice, and may then succeed.
fn may_repeat(effect: Effect, status: Status) -> bool {
    match status {
        Status::RateLimited => true,
        Status::ServerError | Status::BadResponse | Status::DeliveryUnknown => effect == Effect::Nothing,
        _ => false,
    }
}

/// Whether trying again may help where nothing was sent.
fn can_pass(cause: Cause) -> bool {
    match cause {
        Cause::Dns | Cause::Connect | Cause::Timeout | Cause::Reset | Cause::Closed | Cause::Write => true,
        Cause::NoSuchHost | Cause::Tls | Cause::Proxy | Cause::Malformed | Cause::Transport => false,
    }
}

/// What an answer that is not a 2xx means.
fn classify(effect: Effect, http_status: u16) -> (Status, Delivery) {
    // A server that stops at the event it refuses has already delivered those before it.
    let unless_in_part = match effect {
        Effect::Nothing | Effect::One => Delivery::Rejected,
        Effect::Several => Delivery::Unknown,
    };
    match http_status {
        300..400 => (Status::Redirected, Delivery::Rejected),
        // These are decided before any event is looked at.
        401 => (Status::Unauthorized, Delivery::Rejected),
        403 => (Status::Forbidden, Delivery::Rejected),
        404 => (Status::NotFound, Delivery::Rejected),
        // 407 comes from a proxy, which passed nothing on.
        405 | 407 | 415 => (Status::BadRequest, Delivery::Rejected),
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
        407 => "the proxy wants other credentials (user and password in `proxy`)",
        413 => "the event or the request is too large for it",
        429 => "too many requests; try again later",
        400..500 => "it refused the request",
        500..600 => "an error of its own, after which the event may have been delivered or not",
        _ => "which is no final status of HTTP",
    }
}

/// The beginning of a text that is not ours, at most 1 KiB, with the request's signature blotted out.
fn excerpt(body: &[u8], signature: &str) -> Option<String> {
    const MOST: usize = 1024;
    if body.is_empty() {
        return None;
    }
    const BLOT: &str = "[signature]";
    // So much that every signature of which the excerpt shows a part is whole: a blot is shorter, and draws up what follows it.
    let window = MOST + signature.len() * (MOST / BLOT.len() + 1);
    let text = String::from_utf8_lossy(&body[..body.len().min(window)]);
    let mut text = text.replace(signature, BLOT);
    let end = (0..=MOST.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(end);
    Some(text)
}

/// The longest wait that is told. Whoever asks for more than a day may as well have said never.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// `Retry-After`, in seconds or as a date, which counts from the server's own `Date` so that clocks need not agree. (RFC 9110,
/// 10.2.3) What is neither is ignored.
fn retry_after_ms(value: &str, date: Option<SystemTime>, now: fn() -> SystemTime) -> Option<u64> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long time, too.
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
            // What has passed is now.
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
}
