//! The tests' support code asks for a folder that cargo gives to tests only.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=CARGO_TARGET_TMPDIR={}", std::env::var("OUT_DIR").unwrap_or_default());
}
