//! The first start: a project, a key, and how the key gets to its owner.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{Config, ServeError};
use crate::keys::KeyString;
use crate::tenancy::ControlPlane;
use crate::tenancy::plane::{By, KeyTerms};

const PROJECT: &str = "default";
/// Where the key is when no terminal was there to show it.
pub(crate) const KEY_FILE: &str = "first-key";

/// Makes the project `default` and a key for it: the one that was given, or a fresh one that is
/// shown on a terminal or else written to [`KEY_FILE`].
///
/// The file is written before the key is installed: a crash between the two leaves a file that the
/// next first start replaces, never a key that nobody knows.
pub(super) async fn prepare(
    plane: &ControlPlane,
    config: &Config,
    address: SocketAddr,
) -> Result<(), ServeError> {
    let (id, minted) = plane.mint();
    if let Some(given) = &config.bootstrap_key {
        let given = given.clone();
        let terms = KeyTerms::default();
        plane
            .install(By::system(), PROJECT, id, given, terms)
            .await?;
        return Ok(());
    }
    let is_watched = io::stdout().is_terminal();
    if !is_watched {
        let path = config.data.join(KEY_FILE);
        write_key(&path, &minted).map_err(super::io("first key cannot be written"))?;
        tracing::info!(path = %path.display(), "first key written");
    }
    let terms = KeyTerms::default();
    let made = plane
        .install(By::system(), PROJECT, id, minted, terms)
        .await?
        .made;
    if is_watched {
        let shown = writeln!(
            io::stdout(),
            "Project \"{PROJECT}\" at http://{address}. Its key, shown this once:\n\n    {}\n",
            made.key.reveal()
        );
        shown.map_err(super::io("first key cannot be shown"))?;
    }
    Ok(())
}

fn write_key(path: &Path, key: &KeyString) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{}", key.reveal())?;
    file.sync_all()
}

/// Says on a terminal that the server is there.
pub(super) fn greet(address: SocketAddr) {
    if io::stdout().is_terminal() {
        // A terminal that went away is no reason to stop.
        drop(writeln!(io::stdout(), "obsrv is ready at http://{address}"));
    }
}
