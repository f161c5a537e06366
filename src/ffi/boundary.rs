//! How every exported function treats the pointers that it gets.

use std::borrow::Cow;
use std::ffi::{CStr, CString, NulError, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::slice;
use std::str::Utf8Error;

use crate::client::{Endpoint, Pusher};
use crate::document;
use crate::error::{Error, Purpose};
use crate::failpoint;
use crate::status::Status;

/// The result of a function on success: a JSON document for `out`, or none.
pub(super) trait IntoDocument {
    /// Returns the document.
    fn into_document(self) -> Option<Vec<u8>>;
}

impl IntoDocument for () {
    fn into_document(self) -> Option<Vec<u8>> {
        None
    }
}

impl IntoDocument for Vec<u8> {
    fn into_document(self) -> Option<Vec<u8>> {
        Some(self)
    }
}

impl IntoDocument for String {
    fn into_document(self) -> Option<Vec<u8>> {
        Some(self.into_bytes())
    }
}

impl IntoDocument for Option<String> {
    fn into_document(self) -> Option<Vec<u8>> {
        self.map(String::into_bytes)
    }
}

/// Runs `body` as the inside of an exported function.
///
/// Writes NULL to `out` first, then the result or the error document. Catches a panic, which becomes INTERNAL.
///
/// # Safety
/// `out` is NULL or points to a `char *` that may be written.
pub(super) unsafe fn boundary<T: IntoDocument>(
    out: *mut *mut c_char,
    purpose: Purpose,
    body: impl FnOnce() -> Result<T, Error>,
) -> Status {
    // SAFETY: the caller vouches for `out`.
    unsafe { write(out, ptr::null_mut()) };
    // A panic leaves nothing half changed that a later call could see: calls do not change clients, and the HTTP stack's shared
    // state is protected by its own locks.
    let caught = catch_unwind(AssertUnwindSafe(|| {
        failpoint::hit();
        status_and_document(body(), purpose)
    }));
    let (status, document) = caught
        .or_else(|panic| {
            catch_unwind(AssertUnwindSafe(|| status_and_document::<()>(Err(Error::from_panic(&*panic)), purpose)))
        })
        .unwrap_or((Status::Internal, None));
    if let (Some(document), false) = (document, out.is_null()) {
        // SAFETY: as above.
        unsafe { write(out, document.into_raw()) };
    }
    status
}

/// Returns the status and the document of a result.
#[inline]
fn status_and_document<T: IntoDocument>(result: Result<T, Error>, purpose: Purpose) -> (Status, Option<CString>) {
    match result {
        Ok(result) => (Status::Ok, result.into_document().and_then(document::as_result).map(c_text)),
        Err(error) => (error.status(), Some(c_text(document::of(&error, purpose)))),
    }
}

/// Returns a string for C. A NUL in it, which no document and no URL has, is replaced.
#[inline]
pub(super) fn c_text(text: impl Into<Vec<u8>>) -> CString {
    CString::new(text).unwrap_or_else(without_nul)
}

#[cold]
fn without_nul(error: NulError) -> CString {
    let text = String::from_utf8_lossy(&error.into_vec()).replace('\0', "\u{fffd}");
    CString::new(text).unwrap_or_default()
}

/// Runs `body` in a function that has no document to report a panic in, and returns `otherwise` if it panics.
pub(super) fn guarded<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(|| {
        failpoint::hit();
        body()
    }))
    .unwrap_or(otherwise)
}

/// Writes `value` to `place` unless that is NULL.
///
/// # Safety
/// `place` is NULL or may be written.
pub(super) unsafe fn write<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: not NULL, and the caller vouches for the rest.
        unsafe { place.write(value) };
    }
}

/// Makes a network call: the inside of ten exported functions. `arguments` are the call's strings in the order of
/// [`Endpoint::parameters`], NULL if omitted.
///
/// # Safety
/// As for [`boundary`], [`handle`] and [`optional_text`].
pub(super) unsafe fn call<const N: usize>(
    client: *const Pusher,
    endpoint: Endpoint,
    arguments: [*const c_char; N],
    out: *mut *mut c_char,
) -> Status {
    // SAFETY: the caller vouches for each.
    unsafe {
        boundary(out, endpoint.purpose(), || {
            let client = handle(client, "client")?;
            let mut values = [None; N];
            for (value, (pointer, parameter)) in values.iter_mut().zip(arguments.iter().zip(endpoint.parameters())) {
                *value = optional_text(*pointer, parameter)?;
            }
            client.call(endpoint, &values)
        })
    }
}

/// Returns the string of a required argument.
///
/// # Safety
/// `text` is NULL or a NUL-terminated string that outlives the call.
pub(super) unsafe fn text<'a>(text: *const c_char, argument: &str) -> Result<&'a str, Error> {
    // SAFETY: passed on.
    unsafe { optional_text(text, argument) }?.ok_or_else(|| Error::null(argument))
}

/// Returns the string of an argument that may be NULL.
///
/// # Safety
/// `text` is NULL or a NUL-terminated string that outlives the call.
#[inline]
pub(super) unsafe fn optional_text<'a>(text: *const c_char, argument: &str) -> Result<Option<&'a str>, Error> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and the caller vouches for the rest.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map(Some).map_err(|error| not_utf8(argument, error))
}

#[cold]
fn not_utf8(argument: &str, error: Utf8Error) -> Error {
    Error::argument(argument, format!("is not UTF-8: the byte at offset {} is not valid", error.valid_up_to()))
}

/// Returns the string of an argument that may be NULL, with bytes that are not UTF-8 replaced.
///
/// # Safety
/// As for [`optional_text`].
pub(super) unsafe fn lenient_text<'a>(text: *const c_char) -> Option<Cow<'a, str>> {
    // SAFETY: it is not NULL, and the caller vouches for the rest.
    let text = (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })?;
    // `to_string_lossy` takes five times as long for a string that is UTF-8.
    Some(text.to_str().map_or_else(|_| text.to_string_lossy(), Cow::Borrowed))
}

/// Returns the handle that a pointer points to.
///
/// # Safety
/// `handle` is NULL or was made by this library and is not freed before the call ends.
pub(super) unsafe fn handle<'a, T>(handle: *const T, argument: &str) -> Result<&'a T, Error> {
    // SAFETY: passed on.
    unsafe { handle.as_ref() }.ok_or_else(|| Error::null(argument))
}

/// Returns the handle that a pointer points to, for a change.
///
/// # Safety
/// As for [`handle`], and nothing else uses it until the call ends.
pub(super) unsafe fn handle_mut<'a, T>(handle: *mut T, argument: &str) -> Result<&'a mut T, Error> {
    // SAFETY: passed on.
    unsafe { handle.as_mut() }.ok_or_else(|| Error::null(argument))
}

/// Checks the pointer that a new handle is written to.
pub(super) fn out_place<T>(place: *mut *mut T, argument: &str) -> Result<(), Error> {
    if place.is_null() { Err(Error::null(argument)) } else { Ok(()) }
}

/// Returns the `count` values at `first`.
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
