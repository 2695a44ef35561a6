use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;

use super::*;

fn mailer(port: u16, login: Option<(&str, &str)>) -> Mailer {
    Mailer {
        host: "127.0.0.1".into(),
        port,
        from: Email::parse("obsrv@example.org").unwrap(),
        login: login.map(|(user, password)| (user.into(), password.into())),
        security: MailSecurity::Off,
        private: Private::new().unwrap(),
    }
}

/// A mail server for one letter: what it was told, until the end of the letter. It refuses the
/// lines that begin with `refuse`.
async fn server(refuse: &'static str) -> (u16, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        stream
            .write_all(b"220-hello\r\n220 there\r\n")
            .await
            .unwrap();
        talk(&mut stream, refuse).await
    });
    (port, heard)
}

/// What a client says, until it goes or, if `refuse` is not in the way, wants TLS.
async fn talk<S>(stream: &mut BufReader<S>, refuse: &str) -> Vec<String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let (mut heard, mut in_letter) = (Vec::new(), false);
    loop {
        let mut line = String::new();
        // A client that breaks off has said what it said.
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return heard;
        }
        let line = line
            .strip_suffix("\r\n")
            .expect("lines end with CR LF")
            .to_owned();
        let code = match line.as_str() {
            "." => "250 taken",
            _ if in_letter => "",
            _ if !refuse.is_empty() && line.starts_with(refuse) => "550 no",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            "STARTTLS" => "220 go on",
            _ if line.starts_with("AUTH") => "235 welcome",
            _ => "250-one\r\n250 two",
        };
        in_letter = (in_letter || line == "DATA") && line != ".";
        let wants_tls = code.starts_with("220");
        heard.push(line);
        if !code.is_empty() {
            stream
                .write_all(format!("{code}\r\n").as_bytes())
                .await
                .unwrap();
        }
        if wants_tls {
            return heard;
        }
    }
}

/// A mail server that speaks STARTTLS with a certificate for `name`: what it was told before and
/// behind it, if the client went on.
async fn private_server(
    name: &str,
) -> (
    u16,
    RootCertStore,
    tokio::task::JoinHandle<(Vec<String>, Option<Vec<String>>)>,
) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 hello\r\n").await.unwrap();
        let clear = talk(&mut stream, "").await;
        let Ok(stream) = acceptor.accept(stream.into_inner()).await else {
            return (clear, None);
        };
        let private = talk(&mut BufReader::new(stream), "").await;
        (clear, Some(private))
    });
    (port, roots, heard)
}

#[tokio::test]
async fn starttls_comes_before_the_password_and_the_server_is_asked_again() {
    let to = Email::parse("ada@example.org").unwrap();
    for (name, is_trusted) in [("127.0.0.1", true), ("elsewhere.example", false)] {
        let (port, roots, heard) = private_server(name).await;
        let mailer = Mailer {
            security: MailSecurity::StartTls,
            private: Private::trusting(roots),
            ..mailer(port, Some(("u", "p")))
        };
        let sent = mailer.send(&to, "x").await;
        let (clear, private) = heard.await.unwrap();
        assert_eq!(clear, ["EHLO localhost", "STARTTLS"]);
        assert_eq!((sent.is_ok(), private.is_some()), (is_trusted, is_trusted));
        if let Some(private) = private {
            assert_eq!(private[..2], ["EHLO localhost", "AUTH PLAIN AHUAcA=="]);
        }
    }
}

#[tokio::test]
async fn without_starttls_nothing_is_sent() {
    let (port, heard) = server("STARTTLS").await;
    let mailer = Mailer {
        security: MailSecurity::StartTls,
        ..mailer(port, Some(("u", "p")))
    };
    let to = Email::parse("ada@example.org").unwrap();
    let refused = mailer.send(&to, "x").await.unwrap_err();
    let said = "mail server refused step=starttls code=550";
    assert_eq!(refused.to_string(), said);
    assert_eq!(heard.await.unwrap(), ["EHLO localhost", "STARTTLS"]);
}

#[tokio::test]
async fn a_letter_arrives_as_it_was_written() {
    let (port, heard) = server("").await;
    let to = Email::parse("ada@example.org").unwrap();
    let from = Email::parse("obsrv@example.org").unwrap();
    let letter = letter(&from, &to, "https://o.example/reset#token=t", 1_000_000_000);
    let letter = format!("{letter}.starts with a dot\n.\n");
    mailer(port, Some(("u", "p")))
        .send(&to, &letter)
        .await
        .unwrap();
    let heard = heard.await.unwrap();
    assert_eq!(
        heard[..5],
        [
            "EHLO localhost",
            "AUTH PLAIN AHUAcA==",
            "MAIL FROM:<obsrv@example.org>",
            "RCPT TO:<ada@example.org>",
            "DATA"
        ]
    );
    let end = heard.iter().position(|line| line == ".").unwrap();
    assert_eq!(heard[end + 1..], ["QUIT"]);
    let body = &heard[5..end];
    assert_eq!(body[0], "From: obsrv <obsrv@example.org>");
    assert!(body.contains(&"Date: 01 Jan 1970 00:00:01 +0000".to_owned()));
    assert!(body.contains(&"https://o.example/reset#token=t".to_owned()));
    assert_eq!(body[body.len() - 2..], ["..starts with a dot", ".."]);
}

#[tokio::test]
async fn a_refusal_names_its_step_and_no_secret() {
    for (refuse, step) in [
        ("EHLO", "ehlo"),
        ("AUTH", "auth"),
        ("RCPT", "recipient"),
        ("DATA", "data"),
    ] {
        let (port, heard) = server(refuse).await;
        let to = Email::parse("ada@example.org").unwrap();
        let error = mailer(port, Some(("u", "s3cret")))
            .send(&to, "x")
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("mail server refused step={step} code=550")
        );
        drop(heard);
    }
}

#[tokio::test]
async fn endless_replies_are_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let flood = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        while stream.write_all(b"220-more\r\n").await.is_ok() {}
    });
    let to = Email::parse("ada@example.org").unwrap();
    let error = mailer(port, None).send(&to, "x").await.unwrap_err();
    assert!(matches!(error, MailError::Garbled), "{error:?}");
    flood.await.unwrap();
}

#[test]
fn a_password_is_never_sent_in_the_clear() {
    let settings = |host: &str| MailSettings {
        host: host.into(),
        port: 25,
        from: "obsrv@example.org".into(),
        login: Some(("u".into(), "/nowhere".into())),
        security: MailSecurity::Off,
    };
    assert!(matches!(
        Mailer::new(settings("mail.example.org")),
        Err(MailError::Clear)
    ));
    assert!(matches!(
        Mailer::new(settings("127.0.0.1")),
        Err(MailError::Password(_))
    ));
    let nobody = MailSettings {
        from: "nobody".into(),
        ..settings("localhost")
    };
    assert!(matches!(Mailer::new(nobody), Err(MailError::From(_))));
}
