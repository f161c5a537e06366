//! The pointer contract: what every exported function does with what C hands it, in one place.

use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::error::{Error, Purpose, Status};

/// Runs `body` as the inside of an exported function.
///
/// NULL is written to `out` first. A result or an error document goes to `out` if it is not NULL; the status is returned.
/// A panic is caught here and is INTERNAL.
///
/// # Safety
/// `out` is NULL or points to a `char *` that may be written.
pub(super) unsafe fn boundary(
    out: *mut *mut c_char,
    purpose: Purpose,
    body: impl FnOnce() -> Result<Option<String>, Error>,
) -> Status {
    // SAFETY: the caller vouches for `out`.
    unsafe { write(out, ptr::null_mut()) };
    // A panic can't leave anything of ours half changed that a later call could see: clients are not changed by calls,
    // and what the HTTP stack shares stands behind its own locks.
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(Error::Internal(panic_text(&*panic))));
    let (status, text) = match result {
        Ok(text) => (Status::Ok, text),
        Err(error) => (error.status(), Some(error.document(purpose))),
    };
    if let (Some(text), false) = (text, out.is_null()) {
        // No text of ours holds a NUL: JSON has to escape it. Should one do so all the same, it ends there.
        let text = CString::new(text).unwrap_or_else(|e| {
            let end = e.nul_position();
            let mut bytes = e.into_vec();
            bytes.truncate(end);
            CString::new(bytes).unwrap_or_default()
        });
        // SAFETY: as above.
        unsafe { write(out, text.into_raw()) };
    }
    status
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
    let bytes = unsafe { CStr::from_ptr(text) };
    bytes.to_str().map(Some).map_err(|e| {
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

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}
