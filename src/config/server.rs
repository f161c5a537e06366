//! The servers that speak the HTTP API, and what differs between them.

use strum::{EnumString, VariantNames};

/// The server that a client sends to: the value of `server`.
///
/// It sets defaults. A key that the configuration has itself wins over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Server {
    /// Pusher Channels.
    #[default]
    Pusher,
    /// sockudo.
    Sockudo,
    /// soketi.
    Soketi,
    /// Laravel Reverb.
    Reverb,
    /// beyondcode/laravel-websockets.
    LaravelWebsockets,
    /// Poxa.
    Poxa,
    /// Slanger.
    Slanger,
    /// The Pusher protocol adapter of Ably.
    Ably,
}
