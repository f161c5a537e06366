//! The README: short enough to be read, and its figures are those of the pages that it links to.

use std::fs;
use std::path::{Path, PathBuf};

const MAX_LINES: usize = 150;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).expect("README.md")
}

#[test]
fn the_readme_has_at_most_150_lines() {
    let lines = readme().lines().count();
    assert!(lines <= MAX_LINES, "README.md has {lines} lines, more than {MAX_LINES}: move some into docs");
}

/// Returns the parts of a text between two marks.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> Vec<&'a str> {
    text.split(begin).skip(1).filter_map(|rest| rest.split_once(end)).map(|(part, _)| part).collect()
}

/// Returns what is wrong with the figures of the claims: the items of a list, and paragraphs that begin in bold. Each states figures in
/// bold and links to their evidence.
fn wrong_figures(readme: &str, page: impl Fn(&Path) -> String) -> Vec<String> {
    let claims =
        readme.split_once("## Why this one").expect("the claims").1.split_once("\n## ").expect("the next part").0;
    let mut wrong = Vec::new();
    for claim in claims.replace("\n**", "\n- **").split("\n- ").skip(1) {
        // The first link is the evidence. Numbers have commas in some pages and none in others.
        let evidence = between(claim, "](", ")").first().copied().unwrap_or_default();
        let text = page(Path::new(evidence)).replace(',', "");
        let bold: Vec<&str> = claim.split("**").skip(1).step_by(2).collect();
        let figures: Vec<String> = bold
            .iter()
            .filter(|words| words.contains(|c: char| c.is_ascii_digit()))
            .map(|words| words.replace(',', ""))
            .collect();
        if figures.is_empty() {
            wrong.push(format!("a claim without a figure: {claim}"));
        }
        wrong.extend(
            figures
                .into_iter()
                .filter(|figure| !text.contains(figure.as_str()))
                .map(|figure| format!("{figure} is not in {evidence}")),
        );
    }
    wrong
}

#[test]
fn the_figures_of_the_readme_are_those_of_the_pages() {
    let page = |path: &Path| {
        fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let wrong = wrong_figures(&readme(), page);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_stale_figure_is_found() {
    let readme = "## Why this one\n\n- **True.** **1,200 calls** ([page](docs/page.md)).\n- No figure ([page](docs/page.md)).\n\n**Fast**, **2** times ([other](docs/other.md)).\n\n## Next\n";
    let pages = |page: &'static str, other: &'static str| {
        move |path: &Path| if path.ends_with("page.md") { page.to_owned() } else { other.to_owned() }
    };
    assert_eq!(wrong_figures(readme, pages("1200 calls", "2")).len(), 1);
    assert_eq!(wrong_figures(readme, pages("1,300 calls", "2")).len(), 2);
    assert_eq!(wrong_figures(readme, pages("1,200 calls", "3")).len(), 2);
}

#[test]
fn every_drawing_of_the_docs_has_colours_for_the_dark() {
    let folder = root().join("docs");
    let files = fs::read_dir(&folder).expect("docs").map(|entry| entry.expect("an entry").path());
    let drawings: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "svg")).collect();
    assert!(!drawings.is_empty());
    for drawing in drawings {
        let text = fs::read_to_string(&drawing).expect("a drawing");
        assert!(text.contains("prefers-color-scheme: dark"), "{} is for a light page only", drawing.display());
    }
}
