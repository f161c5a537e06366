//! The calls that publish: events on channels and to users, and ending a user's connections.

use std::borrow::Cow;

use super::body::Body;
use super::options::{self, Accepts, Options};
use super::{Arguments, Call, Context, Effect};
use crate::encryption::is_encrypted;
use crate::error::{Error, Problem};
use crate::http::Method;
use crate::json::{Json, join};
use crate::validation;

/// A call that posts `body`.
fn post(path: impl Into<Cow<'static, str>>, body: Vec<u8>, effect: Effect, options: &Options<'_>) -> Call {
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
pub(super) fn trigger(context: &Context, arguments: Arguments<'_>) -> Result<Call, Error> {
    let text = arguments.required(0, "channels")?;
    let channels = parse_channels(text, context.limits.channels).map_err(Error::Argument)?;
    publish(context, &channels, arguments)
}

/// POST `/events` to the channel that a user's connections are on once they have signed in.
pub(super) fn send_to_user(context: &Context, arguments: Arguments<'_>) -> Result<Call, Error> {
    let user_id = arguments.required(0, "user_id")?;
    validation::user_id(user_id, "user_id").map_err(Error::Argument)?;
    publish(context, &[channel_of_user(user_id).into()], arguments)
}

/// The channel that a user's connections are on once they have signed in.
pub(super) fn channel_of_user(user_id: &str) -> String {
    format!("#server-to-user-{user_id}")
}

/// An event on these channels, of the arguments behind the one that names them: event, data and options.
fn publish(context: &Context, channels: &[Cow<'_, str>], arguments: Arguments<'_>) -> Result<Call, Error> {
    let name = arguments.required(1, "event")?;
    validation::event(name, "event").map_err(Error::Argument)?;
    let encrypted = encrypted_one(channels)?;
    let data = Json::parse(arguments.required(2, "data")?, "data").map_err(Error::Argument)?;
    let payload = Payload::new(context, encrypted, data, "data")?;
    let options = Options::parse(arguments.optional(3), Accepts::Event).map_err(Error::Argument)?;
    // Each name comes with its quotation marks and a comma.
    let names: usize = channels.iter().map(|channel| channel.len() + 3).sum();
    let mut body = Body::new(payload.size() + names)?;
    write_event(&mut body, name, channels, &payload, &options);
    let effect = if channels.len() == 1 { Effect::One } else { Effect::Several };
    Ok(post("/events", body.finish(), effect, &options))
}

/// POST `/users/{user_id}/terminate_connections`.
pub(super) fn terminate_user_connections(_: &Context, arguments: Arguments<'_>) -> Result<Call, Error> {
    let user_id = arguments.required(0, "user_id")?;
    validation::user_id(user_id, "user_id").map_err(Error::Argument)?;
    let options = Options::parse(arguments.optional(1), Accepts::Timeout).map_err(Error::Argument)?;
    Ok(post(format!("/users/{user_id}/terminate_connections"), b"{}".to_vec(), Effect::One, &options))
}

/// POST `/batch_events`: several events at once.
pub(super) fn trigger_batch(context: &Context, arguments: Arguments<'_>) -> Result<Call, Error> {
    const NAME: &str = "events";
    let text = arguments.required(0, NAME)?;
    let most = context.limits.batch_events;
    let events = Json::parse(text, NAME).and_then(|json| json.elements(NAME, most)).map_err(Error::Argument)?;
    if events.is_empty() || events.len() > most {
        return Err(Error::argument(NAME, format!("must hold 1 to {most} events (max_batch_events)")));
    }
    let options = Options::parse(arguments.optional(1), Accepts::Timeout).map_err(Error::Argument)?;
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
fn write_batched(body: &mut Body, context: &Context, event: Json<'_>, argument: &str) -> Result<(), Error> {
    let (mut channel, mut name, mut data, mut options) = (None, None, None, Options::default());
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

fn write_event(body: &mut Body, name: &str, channels: &[Cow<'_, str>], payload: &Payload<'_>, options: &Options<'_>) {
    body.text(r#"{"name":"#).string(name).text(r#","channels":["#);
    for (index, channel) in channels.iter().enumerate() {
        body.text(if index > 0 { "," } else { "" }).string(channel);
    }
    body.text("]");
    write_rest(body, payload, options);
}

/// What an event has behind its name and channels. What is absent is left out: never null, never empty.
pub(super) fn write_rest(body: &mut Body, payload: &Payload<'_>, options: &Options<'_>) {
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
        context: &Context,
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
