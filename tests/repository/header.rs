//! Generates `include/pusher.h` from the sources with cbindgen, and `include/pusher.ffi.h` from that with a preprocessor, and
//! compares both with the committed files. `make header` writes them.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The sources, in the order of the header.
const SOURCES: [&str; 15] = [
    "src/status.rs",
    "src/log.rs",
    "src/observer.rs",
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
fn the_committed_header_is_generated_from_the_sources() {
    compare("include/pusher.h", &render());
}

#[test]
fn the_committed_header_for_ffi_parsers_is_generated_from_the_sources() {
    compare("include/pusher.ffi.h", &for_ffi_parsers(&declarations(&render())));
}

#[test]
fn the_header_for_ffi_parsers_declares_each_function_and_has_no_directives() {
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
    assert_eq!(count, exported().len() + 4, "each exported function, and each type of a callback");
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
    let symbols = std::fs::read_to_string(root().join("abi/symbols.txt")).expect("abi/symbols.txt is readable");
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

/// Compares a committed file with the generated text. Writes the file first if PUSHER_WRITE_HEADER is set.
fn compare(file: &str, rendered: &str) {
    let path = root().join(file);
    if std::env::var_os("PUSHER_WRITE_HEADER").is_some() {
        std::fs::write(&path, rendered).unwrap_or_else(|error| panic!("cannot write {file}: {error}"));
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == rendered, "{file} differs from the sources: run `make header` and commit the result");
}

fn render() -> String {
    let root = root();
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is readable");
    config.after_includes = Some(version_macros());
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(root.join(source));
    }
    let mut header = Vec::new();
    builder.generate().expect("cbindgen understands the sources").write(&mut header);
    String::from_utf8(header).expect("the header is UTF-8")
}

/// The version macros. The version itself is only in Cargo.toml.
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

/// The declarations of the header as a C99 compiler sees them, each in one line and without its semicolon.
fn declarations(header: &str) -> Vec<String> {
    let mut compiler = Command::new("cc")
        .args(["-E", "-P", "-std=c99", "-x", "c", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cc runs");
    let lines = header.lines().filter(|line| !line.starts_with("#include"));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    compiler.stdin.take().expect("stdin is a pipe").write_all(text.as_bytes()).expect("cc reads the header");
    let output = compiler.wait_with_output().expect("cc ends");
    assert!(output.status.success(), "cc: {}", output.status);
    let code = String::from_utf8(output.stdout).expect("the header is UTF-8");
    code.split(';')
        .map(|declaration| declaration.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|declaration| !declaration.is_empty())
        .collect()
}

/// The header for parsers that read C declarations, but neither directives nor the type of an enum.
fn for_ffi_parsers(declarations: &[String]) -> String {
    let part = |part: &str| part.parse::<u32>().expect("a part of the version is a number");
    let mut header = format!(
        "/* pusher.h after the preprocessor, for FFI parsers such as those of PHP, Python's cffi and LuaJIT.\n   \
         pusher.h has the documentation. Generated from the sources; do not edit. */\n\
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
