//! Rules about the tree itself. Every rule is a pure function from text to complaints, so that each has a test
//! beside it which shows that it can fail.

mod calls;
mod docs;
mod layers;
mod names;
mod rust_source;
mod sizes;
mod tree;

use tree::Tree;

fn assert_none(rule: &str, complaints: &[String]) {
    assert!(
        complaints.is_empty(),
        "{rule}:\n  {}",
        complaints.join("\n  ")
    );
}

#[test]
fn crates_point_one_way() {
    let tree = Tree::open();
    assert_none("layering", &layers::check(&tree));
}

#[test]
fn files_and_functions_stay_small() {
    let tree = Tree::open();
    let mut complaints = Vec::new();
    for (path, text) in tree.rust() {
        complaints.extend(sizes::check(&path, &text));
    }
    assert_none("size", &complaints);
}

#[test]
fn modules_are_named_after_what_they_hold() {
    let tree = Tree::open();
    let mut complaints = Vec::new();
    for (path, text) in tree.rust() {
        complaints.extend(names::check(&path, &text));
    }
    assert_none("names", &complaints);
}

#[test]
fn code_makes_no_forbidden_call() {
    let tree = Tree::open();
    let mut complaints = Vec::new();
    for (path, text) in tree.rust() {
        complaints.extend(calls::check(&path, &text));
    }
    assert_none("calls", &complaints);
}

#[test]
fn documents_name_only_what_exists() {
    let tree = Tree::open();
    let exists = |path: &str| tree.has(path);
    let mut complaints = docs::check_architecture(&tree.text("ARCHITECTURE.md"), &exists);
    complaints.extend(docs::check_readme(&tree.text("README.md"), &exists));
    complaints.extend(docs::check_changelog(&tree.text("CHANGELOG.md")));
    for (path, text) in tree.markdown() {
        let read = |target: &str| tree.try_text(target);
        complaints.extend(docs::check_links(&path, &text, &exists, &read));
    }
    assert_none("documents", &complaints);
}
