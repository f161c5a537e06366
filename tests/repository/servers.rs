//! Each fact of docs/servers.md has a test of its name, and each test of a fact has its row.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The tests of facts: against servers that imitate others, and against the real ones.
const RUST: &str = "tests/network/servers.rs";
const E2E: &str = "e2e/facts.test.mjs";

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Returns the name of the test of a fact about a server: `reverb_counts_its_connections`.
fn test_name(server: &str, fact: &str) -> String {
    let text = format!("{server} {fact}").to_lowercase();
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("_")
}

/// Returns the names of the tests of all rows. A table of facts begins with the server in code and `libpusher`.
fn rows(page: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut server = None;
    for line in page.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        match (cells[..].first(), server) {
            _ if !line.starts_with('|') => server = None,
            (Some(title), None) if cells.get(1) == Some(&"libpusher") => server = Some(title.trim_matches('`')),
            (Some(fact), Some(server)) if !line.starts_with("|-") => {
                assert!(names.insert(test_name(server, fact)), "two rows have the same name: {line}");
            }
            _ => {}
        }
    }
    names
}

/// Returns the names of the tests in a file in Rust.
fn rust_tests(code: &str) -> BTreeSet<String> {
    let names = code.split("#[test]\nfn ").skip(1).map(|rest| rest.split('(').next().unwrap_or_default().to_owned());
    names.collect()
}

/// Returns the names of the tests in a file in JavaScript: `fact('soketi', 'ignores info', …`.
fn e2e_tests(code: &str) -> BTreeSet<String> {
    let quoted = |call: &str| -> Option<String> {
        let mut strings = call.split('\'').skip(1).step_by(2);
        Some(test_name(strings.next()?, strings.next()?))
    };
    code.lines().filter_map(|line| line.trim_start().strip_prefix("fact(")).filter_map(quoted).collect()
}

/// Returns what is missing: rows without a test, and tests without a row.
fn faults(page: &str, rust: &str, e2e: &str) -> Vec<String> {
    let rows = rows(page);
    let tests = &rust_tests(rust) | &e2e_tests(e2e);
    let without_test = rows.difference(&tests).map(|name| format!("no test: {name}"));
    let without_row = tests.difference(&rows).map(|name| format!("no row: {name}"));
    without_test.chain(without_row).collect()
}

#[test]
fn each_fact_about_a_server_has_a_test_and_each_test_a_fact() {
    let page = read("docs/servers.md");
    assert!(rows(&page).len() > 20, "the tables of docs/servers.md are not found");
    assert_eq!(faults(&page, &read(RUST), &read(E2E)), [""; 0]);
}

#[test]
fn a_fact_without_a_test_and_a_test_without_a_fact_are_found() {
    let page = "| `a-b` | libpusher |\n|---|---|\n| has 1,000 `x`, and no y | x |\n| is new | y |\n\n| c | d |\n|---|---|\n| e | f |\n";
    let rust = "#[test]\nfn a_b_has_1_000_x_and_no_y() {}\n#[test]\nfn a_b_is_old() {}\nfn a_b_helps() {}\n";
    assert_eq!(faults(page, rust, ""), ["no test: a_b_is_new", "no row: a_b_is_old"]);
    assert_eq!(faults(page, rust, "\n  fact('a-b', 'is new', async () => {\n"), ["no row: a_b_is_old"]);
}
