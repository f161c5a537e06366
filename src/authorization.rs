//! Authorizing subscriptions and signing users in. The text that is signed is the text that is returned.
//!
//! Source: Channels documentation, "Generating the authentication string" and "User authentication".

use crate::encryption::{MasterKey, is_encrypted};
use crate::error::{Error, Problem};
use crate::json::{Json, join};
use crate::signing::Signer;
use crate::validation;

/// What a client's configuration has to say about authorizations.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// Signs with the application's key.
    pub signer: &'a Signer,
    /// The key of end-to-end encrypted channels.
    pub master_key: Option<&'a MasterKey>,
}

/// Authorizes a connection to subscribe to a channel: `{"auth":…}`, with `channel_data` and `shared_secret` where they belong.
pub fn channel(keys: Keys<'_>, channel: &str, socket_id: &str, data: Option<&str>) -> Result<String, Error> {
    validation::channel(channel, "channel").map_err(Error::Argument)?;
    validation::socket_id(socket_id, "socket_id").map_err(Error::Argument)?;
    let presence = channel.starts_with("presence-");
    if !presence && !channel.starts_with("private-") {
        let message = "is a public channel: anyone may subscribe to it, and there is nothing to authorize";
        return Err(Error::argument("channel", message));
    }
    match data {
        Some(data) if presence => presence_data(data).map_err(Error::Argument)?,
        None if presence => {
            let message = r#"is missing: a presence channel needs {"user_id":…}, and perhaps "user_info""#;
            return Err(Error::argument("channel_data", message));
        }
        Some(data) => {
            Json::parse(data, "channel_data").map_err(Error::Argument)?;
        }
        None => {}
    }
    let secret = match (is_encrypted(channel), keys.master_key) {
        (true, None) => {
            let message = "encrypted channels need encryption_master_key_base64 in the configuration";
            return Err(Error::Encryption(Problem::new("encryption_master_key_base64", message)));
        }
        (true, Some(master_key)) => Some(master_key.shared_secret(channel)),
        (false, _) => None,
    };
    let mut answer = match data {
        Some(data) => Answer::new(keys.signer, &[socket_id, ":", channel, ":", data], data.len()),
        None => Answer::new(keys.signer, &[socket_id, ":", channel], 0),
    }?;
    if let Some(data) = data {
        answer.string(r#","channel_data":"#, data);
    }
    if let Some(secret) = secret {
        answer.string(r#","shared_secret":"#, &secret);
    }
    Ok(answer.finish())
}

/// Signs a user in on a connection: `{"auth":…,"user_data":…}`.
pub fn user(keys: Keys<'_>, socket_id: &str, data: &str) -> Result<String, Error> {
    const NAME: &str = "user_data";
    validation::socket_id(socket_id, "socket_id").map_err(Error::Argument)?;
    let check = || -> Result<(), Problem> {
        let members = Json::parse(data, NAME)?.members(NAME)?;
        let id = join(NAME, "id");
        let (_, value) = members.iter().find(|(key, _)| key == "id").ok_or_else(|| Problem::new(&id, "is missing"))?;
        match value.string(&id)?.is_empty() {
            true => Err(Problem::new(id, "must not be empty")),
            false => Ok(()),
        }
    };
    check().map_err(Error::Argument)?;
    let mut answer = Answer::new(keys.signer, &[socket_id, "::user::", data], data.len())?;
    answer.string(r#","user_data":"#, data);
    Ok(answer.finish())
}

/// A presence channel's data: an object with `user_id`, a string or an integer, and perhaps `user_info`, an object.
fn presence_data(data: &str) -> Result<(), Problem> {
    const NAME: &str = "channel_data";
    let members = Json::parse(data, NAME)?.members(NAME)?;
    let member = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
    let name = join(NAME, "user_id");
    match member("user_id") {
        None => return Err(Problem::new(name, "is missing: it tells a presence channel's members apart")),
        Some(id) if id.is_integer() => {}
        Some(id) if id.is_string() && !id.string(&name)?.is_empty() => {}
        Some(_) => return Err(Problem::new(name, "must be a string that is not empty, or an integer")),
    }
    match member("user_info") {
        Some(info) if !info.is_object() => Err(Problem::new(join(NAME, "user_info"), "must be an object")),
        _ => Ok(()),
    }
}

/// The JSON that is returned.
struct Answer(Vec<u8>);

impl Answer {
    /// Begins with the signature of `parts`, one after the other. `data` bytes of text are going to follow.
    fn new(signer: &Signer, parts: &[&str], data: usize) -> Result<Answer, Error> {
        let mut bytes = Vec::new();
        bytes.try_reserve(data.saturating_mul(2).saturating_add(256)).map_err(|_| Error::OutOfMemory)?;
        let mut answer = Answer(bytes);
        answer.text(r#"{"auth":""#);
        answer.text(signer.key());
        answer.text(":");
        answer.0.extend_from_slice(&signer.sign_parts(parts));
        answer.text("\"");
        Ok(answer)
    }

    fn text(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A member whose value is a string.
    fn string(&mut self, name: &str, value: &str) {
        self.text(name);
        // Neither a str nor a Vec can fail to be written.
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    fn finish(mut self) -> String {
        self.text("}");
        // All that went in was UTF-8.
        String::from_utf8(self.0).unwrap_or_default()
    }
}
