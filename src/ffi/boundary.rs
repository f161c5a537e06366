//! How every exported function treats the pointers that it gets.

use std::alloc::{Layout, realloc};
use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::slice;
use std::str::Utf8Error;

use crate::bytes::lossy;
use crate::client::{Endpoint, Pusher};
use crate::document;
use crate::error::{Error, OutOfMemory, Purpose};
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

impl IntoDocument for Option<Vec<u8>> {
    fn into_document(self) -> Option<Vec<u8>> {
        self
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
        Ok(result) => match result.into_document().map(|result| c_text(document::as_result(result)?)).transpose() {
            Ok(document) => (Status::Ok, document),
            // What the call did is done.
            Err(OutOfMemory) => failed(&OutOfMemory.into(), purpose.after_the_call()),
        },
        Err(error) => failed(&error, purpose),
    }
}

/// Returns the status of an error, and its document if there is memory for it.
fn failed(error: &Error, purpose: Purpose) -> (Status, Option<CString>) {
    (error.status(), document::of(error, purpose).ok().and_then(|document| c_text(document).ok()))
}

/// Returns a string for C, or an error if memory runs out. A NUL in it, which no document and no URL has, is replaced.
#[inline]
pub(super) fn c_text(text: impl Into<Vec<u8>>) -> Result<CString, OutOfMemory> {
    let mut text = text.into();
    if text.contains(&0) {
        text.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b'?');
    }
    text.try_reserve_exact(1).map_err(|_| OutOfMemory)?;
    text.push(0);
    let text = shrunk(text)?;
    // SAFETY: there is a NUL at its end only.
    Ok(unsafe { CString::from_vec_with_nul_unchecked(text) })
}

/// Returns a vector without spare capacity. `Vec::shrink_to_fit` aborts if memory runs out.
#[inline]
fn shrunk(bytes: Vec<u8>) -> Result<Vec<u8>, OutOfMemory> {
    let (length, capacity) = (bytes.len(), bytes.capacity());
    if length == capacity || length == 0 {
        return Ok(bytes);
    }
    let mut bytes = ManuallyDrop::new(bytes);
    let layout = Layout::array::<u8>(capacity).map_err(|_| OutOfMemory)?;
    // SAFETY: the vector allocated this block with this layout, and the new size is neither 0 nor more than `isize::MAX`.
    let block = unsafe { realloc(bytes.as_mut_ptr(), layout, length) };
    if block.is_null() {
        drop(ManuallyDrop::into_inner(bytes));
        return Err(OutOfMemory);
    }
    // SAFETY: the block has this size now, and as many bytes in it are initialised.
    Ok(unsafe { Vec::from_raw_parts(block, length, length) })
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

/// Returns the error of a string that is not UTF-8.
#[cold]
pub(super) fn not_utf8(argument: &str, error: Utf8Error) -> Error {
    Error::argument(argument, format!("is not UTF-8: the byte at offset {} is not valid", error.valid_up_to()))
}

/// Returns the string of an argument that may be NULL, with bytes that are not UTF-8 replaced.
///
/// # Safety
/// As for [`optional_text`].
pub(super) unsafe fn lenient_text<'a>(text: *const c_char) -> Result<Option<Cow<'a, str>>, OutOfMemory> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: it is not NULL, and the caller vouches for the rest.
    lossy(unsafe { CStr::from_ptr(text) }.to_bytes()).map(Some)
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
pub(super) fn out_place<T>(place: *mut T, argument: &str) -> Result<(), Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_in_a_string_for_c_is_replaced_and_nothing_else() {
        for (text, expected) in [("", ""), ("a", "a"), ("\0", "?"), ("\0a\0b", "?a?b")] {
            assert_eq!(c_text(text).unwrap().to_bytes(), expected.as_bytes());
        }
    }

    #[test]
    fn a_shrunk_vector_keeps_its_bytes_and_has_no_spare_capacity() {
        let mut spare = Vec::with_capacity(100);
        spare.extend_from_slice(b"abc");
        let shrunk_spare = shrunk(spare).unwrap();
        assert_eq!((shrunk_spare.capacity(), &*shrunk_spare), (3, &b"abc"[..]));
        let exact = shrunk(vec![1; 64]).unwrap();
        assert_eq!((exact.capacity(), &*exact), (64, &[1; 64][..]));
        // A block of no bytes would be freed.
        let empty = shrunk(Vec::with_capacity(8)).unwrap();
        assert_eq!((empty.capacity(), empty.len()), (8, 0));
    }
}
