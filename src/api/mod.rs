//! Each call of the HTTP API: arguments to a request, and what came of it to a result. No I/O, no clock, no request keys.
//!
//! Source: Channels HTTP API reference; what two self-hosted servers do beyond it is said where it matters.

mod answer;
mod body;
mod events;
mod options;
mod state;

use std::borrow::Cow;
use std::time::Duration;

use crate::config::Limits;
use crate::encryption::MasterKey;
use crate::error::Error;
use crate::http::Method;

pub use answer::outcome;

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
pub struct Context {
    /// How large things may be.
    pub limits: Limits,
    /// The key of end-to-end encrypted channels.
    pub master_key: Option<MasterKey>,
}

/// How a call is made of its arguments: texts that may be omitted, as many as it has.
type Build = fn(&Context, Arguments<'_>) -> Result<Call, Error>;

/// The calls by the names of their functions, without `pusher_`, each with its number of arguments.
const CALLS: [(&str, usize, Build); 9] = [
    ("trigger", 4, events::trigger),
    ("trigger_batch", 2, events::trigger_batch),
    ("send_to_user", 4, events::send_to_user),
    ("terminate_user_connections", 2, events::terminate_user_connections),
    ("channels_info", 3, state::channels_info),
    ("channel_info", 3, state::channel_info),
    ("users_info", 2, state::users_info),
    ("get", 3, state::get),
    ("post", 4, state::post),
];

/// Makes the call with this name.
pub fn build(context: &Context, name: &str, arguments: &[Option<&str>]) -> Result<Call, Error> {
    let Some((_, count, build)) = CALLS.iter().find(|(call, ..)| *call == name) else {
        let names: Vec<&str> = CALLS.iter().map(|(call, ..)| *call).collect();
        return Err(Error::argument("call", format!("is no call; there are {}", names.join(", "))));
    };
    if arguments.len() > *count {
        return Err(Error::argument("count", format!("is {}, but {name} has {count} arguments", arguments.len())));
    }
    build(context, Arguments(arguments))
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
