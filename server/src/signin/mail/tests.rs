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
        let (mut heard, mut in_letter) = (Vec::new(), false);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap() == 0 {
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
                _ if line.starts_with("AUTH") => "235 welcome",
                _ => "250-one\r\n250 two",
            };
            in_letter = (in_letter || line == "DATA") && line != ".";
            heard.push(line);
            if !code.is_empty() {
                stream
                    .write_all(format!("{code}\r\n").as_bytes())
                    .await
                    .unwrap();
            }
        }
    });
    (port, heard)
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
