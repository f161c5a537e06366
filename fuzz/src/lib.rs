//! What the fuzz targets do with their bytes: they call the C functions, as a C program would, and check the outcome
//! by other means. The tests' own wrappers check each outcome for what must always be true: a known status, a
//! well-formed error document without a secret, no INTERNAL.

#[path = "../../tests/support/mod.rs"]
pub mod support;

mod events;
mod network;
mod sequences;
mod settings;
mod signatures;

pub use events::{batch, channels, data, prepare_and_finish};
pub use network::{response, retry_after, tunnel};
pub use sequences::sequences;
pub use settings::{configuration, proxy, publisher, restored, url};
pub use signatures::{channel_data, encrypted, user_data, webhook};

use std::ffi::c_void;
use std::ptr;

use pusher::ffi;
use support::{Client, config};

/// Returns the bytes up to each NUL: C strings have none.
fn texts<const N: usize>(bytes: &[u8]) -> [&[u8]; N] {
    let mut parts = bytes.split(|byte| *byte == 0);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Returns the bytes up to the first NUL.
fn text(bytes: &[u8]) -> &[u8] {
    let [text] = texts(bytes);
    text
}

/// A client whose calls fail at once: nothing listens on port 1.
fn client(more: serde_json::Value) -> Client {
    Client::new(&config(1, more))
}

/// How the transport of [`answering`] answers, in turn.
const ANSWERS: [(i32, &[u8]); 6] =
    [(200, b"{}"), (400, b"no"), (429, b""), (500, b"{\"error\":1}"), (200, b"[1"), (302, b"")];

/// A client whose requests are answered without a network, by one of [`ANSWERS`].
fn answering(index: usize) -> Client {
    /// The user data is an index, so that nothing has to be freed.
    unsafe extern "C" fn answer(index: *mut c_void, _: *const ffi::PusherRequest, response: *mut ffi::PusherResponse) {
        let (status, body) = ANSWERS[index.addr() % ANSWERS.len()];
        // SAFETY: the response lives for this call, and the body for ever.
        unsafe { ffi::pusher_response_set(response, status, body.as_ptr(), body.len()) };
    }
    let client = client(serde_json::json!({}));
    let data = ptr::without_provenance_mut(index);
    // SAFETY: the client lives, and the data is never read.
    unsafe { ffi::pusher_set_transport(client.0.as_ptr().cast(), Some(answer), data, None, ptr::null_mut()) };
    client
}

/// Whether the input has a secret of the tests: then documents may repeat it.
fn knows_a_secret(bytes: &[u8]) -> bool {
    support::calls::leak(&String::from_utf8_lossy(bytes)).is_some()
}
