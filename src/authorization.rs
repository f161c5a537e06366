//! Authorizes subscriptions and authenticates users. The string that is signed is the string that
//! is returned.
//!
//! Source: Channels documentation, "Generating the authentication string" and "User
//! authentication".

use std::borrow::Cow;

use crate::document;
use crate::encryption::{MasterKey, is_encrypted};
use crate::error::{Error, OutOfMemory, Problem, Purpose};
use crate::json::{Json, Writer, shown};
use crate::signing::{SIGNATURE_DIGITS, Signer};
use crate::validation::{self, ChannelNames};

/// What signs and completes authorizations, and the names that it signs.
#[derive(Clone, Copy)]
pub struct SigningKeys<'a> {
    /// The application's key.
    pub signer: &'a Signer,
    /// The master key of end-to-end encrypted channels.
    pub master_key: Option<&'a MasterKey>,
    /// The rule for the names of channels.
    pub channel_names: ChannelNames,
    /// The message for `channel_data` of a private channel, if the server refuses that.
    pub no_private_data: Option<(&'static str, &'static str)>,
}

/// Authorizes a connection to subscribe to a channel: `{"auth":…}`, with `channel_data` or
/// `shared_secret` if they apply.
pub fn channel(keys: SigningKeys<'_>, channel: &str, socket_id: &str, data: Option<&str>) -> Result<Vec<u8>, Error> {
    keys.channel_names.check(channel, "channel")?;
    validation::socket_id(socket_id, "socket_id")?;
    checked_channel(keys, channel, socket_id, data)
}

/// Authorizes a connection to subscribe to a channel. Both names are checked already.
#[inline]
fn checked_channel(
    keys: SigningKeys<'_>,
    channel: &str,
    socket_id: &str,
    data: Option<&str>,
) -> Result<Vec<u8>, Error> {
    let presence = channel.starts_with("presence-");
    if !presence && !channel.starts_with("private-") {
        let message = "is a public channel, which needs no authorization";
        return Err(Error::argument("channel", message));
    }
    match data {
        Some(data) if presence => presence_data(data)?,
        None if presence => {
            let message = r#"is missing: a presence channel needs {"user_id":"…"}, optionally with "user_info""#;
            return Err(Error::argument("channel_data", message));
        }
        Some(data) => {
            private_data(keys.channel_names, data)?;
            if let Some((server, reason)) = keys.no_private_data {
                return Err(Error::argument("channel_data", format!("{server} {reason}")));
            }
        }
        None => {}
    }
    let secret = match is_encrypted(channel) {
        true => Some(MasterKey::required(keys.master_key)?.shared_secret(channel)),
        false => None,
    };
    let members =
        [data.map(|data| ("channel_data", data)), secret.as_ref().map(|secret| ("shared_secret", secret.as_str()))];
    match data {
        Some(data) => signed(keys.signer, [socket_id, ":", channel, ":", data], members),
        None => signed(keys.signer, [socket_id, ":", channel], members),
    }
}

/// The maximum number of channels that one call authorizes.
const MAX_AUTHORIZED_CHANNELS: usize = 100;

/// Authorizes a connection to subscribe to several channels, each on its own:
/// `{"private-a":{"status":200,"data":{"auth":…}},"b":{"status":400,"error":{…}}}`.
///
/// Source: the responses that pusher-js-auth, the batch authorizer of pusher-js, expects. An error
/// has the member `error` as well.
pub fn channels(keys: SigningKeys<'_>, socket_id: &str, channels: &str) -> Result<Vec<u8>, Error> {
    validation::socket_id(socket_id, "socket_id")?;
    let subscriptions = Subscription::parse_all(channels)?;
    let mut json = Writer::new();
    json.begin_object();
    for Subscription { channel, data } in &subscriptions {
        let result = keys
            .channel_names
            .check(channel, "channel")
            .map_err(Error::from)
            .and_then(|()| checked_channel(keys, channel, socket_id, data.as_deref()));
        // The name may be invalid, and need escapes.
        json.string(channel).verbatim(":").begin_object().key("status");
        match result {
            Ok(authorization) => json.number(200).key("data").raw_bytes(&authorization),
            Err(error @ (Error::Unavailable(_) | Error::Internal(_))) => return Err(error),
            Err(error) => {
                json.number(if matches!(error, Error::Argument(_)) { 400 } else { 500 });
                json.key("error").begin_object();
                document::write_members(&mut json, &error, Purpose::Other);
                json.end_object()
            }
        };
        json.end_object();
    }
    json.end_object();
    json.finish()
}

/// One of several channels to authorize.
struct Subscription<'a> {
    /// The channel's name, not checked.
    channel: Cow<'a, str>,
    /// The string that is signed and returned, not checked.
    data: Option<Cow<'a, str>>,
}

impl<'a> Subscription<'a> {
    /// Reads a JSON array of 1 to 100 channels, none of them twice. A caller decides their number.
    fn parse_all(text: &'a str) -> Result<Vec<Subscription<'a>>, Problem> {
        const NAME: &str = "channels";
        let elements = Json::parse(text, NAME)?.elements(NAME, MAX_AUTHORIZED_CHANNELS)?;
        if elements.is_empty() || elements.len() > MAX_AUTHORIZED_CHANNELS {
            return Err(Problem::new(NAME, format!("must hold 1 to {MAX_AUTHORIZED_CHANNELS} channels")));
        }
        let mut subscriptions: Vec<Subscription<'a>> = Vec::new();
        subscriptions.try_reserve_exact(elements.len()).map_err(|_| OutOfMemory)?;
        for (index, element) in elements.into_iter().enumerate() {
            let subscription = Subscription::parse(element).and_then(|subscription| {
                // The result has one place for each channel.
                match subscriptions.iter().any(|other| other.channel == subscription.channel) {
                    true => Err(Problem::new("", "is a channel that is given twice")),
                    false => Ok(subscription),
                }
            });
            subscriptions.push(subscription.map_err(|problem| problem.within(format_args!("{NAME}[{index}]")))?);
        }
        Ok(subscriptions)
    }

    /// Reads a channel's name, or `{"channel","channel_data"?}`.
    fn parse(json: Json<'a>) -> Result<Subscription<'a>, Problem> {
        if !json.is_object() {
            let channel = json.is_string().then(|| json.string(""));
            let channel = channel.ok_or_else(|| Problem::new("", "must be a channel's name or an object"))??;
            return Ok(Subscription { channel, data: None });
        }
        let (mut channel, mut data) = (None, None);
        for (key, value) in json.members("")? {
            let member = shown(&key);
            match key.as_ref() {
                "channel" | "channel_data" if value.is_null() => {}
                "channel" => channel = Some(value.string(member)?),
                "channel_data" if value.is_string() => data = Some(value.string(member)?),
                "channel_data" if value.is_object() => data = Some(Cow::Borrowed(value.text())),
                "channel_data" => {
                    let message = "must be an object, or a string that contains JSON";
                    return Err(Problem::new(member, message));
                }
                _ => {
                    let message = "is not a member of a channel; there are channel and channel_data";
                    return Err(Problem::new(member, message));
                }
            }
        }
        let channel = channel.ok_or_else(|| Problem::new("channel", "is missing"))?;
        Ok(Subscription { channel, data })
    }
}

/// Authenticates a user on a connection: `{"auth":…,"user_data":…}`.
pub fn user(keys: SigningKeys<'_>, socket_id: &str, data: &str) -> Result<Vec<u8>, Error> {
    const NAME: &str = "user_data";
    const ID: &str = "user_data.id";
    validation::socket_id(socket_id, "socket_id")?;
    let [id] = Json::pick(data, NAME, ["id"])?;
    // The rule of pusher_send_to_user(): a user who signs in can then be reached.
    validation::user_id(&id.ok_or_else(|| Problem::new(ID, "is missing"))?.string(ID)?, ID)?;
    signed(keys.signer, [socket_id, "::user::", data], [Some(("user_data", data))])
}

/// Checks the data of a presence channel: an object with `user_id`, a string or an integer, and
/// optionally `user_info`, an object or null.
fn presence_data(data: &str) -> Result<(), Problem> {
    const NAME: &str = "channel_data";
    let [id, info] = Json::pick(data, NAME, ["user_id", "user_info"])?;
    const USER_ID: &str = "channel_data.user_id";
    match id {
        None => return Err(Problem::new(USER_ID, "is missing: it identifies the member of the presence channel")),
        Some(id) if id.is_integer() => {}
        Some(id) if id.is_string() && !id.string(USER_ID)?.is_empty() => {}
        Some(_) => return Err(Problem::new(USER_ID, "must be a non-empty string or an integer")),
    }
    match info {
        // Null is what languages write for no information.
        Some(info) if !info.is_object() && !info.is_null() => {
            Err(Problem::new("channel_data.user_info", "must be an object"))
        }
        _ => Ok(()),
    }
}

/// Checks the data of a private channel: any JSON, or an object where names may contain a colon.
///
/// Otherwise the name `private-a:1` and the data `1` of `private-a` would have the same signature. No name contains a
/// brace.
fn private_data(names: ChannelNames, data: &str) -> Result<(), Problem> {
    const NAME: &str = "channel_data";
    let is_object = Json::parse(data, NAME)?.is_object();
    if is_object || !names.take_colon() {
        return Ok(());
    }
    Err(Problem::new(NAME, "must be an object, because names of channels may contain : (channel_characters)"))
}

/// Returns `{"auth":"KEY:SIGNATURE",…}` with the signature of the string that `parts` make up, and
/// with these members.
#[inline]
fn signed<const PARTS: usize, const MEMBERS: usize>(
    signer: &Signer,
    parts: [&str; PARTS],
    members: [Option<(&str, &str)>; MEMBERS],
) -> Result<Vec<u8>, Error> {
    let members = members.iter().flatten();
    let size = signer.key().len()
        + SIGNATURE_DIGITS
        + members.clone().map(|(name, value)| name.len() + 4 + string_size(value)).sum::<usize>();
    // With `{"auth":":"}` and the NUL that the C boundary appends: nothing is allocated twice.
    let mut json = Writer::with_capacity(size + 13)?;
    json.append([br#"{"auth":""#, signer.key().as_bytes(), b":", &signer.sign_parts(parts), br#"""#]);
    for (name, value) in members {
        json.key(name).string(value);
    }
    json.end_object();
    json.finish()
}

/// Returns the size of `text` as a JSON string. `text` is JSON or base64, so its only control
/// characters are white space.
fn string_size(text: &str) -> usize {
    2 + text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | 0..b' ')).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Server;
    use crate::secret::Secret;

    /// The names that servers take, and those of every other `channel_characters`.
    fn all_names() -> Vec<ChannelNames> {
        let servers = [
            Server::Pusher,
            Server::Sockudo,
            Server::Soketi,
            Server::Reverb,
            Server::LaravelWebsockets,
            Server::Poxa,
            Server::Slanger,
            Server::Ably,
        ];
        let characters = ["", ":", "#", ":#"].map(|characters| ChannelNames::with(characters).unwrap());
        servers.map(|server| server.profile().channel_names).into_iter().chain(characters).collect()
    }

    /// A request for a signature.
    #[derive(Debug, PartialEq)]
    enum Subject<'a> {
        Channel { socket_id: &'a str, channel: &'a str, data: Option<&'a str> },
        User { socket_id: &'a str, data: &'a str },
    }

    /// Returns every subject whose signed string could be `text`, whether or not it is valid.
    fn subjects(text: &str) -> Vec<Subject<'_>> {
        let splits = |text| -> Vec<(&str, &str)> {
            let colons = str::match_indices(text, ':');
            colons.map(|(at, _)| (&text[..at], &text[at + 1..])).collect()
        };
        let mut all = Vec::new();
        for (socket_id, rest) in splits(text) {
            all.push(Subject::Channel { socket_id, channel: rest, data: None });
            let parts = splits(rest).into_iter();
            all.extend(parts.map(|(channel, data)| Subject::Channel { socket_id, channel, data: Some(data) }));
            all.extend(rest.strip_prefix(":user::").map(|data| Subject::User { socket_id, data }));
        }
        all
    }

    /// Returns the subjects of `text` that are signed.
    fn signed_subjects<'a>(text: &'a str, names: ChannelNames, signer: &Signer) -> Vec<Subject<'a>> {
        let master_key = MasterKey::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        let keys = SigningKeys { signer, master_key: Some(&master_key), channel_names: names, no_private_data: None };
        let is_signed = |subject: &Subject<'_>| {
            let result = match *subject {
                Subject::Channel { socket_id, channel, data } => super::channel(keys, channel, socket_id, data),
                Subject::User { socket_id, data } => user(keys, socket_id, data),
            };
            // Only the signature of this string is given out.
            let signature = signer.sign(text.as_bytes());
            result.is_ok_and(|json| String::from_utf8(json).unwrap().contains(&signature))
        };
        subjects(text).into_iter().filter(is_signed).collect()
    }

    /// Strings that are, or almost are, signed strings.
    fn almost_signed() -> impl Strategy<Value = String> {
        let piece = proptest::sample::select(vec![
            ":",
            ":",
            "::user::",
            "1",
            "1.2",
            "a",
            "#",
            "private-",
            "presence-",
            "private-encrypted-",
            "#server-to-user-",
            " ",
            "\"",
            "\"a:b\"",
            "[1]",
            "{}",
            "{\"a\":{\"b\":1}}",
            "{\"id\":\"1\"}",
            "{\"user_id\":\"1:2\"}",
            "\n{\"user_id\":1,\"id\":\":\"}",
        ]);
        let kind = proptest::sample::select(vec!["private-", "presence-", ":user::", "private-:", ""]);
        (kind, proptest::collection::vec(piece, 0..6))
            .prop_map(|(kind, pieces)| format!("1.2:{kind}{}", pieces.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn a_signature_is_for_one_kind_one_socket_one_channel_and_one_data(text in almost_signed()) {
            let signer = Signer::new("k", &Secret::new("s".to_owned()));
            for names in all_names() {
                let signed = signed_subjects(&text, names, &signer);
                prop_assert!(signed.len() <= 1, "{names:?}: {signed:?}");
            }
        }
    }

    #[test]
    fn a_string_that_could_be_signed_twice_is_found() {
        let signer = Signer::new("k", &Secret::new("s".to_owned()));
        let text = "1.2:private-a:1";
        let channel = |channel, data| Subject::Channel { socket_id: "1.2", channel, data };
        assert!(subjects(text).contains(&channel("private-a:1", None)));
        assert!(subjects(text).contains(&channel("private-a", Some("1"))));
        // Which of the two is signed depends on the names that the server takes.
        let signed = |names| signed_subjects(text, ChannelNames::with(names).unwrap(), &signer);
        assert_eq!(signed(""), [channel("private-a", Some("1"))]);
        assert_eq!(signed(":"), [channel("private-a:1", None)]);
        let user = "1.2::user::{\"id\":\"1\"}";
        let subject = Subject::User { socket_id: "1.2", data: "{\"id\":\"1\"}" };
        assert_eq!(signed_subjects(user, ChannelNames::WITH_COLON_AND_HASH, &signer), [subject]);
    }

    #[test]
    fn a_result_is_allocated_once_with_room_for_a_nul() {
        let signer = Signer::new("key", &Secret::new("s".to_owned()));
        let master_key = MasterKey::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        let channel_names = ChannelNames::PLAIN;
        let keys = SigningKeys { signer: &signer, master_key: Some(&master_key), channel_names, no_private_data: None };
        let data = "{\"user_id\":\"1\",\n\"user_info\":{\"a\":\"\\\\\"}}";
        for result in [
            super::channel(keys, "private-a", "1.2", None),
            super::channel(keys, "private-a", "1.2", Some(data)),
            super::channel(keys, "presence-a", "1.2", Some(data)),
            super::channel(keys, "private-encrypted-a", "1.2", None),
            super::channel(keys, "private-encrypted-a", "1.2", Some(data)),
            user(keys, "1.2", "{\"id\":\"1\"}"),
        ] {
            let json = result.unwrap();
            assert_eq!(json.capacity(), json.len() + 1, "{}", String::from_utf8_lossy(&json));
        }
    }
}
