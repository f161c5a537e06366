//! Events that are checked and encoded now, and sent later, maybe with others.

use std::borrow::Cow;
use std::time::Duration;

use super::body::Body;
use super::options::{Accepts, CallOptions};
use super::{Call, Effect, RequestContext};
use crate::encryption::is_encrypted;
use crate::error::{Error, Problem};
use crate::http::Method;
use crate::json::Json;
use crate::validation;

/// An event, checked, encrypted and encoded. What is the same in every request that may carry it is made once.
#[derive(Debug)]
pub struct Event {
    /// Its channels with `","` between them, then what stands behind them: `"name":…,"data":…}`. No channel's name needs escaping.
    text: Vec<u8>,
    channels_end: usize,
    /// Whether it goes to more than one channel.
    pub has_several_channels: bool,
    /// Whether it asked for something in the answer.
    pub wants_answer: bool,
}

/// What else a caller said of an event.
#[derive(Debug)]
pub struct PublishOptions {
    /// By what a newer event takes its place.
    pub conflate: Option<Box<str>>,
    /// How long to wait for room.
    pub timeout: Option<Duration>,
}

impl Event {
    /// Checks and encodes an event for `channels` or, where these are NULL, for the user in `options`.
    pub fn new(
        context: &RequestContext,
        channels: Option<&str>,
        name: &str,
        data: &str,
        options: Option<&str>,
    ) -> Result<(Event, PublishOptions), Error> {
        let options = CallOptions::parse(options, Accepts::Publisher).map_err(Error::Argument)?;
        let recipients = match (channels, &options.user_id) {
            (Some(text), None) => parse_channels(text, context.limits.channels).map_err(Error::Argument)?,
            (None, Some(user_id)) => vec![Cow::Owned(channel_of_user(user_id))],
            (None, None) => {
                return Err(Error::argument("channels", "must not be NULL, except with the option user_id"));
            }
            (Some(_), Some(_)) => {
                return Err(Error::argument("options.user_id", "takes the place of channels, which must then be NULL"));
            }
        };
        if recipients.len() > 1 && options.conflate.is_some() {
            return Err(Error::argument("options.conflate", "is for events on one channel"));
        }
        validation::event(name, "event").map_err(Error::Argument)?;
        let encrypted = encrypted_one(&recipients)?;
        let data = Json::parse(data, "data").map_err(Error::Argument)?;
        let payload = Payload::new(context, encrypted, data, "data")?;
        let names: usize = recipients.iter().map(|channel| channel.len() + 3).sum();
        // Some of it will be escaped; it is kept for a while, so it does not ask for much more than it takes.
        let mut body = Body::with_capacity(names + name.len() + payload.size() + payload.size() / 8 + 64)?;
        for (index, channel) in recipients.iter().enumerate() {
            body.text(if index > 0 { r#"",""# } else { "" }).text(channel);
        }
        let channels_end = body.len();
        body.text(r#""name":"#).string(name);
        write_rest(&mut body, &payload, &options);
        let outgoing = Event {
            text: body.finish(),
            channels_end,
            has_several_channels: recipients.len() > 1,
            wants_answer: options.info.is_some(),
        };
        let conflate = options.conflate.map(|key| key_of(&recipients[0], name, &key));
        Ok((outgoing, PublishOptions { conflate, timeout: options.timeout }))
    }

    /// Its channels.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        self.joined_channels().split(r#"",""#)
    }

    /// How many bytes its text takes in memory.
    pub fn memory(&self) -> usize {
        self.text.capacity()
    }

    /// How many bytes it adds to a request, at most.
    pub fn length(&self) -> usize {
        self.text.len() + 16
    }

    fn joined_channels(&self) -> &str {
        std::str::from_utf8(&self.text[..self.channels_end]).unwrap_or_default()
    }

    fn rest(&self) -> &[u8] {
        &self.text[self.channels_end..]
    }
}

/// What has to be the same for a newer event to take an older one's place. Neither a channel nor an id has a line feed in it.
fn key_of(channel: &str, name: &str, key: &str) -> Box<str> {
    format!("{channel}\n{}\n{name}{key}", name.len()).into()
}

/// The one request that carries these events: a trigger for one, a batch for several, each of which goes to one channel.
pub fn request(events: &[Event]) -> Result<Call, Error> {
    let size: usize = events.iter().map(Event::length).sum();
    let mut body = Body::with_capacity(size + 16)?;
    let (path, effect) = match events {
        [event] => {
            body.text(r#"{"channels":[""#).text(event.joined_channels()).text(r#""],"#).bytes(event.rest());
            ("/events", if event.has_several_channels { Effect::Several } else { Effect::One })
        }
        events => {
            body.text(r#"{"batch":["#);
            for (index, event) in events.iter().enumerate() {
                body.text(if index > 0 { "," } else { "" });
                body.text(r#"{"channel":""#).text(event.joined_channels()).text(r#"","#).bytes(event.rest());
            }
            body.text("]}");
            ("/batch_events", Effect::Several)
        }
    };
    Ok(Call {
        method: Method::Post,
        path: Cow::Borrowed(path),
        parameters: Vec::new(),
        body: Some(body.finish()),
        effect,
        timeout: None,
    })
}

/// What an answer says of each of these events that asked for something: of one on one channel what is known of that, of one on
/// several an object of that by channel.
pub fn answers<'a>(answer: &'a str, events: &[Event]) -> Vec<Option<&'a str>> {
    let member = |text: &'a str, wanted: &str| Json::pick(text, "", [wanted]).ok().and_then(|[found]| found);
    let found = match events {
        // A trigger is answered by channel: `{"channels":{"my-channel":{…}}}`.
        [event] => {
            let by_channel = member(answer, "channels");
            vec![if event.has_several_channels {
                by_channel
            } else {
                by_channel.and_then(|channels| member(channels.text(), event.joined_channels()))
            }]
        }
        // A batch is answered by position: `{"batch":[{…}…]}`.
        _ => {
            let batch = member(answer, "batch").and_then(|batch| batch.elements("", events.len()).ok());
            batch.unwrap_or_default().into_iter().map(Some).collect()
        }
    };
    let of = |(index, event): (usize, &Event)| {
        found.get(index).copied().flatten().filter(|_| event.wants_answer).map(Json::text)
    };
    events.iter().enumerate().map(of).collect()
}

/// The channel that a user's connections are on once they have signed in.
pub(super) fn channel_of_user(user_id: &str) -> String {
    format!("#server-to-user-{user_id}")
}

/// The channel that an event is encrypted for, if it is. Several channels can't have one in common.
pub(super) fn encrypted_one<'a>(channels: &'a [Cow<'_, str>]) -> Result<Option<&'a str>, Error> {
    match channels.iter().position(|channel| is_encrypted(channel)) {
        Some(index) if channels.len() > 1 => Err(Error::argument(
            format!("channels[{index}]"),
            "is end-to-end encrypted: each such channel has a key of its own, so it can only be triggered alone",
        )),
        index => Ok(index.map(|index| channels[index].as_ref())),
    }
}

pub(super) fn write_event(
    body: &mut Body,
    name: &str,
    channels: &[Cow<'_, str>],
    payload: &Payload<'_>,
    options: &CallOptions<'_>,
) {
    body.text(r#"{"name":"#).string(name).text(r#","channels":["#);
    for (index, channel) in channels.iter().enumerate() {
        body.text(if index > 0 { "," } else { "" }).string(channel);
    }
    body.text("]");
    write_rest(body, payload, options);
}

/// What an event has behind its name and channels. What is absent is left out: never null, never empty.
pub(super) fn write_rest(body: &mut Body, payload: &Payload<'_>, options: &CallOptions<'_>) {
    body.text(r#","data":"#);
    match payload {
        Payload::Literal(literal) => body.text(literal),
        Payload::Text(text) => body.string(text),
    };
    if let Some(id) = &options.socket_id {
        body.text(r#","socket_id":"#).string(id);
    }
    if let Some(info) = &options.info {
        body.text(r#","info":"#).string(info);
    }
    body.text("}");
}

/// One name, or a JSON array of names: a name can't begin with `[`, so there is no doubt which.
pub(super) fn parse_channels<'a>(text: &'a str, most: usize) -> Result<Vec<Cow<'a, str>>, Problem> {
    const NAME: &str = "channels";
    if !text.trim_start().starts_with('[') {
        validation::channel(text, NAME)?;
        return Ok(vec![Cow::Borrowed(text)]);
    }
    let elements = Json::parse(text, NAME)?.elements(NAME, most)?;
    if elements.is_empty() || elements.len() > most {
        return Err(Problem::new(NAME, format!("must hold 1 to {most} channel names (max_channels)")));
    }
    let parse = |(index, element): (usize, Json<'a>)| {
        let argument = format!("{NAME}[{index}]");
        let name = element.string(&argument)?;
        validation::channel(&name, &argument)?;
        Ok(name)
    };
    elements.into_iter().enumerate().map(parse).collect()
}

/// An event's `data` as it goes on the wire, where it is always a JSON string.
pub(super) enum Payload<'a> {
    /// A JSON string of the caller's: it stands as it is.
    Literal(&'a str),
    /// A text that becomes a JSON string: any other JSON, or what encryption made of it.
    Text(Cow<'a, str>),
}

impl<'a> Payload<'a> {
    /// Checks the size that counts: of the string's content, after encryption. `encrypted` is the channel if it is.
    pub(super) fn new(
        context: &RequestContext,
        encrypted: Option<&str>,
        data: Json<'a>,
        argument: &str,
    ) -> Result<Payload<'a>, Error> {
        let content =
            if data.is_string() { data.string(argument).map_err(Error::Argument)? } else { Cow::Borrowed(data.text()) };
        let limit = context.limits.data_bytes;
        let (payload, size) = match encrypted {
            Some(channel) => {
                let master_key = context.master_key.as_ref().ok_or_else(|| {
                    let message =
                        "encrypted channels need encryption_master_key_base64 in the configuration; nothing was sent";
                    Error::Encryption(Problem::new("encryption_master_key_base64", message))
                })?;
                let sealed = master_key.encrypt(channel, content.as_bytes())?;
                let size = sealed.len();
                (Payload::Text(sealed.into()), size)
            }
            None if data.is_string() => (Payload::Literal(data.text()), content.len()),
            None => (Payload::Text(content), data.text().len()),
        };
        if size > limit {
            let encrypted = if encrypted.is_some() { " once encrypted" } else { "" };
            let message = format!("is too large: {size} bytes{encrypted}, and the limit is {limit} (max_data_bytes)");
            return Err(Error::DataTooLarge(Problem::new(argument, message)));
        }
        Ok(payload)
    }

    pub(super) fn size(&self) -> usize {
        match self {
            Payload::Literal(text) => text.len(),
            Payload::Text(text) => text.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;

    fn context() -> RequestContext {
        let limits = Limits { data_bytes: 100, channels: 3, batch_events: 2, response_bytes: 1 };
        RequestContext { limits, master_key: None }
    }

    fn body(events: &[Event]) -> String {
        String::from_utf8(request(events).unwrap().body.unwrap()).unwrap()
    }

    fn event(channels: &str, data: &str, options: Option<&str>) -> Event {
        Event::new(&context(), Some(channels), "e", data, options).unwrap().0
    }

    #[test]
    fn one_event_is_a_trigger_and_several_are_a_batch() {
        let one = event("a", r#"{"x":1}"#, Some(r#"{"socket_id":"1.2","info":"user_count"}"#));
        let other = event("b", r#""text""#, None);
        let rest = r#""name":"e","data":"{\"x\":1}","socket_id":"1.2","info":"user_count"}"#;
        assert!(one.wants_answer && !other.wants_answer);
        let events = [one, other];
        assert_eq!(body(&events[..1]), format!(r#"{{"channels":["a"],{rest}"#));
        assert_eq!(
            body(&events),
            format!(r#"{{"batch":[{{"channel":"a",{rest},{{"channel":"b","name":"e","data":"text"}}]}}"#)
        );
    }

    #[test]
    fn an_event_may_go_to_several_channels_or_to_a_user() {
        let several = [event(r#"["a","b","c"]"#, "1", None)];
        assert_eq!(several[0].channels().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(body(&several), r#"{"channels":["a","b","c"],"name":"e","data":"1"}"#);
        assert_eq!(request(&several).unwrap().effect, Effect::Several);
        let user = [Event::new(&context(), None, "e", "1", Some(r#"{"user_id":"7"}"#)).unwrap().0];
        assert_eq!(user[0].channels().collect::<Vec<_>>(), ["#server-to-user-7"]);
        assert_eq!(request(&user).unwrap().effect, Effect::One);
    }

    #[test]
    fn keys_are_told_apart_by_channel_and_name() {
        let keys = [("a", "e", "k"), ("b", "e", "k"), ("a", "ek", ""), ("a", "e\n1", "k"), ("a", "e", "\n1k")];
        let keys: Vec<_> = keys.map(|(channel, name, key)| key_of(channel, name, key)).into();
        assert!((0..keys.len()).all(|i| !keys[i + 1..].contains(&keys[i])), "{keys:?}");
    }

    #[test]
    fn an_answer_is_told_by_event() {
        let info = Some(r#"{"info":"user_count"}"#);
        let events = [event("a", "1", info), event("b", "1", None), event("c", "1", info)];
        let count = Some(r#"{"user_count":1}"#);
        let batch = r#"{"batch":[{"user_count":1},{},{"user_count":1}]}"#;
        assert_eq!(answers(batch, &events), [count, None, count]);
        let trigger = r#"{"channels":{"c":{"user_count":2},"a":{"user_count":1}}}"#;
        assert_eq!(answers(trigger, &events[..1]), [count]);
        let several = [event(r#"["a","c"]"#, "1", info)];
        assert_eq!(answers(trigger, &several), [Some(r#"{"c":{"user_count":2},"a":{"user_count":1}}"#)]);
        for none in ["{}", "[]", "x", r#"{"batch":{}}"#, r#"{"channels":[]}"#] {
            assert_eq!(answers(none, &events), [None, None, None]);
            assert_eq!(answers(none, &events[..1]), [None]);
        }
    }
}
