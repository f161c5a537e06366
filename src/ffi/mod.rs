//! The C ABI: pointers in, pointers out, and no logic. The header is generated from this folder.
//!
//! Every function has the same safety contract: a string is NULL or NUL-terminated, and lives until
//! the call returns; a handle came from this library and is freed once; an `out` is NULL or
//! writable.

// The boundary dereferences what C passes.
#![allow(unsafe_code)]
// The header gets an export's documentation as it is, so the contract is above and not in each.
#![allow(clippy::missing_safety_doc)]
// For the same reason it is written for Doxygen, which has other links than rustdoc.
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links)]

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
