//! Link options of the shared library: its SONAME, that it cannot be unloaded, and the version resource of Windows.

/// The number in `libpusher.so.N`. Change it by hand, and only when the ABI breaks: it is independent of the version.
const SOVERSION: &str = "0";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target_os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let target_vendor = std::env::var("CARGO_CFG_TARGET_VENDOR").unwrap_or_default();
    if target_vendor == "apple" {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libpusher.{SOVERSION}.dylib");
    } else if target_os == "windows" {
        // CMake compiles it: cmake/windows.cmake.
        println!("cargo::rerun-if-env-changed=PUSHER_VERSION_RESOURCE");
        if let Ok(resource) = std::env::var("PUSHER_VERSION_RESOURCE") {
            println!("cargo::rustc-cdylib-link-arg={resource}");
        }
        // The time of the build would be in each file.
        if std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu") {
            println!("cargo::rustc-cdylib-link-arg=-Wl,--no-insert-timestamp");
            println!("cargo::rustc-link-arg-examples=-Wl,--no-insert-timestamp");
        }
    } else {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libpusher.so.{SOVERSION}");
        // Unloading a Rust library while threads run is unsound: its thread-locals have destructors.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
