//! A fault that the engine and the sanitizer must find, or their silence proves nothing.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(b"FAULT") {
        let text = bytes.to_vec();
        // SAFETY: there is none. The read is out of bounds.
        std::hint::black_box(unsafe { text.as_ptr().add(text.len()).read_volatile() });
    }
});
