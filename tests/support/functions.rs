//! Every function that takes strings, and the form of each: one table for the tests that cover all functions.

use std::ffi::{CString, c_char, c_void};
use std::ptr;

use pusher::ffi;

use super::calls::{self, Client, Outcome};

/// The form of a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One channel name, or a JSON array of them.
    Channels,
    /// A channel name.
    Channel,
    /// A prefix of a channel name.
    Prefix,
    /// An event name.
    Event,
    /// A user id.
    UserId,
    /// A socket id.
    SocketId,
    /// Any JSON.
    Json,
    /// A JSON array of events.
    Events,
    /// Options of an event.
    EventOptions,
    /// Options of another call.
    Options,
    /// A comma list.
    Attributes,
    /// A path below that of the application.
    Path,
    /// A JSON object of parameters.
    Params,
    /// The data of a member of a presence channel.
    ChannelData,
    /// The data of a user.
    UserData,
    /// A JSON array of channels, each with or without data.
    Subscriptions,
}

/// One string argument of a function.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// Its name in the header, and in errors.
    pub name: &'static str,
    /// Its form.
    pub form: Form,
    /// Whether NULL is refused.
    pub required: bool,
    /// A valid value.
    pub good: &'static str,
}

/// The purpose of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It publishes: its errors have a delivery.
    Publish,
    /// It queries the server.
    Ask,
    /// It signs, without the network.
    Sign,
}

/// One function.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its name without `pusher_`.
    pub name: &'static str,
    /// What it does.
    pub purpose: Purpose,
    /// Its string arguments.
    pub arguments: &'static [Argument],
}

const fn required(name: &'static str, form: Form, good: &'static str) -> Argument {
    Argument { name, form, required: true, good }
}

const fn optional(name: &'static str, form: Form, good: &'static str) -> Argument {
    Argument { name, form, required: false, good }
}

const OPTIONS: Argument = optional("options", Form::Options, r#"{"timeout_ms":5000}"#);
const EVENT_OPTIONS: Argument = optional("options", Form::EventOptions, r#"{"socket_id":"1.2","info":"user_count"}"#);
const ATTRIBUTES: Argument = optional("attributes", Form::Attributes, "user_count,subscription_count");
const EVENT: Argument = required("event", Form::Event, "my-event");
const DATA: Argument = required("data", Form::Json, r#"{"a":1}"#);

/// All functions except that of webhooks, whose body is not a string.
pub const FUNCTIONS: [Function; 13] = [
    Function {
        name: "trigger",
        purpose: Purpose::Publish,
        arguments: &[required("channels", Form::Channels, "my-channel"), EVENT, DATA, EVENT_OPTIONS],
    },
    Function {
        name: "trigger_batch",
        purpose: Purpose::Publish,
        arguments: &[required("events", Form::Events, r#"[{"channel":"c","name":"e","data":{"a":1}}]"#), OPTIONS],
    },
    Function {
        name: "send_to_user",
        purpose: Purpose::Publish,
        arguments: &[required("user_id", Form::UserId, "user-7"), EVENT, DATA, EVENT_OPTIONS],
    },
    Function {
        name: "terminate_user_connections",
        purpose: Purpose::Publish,
        arguments: &[required("user_id", Form::UserId, "user-7"), OPTIONS],
    },
    Function {
        name: "channels_info",
        purpose: Purpose::Ask,
        arguments: &[optional("prefix_filter", Form::Prefix, "presence-"), ATTRIBUTES, OPTIONS],
    },
    Function {
        name: "channel_info",
        purpose: Purpose::Ask,
        arguments: &[required("channel", Form::Channel, "presence-c"), ATTRIBUTES, OPTIONS],
    },
    Function {
        name: "users_info",
        purpose: Purpose::Ask,
        arguments: &[required("channel", Form::Channel, "presence-c"), OPTIONS],
    },
    Function {
        name: "get",
        purpose: Purpose::Ask,
        arguments: &[
            required("path", Form::Path, "/channels"),
            optional("params", Form::Params, r#"{"info":"user_count","n":1,"b":true}"#),
            OPTIONS,
        ],
    },
    Function {
        name: "post",
        purpose: Purpose::Publish,
        arguments: &[
            required("path", Form::Path, "/events"),
            optional("params", Form::Params, r#"{"x":"y z"}"#),
            optional("body", Form::Json, r#"{"b":[]}"#),
            OPTIONS,
        ],
    },
    Function {
        name: "delete",
        purpose: Purpose::Publish,
        arguments: &[
            required("path", Form::Path, "/channels"),
            optional("params", Form::Params, r#"{"x":"y z"}"#),
            OPTIONS,
        ],
    },
    Function {
        name: "authenticate",
        purpose: Purpose::Sign,
        arguments: &[
            required("channel", Form::Channel, "presence-c"),
            required("socket_id", Form::SocketId, "1234.5678"),
            // Required, because the channel is a presence channel.
            required("channel_data", Form::ChannelData, r#"{"user_id":"7"}"#),
        ],
    },
    Function {
        name: "authenticate_channels",
        purpose: Purpose::Sign,
        arguments: &[
            required("socket_id", Form::SocketId, "1234.5678"),
            required(
                "channels",
                Form::Subscriptions,
                r#"["private-c",{"channel":"presence-c","channel_data":{"user_id":"7"}}]"#,
            ),
        ],
    },
    Function {
        name: "authenticate_user",
        purpose: Purpose::Sign,
        arguments: &[
            required("socket_id", Form::SocketId, "1234.5678"),
            required("user_data", Form::UserData, r#"{"id":"7"}"#),
        ],
    },
];

impl Function {
    /// The function with this name.
    #[track_caller]
    pub fn named(name: &str) -> Function {
        FUNCTIONS.into_iter().find(|function| function.name == name).unwrap_or_else(|| panic!("no function {name}"))
    }

    /// Returns the functions that make a network call.
    pub fn network() -> impl Iterator<Item = Function> {
        FUNCTIONS.into_iter().filter(|function| function.purpose != Purpose::Sign)
    }

    /// Returns valid arguments.
    pub fn good(&self) -> Vec<Option<&'static [u8]>> {
        self.arguments.iter().map(|argument| Some(argument.good.as_bytes())).collect()
    }

    /// Returns valid arguments, without the optional ones.
    pub fn shortest(&self) -> Vec<Option<&'static [u8]>> {
        self.arguments.iter().map(|argument| argument.required.then_some(argument.good.as_bytes())).collect()
    }

    /// Good texts but for one.
    pub fn with<'a>(&self, index: usize, text: Option<&'a [u8]>) -> Vec<Option<&'a [u8]>> {
        let mut texts: Vec<Option<&[u8]>> = self.good();
        texts[index] = text;
        texts
    }

    /// The delivery of an error that comes before anything is sent.
    pub fn delivery_unsent(&self) -> &'static str {
        if self.purpose == Purpose::Publish { "not_sent" } else { "" }
    }

    /// Calls it; without a client, on NULL.
    #[track_caller]
    pub fn call(&self, client: Option<&Client>, texts: &[Option<&[u8]>]) -> Outcome {
        calls::call(|out| self.raw(client, texts, out))
    }

    /// Calls it with `out` NULL.
    pub fn call_without_out(&self, client: Option<&Client>, texts: &[Option<&[u8]>]) -> i32 {
        self.raw(client, texts, ptr::null_mut())
    }

    fn raw(&self, client: Option<&Client>, texts: &[Option<&[u8]>], out: *mut *mut c_char) -> i32 {
        assert_eq!(texts.len(), self.arguments.len(), "{}", self.name);
        let texts: Vec<Option<CString>> = texts.iter().map(|text| text.map(calls::c_string)).collect();
        let client = client.map_or(ptr::null_mut(), |client| client.0.as_ptr());
        // SAFETY: every pointer is NULL or good for the call.
        unsafe { call_raw(self.name, client, |index| calls::pointer(texts[index].as_deref()), out) }
    }
}

/// Calls the function with this name. `at` gives the text at each index.
///
/// # Safety
/// Every pointer is NULL or good for the call.
pub unsafe fn call_raw(
    name: &str,
    client: *mut c_void,
    at: impl Fn(usize) -> *const c_char,
    out: *mut *mut c_char,
) -> i32 {
    let client = client.cast_const().cast();
    // SAFETY: as the caller promises.
    let status = unsafe {
        match name {
            "trigger" => ffi::pusher_trigger(client, at(0), at(1), at(2), at(3), out),
            "trigger_batch" => ffi::pusher_trigger_batch(client, at(0), at(1), out),
            "send_to_user" => ffi::pusher_send_to_user(client, at(0), at(1), at(2), at(3), out),
            "terminate_user_connections" => ffi::pusher_terminate_user_connections(client, at(0), at(1), out),
            "channels_info" => ffi::pusher_channels_info(client, at(0), at(1), at(2), out),
            "channel_info" => ffi::pusher_channel_info(client, at(0), at(1), at(2), out),
            "users_info" => ffi::pusher_users_info(client, at(0), at(1), out),
            "get" => ffi::pusher_get(client, at(0), at(1), at(2), out),
            "post" => ffi::pusher_post(client, at(0), at(1), at(2), at(3), out),
            "delete" => ffi::pusher_delete(client, at(0), at(1), at(2), out),
            "authenticate" => ffi::pusher_authenticate(client, at(0), at(1), at(2), out),
            "authenticate_channels" => ffi::pusher_authenticate_channels(client, at(0), at(1), out),
            "authenticate_user" => ffi::pusher_authenticate_user(client, at(0), at(1), out),
            other => panic!("{other} can't be called"),
        }
    };
    status as i32
}

impl Client {
    /// Calls the function with this name; what is missing at the end is NULL.
    #[track_caller]
    pub fn call(&self, name: &str, texts: &[Option<&str>]) -> Outcome {
        let function = Function::named(name);
        let mut bytes: Vec<Option<&[u8]>> = texts.iter().map(|text| text.map(str::as_bytes)).collect();
        bytes.resize(function.arguments.len(), None);
        function.call(Some(self), &bytes)
    }

    /// Calls the function with this name, with texts only.
    #[track_caller]
    pub fn call_with(&self, name: &str, texts: &[&str]) -> Outcome {
        self.call(name, &texts.iter().map(|text| Some(*text)).collect::<Vec<_>>())
    }

    /// Calls `pusher_validate_webhook`.
    #[track_caller]
    pub fn webhook(&self, key: Option<&[u8]>, signature: Option<&[u8]>, body: &[u8]) -> Outcome {
        webhook(Some(self), key, signature, body.as_ptr(), body.len())
    }
}

/// Calls `pusher_validate_webhook` with whatever comes; without a client, on NULL.
#[track_caller]
pub fn webhook(
    client: Option<&Client>,
    key: Option<&[u8]>,
    signature: Option<&[u8]>,
    body: *const u8,
    body_len: usize,
) -> Outcome {
    let client = client.map_or(ptr::null_mut(), |client| client.0.as_ptr());
    let [key, signature] = [key, signature].map(|text| text.map(calls::c_string));
    calls::call(|out| {
        let (key, signature) = (calls::pointer(key.as_deref()), calls::pointer(signature.as_deref()));
        // SAFETY: every pointer is NULL or good for the call; a length that is not that of `body` is found before it is read.
        unsafe { ffi::pusher_validate_webhook(client.cast(), key, signature, body, body_len, out) as i32 }
    })
}
