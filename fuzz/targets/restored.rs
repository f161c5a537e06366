#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| libpusher_fuzz::restored(bytes));
