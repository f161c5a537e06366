//! The pointer contract: what every exported function does with what C hands it, in one place.

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::slice;

use crate::client::{Endpoint, Pusher};
use crate::document;
use crate::error::{Error, Purpose};
use crate::status::Status;

/// What a function returns on success that has nothing to tell.
pub(super) const NO_DOCUMENT: Option<String> = None;

/// Runs `body` as the inside of an exported function. `T` is JSON.
///
/// NULL is written to `out` first. A result or an error document goes to `out` if it is not NULL; the status is returned.
/// A panic is caught here and is INTERNAL.
///
/// # Safety
/// `out` is NULL or points to a `char *` that may be written.
pub(super) unsafe fn boundary<T: Into<Vec<u8>>>(
    out: *mut *mut c_char,
    purpose: Purpose,
    body: impl FnOnce() -> Result<Option<T>, Error>,
) -> Status {
    // SAFETY: the caller vouches for `out`.
    unsafe { write(out, ptr::null_mut()) };
    // A panic leaves nothing of ours half changed that a later call could see: calls do not change clients, and what the HTTP
    // stack shares stands behind its own locks.
    let caught = catch_unwind(AssertUnwindSafe(|| document(body(), purpose)));
    let (status, text) = caught
        .or_else(|panic| {
            catch_unwind(AssertUnwindSafe(|| document::<String>(Err(Error::from_panic(&*panic)), purpose)))
        })
        .unwrap_or((Status::Internal, None));
    if let (Some(text), false) = (text, out.is_null()) {
        // SAFETY: as above.
        unsafe { write(out, text.into_raw()) };
    }
    status
}

/// What a result is for C.
fn document<T: Into<Vec<u8>>>(result: Result<Option<T>, Error>, purpose: Purpose) -> (Status, Option<CString>) {
    match result {
        Ok(None) => (Status::Ok, None),
        Ok(Some(text)) => (Status::Ok, Some(c_text(text))),
        Err(error) => (error.status(), Some(c_text(document::of(&error, purpose)))),
    }
}

/// A document as C has it. None holds a NUL: JSON has to escape it.
fn c_text(text: impl Into<Vec<u8>>) -> CString {
    let text = text.into();
    // As CString::new() does, but by C's own function, which looks at many bytes at once.
    // SAFETY: it has as many bytes.
    match unsafe { libc::memchr(text.as_ptr().cast(), 0, text.len()) }.is_null() {
        // SAFETY: it holds no NUL.
        true => unsafe { CString::from_vec_unchecked(text) },
        false => CString::default(),
    }
}

/// Runs `body` where there is no document to report a panic in.
pub(super) fn guarded<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// Writes `value` where `place` points to, unless that is NULL.
///
/// # Safety
/// `place` is NULL or may be written.
pub(super) unsafe fn write<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: not NULL, and the caller vouches for the rest.
        unsafe { place.write(value) };
    }
}

/// Runs a network call of a client's: the inside of most exported functions. `arguments` are its texts with their names, NULL
/// where one is omitted.
///
/// # Safety
/// As for [`boundary`], [`handle`] and [`optional_text`].
pub(super) unsafe fn call<const N: usize>(
    client: *const Pusher,
    endpoint: Endpoint,
    arguments: [(&str, *const c_char); N],
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: the caller vouches for each.
    unsafe {
        boundary(out, endpoint.purpose(), || {
            let client = handle(client, "client")?;
            let mut texts = [None; N];
            for (text, (argument, pointer)) in texts.iter_mut().zip(arguments) {
                *text = optional_text(pointer, argument)?;
            }
            client.call(endpoint, &texts).map(Some)
        })
    }
}

/// The text of a required argument.
///
/// # Safety
/// `text` is NULL or a NUL-terminated string that outlives the call.
pub(super) unsafe fn text<'a>(text: *const c_char, argument: &str) -> Result<&'a str, Error> {
    // SAFETY: passed on.
    unsafe { optional_text(text, argument) }?.ok_or_else(|| Error::argument(argument, "must not be NULL"))
}

/// The text of an argument that may be NULL.
///
/// # Safety
/// `text` is NULL or a NUL-terminated string that outlives the call.
pub(super) unsafe fn optional_text<'a>(text: *const c_char, argument: &str) -> Result<Option<&'a str>, Error> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and the caller vouches for the rest.
    let text = unsafe { CStr::from_ptr(text) };
    let bytes = text.to_bytes();
    if bytes.is_ascii() {
        // SAFETY: ASCII is UTF-8. (Nearly all texts are, and this is how that is seen soonest.)
        return Ok(Some(unsafe { std::str::from_utf8_unchecked(bytes) }));
    }
    text.to_str().map(Some).map_err(|e| {
        Error::argument(argument, format!("is not UTF-8: the byte at offset {} is not valid", e.valid_up_to()))
    })
}

/// The handle behind a pointer.
///
/// # Safety
/// `handle` is NULL or was made by this library and is not freed before the call ends.
pub(super) unsafe fn handle<'a, T>(handle: *const T, argument: &str) -> Result<&'a T, Error> {
    // SAFETY: passed on.
    unsafe { handle.as_ref() }.ok_or_else(|| Error::argument(argument, "must not be NULL"))
}

/// The handle behind a pointer, to be changed.
///
/// # Safety
/// As for [`handle`], and nothing else uses it until the call ends.
pub(super) unsafe fn handle_mut<'a, T>(handle: *mut T, argument: &str) -> Result<&'a mut T, Error> {
    // SAFETY: passed on.
    unsafe { handle.as_mut() }.ok_or_else(|| Error::argument(argument, "must not be NULL"))
}

/// `count` values at `first`.
///
/// # Safety
/// `first` is NULL or has as many.
pub(super) unsafe fn array<'a, T>(first: *const T, count: usize, argument: &str) -> Result<&'a [T], Error> {
    match (first.is_null(), count) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Error::argument(argument, "must not be NULL when its count is not 0")),
        (false, _) if count > isize::MAX as usize / size_of::<T>() => {
            Err(Error::argument(argument, "is longer than the address space"))
        }
        // SAFETY: it is not NULL, and the caller vouches for the rest.
        (false, _) => Ok(unsafe { slice::from_raw_parts(first, count) }),
    }
}

/// A text from somewhere else, what is not UTF-8 in it replaced.
///
/// # Safety
/// As for [`optional_text`].
pub(super) unsafe fn lenient_text<'a>(text: *const c_char) -> Option<Cow<'a, str>> {
    // SAFETY: it is not NULL, and the caller vouches for the rest.
    let text = (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })?;
    // Nearly all are UTF-8, and this is how that is seen soonest.
    Some(text.to_str().map_or_else(|_| text.to_string_lossy(), Cow::Borrowed))
}
