//! An event: checked, encrypted and encoded once, whichever function publishes it.

use std::borrow::Cow;

use super::call::{Effect, Named, RequestContext};
use super::options::CallOptions;
use crate::bytes::concat;
use crate::encryption::{MasterKey, is_encrypted};
use crate::error::{Error, OutOfMemory, Problem};
use crate::idempotency::IdempotencyKey;
use crate::json::{Json, Writer};
use crate::time_limit::TimeLimit;
use crate::validation::{self, USER_CHANNEL};

/// The channels of an event, each checked. There is at least one.
pub(super) struct Recipients<'a> {
    names: Vec<Cow<'a, str>>,
    /// Whether the event takes several requests.
    is_fan_out: bool,
}

/// The maximum number of channels of an event that may take several requests.
const MAX_FAN_OUT_CHANNELS: usize = 10_000;

impl<'a> Recipients<'a> {
    /// Reads `channels`: one name, or a JSON array of names. (No name begins with `[`.) There are more than one request takes
    /// only if the event may take several.
    pub(super) fn parse(context: &RequestContext, text: &'a str, may_fan_out: bool) -> Result<Recipients<'a>, Error> {
        const NAME: &str = "channels";
        let max = context.limits.channels;
        if !text.trim_start().starts_with('[') {
            return Ok(Recipients::channel(context, Named { argument: NAME, value: Cow::Borrowed(text) })?);
        }
        let max_names = if may_fan_out { max.max(MAX_FAN_OUT_CHANNELS) } else { max };
        let elements = Json::parse(text, NAME)?.elements(NAME, max_names)?;
        if elements.is_empty() || elements.len() > max_names {
            return Err(Error::argument(NAME, wrong_number(max_names, may_fan_out)));
        }
        let mut channels = Vec::new();
        channels.try_reserve_exact(elements.len()).map_err(|_| Error::Unavailable("memory"))?;
        for (index, element) in elements.into_iter().enumerate() {
            let channel = element.string("").and_then(|channel| {
                context.channel_names.check(&channel, "")?;
                Ok(channel)
            });
            channels.push(channel.map_err(|problem| problem.within(format_args!("{NAME}[{index}]")))?);
        }
        let is_encrypted = |channel: &Cow<'_, str>| is_encrypted(channel);
        match channels.iter().position(is_encrypted).filter(|_| channels.len() > 1) {
            Some(index) if !may_fan_out => Err(Error::argument(
                format!("{NAME}[{index}]"),
                "is end-to-end encrypted: each such channel has its own key, so trigger its events separately, or set \
                 the option fan_out",
            )),
            encrypted => {
                let is_fan_out = encrypted.is_some() || channels.len() > max;
                if is_fan_out {
                    once_each(&channels, NAME)?;
                }
                Ok(Recipients { names: channels, is_fan_out })
            }
        }
    }

    /// Returns one channel.
    pub(super) fn channel(context: &RequestContext, name: Named<'_, Cow<'a, str>>) -> Result<Recipients<'a>, Problem> {
        context.channel_names.check(&name.value, name.argument)?;
        Recipients::one(name.value)
    }

    /// Returns the channel that a signed-in user's connections are subscribed to.
    pub(super) fn user(id: Named<'_, &str>) -> Result<Recipients<'a>, Problem> {
        validation::user_id(id.value, id.argument)?;
        Recipients::one(Cow::Owned(concat([USER_CHANNEL, id.value])?))
    }

    fn one(name: Cow<'a, str>) -> Result<Recipients<'a>, Problem> {
        let mut names = Vec::new();
        names.try_reserve_exact(1).map_err(|_| OutOfMemory)?;
        names.push(name);
        Ok(Recipients { names, is_fan_out: false })
    }

    /// Returns the channels' names.
    pub(super) fn names(&self) -> &[Cow<'a, str>] {
        &self.names
    }

    /// Returns the first channel that the event is encrypted for.
    fn encrypted(&self) -> Option<&str> {
        let names = if self.is_fan_out { &self.names } else { self.names.get(..1).unwrap_or_default() };
        names.iter().map(Cow::as_ref).find(|channel| is_encrypted(channel))
    }
}

/// Checks that no channel is in a fan-out twice: its event would be delivered twice.
fn once_each(channels: &[Cow<'_, str>], argument: &str) -> Result<(), Error> {
    let mut order = Vec::new();
    order.try_reserve_exact(channels.len()).map_err(|_| Error::Unavailable("memory"))?;
    order.extend(channels.iter().enumerate().map(|(index, channel)| (channel, index)));
    order.sort_unstable();
    let mut pairs = order.iter().zip(order.iter().skip(1));
    match pairs.find(|((one, _), (other, _))| one == other) {
        Some((_, (_, index))) => {
            Err(Error::argument(format!("{argument}[{index}]"), "is a channel that is given twice"))
        }
        None => Ok(()),
    }
}

#[cold]
fn wrong_number(max: usize, may_fan_out: bool) -> String {
    match may_fan_out {
        true => format!("must hold 1 to {max} channel names"),
        false => format!(
            "must hold 1 to {max} channel names (max_channels); with the option fan_out, 1 to {}",
            max.max(MAX_FAN_OUT_CHANNELS)
        ),
    }
}

/// An event, checked, encrypted and encoded. It holds everything that is the same in each request that carries it.
#[derive(Debug)]
pub struct Event {
    /// The body of the request that publishes this event alone, whose members are always in this order:
    /// `{"name":…,"channels":["…","…"],"data":…,"socket_id":…,"info":…,EXTRA}`. A batch is made of its parts.
    body: Vec<u8>,
    name_end: usize,
    channels_end: usize,
    /// Whether the event goes to more than one channel.
    pub has_several_channels: bool,
    /// Whether the event asks for attributes in the response.
    pub wants_info: bool,
    /// The caller's key, which belongs to the request that publishes this event alone.
    /// Boxed, because few events have one, and queues hold many events.
    pub idempotency_key: Option<Box<IdempotencyKey>>,
    /// Whether the event takes several requests. Its data is not encrypted yet, so its body must never be sent.
    pub is_fan_out: bool,
}

const BEFORE_NAME: &str = r#"{"name":"#;
const BEFORE_CHANNELS: &str = r#","channels":[""#;
pub(super) const BETWEEN_CHANNELS: &str = r#"",""#;
const AFTER_CHANNELS: &str = r#""]"#;
const BEFORE_DATA: &str = r#","data":"#;

impl Event {
    /// Checks the parts of an event together, encrypts its data where the channel asks for it, and encodes the event.
    pub(super) fn check(
        context: &RequestContext,
        recipients: &Recipients<'_>,
        name: Named<'_, &str>,
        data: Named<'_, Json<'_>>,
        options: &CallOptions<'_>,
        limit: TimeLimit,
    ) -> Result<Event, Error> {
        validation::event(name.value, name.argument)?;
        if let (Some(_), Some(extra), false) = (recipients.encrypted(), &options.extra, options.extra_in_clear) {
            return Err(Error::argument(
                extra.argument,
                "is not encrypted, unlike the data of this channel; set extra_in_clear to send it all the same",
            ));
        }
        let payload = Payload::new(context, recipients.encrypted(), data)?;
        if !recipients.is_fan_out {
            return Event::encode(recipients.names(), name.value, &payload, options, limit);
        }
        // That has checked the size of the encrypted data, and the key. Each part is encrypted when it is sent.
        let payload = Payload::new(context, None, data)?;
        let event = Event::encode(recipients.names(), name.value, &payload, options, limit)?;
        Ok(Event { is_fan_out: true, ..event })
    }

    /// Checks an event that was encoded before, with the strings of that, and encodes it again. For an encrypted channel `data`
    /// is sealed: as it is sent or, for a fan-out, by [`Event::sealed_data`].
    pub(super) fn check_again(
        context: &RequestContext,
        recipients: &Recipients<'_>,
        name: Named<'_, &str>,
        data: Named<'_, Json<'_>>,
        options: &CallOptions<'_>,
    ) -> Result<Event, Error> {
        let Named { argument, value: sealed } = data;
        let content = sealed.string(argument)?;
        let Some(channel) = recipients.encrypted() else {
            return Event::check(context, recipients, name, data, options, TimeLimit::NONE);
        };
        validation::event(name.value, name.argument)?;
        if !recipients.is_fan_out {
            if !is_sealed(&content)? {
                return Err(Error::argument(
                    argument,
                    "is not encrypted, but the channel is: it needs nonce and ciphertext",
                ));
            }
            check_size(context, content.len(), " once encrypted", argument)?;
            let payload = Payload::Literal(sealed.text());
            return Event::encode(recipients.names(), name.value, &payload, options, TimeLimit::NONE);
        }
        let opened = MasterKey::required(context.master_key.as_ref())?.decrypt(channel, &content)?;
        let opened = opened.map_err(|why| Error::argument(argument, format!("cannot be decrypted: {why}")))?;
        let data = Json::parse(&opened, argument).ok().filter(|data| data.is_string());
        let value = data.ok_or_else(|| Error::argument(argument, "is not a JSON string once decrypted"))?;
        Event::check(context, recipients, name, Named { argument, value }, options, TimeLimit::NONE)
    }

    /// Returns the data as it may be kept outside of the process: a JSON string, encrypted for the first encrypted channel, if
    /// there is one and the data is not encrypted yet. `None` for data that may be kept as it is.
    pub(super) fn sealed_data(&self, context: &RequestContext) -> Result<Option<String>, Error> {
        match self.channels().find(|channel| self.is_fan_out && is_encrypted(channel)) {
            Some(channel) => {
                MasterKey::required(context.master_key.as_ref())?.encrypt(channel, self.data().as_bytes()).map(Some)
            }
            None => Ok(None),
        }
    }

    fn encode(
        channels: &[Cow<'_, str>],
        name: &str,
        payload: &Payload<'_>,
        options: &CallOptions<'_>,
        limit: TimeLimit,
    ) -> Result<Event, Error> {
        let mut json = Writer::with_capacity(encoded_size(channels, name, payload, options))?;
        json.stop_at(limit);
        json.begin_object().key("name").string(name);
        let name_end = json.len();
        json.key("channels").begin_array();
        for channel in channels {
            // A channel name has no character that JSON escapes.
            json.plain([channel.as_bytes()]);
        }
        let channels_end = json.end_array().len() - AFTER_CHANNELS.len();
        json.key("data");
        match payload {
            Payload::Literal(literal) => json.raw(literal),
            Payload::Text(text) => json.string(text),
        };
        // Absent members are left out: never null, never empty.
        if let Some(id) = &options.socket_id {
            json.key("socket_id").string(id);
        }
        if let Some(info) = &options.info {
            json.key("info").string(info);
        }
        if let Some(extra) = options.extra.as_ref().filter(|extra| !extra.members.is_empty()) {
            json.raw(extra.members);
        }
        json.end_object();
        Ok(Event {
            body: json.finish()?,
            name_end,
            channels_end,
            has_several_channels: channels.len() > 1,
            wants_info: options.info.is_some(),
            idempotency_key: None,
            is_fan_out: false,
        })
    }

    /// Returns this event for some of its channels, with other data if there is any.
    pub(super) fn for_channels<'c>(
        &self,
        channels: impl Iterator<Item = &'c str> + Clone,
        data: Option<&str>,
        limit: TimeLimit,
    ) -> Result<Event, Error> {
        let before = self.body.get(..self.name_end).unwrap_or_default();
        let after = self.body.get(self.channels_end + AFTER_CHANNELS.len()..).unwrap_or_default();
        let names = channels.clone().map(|channel| channel.len() + BETWEEN_CHANNELS.len()).sum::<usize>();
        let size = before.len() + BEFORE_CHANNELS.len() + names + AFTER_CHANNELS.len() + after.len();
        let mut json = Writer::with_capacity(size + data.map_or(0, string_size))?;
        json.stop_at(limit);
        json.append([before]).key("channels").begin_array();
        let mut count = 0;
        for channel in channels {
            json.plain([channel.as_bytes()]);
            count += 1;
        }
        let channels_end = json.end_array().len() - AFTER_CHANNELS.len();
        match data {
            Some(data) => {
                let rest = after.get(BEFORE_DATA.len() + self.data().len()..).unwrap_or_default();
                json.key("data").string(data).append([rest])
            }
            None => json.append([after]),
        };
        Ok(Event {
            body: json.finish()?,
            name_end: self.name_end,
            channels_end,
            has_several_channels: count > 1,
            wants_info: self.wants_info,
            idempotency_key: None,
            is_fan_out: false,
        })
    }

    /// Returns the data, a JSON string.
    pub(super) fn data(&self) -> &str {
        let start = self.channels_end + AFTER_CHANNELS.len() + BEFORE_DATA.len();
        first_string(self.body.get(start..).unwrap_or_default())
    }

    /// Returns the name, a JSON string.
    pub(super) fn name(&self) -> &str {
        first_string(self.body.get(BEFORE_NAME.len()..).unwrap_or_default())
    }

    /// Returns the members after the data, as they are written: `socket_id` and `info`, each with its name and as a JSON string
    /// if it is present, and the others with commas between them.
    pub(super) fn rest(&self) -> ([Option<(&'static str, &str)>; 2], &str) {
        let start = self.channels_end + AFTER_CHANNELS.len() + BEFORE_DATA.len() + self.data().len();
        let mut rest = self.body.get(start..self.body.len().saturating_sub(1)).unwrap_or_default();
        let known = ["socket_id", "info"].map(|name| {
            let after = rest.strip_prefix(b",\"")?.strip_prefix(name.as_bytes())?.strip_prefix(b"\":")?;
            let value = first_string(after);
            rest = after.get(value.len()..).unwrap_or_default();
            Some((name, value))
        });
        let others = rest.strip_prefix(b",").unwrap_or_default();
        (known, std::str::from_utf8(others).unwrap_or_default())
    }

    /// Returns the size of the body without the names of the channels.
    pub(super) fn length_without_channels(&self) -> usize {
        self.body.len() - self.joined_channel_bytes().len()
    }

    /// Returns the channels' names.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        // Most events have one, and splitting costs more than everything else that a publisher does with it.
        let channels = self.joined_channels();
        let one = (!self.has_several_channels).then_some(channels);
        let several = self.has_several_channels.then(|| channels.split(BETWEEN_CHANNELS));
        one.into_iter().chain(several.into_iter().flatten())
    }

    /// Returns how much memory the event takes, in bytes.
    pub fn memory(&self) -> usize {
        self.body.capacity() + self.idempotency_key.as_ref().map_or(0, |key| key.as_str().len())
    }

    /// Returns how many bytes the event adds to a batch, at most.
    pub fn length(&self) -> usize {
        self.body.len()
    }

    /// Returns whether the request that publishes the event must carry no other.
    pub fn is_alone(&self) -> bool {
        self.has_several_channels || self.idempotency_key.is_some()
    }

    /// Returns what publishing this event changes.
    pub(super) fn effect(&self) -> Effect {
        if self.has_several_channels { Effect::Several } else { Effect::One }
    }

    /// Returns the body of the request that publishes this event alone.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the body of the request that publishes this event alone.
    pub(super) fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Writes the event as a member of a batch: `{"channel":…,"name":…,"data":…,"socket_id":…,"info":…,EXTRA}`.
    pub(super) fn write_to_batch(&self, batch: &mut Writer) {
        let part = |range| self.body.get(range).unwrap_or_default();
        let name = part(BEFORE_NAME.len()..self.name_end);
        // Without the comma before it and the brace after it.
        let rest = part(self.channels_end + AFTER_CHANNELS.len() + 1..self.body.len() - 1);
        batch.begin_object().key("channel").plain([self.joined_channel_bytes()]);
        batch.key("name").raw_bytes(name).raw_bytes(rest).end_object();
    }

    /// Returns the channels' names with `","` between them.
    pub(super) fn joined_channels(&self) -> &str {
        std::str::from_utf8(self.joined_channel_bytes()).unwrap_or_default()
    }

    fn joined_channel_bytes(&self) -> &[u8] {
        self.body.get(self.name_end + BEFORE_CHANNELS.len()..self.channels_end).unwrap_or_default()
    }
}

/// Returns the JSON string that this text begins with.
fn first_string(text: &[u8]) -> &str {
    let mut is_escaped = false;
    let is_end = |byte: &u8| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    };
    let length = text.iter().skip(1).position(is_end).map_or(0, |length| length + 2);
    text.get(..length).and_then(|string| std::str::from_utf8(string).ok()).unwrap_or_default()
}

/// Returns whether this looks like what [`MasterKey::encrypt`] returns.
fn is_sealed(content: &str) -> Result<bool, OutOfMemory> {
    match Json::members_of(content, "") {
        Err(problem) if problem == Problem::OUT_OF_MEMORY => Err(OutOfMemory),
        Ok(members) => {
            let has = |name: &str| members.iter().any(|(key, value)| key == name && value.is_string());
            Ok(members.len() == 2 && has("nonce") && has("ciphertext"))
        }
        Err(_) => Ok(false),
    }
}

/// Checks the size of an event's content.
fn check_size(context: &RequestContext, size: usize, encrypted: &str, argument: &str) -> Result<(), Error> {
    let limit = context.limits.data_bytes;
    if size > limit {
        let message = format!(
            "is too large: the content of this event has {size} bytes{encrypted}, and the limit is {limit} (max_data_bytes)"
        );
        return Err(Error::DataTooLarge(Problem::new(argument, message)));
    }
    Ok(())
}

/// Returns the size of an encoded event, so that its buffer is allocated once. A queue of events keeps these buffers.
fn encoded_size(channels: &[Cow<'_, str>], name: &str, payload: &Payload<'_>, options: &CallOptions<'_>) -> usize {
    /// All member names and punctuation.
    const FRAME: usize = r#"{"name":,"channels":[],"data":,"socket_id":,"info":}"#.len();
    let data = match payload {
        Payload::Literal(literal) => literal.len(),
        Payload::Text(text) => string_size(text),
    };
    let channels: usize = channels.iter().map(|channel| channel.len() + BETWEEN_CHANNELS.len()).sum();
    let optional = |value: &Option<Cow<'_, str>>| value.as_deref().map_or(0, string_size);
    let extra = options.extra.as_ref().map_or(0, |extra| extra.members.len() + ",".len());
    FRAME + string_size(name) + channels + data + optional(&options.socket_id) + optional(&options.info) + extra
}

/// Returns the size of a string as JSON.
fn string_size(text: &str) -> usize {
    let escape = |byte: &u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..0x20 => 5,
        _ => 0,
    };
    // Adding 32 bytes at a time in a byte lets the compiler use vectors: a sixth of the instructions.
    let escapes = |bytes: &[u8]| usize::from(bytes.iter().map(escape).sum::<u8>());
    2 + text.len() + text.as_bytes().chunks(32).map(escapes).sum::<usize>()
}

/// The `data` of an event as it is sent: always a JSON string.
enum Payload<'a> {
    /// A JSON string that the caller wrote. It is sent as it is.
    Literal(&'a str),
    /// A string that is sent as a JSON string: any other JSON, or ciphertext.
    Text(Cow<'a, str>),
}

impl<'a> Payload<'a> {
    /// Encrypts `data` if `encrypted` names a channel, and checks the size of the string's content after that.
    fn new(context: &RequestContext, encrypted: Option<&str>, data: Named<'_, Json<'a>>) -> Result<Payload<'a>, Error> {
        let Named { argument, value: data } = data;
        let content = if data.is_string() { data.string(argument)? } else { Cow::Borrowed(data.text()) };
        let (payload, size) = match encrypted {
            Some(channel) => {
                let master_key = MasterKey::required(context.master_key.as_ref())?;
                let sealed = master_key.encrypt(channel, content.as_bytes())?;
                let size = sealed.len();
                (Payload::Text(sealed.into()), size)
            }
            None if data.is_string() => {
                context.accepts_data(&content, argument)?;
                (Payload::Literal(data.text()), content.len())
            }
            None => (Payload::Text(content), data.text().len()),
        };
        check_size(context, size, if encrypted.is_some() { " once encrypted" } else { "" }, argument)?;
        Ok(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn string_size_is_the_size_of_the_json_string() {
        for text in ["", "plain", "\"\\\n\r\t", "\u{1}\u{8}\u{c}\u{1f}\u{20}\u{7f}", "é\u{2028}😀"] {
            assert_eq!(string_size(text), serde_json::to_string(text).unwrap().len(), "{text:?}");
        }
    }
}
