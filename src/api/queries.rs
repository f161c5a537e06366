//! The queries of channels and users, and GET, POST and DELETE of any path.

use std::borrow::Cow;

use super::call::{Arguments, Call, Effect, RequestContext};
use super::options::{Accepts, CallOptions};
use super::parameters::{self, Parameters};
use crate::bytes::{concat, copied_text, copied_within, owned_text, push};
use crate::error::Error;
use crate::http::Method;
use crate::json::Json;
use crate::validation;

/// Builds a GET.
fn query(path: Cow<'static, str>, parameters: Parameters, options: Option<&str>) -> Result<Call, Error> {
    let CallOptions { timeout, headers, .. } = CallOptions::parse(options, Accepts::Timeout)?;
    Ok(Call { parameters, timeout, headers, ..Call::new(Method::Get, path, Effect::Nothing) })
}

/// GET `/channels`: the channels that are occupied.
pub(super) fn channels_info(context: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let mut parameters = Parameters::new();
    // An empty prefix is that of every channel.
    if let Some(prefix) = arguments.optional("prefix_filter").filter(|prefix| !prefix.is_empty()) {
        context.channel_names.check(prefix, "prefix_filter")?;
        push(&mut parameters, ("filter_by_prefix".into(), copied_text(prefix)?))?;
    }
    attributes(&mut parameters, arguments.optional("attributes"))?;
    query("/channels".into(), parameters, arguments.optional("options"))
}

/// GET `/channels/{channel}`.
pub(super) fn channel_info(context: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let channel = context.channel_names.segment(arguments.required("channel")?, "channel")?;
    let mut parameters = Parameters::new();
    attributes(&mut parameters, arguments.optional("attributes"))?;
    query(concat(["/channels/", &channel])?.into(), parameters, arguments.optional("options"))
}

/// GET `/channels/{channel}/users`.
pub(super) fn users_info(context: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let channel = context.channel_names.segment(arguments.required("channel")?, "channel")?;
    let options = arguments.optional("options");
    let CallOptions { parameters, timeout, headers, .. } = CallOptions::parse(options, Accepts::Query)?;
    let path = concat(["/channels/", &channel, "/users"])?;
    Ok(Call { parameters, timeout, headers, ..Call::new(Method::Get, path, Effect::Nothing) })
}

/// GET of any path.
pub(super) fn get(context: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let path = context.channel_names.path(arguments.required("path")?, "path")?;
    query(owned_text(path)?.into(), parameters::optional(arguments.optional("params"))?, arguments.optional("options"))
}

/// POST of any path.
pub(super) fn post(context: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let path = context.channel_names.path(arguments.required("path")?, "path")?;
    let parameters = parameters::optional(arguments.optional("params"))?;
    let options = CallOptions::parse(arguments.optional("options"), Accepts::Timeout);
    let limit = arguments.time.limit(options.as_ref().ok().and_then(|options| options.timeout));
    let body = Json::parse_within(arguments.optional("body").unwrap_or("{}"), "body", limit)?;
    let CallOptions { timeout, headers, .. } = options?;
    let body = Some(copied_within(body.text().as_bytes(), limit)?);
    // The library does not know what the path does. A server may have done a part of it before it refused.
    let call = Call::new(Method::Post, owned_text(path)?, Effect::Several);
    Ok(Call { parameters, body, timeout, headers, ..call })
}

/// DELETE of any path.
pub(super) fn delete(context: &RequestContext, arguments: Arguments<'_>) -> Result<Call, Error> {
    let path = context.channel_names.path(arguments.required("path")?, "path")?;
    let parameters = parameters::optional(arguments.optional("params"))?;
    let CallOptions { timeout, headers, .. } = CallOptions::parse(arguments.optional("options"), Accepts::Timeout)?;
    // As for a POST: a server may have deleted a part of it before it refused.
    let call = Call::new(Method::Delete, owned_text(path)?, Effect::Several);
    Ok(Call { parameters, timeout, headers, ..call })
}

fn attributes(parameters: &mut Parameters, list: Option<&str>) -> Result<(), Error> {
    if let Some(list) = list {
        validation::attributes(list, "attributes")?;
        push(parameters, ("info".into(), copied_text(list)?))?;
    }
    Ok(())
}
