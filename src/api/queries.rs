//! The calls that ask for the state of channels, and the two that reach any path of the API.

use std::borrow::Cow;

use super::options::{Accepts, CallOptions};
use super::{Arguments, Call, Effect, RequestContext};
use crate::bytes::copied;
use crate::error::{Error, Problem};
use crate::http::Method;
use crate::json::{Json, join};
use crate::validation;

/// The names of parameters that belong to the signature.
const SIGNED: [&str; 2] = ["auth_", "body_md5"];

type Parameters = Vec<(Cow<'static, str>, String)>;

/// A call that gets.
fn ask(path: Cow<'static, str>, parameters: Parameters, options: Option<&str>) -> Result<Call, Error> {
    let options = CallOptions::parse(options, Accepts::Timeout).map_err(Error::Argument)?;
    Ok(Call { method: Method::Get, path, parameters, body: None, effect: Effect::Nothing, timeout: options.timeout })
}

/// GET `/channels`: the channels that are occupied.
pub(super) fn channels_info(_: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let mut parameters = Parameters::new();
    if let Some(prefix) = arguments.optional(0) {
        validation::channel(prefix, "prefix_filter").map_err(Error::Argument)?;
        parameters.push(("filter_by_prefix".into(), prefix.to_owned()));
    }
    attributes(&mut parameters, arguments.optional(1))?;
    ask("/channels".into(), parameters, arguments.optional(2))
}

/// GET `/channels/{channel}`.
pub(super) fn channel_info(_: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let channel = arguments.required(0, "channel")?;
    validation::channel_in_path(channel, "channel").map_err(Error::Argument)?;
    let mut parameters = Parameters::new();
    attributes(&mut parameters, arguments.optional(1))?;
    ask(format!("/channels/{channel}").into(), parameters, arguments.optional(2))
}

/// GET `/channels/{channel}/users`.
pub(super) fn users_info(_: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let channel = arguments.required(0, "channel")?;
    validation::channel_in_path(channel, "channel").map_err(Error::Argument)?;
    if !channel.starts_with("presence-") {
        return Err(Error::argument("channel", "is no presence channel, and only those have users"));
    }
    ask(format!("/channels/{channel}/users").into(), Parameters::new(), arguments.optional(1))
}

/// GET any path.
pub(super) fn get(_: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let path = arguments.required(0, "path")?;
    validation::path(path, "path").map_err(Error::Argument)?;
    ask(
        path.to_owned().into(),
        parse_parameters(arguments.optional(1)).map_err(Error::Argument)?,
        arguments.optional(2),
    )
}

/// POST to any path.
pub(super) fn post(_: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let path = arguments.required(0, "path")?;
    validation::path(path, "path").map_err(Error::Argument)?;
    let parameters = parse_parameters(arguments.optional(1)).map_err(Error::Argument)?;
    let body = Json::parse(arguments.optional(2).unwrap_or("{}"), "body").map_err(Error::Argument)?;
    let options = CallOptions::parse(arguments.optional(3), Accepts::Timeout).map_err(Error::Argument)?;
    Ok(Call {
        method: Method::Post,
        path: path.to_owned().into(),
        parameters,
        body: Some(copied(body.text().as_bytes())?),
        // Nobody knows what it does; a server may have done a part of it before it refused.
        effect: Effect::Several,
        timeout: options.timeout,
    })
}

fn attributes(parameters: &mut Parameters, list: Option<&str>) -> Result<(), Error> {
    if let Some(list) = list {
        validation::attributes(list, "attributes").map_err(Error::Argument)?;
        parameters.push(("info".into(), list.to_owned()));
    }
    Ok(())
}

/// An object of strings, integers and booleans.
fn parse_parameters(text: Option<&str>) -> Result<Parameters, Problem> {
    const NAME: &str = "params";
    let mut parameters = Parameters::new();
    let Some(text) = text else { return Ok(parameters) };
    for (key, value) in Json::parse(text, NAME)?.members(NAME)? {
        let name = join(NAME, &key);
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            return Err(Problem::new(name, "must have a name of a-z 0-9 _"));
        }
        if SIGNED.iter().any(|signed| key.starts_with(signed)) {
            return Err(Problem::new(name, "belongs to the signature, which libpusher makes"));
        }
        let value = if value.is_string() {
            value.string(&name)?.into_owned()
        } else if value.boolean().is_some() || value.is_integer() {
            value.text().to_owned()
        } else {
            return Err(Problem::new(name, "must be a string, an integer or a boolean"));
        };
        if value.contains(char::is_control) {
            return Err(Problem::new(name, "has a control character"));
        }
        parameters.push((key.into_owned().into(), value));
    }
    Ok(parameters)
}
