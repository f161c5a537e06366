//! The calls by name: their parameters, and the function that builds each.

use super::call::{Arguments, CallTime, RequestContext};
use super::publish::{self, Plan};
use super::queries;
use crate::config::{Profile, Support};
use crate::error::{Error, Purpose};
use crate::json::shown;

/// A call of the HTTP API. Each has the name of its function in C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `pusher_trigger()`
    Trigger,
    /// `pusher_trigger_batch()`
    TriggerBatch,
    /// `pusher_send_to_user()`
    SendToUser,
    /// `pusher_terminate_user_connections()`
    TerminateUserConnections,
    /// `pusher_channels_info()`
    ChannelsInfo,
    /// `pusher_channel_info()`
    ChannelInfo,
    /// `pusher_users_info()`
    UsersInfo,
    /// `pusher_get()`
    Get,
    /// `pusher_post()`
    Post,
    /// `pusher_delete()`
    Delete,
}

impl Endpoint {
    /// All calls, in the order of their numbers.
    pub const ALL: [Endpoint; 10] = [
        Endpoint::Trigger,
        Endpoint::TriggerBatch,
        Endpoint::SendToUser,
        Endpoint::TerminateUserConnections,
        Endpoint::ChannelsInfo,
        Endpoint::ChannelInfo,
        Endpoint::UsersInfo,
        Endpoint::Get,
        Endpoint::Post,
        Endpoint::Delete,
    ];

    /// Returns the function's name without `pusher_`.
    pub const fn name(self) -> &'static str {
        match self {
            Endpoint::Trigger => "trigger",
            Endpoint::TriggerBatch => "trigger_batch",
            Endpoint::SendToUser => "send_to_user",
            Endpoint::TerminateUserConnections => "terminate_user_connections",
            Endpoint::ChannelsInfo => "channels_info",
            Endpoint::ChannelInfo => "channel_info",
            Endpoint::UsersInfo => "users_info",
            Endpoint::Get => "get",
            Endpoint::Post => "post",
            Endpoint::Delete => "delete",
        }
    }

    /// Returns the names of the function's string parameters, in the order of its signature.
    pub const fn parameters(self) -> &'static [&'static str] {
        match self {
            Endpoint::Trigger => &["channels", "event", "data", "options"],
            Endpoint::TriggerBatch => &["events", "options"],
            Endpoint::SendToUser => &["user_id", "event", "data", "options"],
            Endpoint::TerminateUserConnections => &["user_id", "options"],
            Endpoint::ChannelsInfo => &["prefix_filter", "attributes", "options"],
            Endpoint::ChannelInfo => &["channel", "attributes", "options"],
            Endpoint::UsersInfo => &["channel", "options"],
            Endpoint::Get | Endpoint::Delete => &["path", "params", "options"],
            Endpoint::Post => &["path", "params", "body", "options"],
        }
    }

    /// Returns the name of a string parameter, counted from 0.
    pub fn parameter(self, index: usize) -> &'static str {
        self.parameters().get(index).copied().unwrap_or("arguments")
    }

    /// Returns the name of the parameter that most of a large request comes from, or `""`.
    pub const fn largest_parameter(self) -> &'static str {
        match self {
            Endpoint::Trigger | Endpoint::SendToUser => "data",
            Endpoint::TriggerBatch => "events",
            Endpoint::Get | Endpoint::Delete => "params",
            Endpoint::Post => "body",
            Endpoint::TerminateUserConnections
            | Endpoint::ChannelsInfo
            | Endpoint::ChannelInfo
            | Endpoint::UsersInfo => "",
        }
    }

    /// Finds the call with this name.
    pub fn from_name(name: &str) -> Result<Endpoint, Error> {
        let find = |name: &str| Endpoint::ALL.into_iter().find(|endpoint| endpoint.name() == name);
        find(name).ok_or_else(|| {
            // Shortens a long name.
            let shown = shown(name);
            let message = match name.strip_prefix("pusher_").and_then(find) {
                Some(_) => format!("is {shown:?}: leave out the prefix pusher_"),
                None => {
                    let names = Endpoint::ALL.map(Endpoint::name).join(", ");
                    format!("is {shown:?}, which is not a network call; there are {names}")
                }
            };
            Error::argument("call", message)
        })
    }

    /// Returns whether the call delivers anything.
    pub const fn purpose(self) -> Purpose {
        match self {
            Endpoint::Trigger
            | Endpoint::TriggerBatch
            | Endpoint::SendToUser
            | Endpoint::TerminateUserConnections
            | Endpoint::Post
            | Endpoint::Delete => Purpose::Publish,
            Endpoint::ChannelsInfo | Endpoint::ChannelInfo | Endpoint::UsersInfo | Endpoint::Get => Purpose::Other,
        }
    }

    /// Returns whether the call publishes or changes something, so that its result is a delivery.
    pub fn publishes(self) -> bool {
        self.purpose() == Purpose::Publish
    }

    /// Returns whether a server has the call.
    const fn support(self, profile: &Profile) -> Support {
        match self {
            Endpoint::SendToUser => profile.send_to_user,
            Endpoint::TerminateUserConnections => profile.terminate_user_connections,
            Endpoint::ChannelsInfo | Endpoint::ChannelInfo | Endpoint::UsersInfo => profile.queries,
            // Any server may have any path, and `batch_route` decides on batches.
            Endpoint::Trigger | Endpoint::TriggerBatch | Endpoint::Get | Endpoint::Post | Endpoint::Delete => {
                Support::Yes
            }
        }
    }

    /// Checks the arguments, in the order of [`Endpoint::parameters`], and builds the requests. Arguments that are missing
    /// at the end count as NULL. Stops at the call's deadline.
    pub fn build(self, context: &RequestContext, values: &[Option<&str>], time: CallTime) -> Result<Plan, Error> {
        let parameters = self.parameters();
        if values.len() > parameters.len() {
            let message = format!("is {}, but {} has {} arguments", values.len(), self.name(), parameters.len());
            return Err(Error::argument("count", message));
        }
        context.supports(self.support(context.server.profile()))?;
        let arguments = Arguments { parameters, values, time };
        Ok(Plan::Request(match self {
            Endpoint::Trigger => return publish::trigger(context, arguments),
            Endpoint::SendToUser => return publish::send_to_user(context, arguments),
            Endpoint::TriggerBatch => publish::trigger_batch(context, arguments)?,
            Endpoint::TerminateUserConnections => publish::terminate_user_connections(arguments)?,
            Endpoint::ChannelsInfo => queries::channels_info(context, arguments)?,
            Endpoint::ChannelInfo => queries::channel_info(context, arguments)?,
            Endpoint::UsersInfo => queries::users_info(context, arguments)?,
            Endpoint::Get => queries::get(context, arguments)?,
            Endpoint::Post => queries::post(context, arguments)?,
            Endpoint::Delete => queries::delete(context, arguments)?,
        }))
    }
}
