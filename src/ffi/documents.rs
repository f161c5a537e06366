//! Reads error documents and writes JSON strings, so that callers need no JSON library.

use std::ffi::{CStr, c_char};
use std::str;

use super::boundary::{array, boundary, guarded, not_utf8};
use crate::document;
use crate::error::Purpose;
use crate::status::Status;

/// Reads a document without allocating: memory may have run out. Returns `otherwise` for NULL, for a string that is not UTF-8 and
/// if `read` finds nothing.
///
/// # Safety
/// `document` is NULL or a NUL-terminated string that outlives the call.
unsafe fn read<'a, T>(document: *const c_char, otherwise: T, read: impl FnOnce(&'a str) -> Option<T>) -> T {
    guarded(None, || {
        // SAFETY: it is not NULL, and the caller vouches for the rest.
        let document = (!document.is_null()).then(|| unsafe { CStr::from_ptr(document) })?;
        read(document.to_str().ok()?)
    })
    .unwrap_or(otherwise)
}

/// Copies a string of an error document to a buffer like snprintf().
///
/// # Safety
/// As for [`read`]; `buffer` is NULL or has `size` bytes.
unsafe fn copy(document: *const c_char, name: &str, buffer: *mut c_char, size: usize) -> usize {
    let room = if buffer.is_null() { 0 } else { size };
    let (mut length, mut end) = (0, 0);
    // SAFETY: as the caller promises.
    let all = unsafe { read(document, None, |document| document::text_in(document, name).map(Some)) };
    for character in all.into_iter().flatten() {
        let mut utf8 = [0; 4];
        let utf8 = character.encode_utf8(&mut utf8);
        let fits = end == length && length + utf8.len() < room;
        length += utf8.len();
        if fits {
            // SAFETY: `buffer` has `room` bytes, and the character ends before the last one.
            unsafe { buffer.add(end).copy_from_nonoverlapping(utf8.as_ptr().cast(), utf8.len()) };
            end = length;
        }
    }
    if room > 0 {
        // SAFETY: `end` is less than `room`.
        unsafe { buffer.add(end).write(0) };
    }
    length
}

/// Extracts from an error document what happened to the events of the call.
///
/// It never believes a result, whatever the server wrote: no result begins like an error document.
/// The same holds for all functions that read error documents. None of them allocates memory.
///
/// @param document  the error document as the call wrote it to `out`, or NULL.
/// @return a ::PusherDelivery; 0 if the document has no `delivery` (a query, a result, NULL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_error_delivery(document: *const c_char) -> i32 {
    // SAFETY: as the caller of this function promises.
    unsafe { read(document, 0, |document| document::delivery_in(document).map(|delivery| delivery as i32)) }
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
    unsafe { copy(document, "message", buffer, size) }
}

/// Extracts from an error document the status that the call returned.
///
/// @param document  the error document as the call wrote it to `out`, or NULL.
/// @return a ::PusherStatus; 0 if this is no error document (a result, NULL), or if a newer
///         library wrote it with a status that this one does not know.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_error_status(document: *const c_char) -> i32 {
    // SAFETY: as the caller of this function promises.
    unsafe { read(document, 0, |document| document::status_in(document).map(|status| status as i32)) }
}

/// Extracts from an error document whether the same call may succeed later, and cannot do anything
/// twice.
///
/// @param document  the error document as the call wrote it to `out`, or NULL.
/// @return 1 or 0; 0 if the document has no `retryable` (nothing was tried, a result, NULL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_error_retryable(document: *const c_char) -> i32 {
    // SAFETY: as the caller of this function promises.
    unsafe { read(document, 0, |document| Some(i32::from(document::is_retryable_in(document)))) }
}

/// Extracts from an error document the HTTP status of the server's response.
///
/// @param document  the error document as the call wrote it to `out`, or NULL.
/// @return the status, such as 429; 0 if no status line arrived, or if this is no error document.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_error_http_status(document: *const c_char) -> i32 {
    let status = |document| document::integer_in(document, "http_status")?.try_into().ok();
    // SAFETY: as the caller of this function promises.
    unsafe { read(document, 0, status) }
}

/// Extracts from an error document how long the server asked to wait before the next call.
///
/// @param document  the error document as the call wrote it to `out`, or NULL.
/// @return the time in milliseconds, at most one day; -1 if the server sent no `Retry-After`, or
///         if this is no error document.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_error_retry_after_ms(document: *const c_char) -> i64 {
    let wait = |document| document::integer_in(document, "retry_after_ms")?.try_into().ok();
    // SAFETY: as the caller of this function promises.
    unsafe { read(document, -1, wait) }
}

/// Extracts the cause of a failure of the network or of the response, like snprintf(): `dns`,
/// `connect`, `tls`, `proxy`, `write`, `timeout`, `reset`, `closed`, `malformed`, `transport`,
/// `cancelled` or `circuit`. Later versions may add words.
///
/// @param document  the error document as the call wrote it to `out`, or NULL.
/// @param buffer    receives the word, truncated to fit and always NUL-terminated; may be NULL if
///                  `size` is 0. 16 bytes are enough for each word.
/// @param size      size of `buffer` in bytes.
/// @return the length of the whole word in bytes, without the NUL; 0 if there is no cause.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_error_cause(document: *const c_char, buffer: *mut c_char, size: usize) -> usize {
    // SAFETY: as the caller of this function promises.
    unsafe { copy(document, "cause", buffer, size) }
}

/// Extracts the error code in the server's response, like snprintf(): a word or a number, such as
/// `feature_disabled` of sockudo or `4001`.
///
/// @param document  the error document as the call wrote it to `out`, or NULL.
/// @param buffer    receives the code, truncated to fit and always NUL-terminated; may be NULL if
///                  `size` is 0. 65 bytes are enough for each code.
/// @param size      size of `buffer` in bytes.
/// @return the length of the whole code in bytes, without the NUL; 0 if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_error_server_code(document: *const c_char, buffer: *mut c_char, size: usize) -> usize {
    // SAFETY: as the caller of this function promises.
    unsafe { copy(document, "server_code", buffer, size) }
}

/// Quotes and escapes a string as a JSON string: the payload (`data`) for a plain string, or a part
/// of JSON that you put together, such as the name of a user in `channel_data`.
///
/// @param text  UTF-8; NULL only if `len` is 0. NUL bytes are allowed, and are escaped.
/// @param len   the length of `text` in bytes, without a NUL at the end: strlen() of a C string.
/// @param out   receives the JSON string, quotes included, such as `"say \"hello\""`, or an error
///              document. Free it with pusher_string_free().
/// @return ::PUSHER_STATUS_OK, or ::PUSHER_STATUS_INVALID_ARGUMENT if `text` is not UTF-8 or is
///         NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pusher_json_string(text: *const c_char, len: usize, out: *mut *mut c_char) -> Status {
    // SAFETY: as the caller of this function promises.
    unsafe {
        boundary(out, Purpose::Other, || {
            let text = str::from_utf8(array(text.cast(), len, "text")?).map_err(|error| not_utf8("text", error))?;
            document::string_of(text)
        })
    }
}
