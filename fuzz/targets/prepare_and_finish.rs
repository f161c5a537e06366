#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| libpusher_fuzz::prepare_and_finish(bytes));
