//! The C ABI: pointers in, pointers out, and no logic. The header is generated from this folder.
//!
//! What a caller has to keep to is said once, in the documentation that C reads: a text is NULL or NUL-terminated and
//! lives until the call returns; a handle came from this library and is freed once; an `out` is NULL or may be written.

// The one place, beside the file for system calls, that may be unsafe.
#![allow(unsafe_code)]
// The documentation of an export goes into the header as it is, so the contract above stands here and not in each.
#![allow(clippy::missing_safety_doc)]

mod boundary;
mod client;
mod documents;
mod events;
mod hooks;
mod publisher;
mod request;
mod signatures;
mod state;
mod version;

pub use client::*;
pub use documents::*;
pub use events::*;
pub use hooks::*;
pub use publisher::*;
pub use request::*;
pub use signatures::*;
pub use state::*;
pub use version::*;
