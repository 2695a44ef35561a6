//! Lists the files of the built dashboard, so that the binary holds them. Without a built dashboard
//! the list is empty, and the server says so where the dashboard would be.
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboard/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut paths = Vec::new();
    if dist.join("index.html").is_file() {
        walk(&dist, "", &mut paths)?;
    }
    paths.sort();
    let mut list = String::from("&[\n");
    for path in &paths {
        if !is_packed(path) {
            entry(&dist, path, &mut list)?;
        }
    }
    list.push(']');
    let out = env::var_os("OUT_DIR").map(PathBuf::from);
    let out = out.ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    fs::write(out.join("dashboard_files.rs"), list)
}

fn walk(dir: &Path, below: &str, paths: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(dir.join(below))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        if entry.file_type()?.is_dir() {
            walk(dir, &path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

/// Whether it is the compressed form of a file beside it.
fn is_packed(path: &str) -> bool {
    let extension = Path::new(path).extension();
    extension.is_some_and(|extension| extension == "br" || extension == "gz")
}

fn entry(dist: &Path, path: &str, list: &mut String) -> io::Result<()> {
    let packed = |extension: &str| -> io::Result<String> {
        let file = dist.join(format!("{path}.{extension}"));
        Ok(if file.is_file() {
            format!("Some(include_bytes!({}))", literal(&file)?)
        } else {
            "None".to_owned()
        })
    };
    writeln!(
        list,
        "File {{ path: {path:?}, plain: include_bytes!({}), gzip: {}, brotli: {} }},",
        literal(&dist.join(path))?,
        packed("gz")?,
        packed("br")?,
    )
    .map_err(io::Error::other)
}

/// The path as a string of Rust.
fn literal(path: &Path) -> io::Result<String> {
    let path = path.canonicalize()?;
    let text = path.to_str().map(|text| format!("{text:?}"));
    text.ok_or_else(|| io::Error::other("path is not UTF-8"))
}
