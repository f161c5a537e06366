//! Another static library with Rust inside. It uses what libpusher uses too: collections, threads, a caught panic.

use std::collections::HashMap;
use std::ffi::c_int;

/// Counts to three in another thread, and panics on the way without letting C see it.
#[unsafe(no_mangle)]
pub extern "C" fn other_count() -> c_int {
    let caught = std::panic::catch_unwind(|| "not a number".parse::<u8>().unwrap());
    let counted = std::thread::spawn(|| HashMap::from([("one", 1), ("two", 2), ("three", 3)]).len()).join();
    if caught.is_err() { counted.map_or(-1, |count| count as c_int) } else { -2 }
}
