//! Which module may use which. The layers keep HTTP free of Pusher, the core free of C, and
//! `unsafe` in three files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the crate, each with those it may use. Between the files of one module there must
/// be no circle.
const ALLOWED: [(&str, &[&str]); 29] = [
    ("decimal", &[]),
    ("failpoint", &[]),
    ("headers", &[]),
    ("log", &[]),
    ("observer", &["decimal"]),
    ("platform", &[]),
    ("rate_limit", &["decimal"]),
    ("secret", &[]),
    ("status", &[]),
    ("time_limit", &[]),
    ("error", &["rate_limit", "status", "time_limit"]),
    ("idempotency", &["error"]),
    ("bytes", &["error", "time_limit"]),
    ("json", &["bytes", "error", "time_limit"]),
    ("statistics", &["error", "json"]),
    ("document", &["error", "json", "rate_limit", "status"]),
    ("validation", &["bytes", "error"]),
    ("encryption", &["error", "json"]),
    ("http", &["decimal", "failpoint", "headers", "platform", "rate_limit"]),
    ("circuit", &["platform"]),
    ("retry", &["error", "status"]),
    (
        "config",
        &[
            "bytes",
            "circuit",
            "encryption",
            "error",
            "headers",
            "http",
            "idempotency",
            "json",
            "log",
            "platform",
            "retry",
            "secret",
            "statistics",
            "validation",
        ],
    ),
    ("signing", &["bytes", "decimal", "error", "secret", "time_limit"]),
    (
        "api",
        &[
            "bytes",
            "config",
            "decimal",
            "encryption",
            "error",
            "headers",
            "http",
            "idempotency",
            "json",
            "rate_limit",
            "status",
            "time_limit",
            "validation",
        ],
    ),
    ("authorization", &["document", "encryption", "error", "json", "signing", "validation"]),
    ("webhook", &["encryption", "error", "json", "secret", "signing"]),
    (
        "client",
        &[
            "api",
            "authorization",
            "bytes",
            "circuit",
            "config",
            "error",
            "headers",
            "http",
            "idempotency",
            "json",
            "log",
            "observer",
            "platform",
            "rate_limit",
            "retry",
            "signing",
            "statistics",
            "status",
            "time_limit",
            "webhook",
        ],
    ),
    (
        "publisher",
        &[
            "api",
            "bytes",
            "client",
            "config",
            "document",
            "error",
            "failpoint",
            "idempotency",
            "json",
            "platform",
            "retry",
            "statistics",
            "status",
        ],
    ),
    ("ffi", &["bytes", "client", "document", "error", "failpoint", "http", "log", "observer", "publisher", "status"]),
];

/// The files that may allow `unsafe`: the boundary to C, and the page that the kernel wipes in a
/// forked child.
const UNSAFE: [&str; 3] = ["src/ffi/mod.rs", "src/platform/number.rs", "src/platform/system/windows.rs"];

#[test]
fn modules_use_only_what_is_below_them() {
    let faults = faults(&sources(), &ALLOWED);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn unsafe_is_allowed_in_three_files() {
    for (file, text) in sources() {
        let allows = text.contains("allow(unsafe_code)");
        assert_eq!(allows, UNSAFE.contains(&file.as_str()), "{file}");
    }
    assert!(sources().iter().any(|(file, text)| file == "src/lib.rs" && text.contains("#![deny(unsafe_code)]")));
}

/// Words for state that outlives a call and belongs to no handle.
const HIDDEN_STATE: [&str; 9] = [
    "thread_local",
    "LazyLock",
    "LazyCell",
    "OnceLock",
    "OnceCell",
    "sync::Once",
    "once_cell::sync",
    "lazy_static",
    "static mut",
];

#[test]
fn no_state_is_hidden_from_the_handles() {
    // Nothing is kept per thread, and a fork cannot leave a lock of an initialisation held.
    for (file, text) in sources() {
        for line in text.lines() {
            assert_eq!(hidden_state(line), None, "{file}: {line}");
        }
    }
    assert_eq!(hidden_state("    thread_local! {"), Some("thread_local"));
    assert_eq!(hidden_state("static X: OnceLock<u8> = OnceLock::new();"), Some("OnceLock"));
    assert_eq!(hidden_state("// No LazyLock here."), None);
}

/// Returns the word for hidden state in a line of code.
fn hidden_state(line: &str) -> Option<&'static str> {
    let code = line.split("//").next().unwrap_or_default();
    HIDDEN_STATE.into_iter().find(|word| code.contains(word))
}

#[test]
fn the_boundary_judges_no_status() {
    for (file, text) in sources().iter().filter(|(file, _)| file.starts_with("src/ffi/")) {
        for line in text.lines() {
            assert!(!judges_a_status(line), "{file}: the core decides what a status means: {line}");
        }
    }
}

#[test]
fn a_match_on_a_status_is_found() {
    for line in ["match status {", "let x = match response.status {", "Status::Ok => 1,", "200..300 | 304 => body()"] {
        assert!(judges_a_status(line), "{line}");
    }
    for line in ["// match status {", "Ok(x) => (Status::Ok, x),", "match result {", "let n = 200;", "if a >= b {"] {
        assert!(!judges_a_status(line), "{line}");
    }
}

/// Returns whether a line of code matches on a status: by name, by its values, or by the numbers of HTTP.
fn judges_a_status(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let is_http_status = |word: &str| word.parse().is_ok_and(|number: u16| (100..600).contains(&number));
    match code.split_once("=>") {
        Some((pattern, _)) => {
            ["Status::", "Delivery::", "Progress::"].iter().any(|name| pattern.contains(name))
                || pattern.split(|c: char| !c.is_ascii_digit()).any(is_http_status)
        }
        None => code.contains("match ") && code.contains("status"),
    }
}

#[test]
fn a_use_of_a_higher_module_is_found() {
    let files = [
        ("src/lib.rs", "mod high;\nmod low;\n"),
        ("src/high.rs", "use crate::low::Thing;\n"),
        ("src/low.rs", "// crate::high is only mentioned here.\nfn f() -> u32 { crate::high::answer() }\n"),
    ];
    let allowed: [(&str, &[&str]); 2] = [("low", &[]), ("high", &["low"])];
    assert_eq!(faults(&owned(&files), &allowed), ["src/low.rs: low may not use high"]);
}

#[test]
fn a_module_without_a_layer_is_found() {
    let files = [("src/lib.rs", "mod stray;\n"), ("src/stray.rs", "")];
    assert_eq!(faults(&owned(&files), &[]), ["src/stray.rs: the module stray has no layer: add it to ALLOWED"]);
}

#[test]
fn a_use_of_the_folder_above_is_found() {
    let files = [
        ("src/lib.rs", "mod house;\n"),
        ("src/house/mod.rs", "mod cellar;\npub use cellar::Wine;\npub fn open() {}\n"),
        ("src/house/cellar.rs", "pub struct Wine;\nfn f() { super::open() }\n"),
    ];
    let expected = ["src/house/cellar.rs uses src/house/mod.rs, which is above it"];
    assert_eq!(faults(&owned(&files), &[("house", &[])]), expected);
}

#[test]
fn a_circle_inside_a_folder_is_found() {
    let files = [
        ("src/lib.rs", "mod house;\n"),
        ("src/house/mod.rs", "mod attic;\nmod cellar;\nmod stairs;\npub use attic::{Attic, Beam as Rafter};\n"),
        // By a group, by the name that mod.rs gives it, and by a path in the code.
        ("src/house/attic.rs", "use super::{cellar::{self, Wine}};\npub struct Attic;\npub struct Beam;\n"),
        ("src/house/cellar.rs", "use super::stairs;\npub struct Wine;\n"),
        ("src/house/stairs.rs", "fn f(_: super::Rafter) {}\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\n"),
    ];
    let expected =
        ["src/house/attic.rs, src/house/cellar.rs, src/house/stairs.rs: these files use each other in a circle"];
    assert_eq!(faults(&owned(&files), &[("house", &[])]), expected);
}

#[test]
fn layers_without_a_fault_pass() {
    let files = [
        ("src/lib.rs", "mod house;\nmod ground;\n"),
        ("src/ground.rs", "pub struct Soil;\n"),
        ("src/house/mod.rs", "mod attic;\nmod cellar;\npub use cellar::Wine;\nfn f() { attic::look() }\n"),
        ("src/house/attic.rs", "use super::Wine;\nuse crate::ground::Soil;\npub fn look() {}\n"),
        ("src/house/cellar.rs", "use ::ground::other;\npub struct Wine;\n"),
    ];
    assert_eq!(faults(&owned(&files), &[("ground", &[]), ("house", &["ground"])]), [""; 0]);
}

/// A source file as a module.
struct Module {
    file: String,
    /// Its path below the crate.
    path: Vec<String>,
    /// The paths below the crate that its code names.
    uses: Vec<Vec<String>>,
    /// The names that it re-exports, with the paths below the crate that they stand for.
    exports: BTreeMap<String, Vec<String>>,
}

/// Returns what is wrong with the layers of these files, each with its text. `src/lib.rs` may use
/// every module.
fn faults(files: &[(String, String)], allowed: &[(&str, &[&str])]) -> Vec<String> {
    let modules: BTreeMap<Vec<String>, Module> = files
        .iter()
        .filter(|(file, _)| file != "src/lib.rs" && !file.ends_with("/tests.rs"))
        .map(|(file, text)| (module_path(file), read_module(file, text)))
        .collect();
    let mut faults = Vec::new();
    let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for module in modules.values() {
        let (file, layer) = (&module.file, &module.path[0]);
        let Some((_, below)) = allowed.iter().find(|(name, _)| name == layer) else {
            faults.push(format!("{file}: the module {layer} has no layer: add it to ALLOWED"));
            continue;
        };
        for path in &module.uses {
            if path[0] != *layer {
                // A module that re-exports an item may be used for it: the first name decides.
                if modules.contains_key(&path[..1]) && !below.contains(&path[0].as_str()) {
                    faults.push(format!("{file}: {layer} may not use {}", path[0]));
                }
                continue;
            }
            let Some(used) = resolve(&modules, path).filter(|used| used.path != module.path) else { continue };
            if module.path.starts_with(&used.path) {
                faults.push(format!("{file} uses {}, which is above it", used.file));
            } else {
                arrows.entry(file).or_default().insert(&used.file);
            }
        }
    }
    faults.extend(
        circles(&arrows)
            .into_iter()
            .map(|files| format!("{}: these files use each other in a circle", files.join(", "))),
    );
    faults.sort();
    faults.dedup();
    faults
}

/// Finds the groups of files each of which reaches all others of its group.
fn circles<'a>(arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<Vec<&'a str>> {
    let reached = |from: &'a str| {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut next = vec![from];
        while let Some(file) = next.pop() {
            next.extend(arrows.get(file).into_iter().flatten().filter(|file| reached.insert(file)));
        }
        reached
    };
    let reach: BTreeMap<&str, BTreeSet<&str>> = arrows.keys().map(|file| (*file, reached(file))).collect();
    let returns = |from: &str, to: &str| reach.get(to).is_some_and(|reached| reached.contains(from));
    reach
        .iter()
        .map(|(from, to)| to.iter().copied().filter(|to| returns(from, to)).collect::<Vec<_>>())
        .filter(|group| !group.is_empty())
        .collect()
}

/// Finds the file in which the item with this path is defined.
fn resolve<'a>(modules: &'a BTreeMap<Vec<String>, Module>, path: &[String]) -> Option<&'a Module> {
    let mut found: Option<&Module> = None;
    for length in 1..=path.len() {
        if let Some(module) = modules.get(&path[..length]) {
            found = Some(module);
        } else {
            let name = &path[length - 1];
            return match found?.exports.get(name) {
                Some(exported) => resolve(modules, &[exported, &path[length..]].concat()),
                None => found,
            };
        }
    }
    found
}

fn module_path(file: &str) -> Vec<String> {
    let below = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    below.split('/').map(str::to_owned).collect()
}

fn read_module(file: &str, text: &str) -> Module {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let tokens = tokens(code);
    let path = module_path(file);
    let mut children = BTreeSet::new();
    for window in tokens.windows(3).filter(|window| window[0] == "mod") {
        assert!(window[2] == ";", "{file}: this test reads a module only if it has a file of its own: {}", window[1]);
        children.insert(window[1]);
    }
    let mut module = Module { file: file.to_owned(), path, uses: Vec::new(), exports: BTreeMap::new() };
    for found in paths(&tokens) {
        let Some(target) = below_the_crate(&module.path, &children, &found.segments) else { continue };
        if found.is_exported {
            let name = found.alias.or(found.segments.last().copied()).unwrap_or_default();
            module.exports.insert(name.to_owned(), target.clone());
            // A folder hands on what its files define; that is no use of them.
            if target.starts_with(&module.path) {
                continue;
            }
        }
        module.uses.push(target);
    }
    module
}

/// Returns the path without `crate`, `super` and `self`; none if it is not a path of this crate.
fn below_the_crate(module: &[String], children: &BTreeSet<&str>, segments: &[&str]) -> Option<Vec<String>> {
    let mut base = module.to_vec();
    let mut rest = segments;
    match rest.first()? {
        &"crate" => {
            base.clear();
            rest = &rest[1..];
        }
        &"self" => rest = &rest[1..],
        &"super" => {
            while rest.first() == Some(&"super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        first => {
            children.get(first)?;
        }
    }
    base.extend(rest.iter().map(|segment| (*segment).to_owned()));
    Some(base)
}

/// A path in the code, or one of those that a `use` names.
struct Found<'a> {
    segments: Vec<&'a str>,
    alias: Option<&'a str>,
    /// Whether a `pub use` names it.
    is_exported: bool,
}

fn paths<'a>(tokens: &[&'a str]) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let before = at.checked_sub(1).map(|before| tokens[before]);
        if tokens[at] == "use" {
            let first = found.len();
            at = read_use(tokens, at + 1, &[], &mut found);
            // `pub(super) use` ends with the bracket.
            let is_exported = matches!(before, Some("pub" | ")"));
            found[first..].iter_mut().for_each(|path| path.is_exported = is_exported);
        } else if is_name(tokens[at]) && before != Some("::") {
            let mut segments = vec![tokens[at]];
            while tokens.get(at + 1) == Some(&"::") && tokens.get(at + 2).is_some_and(|token| is_name(token)) {
                segments.push(tokens[at + 2]);
                at += 2;
            }
            at += 1;
            if segments.len() > 1 {
                found.push(Found { segments, alias: None, is_exported: false });
            }
        } else {
            at += 1;
        }
    }
    found
}

/// Reads the tree of a `use` from `at` on, and returns the place after it.
fn read_use<'a>(tokens: &[&'a str], mut at: usize, prefix: &[&'a str], found: &mut Vec<Found<'a>>) -> usize {
    let mut segments = prefix.to_vec();
    let mut alias = None;
    let mut is_group = false;
    while at < tokens.len() {
        match tokens[at] {
            ";" | "," | "}" => break,
            "{" => {
                is_group = true;
                while tokens.get(at).is_some_and(|token| *token != "}") {
                    at = read_use(tokens, at + 1, &segments, found);
                }
            }
            "as" => {
                alias = tokens.get(at + 1).copied();
                at += 1;
            }
            // In a group it is the prefix; as the first segment it is this module.
            "self" if !segments.is_empty() => {}
            "::" if segments.is_empty() => segments.push("::"),
            token if is_name(token) => segments.push(token),
            _ => {}
        }
        at += 1;
    }
    if !is_group && !segments.is_empty() {
        found.push(Found { segments, alias, is_exported: false });
    }
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Splits code into names, `::` and single characters. Comments and strings are left out.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            rest[1..].find('\'').map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            string_length(rest)
        } else {
            let length = match rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()) {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                length => length,
            };
            if !first.is_whitespace() {
                tokens.push(&rest[..length]);
            }
            length
        };
        rest = &rest[length..];
    }
    tokens
}

/// Returns the length of the string literal at the beginning of `code`, with its quotes.
fn string_length(code: &str) -> usize {
    let mut escaped = false;
    for (at, character) in code.char_indices().skip(1) {
        match character {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    code.len()
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
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
