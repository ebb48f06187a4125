//! Tests that need the lab count as ignored where there is none, not as passed.

use super::{Source, assert_none, sources};

/// How libtest knows that a test is not run unless it is asked for.
const IGNORED: &str = "#[ignore = \"needs the lab\"]\n";

/// The folders of the tests that need the lab.
const SETS: [&str; 3] = ["tests/tests/it/", "tests/tests/full/", "tests/tests/exhaustive/"];

#[test]
fn tests_that_need_the_lab_count_as_ignored_without_it() {
    let sources = sources(&[".rs"]);
    let mut found = Vec::new();
    for set in SETS {
        let of_set = sources.iter().filter(|source| source.path.starts_with(set));
        let tests: Vec<String> = of_set.flat_map(tests_of_the_lab).collect();
        assert!(!tests.is_empty(), "the tests of {set} have moved");
        found.extend(tests.into_iter().filter(|test| !test.contains(IGNORED)));
    }
    assert_none("a test of the lab would pass where there is none: `#[ignore = \"needs the lab\"]`", &found);
}

/// The tests of a file that end with a verdict of the lab, each from its attribute to its first line.
fn tests_of_the_lab(source: &Source) -> Vec<String> {
    let heads =
        source.text.split("#[test]\n").skip(1).filter_map(|test| Some(test.split_once('{')?.0.to_owned()));
    heads
        .filter(|head| head.contains("-> Verdict"))
        .map(|head| format!("{}: {}", source.path, head.trim()))
        .collect()
}

#[test]
fn a_test_of_the_lab_is_known_by_its_verdict() {
    let text = "#[test]\n#[ignore = \"needs the lab\"]\nfn a() -> Verdict {\n}\n#[test]\nfn b() -> Verdict {\n}\n\
                #[test]\nfn c() {\n}\n";
    let source = Source { path: "it/a.rs".to_owned(), text: text.to_owned() };
    let tests = tests_of_the_lab(&source);
    assert_eq!(tests.len(), 2, "{tests:?}");
    assert_eq!(tests.iter().filter(|test| test.contains(IGNORED)).count(), 1);
}
