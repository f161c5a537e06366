//! Each call of the HTTP API: arguments to a request, and what came of it to a result. No I/O, no clock, no request keys.
//!
//! Source: Channels HTTP API reference; what two self-hosted servers do beyond it is said where it matters.

mod body;
mod event;
mod interpret;
mod options;
mod publish;
mod queries;

use std::borrow::Cow;
use std::time::Duration;

use crate::config::Limits;
use crate::encryption::MasterKey;
use crate::error::{Error, Purpose};
use crate::http::Method;

pub use event::{Event, PublishOptions, answers, request};
pub use interpret::interpret;

/// A call, ready to be signed and sent.
#[derive(Debug)]
pub struct Call {
    /// POST or GET.
    pub method: Method,
    /// The path below `/apps/{app_id}`, of characters that need no encoding.
    pub path: Cow<'static, str>,
    /// The query's own parameters, raw. Their names are lower case, and none begins with `auth_`.
    pub parameters: Vec<(Cow<'static, str>, String)>,
    /// The body, serialized once: what is hashed is what is sent.
    pub body: Option<Vec<u8>>,
    /// What it brings about.
    pub effect: Effect,
    /// How long it may take in all, where the caller said so.
    pub timeout: Option<Duration>,
}

/// What a call may bring about, which decides what a refusal means for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it only asks, and may be asked again.
    Nothing,
    /// One thing that is done or not: an event for one channel.
    One,
    /// Several things that a server may do in part: servers apply them in order and stop at the one they refuse.
    Several,
}

/// What a client's configuration has to say about its calls.
#[derive(Debug)]
pub struct RequestContext {
    /// How large things may be.
    pub limits: Limits,
    /// The key of end-to-end encrypted channels.
    pub master_key: Option<MasterKey>,
}

/// The calls, each that of the function with its name.
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
}

impl Endpoint {
    const ALL: [Endpoint; 9] = [
        Endpoint::Trigger,
        Endpoint::TriggerBatch,
        Endpoint::SendToUser,
        Endpoint::TerminateUserConnections,
        Endpoint::ChannelsInfo,
        Endpoint::ChannelInfo,
        Endpoint::UsersInfo,
        Endpoint::Get,
        Endpoint::Post,
    ];

    /// The function's name without `pusher_`.
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
        }
    }

    /// The call with this name.
    pub fn from_name(name: &str) -> Option<Endpoint> {
        Endpoint::ALL.into_iter().find(|endpoint| endpoint.name() == name)
    }

    /// Whether it delivers anything.
    pub const fn purpose(self) -> Purpose {
        match self {
            Endpoint::Trigger
            | Endpoint::TriggerBatch
            | Endpoint::SendToUser
            | Endpoint::TerminateUserConnections
            | Endpoint::Post => Purpose::Publish,
            Endpoint::ChannelsInfo | Endpoint::ChannelInfo | Endpoint::UsersInfo | Endpoint::Get => Purpose::Other,
        }
    }

    /// Makes the call of its function's texts, in their order; those missing at the end are omitted.
    pub fn build(self, context: &RequestContext, arguments: &[Option<&str>]) -> Result<Call, Error> {
        type Build = fn(&RequestContext, Arguments<'_>) -> Result<Call, Error>;
        let (most, build): (usize, Build) = match self {
            Endpoint::Trigger => (4, publish::trigger),
            Endpoint::TriggerBatch => (2, publish::trigger_batch),
            Endpoint::SendToUser => (4, publish::send_to_user),
            Endpoint::TerminateUserConnections => (2, publish::terminate_user_connections),
            Endpoint::ChannelsInfo => (3, queries::channels_info),
            Endpoint::ChannelInfo => (3, queries::channel_info),
            Endpoint::UsersInfo => (2, queries::users_info),
            Endpoint::Get => (3, queries::get),
            Endpoint::Post => (4, queries::post),
        };
        if arguments.len() > most {
            let message = format!("is {}, but {} has {most} arguments", arguments.len(), self.name());
            return Err(Error::argument("count", message));
        }
        build(context, Arguments(arguments))
    }
}

/// The arguments of a call in their order; those missing at the end are omitted.
#[derive(Clone, Copy)]
struct Arguments<'a>(&'a [Option<&'a str>]);

impl<'a> Arguments<'a> {
    /// An argument that may be omitted.
    fn optional(self, index: usize) -> Option<&'a str> {
        self.0.get(index).copied().flatten()
    }

    /// An argument that may not.
    fn required(self, index: usize, name: &str) -> Result<&'a str, Error> {
        self.optional(index).ok_or_else(|| Error::argument(name, "must not be NULL"))
    }
}
