//! TLS from a certificate and a key file, read again when they change.
//!
//! Owns the key in memory. A pair that does not fit, as while an operator replaces two files one
//! after the other, is reported and the one before stays in use.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use super::private_file::{self, PrivateFileError};

/// Where certificate and key are, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that vouch for it, the server's own first.
    pub cert: PathBuf,
    /// Its private key, readable by its owner alone.
    pub key: PathBuf,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate cannot be read.
    #[error("tls certificate cannot be read file={path}")]
    Cert {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No certificate in it, or bytes that are none.
    #[error("no certificate in pem form in the tls certificate file={0}")]
    CertForm(PathBuf),
    /// The key cannot be read or is not private.
    #[error("tls key")]
    Key(#[from] PrivateFileError),
    /// No key in it.
    #[error("no private key in pem form in the tls key file={0}")]
    KeyForm(PathBuf),
    /// The key is not the certificate's, or of a kind that is not supported.
    #[error("tls key and certificate do not go together")]
    Pair(#[source] rustls::Error),
}

/// The pair in use.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read()))
    }
}

/// What tells that a file was replaced or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            inode: meta.ino(),
            bytes: meta.len(),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// TLS as a listener does it.
pub(crate) struct Tls {
    files: TlsFiles,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
    seen: Mutex<Option<[Stamp; 2]>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files. Blocks.
    pub(crate) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let seen = stamps(&files);
        let current = Arc::new(Current(RwLock::new(Arc::new(read(&files)?))));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Current>::clone(&current));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            files,
            current,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            seen: Mutex::new(seen),
        })
    }

    /// For new connections; those that are there keep what they have.
    pub(crate) const fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Reads the files again if they are not those of the last time. Whether a new pair is in use.
    /// Blocks.
    pub(crate) fn reload(&self) -> Result<bool, TlsError> {
        let now = stamps(&self.files);
        // Kept also if the pair turns out bad: it is reported once, and read again when it changes.
        if std::mem::replace(&mut *self.seen.lock(), now) == now {
            return Ok(false);
        }
        let fresh = read(&self.files)?;
        *self.current.0.write() = Arc::new(fresh);
        Ok(true)
    }
}

fn stamps(files: &TlsFiles) -> Option<[Stamp; 2]> {
    let stamp = |path: &Path| Some(Stamp::of(&std::fs::metadata(path).ok()?));
    Some([stamp(&files.cert)?, stamp(&files.key)?])
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let pem = std::fs::read(&files.cert).map_err(|source| TlsError::Cert {
        path: files.cert.clone(),
        source,
    })?;
    let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certs = certs
        .ok()
        .filter(|certs| !certs.is_empty())
        .ok_or_else(|| TlsError::CertForm(files.cert.clone()))?;
    let pem = private_file::read(&files.key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem);
    let key = key.map_err(|_| TlsError::KeyForm(files.key.clone()))?;
    CertifiedKey::from_der(certs, key, &ring::default_provider()).map_err(TlsError::Pair)
}

#[cfg(test)]
mod tests;
