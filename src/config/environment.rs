//! The environment, which tests replace.

use std::env;

use crate::error::Problem;

/// Looks up a variable. Returns `None` if it is not set or is empty.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Result<Option<String>, Problem>;

/// Looks up a variable of the process's environment.
pub(super) fn variable(name: &str) -> Result<Option<String>, Problem> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Problem::new(name, "is not UTF-8")),
    }
}
