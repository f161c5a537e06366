//! The `options` of calls.

use std::borrow::Cow;
use std::time::Duration;

use crate::error::Problem;
use crate::json::{Json, join};
use crate::validation;

/// What a call accepts beside `timeout_ms`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepts {
    /// Nothing.
    Timeout,
    /// `socket_id` and `info`.
    Event,
    /// These, `conflate` and `user_id`.
    Publisher,
}

/// A call's options, checked.
#[derive(Debug, Default)]
pub(super) struct CallOptions<'a> {
    pub(super) socket_id: Option<Cow<'a, str>>,
    pub(super) info: Option<Cow<'a, str>>,
    pub(super) timeout: Option<Duration>,
    pub(super) conflate: Option<Cow<'a, str>>,
    pub(super) user_id: Option<Cow<'a, str>>,
}

impl<'a> CallOptions<'a> {
    pub(super) fn parse(text: Option<&'a str>, accepts: Accepts) -> Result<CallOptions<'a>, Problem> {
        const NAME: &str = "options";
        let mut options = CallOptions::default();
        let Some(text) = text else { return Ok(options) };
        for (key, value) in Json::parse(text, NAME)?.members(NAME)? {
            let name = join(NAME, &key);
            match (key.as_ref(), accepts) {
                ("socket_id", Accepts::Event | Accepts::Publisher) => {
                    options.socket_id = Some(socket_id(value, &name)?);
                }
                ("info", Accepts::Event | Accepts::Publisher) => options.info = Some(info(value, &name)?),
                ("conflate", Accepts::Publisher) => options.conflate = Some(value.string(&name)?),
                ("user_id", Accepts::Publisher) => {
                    let id = value.string(&name)?;
                    validation::user_id(&id, &name)?;
                    options.user_id = Some(id);
                }
                ("timeout_ms", _) => match value.integer() {
                    Some(ms @ 1..=600_000) => options.timeout = Some(Duration::from_millis(ms)),
                    _ => return Err(Problem::new(name, "must be an integer from 1 to 600000")),
                },
                (_, Accepts::Event) => {
                    return Err(Problem::new(name, "is not an option; there are socket_id, info and timeout_ms"));
                }
                (_, Accepts::Publisher) => {
                    let message = "is not an option; there are socket_id, info, timeout_ms, conflate and user_id";
                    return Err(Problem::new(name, message));
                }
                (_, Accepts::Timeout) => {
                    return Err(Problem::new(name, "is not an option of this call; there is timeout_ms"));
                }
            }
        }
        Ok(options)
    }
}

/// The connection that is left out.
pub(super) fn socket_id<'a>(value: Json<'a>, argument: &str) -> Result<Cow<'a, str>, Problem> {
    let id = value.string(argument)?;
    validation::socket_id(&id, argument)?;
    Ok(id)
}

/// The attributes to answer with.
pub(super) fn info<'a>(value: Json<'a>, argument: &str) -> Result<Cow<'a, str>, Problem> {
    let list = value.string(argument)?;
    validation::attributes(&list, argument)?;
    Ok(list)
}
