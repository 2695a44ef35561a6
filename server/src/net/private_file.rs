//! Files with a secret in them: read if nobody else can.

use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::limits::SECRET_FILE_BYTES_MAX;

/// Why a secret was not read.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// The operating system refused.
    #[error("secret cannot be read file={path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The group or everyone may read or write it.
    #[error("others can read the secret; set its mode to 0600 file={0}")]
    Shared(PathBuf),
    /// Not what an operator would put there.
    #[error("secret is empty, too large or no text file={0}")]
    Form(PathBuf),
}

/// The bytes of a file that only its owner can read. Blocks.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, PrivateFileError> {
    let refused = |source| PrivateFileError::Io {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::OpenOptions::new()
        .read(true)
        .open(path)
        .map_err(refused)?;
    // Of the file that is open, not of the name.
    let mode = file.metadata().map_err(refused)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::Shared(path.to_owned()));
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(SECRET_FILE_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(refused)?;
    if bytes.is_empty() || bytes.len() > SECRET_FILE_BYTES_MAX {
        return Err(PrivateFileError::Form(path.to_owned()));
    }
    Ok(bytes)
}

/// The same as one line of text, without the line's end.
pub(crate) fn read_line(path: &Path) -> Result<String, PrivateFileError> {
    let form = || PrivateFileError::Form(path.to_owned());
    let text = String::from_utf8(read(path)?).map_err(|_| form())?;
    let line = text.trim_end_matches(['\r', '\n']);
    let is_line = !line.is_empty() && !line.chars().any(char::is_control);
    is_line.then(|| line.to_owned()).ok_or_else(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let put = |text: &[u8], mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        put(b"s3cret\n", 0o600);
        assert_eq!(read_line(&path).unwrap(), "s3cret");
        put(b"s3cret", 0o400);
        assert_eq!(read_line(&path).unwrap(), "s3cret");
        put(&vec![b'x'; SECRET_FILE_BYTES_MAX], 0o600);
        assert_eq!(read(&path).unwrap().len(), SECRET_FILE_BYTES_MAX);
        for bad in [
            b"".to_vec(),
            b"\n".to_vec(),
            b"a\nb".to_vec(),
            vec![0xff],
            vec![b'x'; SECRET_FILE_BYTES_MAX + 1],
        ] {
            put(&bad, 0o600);
            assert!(matches!(read_line(&path), Err(PrivateFileError::Form(_))));
        }
        put(b"s3cret", 0o644);
        assert!(matches!(read_line(&path), Err(PrivateFileError::Shared(_))));
    }
}
