//! The file that lists providers.
//!
//! ```json
//! [{"id": "google", "name": "Google", "issuer": "https://accounts.google.com",
//!   "client_id": "…", "client_secret_file": "/etc/obsrv/google", "domains": ["example.org"],
//!   "hosts": ["oauth2.googleapis.com", "www.googleapis.com"]}]
//! ```

use std::path::{Path, PathBuf};

use http::Uri;
use serde::Deserialize;

use crate::limits::{PROVIDERS_MAX, SECRET_FILE_BYTES_MAX, USER_NAME_BYTES_MAX};
use crate::net::private_file::{self, PrivateFileError};
use crate::serve::settings::is_loopback;

/// Why providers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProvidersError {
    /// The file cannot be read.
    #[error("providers cannot be read file={path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("providers do not read; the file is a json list file={path}")]
    Form {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A setting that cannot be.
    #[error("provider cannot be used provider={id} setting={setting}")]
    Setting {
        /// Which provider.
        id: String,
        /// Which setting.
        setting: &'static str,
    },
    /// The client's secret.
    #[error("client secret")]
    Secret(#[from] PrivateFileError),
    /// No TLS.
    #[error("tls does not start")]
    Tls(#[from] rustls::Error),
    /// Providers send browsers back to one address, which must be known.
    #[error("providers need --public-url")]
    NoUrl,
}

/// A provider, as an operator writes it down.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) issuer: String,
    pub(super) client_id: String,
    client_secret_file: PathBuf,
    /// Whose people may come.
    pub(super) domains: Vec<String>,
    /// Hosts beside the issuer's that the provider needs.
    #[serde(default)]
    hosts: Vec<String>,
}

impl Settings {
    /// Hosts that may be asked, the issuer's among them.
    pub(super) fn hosts(&self) -> Vec<String> {
        let issuer: Option<Uri> = self.issuer.parse().ok();
        let own = issuer.as_ref().and_then(Uri::authority);
        let own = own.map(|authority| authority.as_str().to_owned());
        own.into_iter().chain(self.hosts.iter().cloned()).collect()
    }

    fn check(&self) -> Result<(), &'static str> {
        let is_id = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.id.is_empty() || self.id.len() > 32 || !self.id.bytes().all(is_id) {
            return Err("id");
        }
        if self.name.is_empty() || self.name.len() > USER_NAME_BYTES_MAX {
            return Err("name");
        }
        let issuer: Uri = self.issuer.parse().map_err(|_| "issuer")?;
        let is_private = match issuer.scheme_str() {
            Some("https") => true,
            Some("http") => is_loopback(issuer.host().unwrap_or("")),
            _ => false,
        };
        if !is_private || issuer.query().is_some() || self.issuer.contains(['#', '@']) {
            return Err("issuer");
        }
        if self.client_id.is_empty() {
            return Err("client_id");
        }
        let is_domain = |domain: &String| {
            let b = domain.as_bytes();
            !b.is_empty() && *domain == domain.to_ascii_lowercase() && !domain.contains('@')
        };
        if self.domains.is_empty() || !self.domains.iter().all(is_domain) {
            return Err("domains");
        }
        Ok(())
    }
}

/// Reads the file and the secrets that it names. Blocks.
pub(super) fn load(path: &Path) -> Result<Vec<(Settings, String)>, ProvidersError> {
    let refused = |source| ProvidersError::Io {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(refused)?.len();
    let most = u64::try_from(SECRET_FILE_BYTES_MAX).unwrap_or(u64::MAX);
    if size > most {
        return Err(refused(std::io::ErrorKind::FileTooLarge.into()));
    }
    let json = std::fs::read(path).map_err(refused)?;
    let all: Vec<Settings> =
        serde_json::from_slice(&json).map_err(|source| ProvidersError::Form {
            path: path.to_owned(),
            source,
        })?;
    let mut loaded: Vec<(Settings, String)> = Vec::new();
    for settings in all {
        let wrong = |setting| ProvidersError::Setting {
            id: settings.id.chars().take(32).collect(),
            setting,
        };
        settings.check().map_err(wrong)?;
        let is_twice = loaded.iter().any(|(known, _)| known.id == settings.id);
        if is_twice || loaded.len() == PROVIDERS_MAX {
            return Err(wrong("id"));
        }
        let secret = private_file::read_line(&settings.client_secret_file)?;
        loaded.push((settings, secret));
    }
    Ok(loaded)
}
