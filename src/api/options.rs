//! The `options` of calls.

use std::borrow::Cow;
use std::time::Duration;

use strum::{EnumString, IntoStaticStr};

use super::extra::Extra;
use super::parameters::{self, Parameters};
use crate::config::values::Value;
use crate::error::Problem;
use crate::headers::Headers;
use crate::idempotency::IdempotencyKey;
use crate::json::{Json, shown};
use crate::validation;

/// The options that a call accepts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepts {
    /// Those of every call.
    Timeout,
    /// Those of a call that publishes one event to a user.
    Event,
    /// Those of a call that publishes several events.
    Batch,
    /// Those of a call that publishes one event on channels.
    Trigger,
    /// Those of a query with parameters of the caller's.
    Query,
    /// Those of an event that the publisher queues.
    Publisher,
}

#[derive(Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum OptionKey {
    TimeoutMs,
    SocketId,
    Info,
    Conflate,
    UserId,
    IdempotencyKey,
    FanOut,
    Extra,
    ExtraInClear,
    Params,
    Headers,
}

impl Accepts {
    const fn keys(self) -> &'static [OptionKey] {
        match self {
            Accepts::Timeout => &[OptionKey::TimeoutMs, OptionKey::Headers],
            Accepts::Event => &[
                OptionKey::TimeoutMs,
                OptionKey::SocketId,
                OptionKey::Info,
                OptionKey::IdempotencyKey,
                OptionKey::Extra,
                OptionKey::ExtraInClear,
                OptionKey::Headers,
            ],
            Accepts::Query => &[OptionKey::TimeoutMs, OptionKey::Params, OptionKey::Headers],
            Accepts::Batch => &[OptionKey::TimeoutMs, OptionKey::IdempotencyKey, OptionKey::Headers],
            Accepts::Trigger => &[
                OptionKey::TimeoutMs,
                OptionKey::SocketId,
                OptionKey::Info,
                OptionKey::IdempotencyKey,
                OptionKey::Extra,
                OptionKey::ExtraInClear,
                OptionKey::FanOut,
                OptionKey::Headers,
            ],
            Accepts::Publisher => &[
                OptionKey::TimeoutMs,
                OptionKey::SocketId,
                OptionKey::Info,
                OptionKey::Conflate,
                OptionKey::UserId,
                OptionKey::IdempotencyKey,
                OptionKey::FanOut,
                OptionKey::Extra,
                OptionKey::ExtraInClear,
            ],
        }
    }

    /// Finds an option by its key.
    fn find(self, key: &str) -> Result<OptionKey, Problem> {
        key.parse().ok().filter(|key| self.keys().contains(key)).ok_or_else(|| {
            let known: Vec<&'static str> = self.keys().iter().map(Into::into).collect();
            let verb = if known.len() == 1 { "is" } else { "are" };
            Problem::new(shown(key), format!("is not an option of this call; there {verb} {}", known.join(", ")))
        })
    }
}

/// The options of a call, checked.
#[derive(Debug, Default)]
pub(super) struct CallOptions<'a> {
    /// The connection that does not receive the event.
    pub(super) socket_id: Option<Cow<'a, str>>,
    /// The attributes that the response should have.
    pub(super) info: Option<Cow<'a, str>>,
    pub(super) timeout: Option<Duration>,
    /// The key by which a newer event replaces a queued one.
    pub(super) conflate: Option<Cow<'a, str>>,
    /// The user that the event is for.
    pub(super) user_id: Option<Cow<'a, str>>,
    /// The key by which a server recognizes the request when it is repeated.
    pub(super) idempotency_key: Option<IdempotencyKey>,
    /// Whether the event may take several requests.
    pub(super) fan_out: bool,
    /// More members of the event.
    pub(super) extra: Option<Extra<'a>>,
    /// Whether these may go to an encrypted channel, as they are.
    pub(super) extra_in_clear: bool,
    /// The parameters of a query.
    pub(super) parameters: Parameters,
    /// Headers to add to the request.
    pub(super) headers: Headers,
}

impl<'a> CallOptions<'a> {
    /// Reads options from a JSON object, or none.
    pub(super) fn parse(text: Option<&'a str>, accepts: Accepts) -> Result<CallOptions<'a>, Problem> {
        const NAME: &str = "options";
        let mut options = CallOptions::default();
        let Some(text) = text else { return Ok(options) };
        for (key, json) in Json::parse(text, NAME)?.members(NAME)? {
            options.take(accepts, &key, json).map_err(|problem| problem.within(NAME))?;
        }
        Ok(options)
    }

    fn take(&mut self, accepts: Accepts, key: &str, json: Json<'a>) -> Result<(), Problem> {
        let value = Value::new(shown(key), json);
        match accepts.find(key)? {
            _ if !value.is_given() => {}
            OptionKey::TimeoutMs => self.timeout = Some(value.timeout()?),
            OptionKey::SocketId => self.socket_id = Some(socket_id(value)?),
            OptionKey::Info => self.info = Some(info(value)?),
            OptionKey::Conflate => self.conflate = Some(value.string()?),
            OptionKey::UserId => self.user_id = Some(value.string()?),
            OptionKey::IdempotencyKey => {
                self.idempotency_key = Some(IdempotencyKey::parse(&value.string()?, value.name())?);
            }
            OptionKey::FanOut => self.fan_out = value.boolean()?,
            OptionKey::Extra => self.extra = Some(Extra::parse(value, "options.extra")?),
            OptionKey::Headers => self.headers = value.headers()?,
            OptionKey::ExtraInClear => self.extra_in_clear = value.boolean()?,
            OptionKey::Params => self.parameters = parameters::parse(value.json().text(), value.name())?,
        }
        Ok(())
    }
}

/// Reads the id of the connection that does not receive an event.
pub(super) fn socket_id<'a>(value: Value<'a, '_>) -> Result<Cow<'a, str>, Problem> {
    let id = value.string()?;
    validation::socket_id(&id, value.name())?;
    Ok(id)
}

/// Reads the attributes that the response should have.
pub(super) fn info<'a>(value: Value<'a, '_>) -> Result<Cow<'a, str>, Problem> {
    let list = value.string()?;
    validation::attributes(&list, value.name())?;
    Ok(list)
}
