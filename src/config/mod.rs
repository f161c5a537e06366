//! Reads the configuration of a client from JSON, a URL or the environment.
//!
//! Errors name the key and say what would be right. They never show a value, which may be a secret
//! in the wrong place.

mod address;
mod client;
mod draft;
mod environment;
mod profile;
mod proxy;
mod server;
#[cfg(test)]
mod tests;
pub mod values;

use crate::error::{Error, Problem};

use draft::{Draft, URL_FORM};
use environment::variable;

pub use client::{Config, RequestLimits};
pub use draft::KEYS;
pub use profile::{Profile, RefusedData, Support};
pub use server::{BatchRoute, Server};

impl Config {
    /// Reads a configuration from a JSON object or a URL, or for `None` from the environment.
    pub fn parse(text: Option<&str>) -> Result<Config, Error> {
        let mut draft = Draft::new();
        match text {
            None => draft.take_environment(&variable),
            Some(text) if text.trim_start().starts_with('{') => {
                draft.take_json(text).and_then(|()| draft.take_environment_of_server(&variable))
            }
            Some(text) if text.contains("://") => draft.take_url(text, "url"),
            Some(_) => Err(Problem::new("config", format!("must be a JSON object or a URL of the form {URL_FORM}"))),
        }
        .and_then(|()| draft.finish(&variable))
        .map_err(Problem::in_config)
    }
}
