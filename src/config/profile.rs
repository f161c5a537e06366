//! What each server takes and lacks: the defaults that `server` sets, and the calls that it refuses.
//!
//! docs/servers.md says the same in words, with a test for each fact.

use super::client::RequestLimits;
use super::server::{BatchRoute, Server};
use crate::idempotency::Idempotency;
use crate::validation::ChannelNames;

/// What differs between servers. A key that the configuration has itself wins over a default here.
#[derive(Debug)]
pub struct Profile {
    /// The host of a client that sets none.
    pub host: DefaultHost,
    /// The rule for the names of channels.
    pub channel_names: ChannelNames,
    /// The limits of the server's own default configuration.
    pub limits: RequestLimits,
    /// Whether the server signs the path prefix, too.
    pub sign_path_prefix: bool,
    /// Whether the server has the route for batches.
    pub batch_route: BatchRoute,
    /// Which requests that publish have an idempotency key.
    pub idempotency: Idempotency,
    /// Whether the server checks a whole batch before it publishes any event of it.
    pub batch_is_atomic: bool,
    /// Whether the server writes `time_ms` of webhooks as a string.
    pub webhook_time_is_string: bool,
    /// The strings that the server refuses as `data`.
    pub refused_data: RefusedData,
    /// Whether a private channel may have `channel_data`.
    pub private_channel_data: Support,
    /// pusher_send_to_user(), and events of a publisher for a user.
    pub send_to_user: Support,
    /// pusher_terminate_user_connections()
    pub terminate_user_connections: Support,
    /// pusher_channels_info(), pusher_channel_info() and pusher_users_info()
    pub queries: Support,
}

/// The host of a client that sets neither a host nor a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultHost {
    /// That of Pusher's default cluster.
    Cluster,
    /// This host.
    Named(&'static str),
    /// None: the address is a required part of the configuration.
    Required,
}

/// The strings that a server refuses as the `data` of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedData {
    /// No string.
    None,
    /// The empty string.
    Empty,
    /// The empty string, and white space.
    Blank,
}

/// Whether a server has a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does.
    Yes,
    /// It does not. The reason continues the server's name, and then says what to do.
    No(&'static str),
}

const NO_USERS: Support =
    Support::No("knows no signed-in users; trigger the event on a private channel of the user instead");

const NO_TERMINATION: Support =
    Support::No("cannot close the connections of a user; refuse the user in your authorization endpoint instead");

/// Pusher Channels. The other servers follow it except where their profile says otherwise.
const PUSHER: Profile = Profile {
    host: DefaultHost::Cluster,
    channel_names: ChannelNames::PLAIN,
    limits: RequestLimits {
        data_bytes: 10_240,
        channels: 100,
        batch_events: 10,
        request_bytes: None,
        response_bytes: 16 << 20,
    },
    sign_path_prefix: true,
    batch_route: BatchRoute::Present,
    idempotency: Idempotency::Off,
    batch_is_atomic: false,
    webhook_time_is_string: false,
    refused_data: RefusedData::None,
    private_channel_data: Support::Yes,
    send_to_user: Support::Yes,
    terminate_user_connections: Support::Yes,
    queries: Support::Yes,
};

/// A server that its user hosts: the configuration has its address.
const SELF_HOSTED: Profile = Profile { host: DefaultHost::Required, ..PUSHER };

const SOCKUDO: Profile = Profile {
    channel_names: ChannelNames::WITH_COLON_AND_HASH,
    // It ignores keys while they are switched off.
    idempotency: Idempotency::Auto,
    ..SELF_HOSTED
};

const SOKETI: Profile = Profile {
    limits: RequestLimits { data_bytes: 100 << 10, ..PUSHER.limits },
    batch_is_atomic: true,
    refused_data: RefusedData::Empty,
    private_channel_data: Support::No(
        "verifies the signature of a private channel without channel_data, and refuses the subscription with 401: leave \
         it out",
    ),
    ..SELF_HOSTED
};

const REVERB: Profile = Profile {
    limits: RequestLimits { request_bytes: Some(10_000), ..PUSHER.limits },
    sign_path_prefix: false,
    batch_is_atomic: true,
    refused_data: RefusedData::Blank,
    send_to_user: Support::No(
        "answers 200 to an event for a user and delivers it to nobody; trigger the event on a private channel of the \
         user instead",
    ),
    ..SELF_HOSTED
};

const LARAVEL_WEBSOCKETS: Profile = Profile {
    batch_route: BatchRoute::Missing,
    send_to_user: NO_USERS,
    terminate_user_connections: NO_TERMINATION,
    ..SELF_HOSTED
};

const POXA: Profile = Profile {
    limits: RequestLimits { data_bytes: 10_000, ..PUSHER.limits },
    batch_route: BatchRoute::Missing,
    send_to_user: NO_USERS,
    terminate_user_connections: NO_TERMINATION,
    ..SELF_HOSTED
};

const SLANGER: Profile = Profile {
    webhook_time_is_string: true,
    batch_route: BatchRoute::Missing,
    send_to_user: NO_USERS,
    terminate_user_connections: NO_TERMINATION,
    queries: Support::No("has no queries: its HTTP API only publishes events"),
    ..SELF_HOSTED
};

const ABLY: Profile = Profile {
    host: DefaultHost::Named("rest-pusher.ably.io"),
    // Its documentation lists no batches.
    batch_route: BatchRoute::Auto,
    send_to_user: NO_USERS,
    terminate_user_connections: NO_TERMINATION,
    ..PUSHER
};

impl Server {
    /// Returns the server's profile.
    pub const fn profile(self) -> &'static Profile {
        match self {
            Server::Pusher => &PUSHER,
            Server::Sockudo => &SOCKUDO,
            Server::Soketi => &SOKETI,
            Server::Reverb => &REVERB,
            Server::LaravelWebsockets => &LARAVEL_WEBSOCKETS,
            Server::Poxa => &POXA,
            Server::Slanger => &SLANGER,
            Server::Ably => &ABLY,
        }
    }
}
