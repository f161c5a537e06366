//! Verifies webhooks and decrypts their events.
//!
//! Source: Channels documentation, "Webhooks". `X-Pusher-Key` names the token, `X-Pusher-Signature`
//! is the hex HMAC-SHA256 of the raw body. The body is not parsed before its signature is verified.

use std::borrow::Cow;
use std::time::Duration;

use crate::encryption::{MasterKey, is_encrypted};
use crate::error::{Error, OutOfMemory, Problem};
use crate::json::{Json, Writer};
use crate::signing::Signer;

/// How far the sender's clock may be ahead of ours.
const MAX_CLOCK_LEAD_MS: u64 = 60_000;

/// Times below this one, a year, are seconds: no webhook is from 1970, nor from 1,000 years later.
const MIN_TIME_MS: u64 = 365 * 24 * 60 * 60 * 1000;

/// The parts of a client's configuration that verify webhooks.
pub struct WebhookKeys<'a> {
    /// The application's key.
    pub own: &'a Signer,
    /// More webhook tokens, for rotation.
    pub others: &'a [Signer],
    /// The maximum age of a webhook; zero for any age.
    pub max_age: Duration,
    /// Whether the server writes `time_ms` as a string.
    pub time_is_string: bool,
    /// The master key of end-to-end encrypted channels.
    pub master_key: Option<&'a MasterKey>,
}

/// Verifies a webhook that was received at `now_ms` (since 1970) and returns its body, in which the
/// data of client events on encrypted channels is decrypted.
pub fn validate(
    webhooks: &WebhookKeys<'_>,
    key: Option<&str>,
    signature: Option<&str>,
    body: &[u8],
    now_ms: u64,
) -> Result<String, Error> {
    let check = || -> Result<(&str, Option<Json<'_>>), Problem> {
        let key = key.ok_or_else(|| Problem::new("key", "is missing: it is the request's X-Pusher-Key header"))?;
        let signature = signature
            .ok_or_else(|| Problem::new("signature", "is missing: it is the request's X-Pusher-Signature header"))?;
        // Several tokens may have the same key, if only the secret was rotated.
        let all = std::iter::once(webhooks.own).chain(webhooks.others);
        let mut tokens = all.filter(|token| token.key() == key).peekable();
        if tokens.peek().is_none() {
            let message = "is neither the application's key nor the key of one of webhook_tokens";
            return Err(Problem::new("key", message));
        }
        if !tokens.any(|token| token.verifies(body, signature)) {
            return Err(Problem::new(
                "signature",
                "does not match: this body was not signed with this key's secret (pass the body unchanged, byte for byte)",
            ));
        }
        let text = std::str::from_utf8(body).map_err(|_| Problem::new("body", "is authentic, but is not UTF-8"))?;
        let [time, events] = Json::pick(text, "body", ["time_ms", "events"])?;
        check_time(time, webhooks, now_ms)?;
        Ok((text, events))
    };
    let (text, events) = check().map_err(Problem::in_webhook)?;
    let payload = match (webhooks.master_key, events) {
        (Some(master_key), Some(events)) => decrypted(text, events, master_key)?,
        _ => Cow::Borrowed(text),
    };
    let payload = payload.trim_ascii();
    let mut result = String::new();
    // One more byte, for the NUL that the C boundary appends without reallocating.
    result.try_reserve_exact(payload.len() + 1).map_err(|_| Error::Unavailable("memory"))?;
    result.push_str(payload);
    Ok(result)
}

/// Refuses a webhook that was captured and is replayed later. Pusher itself retries for five
/// minutes.
fn check_time(time: Option<Json<'_>>, webhooks: &WebhookKeys<'_>, now_ms: u64) -> Result<(), Problem> {
    let max_age_ms = u64::try_from(webhooks.max_age.as_millis()).unwrap_or(u64::MAX);
    if max_age_ms == 0 {
        return Ok(());
    }
    let wrong = |what: &str| Err(Problem::new("body.time_ms", what));
    let is_string = time.is_some_and(Json::is_string);
    if is_string && !webhooks.time_is_string {
        return wrong("is a string and not a number, as Slanger writes it: set server to slanger");
    }
    match time.and_then(|time| if is_string { digits(time) } else { time.integer() }) {
        None => wrong("is missing or is not a time, so that the age of the webhook is unknown"),
        Some(time) if time < MIN_TIME_MS => wrong(
            "is in seconds and not in milliseconds, as pusher-fake writes it: set webhook_max_age_ms to 0 for such a \
             server, so that the age is not checked",
        ),
        Some(time) if time.saturating_add(max_age_ms) < now_ms => {
            wrong("is too old (webhook_max_age_ms): the webhook is a replay, or this machine's clock is wrong")
        }
        Some(time) if time > now_ms.saturating_add(MAX_CLOCK_LEAD_MS) => {
            wrong("is in the future: this machine's clock or the sender's is wrong")
        }
        Some(_) => Ok(()),
    }
}

/// Returns the number that a string consists of.
fn digits(time: Json<'_>) -> Option<u64> {
    // No time has so many characters, and fewer have no memory that a sender decides.
    const MAX_BYTES: usize = 64;
    let text = time.string("").ok().filter(|_| time.text().len() <= MAX_BYTES)?;
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns `text` with the data of client events on encrypted channels decrypted in place.
///
/// An event that cannot be decrypted keeps its data and gets a `decryption_error` member.
fn decrypted<'a>(text: &'a str, events: Json<'a>, master_key: &MasterKey) -> Result<Cow<'a, str>, Error> {
    let Some(events) = unless_malformed(events.elements("", usize::MAX))? else { return Ok(Cow::Borrowed(text)) };
    let mut result = Writer::new();
    let mut copied = 0;
    for event in events {
        let Some(members) = unless_malformed(event.members_lenient(""))? else { continue };
        let member = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
        let string = |name: &str| match member(name) {
            Some(value) => unless_malformed(value.string("")),
            None => Ok(None),
        };
        let (Some(channel), Some(data)) = (string("channel")?, member("data")) else { continue };
        if string("name")?.as_deref() != Some("client_event") || !is_encrypted(&channel) {
            continue;
        }
        // Some servers send data as an object instead of a string of JSON.
        let payload = match data.is_string() {
            true => unless_malformed(data.string(""))?.unwrap_or_default(),
            false => Cow::Borrowed(data.text()),
        };
        match master_key.decrypt(&channel, &payload)? {
            Ok(plain) => {
                let start = offset(text, data.text());
                result.verbatim(&text[copied..start]).string(&plain);
                copied = start + data.text().len();
            }
            Err(why) => {
                // Inserts a member before the closing brace.
                let end = offset(text, event.text()) + event.text().len() - 1;
                result.verbatim(&text[copied..end]).key("decryption_error").string(why);
                copied = end;
            }
        }
    }
    if copied == 0 {
        return Ok(Cow::Borrowed(text));
    }
    result.verbatim(&text[copied..]);
    result.finish_string().map(Cow::Owned)
}

/// Returns what was read, or `None` if it is not what was expected, or an error if there is no memory to know.
fn unless_malformed<T>(read: Result<T, Problem>) -> Result<Option<T>, Error> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(problem) if problem == Problem::OUT_OF_MEMORY => Err(OutOfMemory.into()),
        Err(_) => Ok(None),
    }
}

/// Returns the offset of `part` in `whole`, of which it is a slice.
fn offset(whole: &str, part: &str) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const NOW: u64 = 1_700_000_000_000;

    fn signer(key: &str) -> Signer {
        Signer::new(key, &Secret::new(format!("secret of {key}")))
    }

    fn webhooks(own: &Signer) -> WebhookKeys<'_> {
        WebhookKeys { own, others: &[], max_age: Duration::from_secs(1), time_is_string: false, master_key: None }
    }

    fn check(body: &str, max_age_ms: u64, now_ms: u64) -> Result<String, Error> {
        let token = signer("k");
        let webhooks = WebhookKeys { max_age: Duration::from_millis(max_age_ms), ..webhooks(&token) };
        validate(&webhooks, Some("k"), Some(&token.sign(body.as_bytes())), body.as_bytes(), now_ms)
    }

    #[test]
    fn the_age_is_checked_to_the_millisecond() {
        let body = format!(r#"{{"time_ms":{NOW},"events":[]}}"#);
        for (now, fits) in [(NOW + 600_000, true), (NOW + 600_001, false), (NOW - 60_000, true), (NOW - 60_001, false)]
        {
            assert_eq!(check(&body, 600_000, now).is_ok(), fits, "{now}");
        }
        assert!(check(&body, 0, u64::MAX).is_ok());
        assert!(check(r#"{"events":[]}"#, 600_000, NOW).is_err());
        assert!(check(r#"{"events":[]}"#, 0, NOW).is_ok());
    }

    #[test]
    fn events_are_decrypted_in_place_and_a_failure_leaves_the_others_alone() {
        let master_key = MasterKey::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        let string = |value: &str| serde_json::to_string(value).unwrap();
        let seal = |text: &str| string(&master_key.encrypt("private-encrypted-a", text.as_bytes()).unwrap());
        let event =
            |data: &str| format!(r#"{{"name":"client_event" ,"channel":"private-encrypted-a","data": {data},"x":1}}"#);
        let (one, two) = (seal(r#"{"a":1}"#), seal("ü"));
        let wrong = r#""{}""#;
        let other = r#"{ "name":"member_added","channel":"presence-a","user_id":"1"}"#;
        let body =
            format!(r#"{{"time_ms":{NOW}, "events":[{},{other}, {},{}]}}"#, event(&one), event(wrong), event(&two));
        let token = signer("k");
        let webhooks = WebhookKeys { master_key: Some(&master_key), ..webhooks(&token) };
        let payload = validate(&webhooks, Some("k"), Some(&token.sign(body.as_bytes())), body.as_bytes(), NOW).unwrap();
        let failed =
            event(wrong).replace("\"x\":1}", r#""x":1,"decryption_error":"the nonce is not 24 bytes in base64"}"#);
        let expected = format!(
            r#"{{"time_ms":{NOW}, "events":[{},{other}, {failed},{}]}}"#,
            event(r#""{\"a\":1}""#),
            event("\"ü\"")
        );
        assert_eq!(payload, expected);
    }

    #[test]
    fn a_payload_is_allocated_once_with_room_for_a_nul() {
        let payload = check(r#" {"events":[]} "#, 0, NOW).unwrap();
        assert_eq!((&*payload, payload.capacity()), (r#"{"events":[]}"#, payload.len() + 1));
    }

    #[test]
    fn a_time_before_the_least_is_in_seconds() {
        let age = u64::MAX;
        let message =
            |time: u64| check(&format!(r#"{{"time_ms":{time}}}"#), age, NOW).map_err(|error| error.to_string());
        assert!(message(MIN_TIME_MS).is_ok());
        assert!(message(MIN_TIME_MS - 1).unwrap_err().contains("is in seconds"));
        assert!(message(0).unwrap_err().contains("is in seconds"));
    }

    #[test]
    fn a_time_in_a_string_has_digits_only() {
        let token = signer("k");
        let webhooks = WebhookKeys { time_is_string: true, max_age: Duration::from_secs(60), ..webhooks(&token) };
        let is_ok = |time: &str| {
            let body = format!(r#"{{"time_ms":{time}}}"#);
            validate(&webhooks, Some("k"), Some(&token.sign(body.as_bytes())), body.as_bytes(), NOW).is_ok()
        };
        assert!(is_ok(&format!("\"{NOW}\"")) && is_ok(&NOW.to_string()));
        // At most 64 characters, with the quotes.
        assert!(is_ok(&format!("\"{NOW:062}\"")) && !is_ok(&format!("\"{NOW:063}\"")));
        for time in ["\"\"", "\"+1700000000000\"", "\"-1700000000000\"", "\" 1700000000000\"", "\"1\"", "null", "[]"] {
            assert!(!is_ok(time), "{time}");
        }
        // Neither the start of the epoch nor the end of the window.
        assert!(!is_ok(&format!("\"{}\"", NOW - 60_001)) && is_ok(&format!("\"{}\"", NOW - 60_000)));
    }
}
