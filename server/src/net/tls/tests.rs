use std::os::unix::fs::PermissionsExt;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::*;

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn paths(&self) -> TlsFiles {
        TlsFiles {
            cert: self.dir.path().join("cert.pem"),
            key: self.dir.path().join("key.pem"),
        }
    }

    /// Puts a fresh pair there, as an operator would, and returns the certificate.
    fn renew(&self) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        self.put("cert.pem", &made.cert.pem(), 0o644);
        self.put("key.pem", &made.signing_key.serialize_pem(), 0o600);
        made.cert.der().clone()
    }

    fn put(&self, name: &str, text: &str, mode: u32) {
        let fresh = self.dir.path().join("fresh");
        std::fs::write(&fresh, text).unwrap();
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(mode)).unwrap();
        std::fs::rename(&fresh, self.dir.path().join(name)).unwrap();
    }
}

/// Whether a client that trusts this certificate alone gets through, and over which protocol.
async fn greets(tls: &Tls, trusted: &CertificateDer<'static>) -> Option<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let (here, there) = tokio::io::duplex(1 << 16);
    let acceptor = tls.acceptor().clone();
    let server = tokio::spawn(async move {
        let mut stream = acceptor.accept(there).await.ok()?;
        stream.write_all(b"hi").await.ok()?;
        stream.shutdown().await.ok()
    });
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, here).await.ok()?;
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.ok()?;
    assert_eq!(said, b"hi");
    server.await.unwrap();
    stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)
}

#[tokio::test]
async fn a_new_pair_is_taken_up_and_a_bad_one_is_not() {
    let files = Files::new();
    let first = files.renew();
    let tls = Tls::load(files.paths()).unwrap();
    assert_eq!(greets(&tls, &first).await, Some(b"h2".to_vec()));
    assert!(!tls.reload().unwrap(), "nothing changed");

    let second = files.renew();
    assert!(tls.reload().unwrap());
    assert_eq!(greets(&tls, &first).await, None);
    assert!(greets(&tls, &second).await.is_some());

    // A certificate without its key: half of a replacement.
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    files.put("cert.pem", &other.cert.pem(), 0o644);
    assert!(matches!(tls.reload(), Err(TlsError::Pair(_))));
    assert!(!tls.reload().unwrap(), "reported once");
    assert!(greets(&tls, &second).await.is_some());
    files.put("key.pem", &other.signing_key.serialize_pem(), 0o600);
    assert!(tls.reload().unwrap());
    assert!(greets(&tls, other.cert.der()).await.is_some());
}

#[test]
fn bad_files_are_told_apart() {
    let files = Files::new();
    let refused = || Tls::load(files.paths()).unwrap_err().to_string();
    assert!(refused().starts_with("tls certificate cannot be read"));
    files.renew();
    files.put("cert.pem", "no pem", 0o644);
    assert!(refused().starts_with("no certificate in pem form"));
    files.renew();
    files.put("key.pem", "no pem", 0o600);
    assert!(refused().starts_with("no private key in pem form"));
    files.renew();
    let key = files.paths().key;
    for mode in [0o640, 0o604, 0o660] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = Tls::load(files.paths()).unwrap_err();
        let shared = matches!(error, TlsError::Key(PrivateFileError::Shared(_)));
        assert!(shared, "{mode:o}: {error:?}");
    }
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(
        Tls::load(files.paths()),
        Err(TlsError::Key(PrivateFileError::Io { .. }))
    ));
}
