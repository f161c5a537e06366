//! Events that are checked and encoded now, and sent later, maybe with others.

use std::borrow::Cow;
use std::time::Duration;

use super::body::Body;
use super::events::{self, Payload};
use super::options::{Accepts, Options};
use super::{Call, Context, Effect};
use crate::error::Error;
use crate::http::Method;
use crate::json::Json;
use crate::validation;

/// An event, checked, encrypted and encoded. What is the same in every request that may carry it is made once.
#[derive(Debug)]
pub struct Outgoing {
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
pub struct Wishes {
    /// By what a newer event takes its place.
    pub conflate: Option<Box<str>>,
    /// How long to wait for room.
    pub timeout: Option<Duration>,
}

impl Outgoing {
    /// Checks and encodes an event for `channels` or, where these are NULL, for the user in `options`.
    pub fn new(
        context: &Context,
        channels: Option<&str>,
        name: &str,
        data: &str,
        options: Option<&str>,
    ) -> Result<(Outgoing, Wishes), Error> {
        let options = Options::parse(options, Accepts::Publisher).map_err(Error::Argument)?;
        let recipients = match (channels, &options.user_id) {
            (Some(text), None) => events::parse_channels(text, context.limits.channels).map_err(Error::Argument)?,
            (None, Some(user_id)) => vec![Cow::Owned(events::channel_of_user(user_id))],
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
        let encrypted = events::encrypted_one(&recipients)?;
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
        events::write_rest(&mut body, &payload, &options);
        let outgoing = Outgoing {
            text: body.finish(),
            channels_end,
            has_several_channels: recipients.len() > 1,
            wants_answer: options.info.is_some(),
        };
        let conflate = options.conflate.map(|key| key_of(&recipients[0], name, &key));
        Ok((outgoing, Wishes { conflate, timeout: options.timeout }))
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
pub fn request(events: &[Outgoing]) -> Result<Call, Error> {
    let size: usize = events.iter().map(Outgoing::length).sum();
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
pub fn answers<'a>(answer: &'a str, events: &[Outgoing]) -> Vec<Option<&'a str>> {
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
    let of = |(index, event): (usize, &Outgoing)| {
        found.get(index).copied().flatten().filter(|_| event.wants_answer).map(Json::text)
    };
    events.iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;

    fn context() -> Context {
        let limits = Limits { data_bytes: 100, channels: 3, batch_events: 2, response_bytes: 1 };
        Context { limits, master_key: None }
    }

    fn body(events: &[Outgoing]) -> String {
        String::from_utf8(request(events).unwrap().body.unwrap()).unwrap()
    }

    fn event(channels: &str, data: &str, options: Option<&str>) -> Outgoing {
        Outgoing::new(&context(), Some(channels), "e", data, options).unwrap().0
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
        let user = [Outgoing::new(&context(), None, "e", "1", Some(r#"{"user_id":"7"}"#)).unwrap().0];
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
