//! An event that a publisher did not send, as a JSON object that another publisher takes. Nothing of it is secret that is
//! encrypted when it is sent.

use std::borrow::Cow;

use super::call::{Named, RequestContext};
use super::event::{Event, Recipients};
use super::extra::Extra;
use super::options::{self, CallOptions};
use super::publish::{caller_part, conflation_key};
use crate::bytes::copied_text;
use crate::config::values::Value;
use crate::error::{Error, Problem};
use crate::idempotency::IdempotencyKey;
use crate::json::{Json, Writer, shown};
use crate::validation::USER_CHANNEL;

/// An event of a drained document.
#[derive(Debug)]
pub struct DrainedEvent {
    /// Its id in the publisher that was drained.
    pub id: u64,
    /// The event, checked and encoded for this client.
    pub event: Event,
    /// The key by which a newer event replaces it.
    pub conflate: Option<Box<str>>,
    /// When it was first published, in milliseconds since 1970.
    pub published_ms: u64,
}

/// Writes an event: `{"id","published_ms","name","channels","data","socket_id"?,"info"?,"extra"?,"fan_out"?,"idempotency_key"?,
/// "conflate"?}`. `key` is what [`event_to_publish`](super::event_to_publish) has returned with it.
pub fn write_drained(
    context: &RequestContext,
    json: &mut Writer,
    (id, published_ms): (u64, u64),
    event: &Event,
    key: Option<&str>,
) -> Result<(), Error> {
    let sealed = event.sealed_data(context)?;
    json.begin_object().key("id").number(id).key("published_ms").number(published_ms);
    json.key("name").raw(event.name()).key("channels").begin_array();
    for channel in event.channels() {
        json.plain([channel.as_bytes()]);
    }
    json.end_array().key("data");
    match sealed {
        Some(sealed) => json.string(&sealed),
        None => json.raw(event.data()),
    };
    let (known, extra) = event.rest();
    for (name, value) in known.into_iter().flatten() {
        json.key(name).raw(value);
    }
    if !extra.is_empty() {
        json.key("extra").begin_object().raw(extra).end_object();
    }
    if event.is_fan_out {
        json.key("fan_out").boolean(true);
    }
    if let Some(key) = &event.idempotency_key {
        json.key("idempotency_key").string(key.as_str());
    }
    if let Some(key) = key {
        json.key("conflate").string(caller_part(key));
    }
    json.end_object();
    Ok(())
}

/// Reads an event that [`write_drained`] has written, and checks all of it: the document was in other hands.
pub fn read_drained(context: &RequestContext, event: Json<'_>) -> Result<DrainedEvent, Error> {
    let (mut id, mut published_ms, mut name, mut channels, mut data) = (None, None, None, None, None);
    // Its publisher has accepted an extra for an encrypted channel.
    let mut options = CallOptions { extra_in_clear: true, ..CallOptions::default() };
    for (key, value) in event.members("")? {
        let value = Value::new(shown(&key), value);
        match key.as_ref() {
            "id" => id = Some(value.integer(1, u64::MAX)?),
            "published_ms" => published_ms = Some(value.integer(0, u64::MAX)?),
            "name" => name = Some(value.string()?),
            "channels" if value.json().text().starts_with('[') => channels = Some(value.json()),
            "channels" => return Err(value.problem("must be an array of channel names").into()),
            "data" => data = Some(value.json()),
            "socket_id" => options.socket_id = Some(options::socket_id(value)?),
            "info" => options.info = Some(options::info(value)?),
            "extra" => options.extra = Some(Extra::parse(value, "extra")?),
            "fan_out" => options.fan_out = value.boolean()?,
            "idempotency_key" => {
                options.idempotency_key = Some(IdempotencyKey::parse(&value.string()?, value.name())?);
            }
            "conflate" => options.conflate = Some(value.string()?),
            _ => return Err(value.problem("is not a member of a drained event").into()),
        }
    }
    let missing = |key| move || Problem::new(key, "is missing");
    let id = id.ok_or_else(missing("id"))?;
    let published_ms = published_ms.ok_or_else(missing("published_ms"))?;
    let name = name.ok_or_else(missing("name"))?;
    let channels = channels.ok_or_else(missing("channels"))?;
    let data = data.ok_or_else(missing("data"))?;
    let user_id = user_id(channels)?;
    let recipients = match &user_id {
        Some(user_id) => {
            context.supports(context.server.profile().send_to_user).map_err(|error| match error {
                Error::Argument(problem) => Error::argument("channels[0]", problem.message),
                error => error,
            })?;
            Recipients::user(Named { argument: "channels[0]", value: user_id })?
        }
        None => Recipients::parse(context, channels.text(), options.fan_out)?,
    };
    let conflate = match (options.conflate.as_deref(), recipients.names()) {
        (None, _) => None,
        (Some(_), _) if options.idempotency_key.is_some() => {
            return Err(Error::argument("conflate", "is not for events with an idempotency_key"));
        }
        (Some(key), [channel]) => Some(conflation_key(channel, &name, key)?),
        (Some(_), _) => return Err(Error::argument("conflate", "is for events on one channel")),
    };
    let name = Named { argument: "name", value: &*name };
    let data = Named { argument: "data", value: data };
    let mut event = Event::check_again(context, &recipients, name, data, &options)?;
    event.idempotency_key = options.idempotency_key.map(Box::new);
    Ok(DrainedEvent { id, event, conflate, published_ms })
}

/// Returns the user whose channel is the only one.
fn user_id(channels: Json<'_>) -> Result<Option<String>, Problem> {
    let Ok([channel]) = <[Json<'_>; 1]>::try_from(channels.elements("channels", 1)?) else { return Ok(None) };
    let name = if channel.is_string() { channel.string("channels[0]")? } else { Cow::Borrowed("") };
    match name.strip_prefix(USER_CHANNEL) {
        Some(user_id) => Ok(Some(copied_text(user_id)?)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::event_to_publish;
    use crate::config::{BatchRoute, RequestLimits, Server};
    use crate::encryption::MasterKey;

    fn context() -> RequestContext {
        let limits =
            RequestLimits { data_bytes: 1000, channels: 2, batch_events: 1, request_bytes: None, response_bytes: 1 };
        RequestContext {
            server: Server::Pusher,
            limits,
            batch_route: BatchRoute::Present,
            channel_names: Default::default(),
            master_key: Some(MasterKey::from_base64("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=").unwrap()),
            idempotency: Default::default(),
        }
    }

    fn written(event: &Event, key: Option<&str>) -> String {
        let mut json = Writer::new();
        write_drained(&context(), &mut json, (7, 1_700_000_000_000), event, key).unwrap();
        json.finish_string().unwrap()
    }

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let all =
            r#"{"socket_id":"1.2","info":"user_count","extra":{"a\"\u0041":[1],"socket_ids":"x"},"conflate":"k\n\"2"}"#;
        for (channels, name, data, options) in [
            (Some("a"), "e", r#""plain""#, "{}"),
            (Some("a"), "e\"\\\n", r#""\u00e9\\\"""#, all),
            (Some("a"), "e", r#"{"x":"\\"}"#, r#"{"info":"user_count"}"#),
            (Some("a"), "e", r#""""#, r#"{"extra":{"t":1}}"#),
            (Some("a"), "e", "1", r#"{"extra":{},"idempotency_key":"k-1"}"#),
            (Some(r#"["a","b"]"#), "e", "[1, 2]", r#"{"socket_id":"1.2","idempotency_key":"k-1"}"#),
            (None, "e", "1", r#"{"user_id":"u7","conflate":""}"#),
            (Some("private-encrypted-a"), "e", r#"{"secret":1}"#, r#"{"extra":{"t":1},"extra_in_clear":true}"#),
            (
                Some(r#"["a","private-encrypted-a","b","c"]"#),
                "e",
                r#""s\u00e9""#,
                r#"{"fan_out":true,"info":"user_count"}"#,
            ),
        ] {
            let (event, publish) = event_to_publish(&context(), channels, name, data, Some(options)).unwrap();
            let text = written(&event, publish.conflate.as_deref());
            let read =
                read_drained(&context(), Json::parse(&text, "").unwrap()).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(
                (read.id, read.published_ms, &read.conflate),
                (7, 1_700_000_000_000, &publish.conflate),
                "{text}"
            );
            assert_eq!(std::str::from_utf8(read.event.body()), std::str::from_utf8(event.body()), "{text}");
            assert_eq!(read.event.idempotency_key, event.idempotency_key);
            let kind = |event: &Event| (event.is_fan_out, event.wants_info, event.has_several_channels);
            assert_eq!(kind(&read.event), kind(&event), "{text}");
            // A queue with the same limits has space for it.
            assert!(read.event.memory() <= event.memory(), "{text}");
            let is_secret = channels.is_some_and(|channels| channels.contains("encrypted"));
            assert!(!is_secret || !text.contains("secret") && !text.contains("00e9"), "{text}");
        }
    }
}
