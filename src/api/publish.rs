//! The calls that publish: events on channels and to users, and ending a user's connections.

use std::time::Duration;

use super::call::{Arguments, Call, Effect, Named, RequestContext};
use super::event::{Event, Recipients};
use super::extra::Extra;
use super::options::{self, Accepts, CallOptions};
use crate::bytes::{concat, copied};
use crate::config::BatchRoute;
use crate::config::values::Value;
use crate::decimal::Digits;
use crate::error::{Error, OutOfMemory, Problem};
use crate::headers::Headers;
use crate::json::{Json, Writer, shown};
use crate::time_limit::TimeLimit;
use crate::validation;

/// The path of a trigger.
pub const EVENTS: &str = "/events";

/// The path of a batch.
pub const BATCH_EVENTS: &str = "/batch_events";

/// The size of the body of a batch besides its events, each of which has the size of [`Event::length`] at most.
pub const BATCH_FRAME_BYTES: usize = r#"{"batch":[]}"#.len();

/// The requests of a call.
#[derive(Debug)]
pub enum Plan {
    /// One request.
    Request(Call),
    /// Several requests, for the parts of this event.
    FanOut {
        /// The event.
        event: Event,
        /// The option `timeout_ms`.
        timeout: Option<Duration>,
        /// The option `headers`.
        headers: Headers,
    },
}

/// POST `/events`: one event on one or more channels.
pub(super) fn trigger(context: &RequestContext, arguments: Arguments<'_>) -> Result<Plan, Error> {
    let channels = arguments.required("channels")?;
    let options = CallOptions::parse(arguments.optional("options"), Accepts::Trigger);
    let may_fan_out = options.as_ref().is_ok_and(|options| options.fan_out);
    let recipients = Recipients::parse(context, channels, may_fan_out)?;
    publish(context, &recipients, arguments, options)
}

/// POST `/events`: one event for all connections of a signed-in user.
pub(super) fn send_to_user(context: &RequestContext, arguments: Arguments<'_>) -> Result<Plan, Error> {
    let recipients = Recipients::user(Named { argument: "user_id", value: arguments.required("user_id")? })?;
    publish(context, &recipients, arguments, CallOptions::parse(arguments.optional("options"), Accepts::Event))
}

/// POST `/events` for these recipients. The other arguments are those of every event. The options set the time limit of
/// everything else, but come last in the order of errors.
fn publish(
    context: &RequestContext,
    recipients: &Recipients<'_>,
    arguments: Arguments<'_>,
    options: Result<CallOptions<'_>, Problem>,
) -> Result<Plan, Error> {
    let name = Named { argument: "event", value: arguments.required("event")? };
    let data = arguments.required("data")?;
    let limit = arguments.time.limit(options.as_ref().ok().and_then(|options| options.timeout));
    let data = parse_data(data, limit)?;
    let options = options?;
    let mut event = Event::check(context, recipients, name, data, &options, limit)?;
    if event.is_fan_out {
        event.idempotency_key = options.idempotency_key.map(Box::new);
        return Ok(Plan::FanOut { event, timeout: options.timeout, headers: options.headers });
    }
    let effect = event.effect();
    let key = context.key(options.idempotency_key)?;
    Ok(Plan::Request(
        Call::post(EVENTS, event.into_body(), effect, options.timeout).with_key(key).with_headers(options.headers),
    ))
}

/// Reads the argument `data`.
fn parse_data(text: &str, limit: TimeLimit) -> Result<Named<'static, Json<'_>>, Error> {
    const NAME: &str = "data";
    match Json::parse_within(text, NAME, limit) {
        Ok(value) => Ok(Named { argument: NAME, value }),
        Err(Error::Argument(Problem { message, .. })) => {
            let hint = r#"a plain string is sent as a JSON string, in quotes, such as "hello""#;
            Err(Error::argument(NAME, format!("{message}; {hint}")))
        }
        Err(error) => Err(error),
    }
}

/// POST `/users/{user_id}/terminate_connections`.
pub(super) fn terminate_user_connections(arguments: Arguments<'_>) -> Result<Call, Error> {
    let user_id = arguments.required("user_id")?;
    validation::user_id(user_id, "user_id")?;
    let options = CallOptions::parse(arguments.optional("options"), Accepts::Timeout)?;
    let path = concat(["/users/", user_id, "/terminate_connections"])?;
    Ok(Call::post(path, copied(b"{}")?, Effect::One, options.timeout).with_headers(options.headers))
}

/// POST `/batch_events`: several events in one request.
pub(super) fn trigger_batch(context: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    const NAME: &str = "events";
    if context.batch_route == BatchRoute::Missing {
        let message = "is false: the server has no route for batches; trigger each event by itself";
        return Err(Error::argument("batch_route", message));
    }
    let max = context.limits.batch_events;
    let text = arguments.required(NAME)?;
    let options = CallOptions::parse(arguments.optional("options"), Accepts::Batch);
    let limit = arguments.time.limit(options.as_ref().ok().and_then(|options| options.timeout));
    let members = Json::elements_within(text, NAME, max, limit)?;
    if members.is_empty() || members.len() > max {
        return Err(Error::argument(NAME, format!("must hold 1 to {max} events (max_batch_events)")));
    }
    let options = options?;
    let mut events = Vec::new();
    events.try_reserve_exact(members.len()).map_err(|_| Error::Unavailable("memory"))?;
    for (index, member) in members.into_iter().enumerate() {
        let event = batched_event(context, member, limit);
        events.push(event.map_err(|error| error.within(format_args!("{NAME}[{index}]")))?);
    }
    let key = context.key(options.idempotency_key)?;
    Ok(batch(&events, options.timeout, limit)?.with_key(key).with_headers(options.headers))
}

/// Reads one event of a batch, `{"channel","name","data","socket_id"?,"info"?,"extra"?,"extra_in_clear"?}`.
fn batched_event(context: &RequestContext, event: Json<'_>, limit: TimeLimit) -> Result<Event, Error> {
    let (mut channel, mut name, mut data, mut options) = (None, None, None, CallOptions::default());
    for (key, value) in event.members_within("", limit)? {
        let value = Value::new(shown(&key), value);
        match key.as_ref() {
            "channel" | "name" | "socket_id" | "info" | "extra" | "extra_in_clear" if !value.is_given() => {}
            "channel" => channel = Some(value.string()?),
            "name" => name = Some(value.string()?),
            "data" => data = Some(value.json()),
            "socket_id" => options.socket_id = Some(options::socket_id(value)?),
            "info" => options.info = Some(options::info(value)?),
            "extra" => options.extra = Some(Extra::parse(value, "extra")?),
            "extra_in_clear" => options.extra_in_clear = value.boolean()?,
            _ => {
                let message = "is not a member of an event; there are channel, name, data, socket_id, info, extra and \
                               extra_in_clear. Members that only your server knows belong into extra";
                return Err(value.problem(message).into());
            }
        }
    }
    let missing = |key| move || Error::argument(key, "is missing");
    let channel = channel.ok_or_else(missing("channel"))?;
    let name = name.ok_or_else(missing("name"))?;
    let data = data.ok_or_else(missing("data"))?;
    let recipients = Recipients::channel(context, Named { argument: "channel", value: channel })?;
    let name = Named { argument: "name", value: &*name };
    let data = Named { argument: "data", value: data };
    Event::check(context, &recipients, name, data, &options, limit)
}

/// Returns the one request that publishes all these events, each of which has one channel.
fn batch(events: &[Event], timeout: Option<Duration>, limit: TimeLimit) -> Result<Call, Error> {
    let mut json = Writer::with_capacity(events.iter().map(Event::length).sum::<usize>() + BATCH_FRAME_BYTES)?;
    json.stop_at(limit);
    json.begin_object().key("batch").begin_array();
    for event in events {
        event.write_to_batch(&mut json);
    }
    json.end_array().end_object();
    let effect = if events.len() == 1 { Effect::One } else { Effect::Several };
    Ok(Call::post(BATCH_EVENTS, json.finish()?, effect, timeout))
}

/// How the publisher queues an event.
#[derive(Debug)]
pub struct PublishOptions {
    /// The key by which a newer event replaces a queued one.
    pub conflate: Option<Box<str>>,
    /// How long to wait for space in the queue.
    pub timeout: Option<Duration>,
}

/// Checks and encodes an event that is sent later: for `channels` or, if these are NULL, for the user in `options`.
pub fn event_to_publish(
    context: &RequestContext,
    channels: Option<&str>,
    name: &str,
    data: &str,
    options: Option<&str>,
) -> Result<(Event, PublishOptions), Error> {
    let options = CallOptions::parse(options, Accepts::Publisher)?;
    const USER_ID: &str = "options.user_id";
    let recipients = match (channels, &options.user_id) {
        (Some(text), None) => Recipients::parse(context, text, options.fan_out)?,
        (None, Some(user_id)) => {
            context.supports(context.server.profile().send_to_user)?;
            Recipients::user(Named { argument: USER_ID, value: user_id })?
        }
        (None, None) => {
            return Err(Error::argument("channels", "must not be NULL, except with the option user_id"));
        }
        (Some(_), Some(_)) => {
            return Err(Error::argument(USER_ID, "takes the place of channels, which must then be NULL"));
        }
    };
    let conflate = match (options.conflate.as_deref(), recipients.names()) {
        (None, _) => None,
        (Some(key), [channel]) => Some(conflation_key(channel, name, key)?),
        (Some(_), _) => return Err(Error::argument("options.conflate", "is for events on one channel")),
    };
    if conflate.is_some() && options.idempotency_key.is_some() {
        let message = "is not for events with an idempotency_key, which belongs to one body";
        return Err(Error::argument("options.conflate", message));
    }
    let data = parse_data(data, TimeLimit::NONE)?;
    let name = Named { argument: "event", value: name };
    let mut event = Event::check(context, &recipients, name, data, &options, TimeLimit::NONE)?;
    event.idempotency_key = options.idempotency_key.map(Box::new);
    Ok((event, PublishOptions { conflate, timeout: options.timeout }))
}

/// Joins everything that a newer event must have in common with the one that it replaces. A channel's name has no line
/// feed.
pub(super) fn conflation_key(channel: &str, name: &str, key: &str) -> Result<Box<str>, OutOfMemory> {
    Ok(concat([channel, "\n", Digits::of(name.len() as u64).as_str(), "\n", name, key])?.into())
}

/// Returns the caller's part of a key that [`conflation_key`] has made.
pub(super) fn caller_part(key: &str) -> &str {
    let Some((_, rest)) = key.split_once('\n') else { return "" };
    let Some((length, rest)) = rest.split_once('\n') else { return "" };
    length.parse().ok().and_then(|length: usize| rest.get(length..)).unwrap_or_default()
}

/// Returns the one request that publishes these events: a trigger for one event, a batch for several, each of which has
/// one channel. It has no key.
pub fn request(events: &[Event]) -> Result<Call, Error> {
    match events {
        // Its data may have to be encrypted.
        [event] if event.is_fan_out => Err(Error::Internal("a fan-out is not one request".to_owned())),
        [event] => Ok(Call::post(EVENTS, copied(event.body())?, event.effect(), None)),
        events => batch(events, None, TimeLimit::NONE),
    }
}

/// Returns, for each of these events, what the response says about it if the event asked for that: the attributes of its
/// channel, or an object of attributes by channel. Null says nothing.
pub fn answers<'a>(response: &'a str, events: &[Event]) -> impl Iterator<Item = Option<Json<'a>>> {
    let member = |text: &'a str, wanted: &str| Json::pick(text, "", [wanted]).ok().and_then(|[found]| found);
    let (own, by_position) = match events {
        // The response to a trigger is by channel: `{"channels":{"my-channel":{…}}}`.
        [event] => {
            let by_channel = member(response, "channels");
            let own = match event.has_several_channels {
                true => by_channel,
                false => by_channel.and_then(|channels| member(channels.text(), event.joined_channels())),
            };
            (own, Vec::new())
        }
        // The response to a batch is by position: `{"batch":[{…}…]}`.
        _ => {
            let batch = member(response, "batch").and_then(|batch| batch.elements("", events.len()).ok());
            (None, batch.unwrap_or_default())
        }
    };
    events.iter().enumerate().map(move |(index, event)| {
        let said = own.or_else(|| by_position.get(index).copied());
        said.filter(|said| event.wants_info && !said.is_null())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BatchRoute, RequestLimits, Server};
    use crate::idempotency::Idempotency;

    fn context() -> RequestContext {
        let limits =
            RequestLimits { data_bytes: 100, channels: 3, batch_events: 2, request_bytes: None, response_bytes: 1 };
        RequestContext {
            server: Server::Pusher,
            limits,
            batch_route: BatchRoute::Present,
            channel_names: Default::default(),
            master_key: None,
            idempotency: Idempotency::Off,
        }
    }

    fn body(events: &[Event]) -> String {
        String::from_utf8(request(events).unwrap().body.unwrap()).unwrap()
    }

    fn event(channels: &str, data: &str, options: Option<&str>) -> Event {
        event_to_publish(&context(), Some(channels), "e", data, options).unwrap().0
    }

    #[test]
    fn one_event_is_a_trigger_and_several_are_a_batch() {
        let one = event("a", r#"{"x":1}"#, Some(r#"{"socket_id":"1.2","info":"user_count"}"#));
        let other = event("b", r#""text""#, None);
        let rest = r#""data":"{\"x\":1}","socket_id":"1.2","info":"user_count"}"#;
        assert!(one.wants_info && !other.wants_info);
        let events = [one, other];
        assert_eq!(body(&events[..1]), format!(r#"{{"name":"e","channels":["a"],{rest}"#));
        assert_eq!(
            body(&events),
            format!(r#"{{"batch":[{{"channel":"a","name":"e",{rest},{{"channel":"b","name":"e","data":"text"}}]}}"#)
        );
    }

    #[test]
    fn a_batch_is_no_longer_than_its_events_and_its_frame() {
        for more in [None, Some(r#"{"socket_id":"1.2","info":"user_count"}"#)] {
            let events = ["a", "b", "c"].map(|channel| event(channel, "{}", more));
            for count in 2..=3 {
                let length: usize = events[..count].iter().map(Event::length).sum();
                // Each event is 3 bytes shorter in a batch, and has a comma before it.
                assert_eq!(body(&events[..count]).len(), BATCH_FRAME_BYTES + length - 2 * count - 1);
            }
        }
    }

    #[test]
    fn an_event_may_go_to_several_channels_or_to_a_user() {
        let several = [event(r#"["a","b","c"]"#, "1", None)];
        assert_eq!(several[0].channels().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(body(&several), r#"{"name":"e","channels":["a","b","c"],"data":"1"}"#);
        assert_eq!(request(&several).unwrap().effect, Effect::Several);
        let user = [event_to_publish(&context(), None, "e", "1", Some(r#"{"user_id":"7"}"#)).unwrap().0];
        assert_eq!(user[0].channels().collect::<Vec<_>>(), ["#server-to-user-7"]);
        assert_eq!(request(&user).unwrap().effect, Effect::One);
    }

    #[test]
    fn conflation_keys_differ_by_channel_and_name() {
        let keys = [("a", "e", "k"), ("b", "e", "k"), ("a", "ek", ""), ("a", "e\n1", "k"), ("a", "e", "\n1k")];
        let keys: Vec<_> = keys.map(|(channel, name, key)| conflation_key(channel, name, key).unwrap()).into();
        assert!((0..keys.len()).all(|i| !keys[i + 1..].contains(&keys[i])), "{keys:?}");
        assert_eq!(keys.iter().map(|key| caller_part(key)).collect::<Vec<_>>(), ["k", "k", "", "k", "\n1k"]);
    }

    #[test]
    fn a_response_is_split_by_event() {
        let texts =
            |response, events| -> Vec<_> { answers(response, events).map(|found| found.map(Json::text)).collect() };
        let info = Some(r#"{"info":"user_count"}"#);
        let events = [event("a", "1", info), event("b", "1", None), event("c", "1", info)];
        let count = Some(r#"{"user_count":1}"#);
        let batch = r#"{"batch":[{"user_count":1},{},{"user_count":1}]}"#;
        assert_eq!(texts(batch, &events), [count, None, count]);
        let trigger = r#"{"channels":{"c":{"user_count":2},"a":{"user_count":1}}}"#;
        assert_eq!(texts(trigger, &events[..1]), [count]);
        let several = [event(r#"["a","c"]"#, "1", info)];
        assert_eq!(texts(trigger, &several), [Some(r#"{"c":{"user_count":2},"a":{"user_count":1}}"#)]);
        for none in ["{}", "[]", "x", r#"{"batch":{}}"#, r#"{"channels":[]}"#] {
            assert_eq!(texts(none, &events), [None, None, None]);
            assert_eq!(texts(none, &events[..1]), [None]);
        }
    }
}
