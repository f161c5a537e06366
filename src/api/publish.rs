//! The calls that publish: events on channels and to users, and ending a user's connections.

use std::borrow::Cow;

use super::body::Body;
use super::event::{Payload, channel_of_user, encrypted_one, parse_channels, write_event, write_rest};
use super::options::{self, Accepts, CallOptions};
use super::{Arguments, Call, Effect, RequestContext};
use crate::encryption::is_encrypted;
use crate::error::{Error, Problem};
use crate::http::Method;
use crate::json::{Json, join};
use crate::validation;

/// A call that posts `body`.
fn post(path: impl Into<Cow<'static, str>>, body: Vec<u8>, effect: Effect, options: &CallOptions<'_>) -> Call {
    Call {
        method: Method::Post,
        path: path.into(),
        parameters: Vec::new(),
        body: Some(body),
        effect,
        timeout: options.timeout,
    }
}

/// POST `/events`: one event on one or more channels.
pub(super) fn trigger(context: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let text = arguments.required(0, "channels")?;
    let channels = parse_channels(text, context.limits.channels).map_err(Error::Argument)?;
    publish(context, &channels, arguments)
}

/// POST `/events` to the channel that a user's connections are on once they have signed in.
pub(super) fn send_to_user(context: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let user_id = arguments.required(0, "user_id")?;
    validation::user_id(user_id, "user_id").map_err(Error::Argument)?;
    publish(context, &[channel_of_user(user_id).into()], arguments)
}

/// An event on these channels, of the arguments behind the one that names them: event, data and options.
fn publish(context: &RequestContext, channels: &[Cow<'_, str>], arguments: Arguments<'_>) -> Result<Call, Error> {
    let name = arguments.required(1, "event")?;
    validation::event(name, "event").map_err(Error::Argument)?;
    let encrypted = encrypted_one(channels)?;
    let data = Json::parse(arguments.required(2, "data")?, "data").map_err(Error::Argument)?;
    let payload = Payload::new(context, encrypted, data, "data")?;
    let options = CallOptions::parse(arguments.optional(3), Accepts::Event).map_err(Error::Argument)?;
    // Each name comes with its quotation marks and a comma.
    let names: usize = channels.iter().map(|channel| channel.len() + 3).sum();
    let mut body = Body::new(payload.size() + names)?;
    write_event(&mut body, name, channels, &payload, &options);
    let effect = if channels.len() == 1 { Effect::One } else { Effect::Several };
    Ok(post("/events", body.finish(), effect, &options))
}

/// POST `/users/{user_id}/terminate_connections`.
pub(super) fn terminate_user_connections(_: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let user_id = arguments.required(0, "user_id")?;
    validation::user_id(user_id, "user_id").map_err(Error::Argument)?;
    let options = CallOptions::parse(arguments.optional(1), Accepts::Timeout).map_err(Error::Argument)?;
    Ok(post(format!("/users/{user_id}/terminate_connections"), b"{}".to_vec(), Effect::One, &options))
}

/// POST `/batch_events`: several events at once.
pub(super) fn trigger_batch(context: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    const NAME: &str = "events";
    let text = arguments.required(0, NAME)?;
    let most = context.limits.batch_events;
    let events = Json::parse(text, NAME).and_then(|json| json.elements(NAME, most)).map_err(Error::Argument)?;
    if events.is_empty() || events.len() > most {
        return Err(Error::argument(NAME, format!("must hold 1 to {most} events (max_batch_events)")));
    }
    let options = CallOptions::parse(arguments.optional(1), Accepts::Timeout).map_err(Error::Argument)?;
    let mut body = Body::new(text.len())?;
    body.text(r#"{"batch":["#);
    for (index, event) in events.iter().enumerate() {
        body.text(if index > 0 { "," } else { "" });
        write_batched(&mut body, context, *event, &format!("{NAME}[{index}]"))?;
    }
    let effect = if events.len() == 1 { Effect::One } else { Effect::Several };
    Ok(post("/batch_events", body.text("]}").finish(), effect, &options))
}

/// One event of a batch, `{"channel","name","data","socket_id"?,"info"?}`.
fn write_batched(body: &mut Body, context: &RequestContext, event: Json<'_>, argument: &str) -> Result<(), Error> {
    let (mut channel, mut name, mut data, mut options) = (None, None, None, CallOptions::default());
    for (key, value) in event.members(argument).map_err(Error::Argument)? {
        let member = join(argument, &key);
        let mut take = || -> Result<(), Problem> {
            match key.as_ref() {
                "channel" => {
                    let text = value.string(&member)?;
                    validation::channel(&text, &member)?;
                    channel = Some(text);
                }
                "name" => {
                    let text = value.string(&member)?;
                    validation::event(&text, &member)?;
                    name = Some(text);
                }
                "data" => data = Some(value),
                "socket_id" => options.socket_id = Some(options::socket_id(value, &member)?),
                "info" => options.info = Some(options::info(value, &member)?),
                _ => {
                    return Err(Problem::new(
                        &member,
                        "is not part of an event; there are channel, name, data, socket_id and info",
                    ));
                }
            }
            Ok(())
        };
        take().map_err(Error::Argument)?;
    }
    let missing = |key: &'static str| move || Error::argument(join(argument, key), "is missing");
    let channel = channel.ok_or_else(missing("channel"))?;
    let name = name.ok_or_else(missing("name"))?;
    let data = data.ok_or_else(missing("data"))?;
    let encrypted = Some(channel.as_ref()).filter(|channel| is_encrypted(channel));
    let payload = Payload::new(context, encrypted, data, &join(argument, "data"))?;
    body.text(r#"{"channel":"#).string(&channel).text(r#","name":"#).string(&name);
    write_rest(body, &payload, &options);
    Ok(())
}
