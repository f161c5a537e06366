//! Who may use whom. The layering is what keeps HTTP free of Pusher, the core free of C, and `unsafe` in two files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module with the modules it may use, itself aside.
const ALLOWED: [(&str, &[&str]); 16] = [
    ("error", &[]),
    ("log", &[]),
    ("process", &[]),
    ("json", &["error"]),
    ("validation", &["error"]),
    ("encryption", &["error", "json"]),
    ("http", &["process"]),
    ("retry", &["error"]),
    ("config", &["encryption", "error", "http", "json", "log", "retry", "validation"]),
    ("signing", &["config"]),
    ("api", &["config", "encryption", "error", "http", "json", "validation"]),
    ("authorization", &["encryption", "error", "json", "signing", "validation"]),
    ("webhook", &["config", "encryption", "error", "json", "signing"]),
    ("client", &["api", "authorization", "config", "error", "http", "log", "retry", "signing", "webhook"]),
    ("publisher", &["api", "client", "config", "error", "json", "process", "retry"]),
    ("ffi", &["client", "error", "http", "log", "publisher"]),
];

/// The files that may allow `unsafe`: the boundary to C, and the page that the kernel wipes in a forked child.
const UNSAFE: [&str; 2] = ["src/ffi/mod.rs", "src/process/number.rs"];

#[test]
fn modules_use_only_what_is_below_them() {
    for (file, text) in sources() {
        let module = module_of(&file);
        if module == "lib" {
            continue;
        }
        let (_, allowed) = ALLOWED
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("{file}: the module {module} has no place in the layering: give it one"));
        for used in used_modules(&text) {
            assert!(used == module || allowed.contains(&used.as_str()), "{file}: {module} may not use {used}");
        }
    }
}

#[test]
fn unsafe_is_allowed_in_two_files() {
    for (file, text) in sources() {
        let allows = text.contains("allow(unsafe_code)");
        assert_eq!(allows, UNSAFE.contains(&file.as_str()), "{file}");
    }
    assert!(sources().iter().any(|(file, text)| file == "src/lib.rs" && text.contains("#![deny(unsafe_code)]")));
}

/// The modules that `crate::` paths name, in `use` lines and elsewhere.
fn used_modules(text: &str) -> BTreeSet<String> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    code.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => panic!("use crate::{{{}: one module a line, so that this test can read it", name(group)),
            None => Some(name(rest)),
        })
        .collect()
}

fn module_of(file: &str) -> &str {
    let below = file.trim_start_matches("src/");
    below.split('/').next().unwrap_or(below).trim_end_matches(".rs")
}

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("src can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let relative = |path: &PathBuf| path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
    files.iter().map(|path| (relative(path), fs::read_to_string(path).expect("a source can be read"))).collect()
}
