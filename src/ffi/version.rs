//! Versions and names.

use std::ffi::{CStr, c_char};

use crate::status::Status;

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("the version has a NUL in it"),
};

/// A part of the version, for a constant.
macro_rules! part {
    ($name:literal) => {
        match u8::from_str_radix(env!($name), 10) {
            Ok(part) => part as u32,
            Err(_) => panic!("a part of the version is not a number below 256"),
        }
    };
}

/// Returns the version of the loaded library, such as `"0.1.0"`.
///
/// @return a static string; do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn pusher_version() -> *const c_char {
    VERSION.as_ptr()
}

/// Returns the version of the loaded library as a number, to compare with
/// ::PUSHER_VERSION_NUMBER, the version of the header.
///
/// @return the version as `0x00MMmmpp`.
#[unsafe(no_mangle)]
pub extern "C" fn pusher_version_number() -> u32 {
    const NUMBER: u32 = (part!("CARGO_PKG_VERSION_MAJOR") << 16)
        | (part!("CARGO_PKG_VERSION_MINOR") << 8)
        | part!("CARGO_PKG_VERSION_PATCH");
    NUMBER
}

/// Returns the name of a status without its prefix, such as `"NOT_SENT"`.
///
/// @param status  a ::PusherStatus; any number is allowed.
/// @return a static string, `"?"` for a number that is not a status; do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn pusher_status_name(status: i32) -> *const c_char {
    Status::from_repr(status).map_or(c"?", Status::c_name).as_ptr()
}
