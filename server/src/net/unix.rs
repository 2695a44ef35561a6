//! The admin socket: HTTP over a unix socket that only the owner of the data directory can open.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, watch};

use crate::limits::ADMIN_CONNECTIONS_MAX;

const NAME: &str = "admin.sock";
/// Longest path that every system takes as a socket's address, in bytes.
const ADDRESS_BYTES_MAX: usize = 100;

/// Where the socket of a data directory is.
pub(crate) fn path_in(data: &Path) -> PathBuf {
    data.join(NAME)
}

/// The address of the socket of a data directory, for as long as it is held: its path, or one by
/// way of the opened directory if the path is too long for an address.
#[derive(Debug)]
pub(crate) struct Address {
    path: PathBuf,
    _directory: Option<std::fs::File>,
}

impl Address {
    pub(crate) fn of(data: &Path) -> io::Result<Self> {
        let path = path_in(data);
        if path.as_os_str().len() <= ADDRESS_BYTES_MAX {
            return Ok(Self {
                path,
                _directory: None,
            });
        }
        let directory = OpenOptions::new().read(true).open(data)?;
        let path = format!("/proc/self/fd/{}/{NAME}", directory.as_raw_fd());
        Ok(Self {
            path: path.into(),
            _directory: Some(directory),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Listens, in place of a socket that an earlier process left behind. Whoever calls this holds the
/// data directory's lock.
pub(crate) fn bind(data: &Path) -> io::Result<UnixListener> {
    let path = path_in(data);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(Address::of(data)?.path())?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves until `stop` says so.
pub(crate) async fn serve(listener: UnixListener, router: Router, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            // A command that was interrupted.
            let _ = served.await;
            drop(place);
        });
    }
}
