//! `include/pusher.h` is what cbindgen makes of the sources: it is never edited. `make header` writes it anew.

use std::path::Path;

/// The sources in the header's order.
const SOURCES: [&str; 13] = [
    "src/error.rs",
    "src/log.rs",
    "src/ffi/version.rs",
    "src/client/mod.rs",
    "src/ffi/client.rs",
    "src/ffi/documents.rs",
    "src/ffi/events.rs",
    "src/ffi/state.rs",
    "src/ffi/signatures.rs",
    "src/ffi/request.rs",
    "src/ffi/hooks.rs",
    "src/publisher/handle.rs",
    "src/ffi/publisher.rs",
];

#[test]
fn the_committed_header_is_what_the_sources_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rendered = render(root);
    let path = root.join("include/pusher.h");
    if std::env::var_os("PUSHER_WRITE_HEADER").is_some() {
        std::fs::write(&path, &rendered).expect("include/pusher.h can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == rendered,
        "include/pusher.h differs from the sources: run `make header` and commit the result"
    );
}

fn render(root: &Path) -> String {
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml can be read");
    config.after_includes = Some(version_macros());
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(root.join(source));
    }
    let mut header = Vec::new();
    builder.generate().expect("cbindgen understands the sources").write(&mut header);
    String::from_utf8(header).expect("the header is UTF-8")
}

/// The version stands once, in Cargo.toml.
fn version_macros() -> String {
    let parts = [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")];
    let names = ["MAJOR", "MINOR", "PATCH"];
    let mut macros =
        String::from("\n/* The version of this header; pusher_version_number() tells that of the library. */\n");
    for (name, part) in names.iter().zip(parts) {
        macros += &format!("#define PUSHER_VERSION_{name} {part}\n");
    }
    macros
        + "/** The version as `0x00MMmmpp`. */\n\
           #define PUSHER_VERSION_NUMBER \\\n  \
           ((PUSHER_VERSION_MAJOR << 16) | (PUSHER_VERSION_MINOR << 8) | PUSHER_VERSION_PATCH)\n"
}
