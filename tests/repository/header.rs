//! `include/pusher.h` is what cbindgen makes of the sources, and `include/pusher.ffi.h` what a preprocessor leaves of that:
//! neither is ever edited. `make header` writes both anew.

use std::path::PathBuf;

/// The sources in the header's order.
const SOURCES: [&str; 14] = [
    "src/status.rs",
    "src/log.rs",
    "src/ffi/version.rs",
    "src/client/mod.rs",
    "src/ffi/client.rs",
    "src/ffi/documents.rs",
    "src/ffi/calls.rs",
    "src/ffi/signatures.rs",
    "src/ffi/prepare.rs",
    "src/ffi/request.rs",
    "src/ffi/response.rs",
    "src/ffi/hooks.rs",
    "src/publisher/handle.rs",
    "src/ffi/publisher.rs",
];

#[test]
fn the_committed_header_is_what_the_sources_say() {
    hold("include/pusher.h", &render());
}

#[test]
fn the_committed_header_for_ffi_parsers_is_what_the_sources_say() {
    hold("include/pusher.ffi.h", &for_ffi_parsers(&declarations(&render())));
}

#[test]
fn the_header_for_ffi_parsers_declares_every_exported_function_and_nothing_that_only_a_compiler_reads() {
    let declarations = declarations(&render());
    let mut functions: Vec<&str> = declarations
        .iter()
        .filter(|declaration| !declaration.starts_with("typedef ") && !declaration.starts_with("enum "))
        .filter_map(|declaration| declaration.split('(').next()?.rsplit([' ', '*']).next())
        .collect();
    functions.sort_unstable();
    assert_eq!(functions, exported());

    let header = for_ffi_parsers(&declarations);
    let code = header.split_once("*/").expect("it begins with a comment").1;
    for foreign in ["#", "\"", "//", "/*", "extern", "__", ",\n}"] {
        assert!(!code.contains(foreign), "{foreign} is in it");
    }
}

#[test]
fn the_header_is_ascii_and_no_line_is_longer_than_100_columns() {
    for (index, line) in render().lines().enumerate() {
        assert!(line.is_ascii() && line.len() <= 100, "line {}: {line}", index + 1);
    }
}

#[test]
fn every_parameter_and_every_result_of_a_function_is_documented() {
    let header = render();
    let mut count = 0;
    for (comment, declaration) in documented(&header) {
        let Some((_, parameters)) = declaration.rsplit_once('(') else { continue };
        let parameters = parameters.trim_end_matches(')').split(',').filter(|parameter| *parameter != "void");
        let parameters: Vec<&str> = parameters.filter_map(|one| one.rsplit([' ', '*', '\n']).next()).collect();
        let tags = comment.split("@param ").skip(1);
        let tags: Vec<&str> = tags.filter_map(|tag| tag.split_whitespace().next()).collect();
        assert_eq!(tags, parameters, "@param of {declaration}");
        let returns = !declaration.starts_with("void ") && !declaration.starts_with("typedef void ");
        assert_eq!(comment.matches("@return ").count(), usize::from(returns), "@return of {declaration}");
        count += 1;
    }
    assert_eq!(count, exported().len() + 3, "each exported function, and each type of a callback");
}

#[test]
fn every_function_is_in_the_index_by_task() {
    let header = render();
    let row = |line: &str| Some(line.strip_prefix(" * | ")?.split_once("() ")?.0.to_owned());
    let mut index: Vec<String> = header.lines().filter_map(row).filter(|name| name.starts_with("pusher_")).collect();
    index.sort_unstable();
    assert_eq!(index, exported());
}

/// The exported functions, sorted.
fn exported() -> Vec<String> {
    let symbols = std::fs::read_to_string(root().join("abi/symbols.txt")).expect("abi/symbols.txt can be read");
    symbols.lines().map(str::to_owned).collect()
}

/// The comments on declarations, each with the declaration, up to its semicolon.
fn documented(header: &str) -> Vec<(&str, &str)> {
    let comments = header.split("/**").filter_map(|rest| rest.split_once("*/"));
    comments
        .filter_map(|(comment, rest)| Some((comment, rest.split_once(';')?.0.trim())))
        .filter(|(_, declaration)| !declaration.starts_with('#'))
        .collect()
}

/// Returns the folder of the repository, or of the copy that PUSHER_TREE names: scripts/release-check.sh plants a fault in one.
fn root() -> PathBuf {
    std::env::var_os("PUSHER_TREE").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
}

/// Compares a committed file with what it has to be, after writing it where that was asked for.
fn hold(file: &str, rendered: &str) {
    let path = root().join(file);
    if std::env::var_os("PUSHER_WRITE_HEADER").is_some() {
        std::fs::write(&path, rendered).unwrap_or_else(|error| panic!("{file} can't be written: {error}"));
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == rendered, "{file} differs from the sources: run `make header` and commit the result");
}

fn render() -> String {
    let root = root();
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
    let mut macros = String::from(
        "\n/* The version of this header. pusher_version_number() returns the version of the library. */\n",
    );
    for (name, part) in names.iter().zip(parts) {
        macros += &format!("#define PUSHER_VERSION_{name} {part}\n");
    }
    macros
        + "/** The version as `0x00MMmmpp`. */\n\
           #define PUSHER_VERSION_NUMBER \\\n  \
           ((PUSHER_VERSION_MAJOR << 16) | (PUSHER_VERSION_MINOR << 8) | PUSHER_VERSION_PATCH)\n"
}

/// The declarations of the header as a C99 compiler sees them, each in one line and without its semicolon. It knows the directives that
/// the header has, and no others.
fn declarations(header: &str) -> Vec<String> {
    let mut code = String::new();
    // Whether each condition around the line holds.
    let mut conditions = Vec::new();
    for line in without_comments(header).lines().map(str::trim) {
        if let Some(directive) = line.strip_prefix('#') {
            let words: Vec<&str> = directive.split_whitespace().collect();
            match words[..] {
                ["ifndef", "PUSHER_H" | "__cplusplus"] => conditions.push(true),
                ["ifdef", "__cplusplus"]
                | ["if", "__STDC_VERSION__", ">=", "202311L"]
                | ["if", "defined(__cplusplus)", "||", "__STDC_VERSION__", ">=", "202311L"] => conditions.push(false),
                ["else"] => *conditions.last_mut().expect("an #else has its #if") ^= true,
                ["endif"] => drop(conditions.pop().expect("an #endif has its #if")),
                ["include" | "define", ..] => {}
                _ => panic!("a directive that is not known here: {line}"),
            }
        } else if conditions.iter().all(|holds| *holds) {
            code += line;
            code.push(' ');
        }
    }
    assert!(conditions.is_empty(), "an #if without its #endif");
    code.split(';')
        .map(|declaration| declaration.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|declaration| !declaration.is_empty())
        .collect()
}

/// The text without its comments, and without line breaks that a backslash takes back.
fn without_comments(header: &str) -> String {
    let mut code = String::new();
    let mut rest = header;
    while let Some((before, comment)) = rest.split_once("/*") {
        code += before;
        rest = comment.split_once("*/").expect("a comment has an end").1;
    }
    code += rest;
    let code = code.replace("\\\n", " ");
    code.lines().map(|line| line.split("//").next().unwrap_or_default().trim_end()).collect::<Vec<_>>().join("\n")
}

/// The header as parsers take it that know C's declarations, and neither a preprocessor nor an enumeration's type.
fn for_ffi_parsers(declarations: &[String]) -> String {
    let part = |part: &str| part.parse::<u32>().expect("a part of the version is a number");
    let mut header = format!(
        "/* pusher.h as a preprocessor leaves it, for FFI parsers such as PHP's, Python's cffi and LuaJIT's.\n   \
         Its documentation is in pusher.h. Generated from the sources; not to be edited. */\n\
         enum {{ PUSHER_VERSION_NUMBER = {} }};\n",
        part(env!("CARGO_PKG_VERSION_MAJOR")) << 16
            | part(env!("CARGO_PKG_VERSION_MINOR")) << 8
            | part(env!("CARGO_PKG_VERSION_PATCH"))
    );
    for declaration in declarations {
        match declaration.strip_prefix("enum ").and_then(|of| of.split_once('{')) {
            Some((name, members)) => {
                let members =
                    members.trim_end_matches('}').split(',').map(str::trim).filter(|member| !member.is_empty());
                header += &format!("enum {} {{\n  {}\n}};\n", name.trim(), members.collect::<Vec<_>>().join(",\n  "));
            }
            None => header += &format!("{declaration};\n"),
        }
    }
    header
}
