//! What a server is started with, and which of it is refused before anything is touched.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::Uri;

use super::ServeError;
use crate::blob::s3::S3Place;
use crate::keys::KeyString;
use crate::net::forwarded::{Network, Proxies};
use crate::net::tls::TlsFiles;
use crate::signin::mail::MailSettings;

/// Settings of a server.
#[derive(Debug)]
pub struct Config {
    /// The data directory.
    pub data: PathBuf,
    /// Where to listen.
    pub http: SocketAddr,
    /// Where to listen for OTLP over gRPC.
    pub grpc: GrpcAddress,
    /// Memory budget in bytes.
    pub memory_bytes: u64,
    /// Room on the disk that ingest leaves for deletes and changes of the control plane.
    pub disk_reserve_bytes: u64,
    /// Largest body after decompression.
    pub decoded_bytes_max: usize,
    /// The bucket that attachments are in; `None`: the data directory.
    pub bucket: Option<S3Place>,
    /// Largest attachment.
    pub blob_bytes_max: u64,
    /// TLS and the network are someone else's care: listen anywhere.
    pub behind_proxy: bool,
    /// Proxies that are believed when they say from where a request comes.
    pub trusted_proxies: Vec<Network>,
    /// Certificate and key.
    pub tls: Option<TlsFiles>,
    /// Where browsers find the server.
    pub public_url: Option<PublicUrl>,
    /// How mail is sent.
    pub mail: Option<MailSettings>,
    /// The file that lists the providers by which people may sign in.
    pub providers: Option<PathBuf>,
    /// A table of prices in the place of the shipped one.
    pub prices: Option<PathBuf>,
    /// The key to install at the first start.
    pub bootstrap_key: Option<KeyString>,
}

/// Where to listen for OTLP over gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcAddress {
    /// Nowhere.
    Off,
    /// There, or the server does not start.
    At(SocketAddr),
    /// There, unless something else does: nobody asked for it.
    IfFree(SocketAddr),
}

impl GrpcAddress {
    /// The address.
    pub const fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) | Self::IfFree(address) => Some(address),
        }
    }
}

impl Config {
    /// Refuses what would be open to others, or would be believed without reason.
    pub(super) fn check(&self) -> Result<(), ServeError> {
        let is_guarded = self.behind_proxy || self.tls.is_some();
        for address in [Some(self.http), self.grpc.address()].into_iter().flatten() {
            if !address.ip().is_loopback() && !is_guarded {
                return Err(ServeError::Exposed(address));
            }
        }
        if !self.trusted_proxies.is_empty() && !self.behind_proxy {
            return Err(ServeError::NoProxy);
        }
        Ok(())
    }

    /// Whose word about addresses counts.
    pub(super) fn proxies(&self) -> Proxies {
        Proxies::new(self.trusted_proxies.clone()).behind(self.behind_proxy)
    }

    /// What links to pages begin with.
    pub(super) fn base(&self, address: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        self.public_url
            .as_ref()
            .map_or_else(|| format!("{scheme}://{address}"), |url| url.0.clone())
    }
}

/// An origin: scheme, host and port, as browsers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Reads an origin; a slash at its end is nothing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "write scheme and host alone, as in https://obsrv.example.org".to_owned();
        let text = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let (scheme, host) = (uri.scheme_str().unwrap_or(""), uri.host().unwrap_or(""));
        let authority = uri.authority().map_or("", http::uri::Authority::as_str);
        let is_origin = text == format!("{scheme}://{authority}");
        if host.is_empty() || !is_origin || authority.contains('@') {
            return Err(wrong());
        }
        match scheme {
            "https" => {}
            // Browsers send the session's cookie over TLS or to their own machine, nowhere else.
            "http" if is_loopback(host) => {}
            _ => return Err("browsers sign in over https only; write an https url".to_owned()),
        }
        let port = if scheme == "https" { ":443" } else { ":80" };
        let origin = text.strip_suffix(port).unwrap_or(&text);
        Ok(Self(origin.to_owned()))
    }

    /// The origin.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a host in a URL is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<std::net::IpAddr> = bare.parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (text, origin) in [
            ("https://obsrv.example.org", "https://obsrv.example.org"),
            ("HTTPS://Obsrv.Example.org/", "https://obsrv.example.org"),
            ("https://obsrv.example.org:443", "https://obsrv.example.org"),
            (
                "https://obsrv.example.org:8443",
                "https://obsrv.example.org:8443",
            ),
            ("http://localhost:4318", "http://localhost:4318"),
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318"),
            ("http://[::1]:4318", "http://[::1]:4318"),
        ] {
            assert_eq!(PublicUrl::parse(text).unwrap().as_str(), origin);
        }
        for bad in [
            "",
            "obsrv.example.org",
            "https://",
            "https://a@b",
            "https://a/b",
            "https://a?b",
            "https://a//",
            "http://obsrv.example.org",
            "http://127.0.0.1.example.org",
            "ftp://localhost",
            "javascript://localhost",
        ] {
            assert!(PublicUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
