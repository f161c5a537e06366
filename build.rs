//! Link options of the shared library: its name, and that it stays loaded.

/// The number in `libpusher.so.N`. It changes when the ABI breaks, and only then: by hand, never with the version.
const SOVERSION: &str = "0";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target_os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let target_vendor = std::env::var("CARGO_CFG_TARGET_VENDOR").unwrap_or_default();
    if target_vendor == "apple" {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libpusher.{SOVERSION}.dylib");
    } else if target_os != "windows" {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libpusher.so.{SOVERSION}");
        // A Rust library has thread-locals with destructors: unloading it under a running thread is not sound.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
