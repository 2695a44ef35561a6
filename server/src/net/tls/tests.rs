use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::*;
use crate::http::{self, App};
use crate::limits::TLS_HANDSHAKES_MAX;
use crate::net::accept::{Doorway, serve};
use crate::net::forwarded::Proxies;

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

/// A client that trusts this certificate alone.
fn trusting(trusted: &CertificateDer<'static>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// Whether a client that trusts this certificate alone gets through, and over which protocol.
async fn greets(tls: &Tls, trusted: &CertificateDer<'static>) -> Option<Vec<u8>> {
    let connector = trusting(trusted);
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

/// As many as may shake hands at once do; one more waits for its turn, and has it when one of them is done.
#[tokio::test]
async fn one_handshake_above_the_limit_waits_for_its_turn() {
    let files = Files::new();
    let trusted = files.renew();
    let tls = Tls::load(files.paths()).unwrap();
    let clock = Arc::new(obsrv_engine::io::SystemClock::new());
    let app = App::new(clock, 1 << 30, 1 << 20, 7);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let doorway = Doorway {
        tls: Some(tls.acceptor().clone()),
        proxies: Proxies::default(),
    };
    let (stop, stopped) = watch::channel(false);
    let router = http::build(Arc::clone(&app));
    let serving = tokio::spawn(serve(listener, app, router, doorway, stopped));
    // The first byte of a hello, and no more: a handshake that goes on.
    let begun = || async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[0x16]).await.unwrap();
        stream
    };
    let connector = trusting(&trusted);
    let greeted = |time: Duration| {
        let connector = connector.clone();
        async move {
            let stream = TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let shaken = timeout(time, connector.connect(name, stream)).await;
            shaken.is_ok_and(|shaken| shaken.is_ok())
        }
    };
    let mut held = Vec::new();
    for _ in 1..TLS_HANDSHAKES_MAX {
        held.push(begun().await);
    }
    assert!(greeted(Duration::from_secs(3)).await, "the last place");
    held.push(begun().await);
    assert!(!greeted(Duration::from_millis(300)).await, "one above");
    held.pop();
    assert!(greeted(Duration::from_secs(3)).await, "a place is free");
    stop.send_replace(true);
    drop(held);
    serving.await.unwrap();
}
