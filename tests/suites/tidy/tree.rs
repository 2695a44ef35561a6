//! The files of the checkout.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold what was built or fetched, not what was written.
const NOT_OURS: [&str; 6] = [
    ".git",
    ".venv",
    "node_modules",
    "obsrv-data",
    "target",
    "__pycache__",
];

/// Folders whose Rust code the rules read.
const RUST_ROOTS: [&str; 5] = ["wal", "engine", "server", "tests", "benches"];

pub(crate) struct Tree {
    root: PathBuf,
    files: Vec<String>,
}

impl Tree {
    pub(crate) fn open() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = Vec::new();
        walk(&root, "", &mut files);
        assert!(files.len() > 10, "the walk found the checkout");
        Self { root, files }
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.root.join(path).try_exists().unwrap_or(false)
    }

    pub(crate) fn try_text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }

    pub(crate) fn text(&self, path: &str) -> String {
        self.try_text(path)
            .unwrap_or_else(|| panic!("file can be read path={path}"))
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.files
            .iter()
            .filter(|p| has_extension(p, "rs"))
            .filter(|p| RUST_ROOTS.iter().any(|r| p.starts_with(&format!("{r}/"))))
            .map(|p| (p.clone(), self.text(p)))
    }

    pub(crate) fn markdown(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.files
            .iter()
            .filter(|p| has_extension(p, "md") && !p.starts_with("samples/"))
            .map(|p| (p.clone(), self.text(p)))
    }
}

fn walk(root: &Path, below: &str, files: &mut Vec<String>) {
    let dir = root.join(below);
    let entries = fs::read_dir(&dir).expect("folder can be listed");
    for entry in entries {
        let entry = entry.expect("folder entry can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        if NOT_OURS.contains(&name.as_str()) {
            continue;
        }
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        if entry.file_type().expect("file type can be read").is_dir() {
            walk(root, &path, files);
        } else {
            files.push(path);
        }
    }
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|e| e == extension)
}
