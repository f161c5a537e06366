//! Authorizes subscriptions and authenticates users. The string that is signed is the string that
//! is returned.
//!
//! Source: Channels documentation, "Generating the authentication string" and "User
//! authentication".

use crate::encryption::{MasterKey, is_encrypted};
use crate::error::{Error, Problem};
use crate::json::{Json, Writer, join};
use crate::signing::{SIGNATURE_DIGITS, Signer};
use crate::validation;

/// The keys that sign and complete authorizations.
#[derive(Clone, Copy)]
pub struct SigningKeys<'a> {
    /// The application's key.
    pub signer: &'a Signer,
    /// The master key of end-to-end encrypted channels.
    pub master_key: Option<&'a MasterKey>,
}

/// Authorizes a connection to subscribe to a channel: `{"auth":…}`, with `channel_data` or
/// `shared_secret` if they apply.
pub fn channel(keys: SigningKeys<'_>, channel: &str, socket_id: &str, data: Option<&str>) -> Result<Vec<u8>, Error> {
    validation::channel(channel, "channel")?;
    validation::socket_id(socket_id, "socket_id")?;
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
            Json::parse(data, "channel_data")?;
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

/// Authenticates a user on a connection: `{"auth":…,"user_data":…}`.
pub fn user(keys: SigningKeys<'_>, socket_id: &str, data: &str) -> Result<Vec<u8>, Error> {
    const NAME: &str = "user_data";
    validation::socket_id(socket_id, "socket_id")?;
    let [id] = Json::pick(data, NAME, ["id"])?;
    let name = join(NAME, "id");
    if id.ok_or_else(|| Problem::new(&name, "is missing"))?.string(&name)?.is_empty() {
        return Err(Error::argument(name, "must not be empty"));
    }
    signed(keys.signer, [socket_id, "::user::", data], [Some(("user_data", data))])
}

/// Checks the data of a presence channel: an object with `user_id`, a string or an integer, and
/// optionally `user_info`, an object.
fn presence_data(data: &str) -> Result<(), Problem> {
    const NAME: &str = "channel_data";
    let [id, info] = Json::pick(data, NAME, ["user_id", "user_info"])?;
    let name = join(NAME, "user_id");
    match id {
        None => return Err(Problem::new(name, "is missing: it identifies the member of the presence channel")),
        Some(id) if id.is_integer() => {}
        Some(id) if id.is_string() && !id.string(&name)?.is_empty() => {}
        Some(_) => return Err(Problem::new(name, "must be a non-empty string or an integer")),
    }
    match info {
        Some(info) if !info.is_object() => Err(Problem::new(join(NAME, "user_info"), "must be an object")),
        _ => Ok(()),
    }
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
