//! Error documents, `{"error":{"status":…,"message":…,…}}`: writes them, and reads them for callers
//! without a JSON library. Writes strings for them, too.

use crate::error::{Error, OutOfMemory, PartialFailure, Purpose};
use crate::json::{Json, Writer, find};
use crate::rate_limit::RateLimitHeaders;
use crate::status::{Delivery, Status};

/// The beginning of each error document, and of no result: a server or a webhook cannot write a result that passes for one.
const BEGINNING: &str = r#"{"error":{"status":""#;

/// Returns a result that does not begin like an error document: JSON may have a space before it. Returns an error if there is no
/// memory for that.
pub fn as_result(mut result: Vec<u8>) -> Result<Vec<u8>, OutOfMemory> {
    if result.starts_with(BEGINNING.as_bytes()) {
        // One more byte, for the NUL that the C boundary appends.
        result.try_reserve_exact(2).map_err(|_| OutOfMemory)?;
        result.insert(0, b' ');
    }
    Ok(result)
}

/// Returns the error document of a call with this purpose, or an error if there is no memory for it.
pub fn of(error: &Error, purpose: Purpose) -> Result<String, OutOfMemory> {
    let mut json = Writer::new();
    json.begin_object().key("error").begin_object();
    write_members(&mut json, error, purpose);
    json.end_object().end_object();
    match (json.finish_string(), error) {
        (Ok(document), _) => Ok(document),
        // The parts may be large.
        (Err(_), Error::Partial(partial)) if !partial.parts.is_empty() => {
            let partial = PartialFailure { parts: String::new(), ..**partial };
            of(&Error::Partial(Box::new(partial)), purpose)
        }
        (Err(_), _) => Err(OutOfMemory),
    }
}

/// Writes the members of the object inside `{"error":{…}}`. Members that do not apply are left out.
pub fn write_members(json: &mut Writer, error: &Error, purpose: Purpose) {
    json.key("status").string(error.status().name());
    json.key("message").string(&message(error));
    let mut optional = |name: &'static str, value: Option<&str>| {
        if let Some(value) = value {
            json.key(name).string(value);
        }
    };
    optional("delivery", error.delivery(purpose).map(Delivery::name));
    optional("argument", error.argument_name());
    match error {
        Error::Exchange(failed) => {
            optional("cause", failed.cause);
            optional("response", failed.response.as_deref());
            optional("server_code", failed.server_code.as_deref());
            json.key("retryable").boolean(failed.retryable);
            json.key("attempts").number(failed.attempts);
            if let Some(http_status) = failed.http_status {
                json.key("http_status").number(http_status);
            }
            if let Some(wait) = failed.retry_after_ms {
                json.key("retry_after_ms").number(wait);
            }
            write_rate_limit(json, &failed.rate_limit);
        }
        Error::Partial(partial) => {
            // Repeating the call would deliver the delivered parts twice.
            json.key("retryable").boolean(false).key("attempts").number(partial.attempts);
            if !partial.parts.is_empty() {
                json.key("parts").raw(&partial.parts);
            }
        }
        Error::Argument(_)
        | Error::Config(_)
        | Error::DataTooLarge(_)
        | Error::Encryption(_)
        | Error::Webhook(_)
        | Error::State(_)
        | Error::Unavailable(_)
        | Error::Publisher(_)
        | Error::Internal(_) => {}
    }
}

/// Returns the message for the caller. That of a refusal ends with the server's own words. A log has none of them: they may
/// repeat a payload.
fn message(error: &Error) -> String {
    let mut message = error.to_string();
    if let Error::Exchange(failed) = error {
        let is_refusal = matches!(failed.http_status, Some(400..500)) && failed.status != Status::Unauthorized;
        if let Some(line) = failed.response.as_deref().filter(|_| is_refusal).and_then(first_line) {
            message.extend([": ", &line]);
        }
    }
    // A NUL, of a member's name, would end the string of pusher_error_message().
    if message.contains('\0') { message.replace('\0', "?") } else { message }
}

/// Returns the first line that is not blank, or its beginning if it is long. No character in it breaks or reorders a line of
/// a terminal.
fn first_line(text: &str) -> Option<String> {
    const MAX_LINE_CHARS: usize = 200;
    let is_shown = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let line = text.split(['\n', '\r']).map(str::trim).find(|line| !line.is_empty())?;
    let mut shown: String = line.chars().take(MAX_LINE_CHARS).map(|c| if is_shown(c) { c } else { ' ' }).collect();
    if line.chars().nth(MAX_LINE_CHARS).is_some() {
        shown.push('…');
    }
    Some(shown)
}

/// Writes the figures that the server sent.
fn write_rate_limit(json: &mut Writer, rate_limit: &RateLimitHeaders) {
    if rate_limit.is_empty() {
        return;
    }
    json.key("rate_limit").begin_object();
    let figures = [("limit", rate_limit.limit), ("remaining", rate_limit.remaining), ("reset", rate_limit.reset)];
    for (name, figure) in figures {
        if let Some(figure) = figure {
            json.key(name).number(figure);
        }
    }
    json.end_object();
}

/// Returns a string as JSON.
pub fn string_of(text: &str) -> Result<String, Error> {
    let mut json = Writer::new();
    json.string(text);
    json.finish_string()
}

/// Returns the delivery that an error document reports.
pub fn delivery_in(document: &str) -> Option<Delivery> {
    Delivery::from_name(plain(document, "delivery")?)
}

/// Returns the status of an error document.
pub fn status_in(document: &str) -> Option<Status> {
    Status::from_name(plain(document, "status")?)
}

/// Returns whether an error document says that the call may be repeated.
pub fn is_retryable_in(document: &str) -> bool {
    member(document, "retryable").and_then(Json::boolean) == Some(true)
}

/// Returns an integer of an error document.
pub fn integer_in(document: &str, name: &str) -> Option<u64> {
    member(document, name)?.integer()
}

/// Returns the characters of a string in an error document.
pub fn text_in<'a>(document: &'a str, name: &str) -> Option<impl Iterator<Item = char> + use<'a>> {
    member(document, name)?.characters()
}

/// Returns a string without escapes in an error document.
fn plain<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    member(document, name)?.text().strip_prefix('"')?.strip_suffix('"')
}

/// Returns a member of the object inside `{"error":{…}}`. It allocates nothing: memory may have run out.
fn member<'a>(document: &'a str, name: &str) -> Option<Json<'a>> {
    if !document.starts_with(BEGINNING) {
        return None;
    }
    find(find(document, "error")?.text(), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_leave_out_members_that_do_not_apply() {
        let error = Error::argument("channels[3]", "must not be empty");
        assert_eq!(
            of(&error, Purpose::Other).unwrap(),
            r#"{"error":{"status":"INVALID_ARGUMENT","message":"channels[3]: must not be empty","argument":"channels[3]"}}"#
        );
        assert_eq!(delivery_in(&of(&error, Purpose::Other).unwrap()), None);
        assert_eq!(delivery_in(&of(&error, Purpose::Publish).unwrap()), Some(Delivery::NotSent));
        let document = of(&error, Purpose::Publish).unwrap();
        assert_eq!(status_in(&document), Some(Status::InvalidArgument));
        let message: Option<String> = text_in(&document, "message").map(Iterator::collect);
        assert_eq!(message.as_deref(), Some("channels[3]: must not be empty"));
    }

    #[test]
    fn a_bug_in_a_publishing_call_leaves_delivery_unknown() {
        let document = of(&Error::Internal("x".into()), Purpose::Publish).unwrap();
        assert_eq!(delivery_in(&document), Some(Delivery::Unknown));
    }

    #[test]
    fn other_strings_have_neither_delivery_nor_message() {
        for text in ["", "{}", "[]", "{\"ok\":true}", "{\"error\":\"x\"}", "\u{0}"] {
            assert_eq!(delivery_in(text), None);
            assert!(text_in(text, "message").is_none());
        }
    }
}
