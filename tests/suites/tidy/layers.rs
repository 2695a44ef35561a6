//! Which crate may know which.

use crate::rust_source::{is_test_file, production};
use crate::tree::Tree;

/// Wire formats and runtimes stop at the server.
const SERVER_ONLY: [&str; 8] = [
    "serde",
    "serde_json",
    "tokio",
    "axum",
    "hyper",
    "tower",
    "anyhow",
    "reqwest",
];

pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = dependencies("wal", &tree.text("wal/Cargo.toml"), &[]);
    complaints.extend(dependencies(
        "engine",
        &tree.text("engine/Cargo.toml"),
        &["obsrv-wal"],
    ));
    complaints.extend(dependencies_of_server(&tree.text("server/Cargo.toml")));
    for (path, text) in tree.rust() {
        complaints.extend(imports(&path, &text));
    }
    complaints
}

/// Names under `[dependencies]`.
fn dependency_names(manifest: &str) -> Vec<&str> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
            names.push(&line[..end]);
        }
    }
    names
}

fn dependencies(layer: &str, manifest: &str, ours: &[&str]) -> Vec<String> {
    dependency_names(manifest)
        .into_iter()
        .filter(|d| SERVER_ONLY.contains(d) || (d.starts_with("obsrv-") && !ours.contains(d)))
        .map(|d| format!("{layer} depends on {d}"))
        .collect()
}

fn dependencies_of_server(manifest: &str) -> Vec<String> {
    dependency_names(manifest)
        .into_iter()
        .filter(|d| *d == "obsrv-wal")
        .map(|d| format!("server depends on {d}"))
        .collect()
}

fn imports(path: &str, text: &str) -> Vec<String> {
    let banned: &[&str] = match path.split('/').next() {
        Some("wal") => &["obsrv_engine", "obsrv_server"],
        Some("engine") => &["obsrv_server"],
        // Its tests may stand on the simulated disk.
        Some("server") if !is_test_file(path) => &["obsrv_wal"],
        _ => &[],
    };
    let code = production(text);
    banned
        .iter()
        .filter(|name| code.contains(*name))
        .map(|name| format!("{path} names {name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_that_points_up_is_found() {
        let manifest = "[package]\nname = \"serde\"\n[dependencies]\nserde.workspace = true\nobsrv-engine = {}\n\
                        bytes = \"1\"\n[dev-dependencies]\ntokio = \"1\"\n";
        assert_eq!(
            dependencies("wal", manifest, &[]),
            ["wal depends on serde", "wal depends on obsrv-engine"]
        );
        assert!(
            dependencies(
                "engine",
                "[dependencies]\nobsrv-wal.workspace = true\n",
                &["obsrv-wal"]
            )
            .is_empty()
        );
        assert_eq!(
            dependencies_of_server("[dependencies]\nobsrv-wal.workspace = true\n").len(),
            1
        );
    }

    #[test]
    fn an_import_that_points_up_is_found() {
        assert_eq!(imports("wal/src/a.rs", "use obsrv_engine::row;").len(), 1);
        assert_eq!(
            imports("engine/src/a.rs", "use obsrv_server::row;").len(),
            1
        );
        assert_eq!(imports("server/src/a.rs", "use obsrv_wal::io;").len(), 1);
        assert!(imports("server/src/a/tests/b.rs", "use obsrv_wal::io;").is_empty());
        assert!(
            imports(
                "server/src/a.rs",
                "// obsrv_wal::io\nuse obsrv_engine::row;"
            )
            .is_empty()
        );
    }
}
