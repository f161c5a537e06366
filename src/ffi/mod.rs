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

/// Makes the calling thread panic at its `number`-th failpoint from here on, or at none if that is 0. Returns 1 if the last one that was
/// asked for is still to come. Not part of the ABI: only builds for tests have it.
#[cfg(pusher_failpoints)]
#[unsafe(no_mangle)]
extern "C" fn pusher_failpoint_arm(number: u32) -> i32 {
    i32::from(crate::failpoint::arm(number))
}

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
