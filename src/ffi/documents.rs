//! Reads error documents, so that callers need no JSON parser.

use std::ffi::c_char;

use super::boundary::{guarded, optional_text};
use crate::document;

/// Extracts from an error document what happened to the events of the call.
///
/// It never believes a result, whatever the server wrote: no result begins like an error document.
///
/// @param document  the error document as the call wrote it to `out`, or NULL.
/// @return a ::PusherDelivery; 0 if the document has no `delivery` (a query, a result, NULL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_error_delivery(document: *const c_char) -> i32 {
    // SAFETY: as the caller of this function promises.
    let document = unsafe { optional_text(document, "document") };
    guarded(0, || document.ok().flatten().and_then(document::delivery_in).map_or(0, |delivery| delivery as i32))
}

/// Extracts the human-readable message from an error document, like snprintf().
///
/// @param document  the error document as the call wrote it to `out`, or NULL.
/// @param buffer    receives the message, truncated to fit (never inside a UTF-8 character) and
///                  always NUL-terminated; may be NULL if `size` is 0.
/// @param size      size of `buffer` in bytes.
/// @return the length of the whole message in bytes, without the NUL: the message was truncated
///         if this is not less than `size`. 0 if there is no message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_error_message(document: *const c_char, buffer: *mut c_char, size: usize) -> usize {
    // SAFETY: as the caller of this function promises.
    let document = unsafe { optional_text(document, "document") };
    let message = guarded(String::new(), || document.ok().flatten().and_then(document::message_in).unwrap_or_default());
    if let (false, Some(room)) = (buffer.is_null(), size.checked_sub(1)) {
        let cut = (0..=room.min(message.len())).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        // SAFETY: `buffer` has `size` bytes, and `cut` is less than that.
        unsafe {
            buffer.copy_from_nonoverlapping(message.as_ptr().cast(), cut);
            buffer.add(cut).write(0);
        }
    }
    message.len()
}
