//! The servers that speak the HTTP API, and what differs between them.

use strum::{EnumString, IntoStaticStr, VariantNames};

/// The server that a client sends to: the value of `server`.
///
/// It sets defaults. A key that the configuration has itself wins over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
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

impl Server {
    /// Returns the value of `server`.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Whether a server has the route for batches: the value of `batch_route`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchRoute {
    /// It does.
    Present,
    /// It does not.
    Missing,
    /// Not known. If a batch is answered with 404 or 405, it does not, or the application is wrong.
    Auto,
}
