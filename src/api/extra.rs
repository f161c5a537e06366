//! The option `extra`: members that an event has on some servers, such as sockudo's `tags`, and that this library does not know.

use crate::config::values::Value;
use crate::error::Problem;
use crate::json::{Json, shown};

/// The largest object. Its check collects its members.
const MAX_BYTES: usize = 64 << 10;

/// The members of an event that have an argument or an option of their own. Servers may differ in how they compare names, so
/// none may have even another case.
const OWN_MEMBERS: [&str; 6] = ["name", "channel", "channels", "data", "socket_id", "info"];

/// The name of a member that servers look for in several places.
const IDEMPOTENCY_KEY: &str = "idempotency_key";

/// Members for the JSON of an event, checked.
#[derive(Debug)]
pub(super) struct Extra<'a> {
    /// The full name of the argument, for messages.
    pub(super) argument: &'static str,
    /// The members as they are written, without braces; empty if there are none.
    pub(super) members: &'a str,
}

impl<'a> Extra<'a> {
    /// Reads a JSON object, the value of `argument`.
    pub(super) fn parse(value: Value<'a, '_>, argument: &'static str) -> Result<Extra<'a>, Problem> {
        let (object, name) = (value.json(), value.name());
        let text = object.text();
        if text.len() > MAX_BYTES {
            return Err(value.problem(format!("is longer than {MAX_BYTES} bytes")));
        }
        for (key, value) in object.members(name)? {
            check_member(&key, value).map_err(|problem| problem.within(name))?;
        }
        // Between the braces.
        let members = text.get(1..text.len().saturating_sub(1)).unwrap_or_default().trim_ascii();
        Ok(Extra { argument, members })
    }
}

fn check_member(key: &str, value: Json<'_>) -> Result<(), Problem> {
    refuse_key(key)?;
    if OWN_MEMBERS.iter().any(|own| key.eq_ignore_ascii_case(own)) {
        return Err(Problem::new(shown(key), "is a member that the library writes"));
    }
    match key.eq_ignore_ascii_case("extras") {
        true => refuse_keys_in(value).map_err(|problem| problem.within(key)),
        false => Ok(()),
    }
}

/// Refuses a key that sockudo reads in the object `extras` and in the object `headers` of that.
fn refuse_keys_in(extras: Json<'_>) -> Result<(), Problem> {
    if !extras.is_object() {
        return Ok(());
    }
    for (key, value) in extras.members_lenient("")? {
        refuse_key(&key)?;
        if key.eq_ignore_ascii_case("headers") && value.is_object() {
            for (of_header, _) in value.members_lenient(&key)? {
                refuse_key(&of_header).map_err(|problem| problem.within(&key))?;
            }
        }
    }
    Ok(())
}

/// Refuses an idempotency key. The library would not know that the event has one, and might send it in a batch, where sockudo
/// answers 200 for an event whose key it knows from a batch that failed.
fn refuse_key(key: &str) -> Result<(), Problem> {
    match key.eq_ignore_ascii_case(IDEMPOTENCY_KEY) {
        true => Err(Problem::new(shown(key), "belongs into the option idempotency_key")),
        false => Ok(()),
    }
}
