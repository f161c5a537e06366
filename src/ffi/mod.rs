//! The C ABI: pointers in, pointers out, and no logic. The header is generated from this folder.
//!
//! What a caller has to keep to is said once, in the documentation that C reads: a text is NULL or NUL-terminated and
//! lives until the call returns; a handle came from this library and is freed once; an `out` is NULL or may be written.

// The one place, beside the file for system calls, that may be unsafe.
#![allow(unsafe_code)]
// The documentation of an export goes into the header as it is, so the contract above stands here and not in each.
#![allow(clippy::missing_safety_doc)]

mod boundary;
mod calls;
mod client;
mod documents;
mod hooks;
mod prepare;
mod publisher;
mod request;
mod response;
mod signatures;
mod version;

pub use calls::*;
pub use client::*;
pub use documents::*;
pub use hooks::*;
pub use prepare::*;
pub use publisher::*;
pub use request::*;
pub use response::*;
pub use signatures::*;
pub use version::*;
