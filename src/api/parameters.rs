//! The query parameters that callers give.

use std::borrow::Cow;

use crate::bytes::{copied_text, owned_text, push};
use crate::error::Problem;
use crate::json::{Json, shown};

/// Names and values, not encoded.
pub(super) type Parameters = Vec<(Cow<'static, str>, String)>;

/// The beginnings of the names that belong to the signature.
const SIGNED: [&str; 2] = ["auth_", "body_md5"];

/// Reads the argument `params`.
pub(super) fn optional(text: Option<&str>) -> Result<Parameters, Problem> {
    text.map_or_else(|| Ok(Parameters::new()), |text| parse(text, "params"))
}

/// Reads an object of strings, integers and booleans. A member that is null counts as not given.
pub(super) fn parse(text: &str, argument: &str) -> Result<Parameters, Problem> {
    let mut parameters = Parameters::new();
    for (key, value) in Json::parse(text, argument)?.members(argument)? {
        if let Some(parameter) = parameter(key, value).map_err(|problem| problem.within(argument))? {
            push(&mut parameters, parameter)?;
        }
    }
    Ok(parameters)
}

/// Reads a member. `None` if it is null.
fn parameter(key: Cow<'_, str>, value: Json<'_>) -> Result<Option<(Cow<'static, str>, String)>, Problem> {
    let wrong = |message: &str| Problem::new(shown(&key), message);
    if key.is_empty() || !key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return Err(wrong("must have a name of a-z 0-9 _"));
    }
    if SIGNED.iter().any(|signed| key.starts_with(signed)) {
        return Err(wrong("belongs to the signature, which the library adds"));
    }
    if value.is_null() {
        return Ok(None);
    }
    let value = if value.is_string() {
        owned_text(value.string(shown(&key))?)?
    } else if value.boolean().is_some() || value.is_integer() {
        copied_text(value.text())?
    } else {
        return Err(wrong("must be a string, an integer or a boolean"));
    };
    if value.contains(char::is_control) {
        return Err(wrong("has a control character"));
    }
    Ok(Some((owned_text(key)?.into(), value)))
}
