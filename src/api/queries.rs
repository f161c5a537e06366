//! The queries of channels and users, and GET, POST and DELETE of any path.

use std::borrow::Cow;
use std::time::Duration;

use super::call::{Arguments, Call, Effect, RequestContext};
use super::options::{Accepts, CallOptions};
use super::parameters::{self, Parameters};
use crate::bytes::copied_within;
use crate::error::Error;
use crate::headers::Headers;
use crate::http::Method;
use crate::json::Json;
use crate::validation;

/// Builds a GET.
fn query(path: Cow<'static, str>, parameters: Parameters, options: Option<&str>) -> Result<Call, Error> {
    let options = CallOptions::parse(options, Accepts::Timeout)?;
    Ok(get_request(path, parameters, options.timeout, options.headers))
}

fn get_request(path: Cow<'static, str>, parameters: Parameters, timeout: Option<Duration>, headers: Headers) -> Call {
    Call {
        method: Method::Get,
        path,
        parameters,
        body: None,
        effect: Effect::Nothing,
        idempotency_key: None,
        timeout,
        headers,
    }
}

/// GET `/channels`: the channels that are occupied.
pub(super) fn channels_info(context: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let mut parameters = Parameters::new();
    if let Some(prefix) = arguments.optional("prefix_filter") {
        context.channel_names.check(prefix, "prefix_filter")?;
        parameters.push(("filter_by_prefix".into(), prefix.to_owned()));
    }
    attributes(&mut parameters, arguments.optional("attributes"))?;
    query("/channels".into(), parameters, arguments.optional("options"))
}

/// GET `/channels/{channel}`.
pub(super) fn channel_info(context: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let channel = context.channel_names.segment(arguments.required("channel")?, "channel")?;
    let mut parameters = Parameters::new();
    attributes(&mut parameters, arguments.optional("attributes"))?;
    query(format!("/channels/{channel}").into(), parameters, arguments.optional("options"))
}

/// GET `/channels/{channel}/users`.
pub(super) fn users_info(context: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let channel = context.channel_names.segment(arguments.required("channel")?, "channel")?;
    if !channel.starts_with("presence-") {
        return Err(Error::argument("channel", "is not a presence channel, and only those have users"));
    }
    let options = CallOptions::parse(arguments.optional("options"), Accepts::Query)?;
    Ok(get_request(format!("/channels/{channel}/users").into(), options.parameters, options.timeout, options.headers))
}

/// GET of any path.
pub(super) fn get(context: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let path = context.channel_names.path(arguments.required("path")?, "path")?;
    query(path.into_owned().into(), parameters::optional(arguments.optional("params"))?, arguments.optional("options"))
}

/// POST of any path.
pub(super) fn post(context: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let path = context.channel_names.path(arguments.required("path")?, "path")?;
    let parameters = parameters::optional(arguments.optional("params"))?;
    let options = CallOptions::parse(arguments.optional("options"), Accepts::Timeout);
    let limit = arguments.time.limit(options.as_ref().ok().and_then(|options| options.timeout));
    let body = Json::parse_within(arguments.optional("body").unwrap_or("{}"), "body", limit)?;
    let options = options?;
    Ok(Call {
        method: Method::Post,
        path: path.into_owned().into(),
        parameters,
        body: Some(copied_within(body.text().as_bytes(), limit)?),
        // The library does not know what the path does. A server may have done a part of it before it refused.
        effect: Effect::Several,
        idempotency_key: None,
        timeout: options.timeout,
        headers: options.headers,
    })
}

/// DELETE of any path.
pub(super) fn delete(context: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let path = context.channel_names.path(arguments.required("path")?, "path")?;
    let parameters = parameters::optional(arguments.optional("params"))?;
    let options = CallOptions::parse(arguments.optional("options"), Accepts::Timeout)?;
    Ok(Call {
        method: Method::Delete,
        path: path.into_owned().into(),
        parameters,
        body: None,
        // As for a POST: a server may have deleted a part of it before it refused.
        effect: Effect::Several,
        idempotency_key: None,
        timeout: options.timeout,
        headers: options.headers,
    })
}

fn attributes(parameters: &mut Parameters, list: Option<&str>) -> Result<(), Error> {
    if let Some(list) = list {
        validation::attributes(list, "attributes")?;
        parameters.push(("info".into(), list.to_owned()));
    }
    Ok(())
}
