//! Error documents, `{"error":{"status":…,"message":…,…}}`: writes them, and reads them for callers without a JSON parser.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::error::{Error, Purpose};
use crate::status::Delivery;

/// Returns the error document of a call with this purpose. Members that do not apply are left out.
pub fn of(error: &Error, purpose: Purpose) -> String {
    // Numbers, strings and a String to write to: nothing here can fail.
    serde_json::to_string(&Document { error, purpose }).unwrap_or_default()
}

/// An error of a call, as JSON.
struct Document<'a> {
    error: &'a Error,
    purpose: Purpose,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_map(Some(1))?;
        document.serialize_entry("error", &Inside(self))?;
        document.end()
    }
}

struct Inside<'a>(&'a Document<'a>);

impl Serialize for Inside<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Document { error, purpose } = self.0;
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("status", &error.status().name().to_string_lossy())?;
        fields.serialize_entry("message", &error.to_string())?;
        let mut optional = |name: &'static str, value: Option<&str>| match value {
            Some(value) => fields.serialize_entry(name, value),
            None => Ok(()),
        };
        optional("delivery", error.delivery(*purpose).map(Delivery::name))?;
        optional("argument", error.argument_name())?;
        let Error::Exchange(failed) = error else { return fields.end() };
        optional("cause", failed.cause)?;
        optional("response", failed.response.as_deref())?;
        fields.serialize_entry("retryable", &failed.retryable)?;
        fields.serialize_entry("attempts", &failed.attempts)?;
        if let Some(http_status) = failed.http_status {
            fields.serialize_entry("http_status", &http_status)?;
        }
        if let Some(wait) = failed.retry_after_ms {
            fields.serialize_entry("retry_after_ms", &wait)?;
        }
        fields.end()
    }
}

/// The delivery that an error document speaks of.
pub fn delivery_in(document: &str) -> Option<Delivery> {
    let document: Value = serde_json::from_str(document).ok()?;
    Delivery::from_name(document.get("error")?.get("delivery")?.as_str()?)
}

/// The message of an error document.
pub fn message_in(document: &str) -> Option<String> {
    let document: Value = serde_json::from_str(document).ok()?;
    Some(document.get("error")?.get("message")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_leaves_out_what_does_not_apply() {
        let error = Error::argument("channels[3]", "must not be empty");
        assert_eq!(
            of(&error, Purpose::Other),
            r#"{"error":{"status":"INVALID_ARGUMENT","message":"channels[3]: must not be empty","argument":"channels[3]"}}"#
        );
        assert_eq!(delivery_in(&of(&error, Purpose::Other)), None);
        assert_eq!(delivery_in(&of(&error, Purpose::Publish)), Some(Delivery::NotSent));
        assert_eq!(message_in(&of(&error, Purpose::Publish)).as_deref(), Some("channels[3]: must not be empty"));
    }

    #[test]
    fn a_bug_in_a_publishing_call_is_unknown() {
        let document = of(&Error::Internal("x".into()), Purpose::Publish);
        assert_eq!(delivery_in(&document), Some(Delivery::Unknown));
    }

    #[test]
    fn a_text_that_is_no_error_document_has_neither_delivery_nor_message() {
        for text in ["", "{}", "[]", "{\"ok\":true}", "{\"error\":\"x\"}", "\u{0}"] {
            assert_eq!(delivery_in(text), None);
            assert_eq!(message_in(text), None);
        }
    }
}
