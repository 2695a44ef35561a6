//! Links by mail: who asked for one gets it behind the answer, through the operator's mail server.
//!
//! The SMTP spoken here is what a submission needs: EHLO, STARTTLS, AUTH PLAIN, one message to one
//! address. Addresses are of the plain form that [`Email`] reads, so none of them can end a line.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::accounts::{Accounts, SignInError};
use super::email::Email;
use super::event::Purpose;
use crate::control::Actor;
use crate::dialect::time::format_micros;
use crate::limits::{MAIL_REPLY_BYTES_MAX, MAIL_TIME_MAX};
use crate::net::outbound::{Private, Stream, connect};
use crate::net::private_file::{self, PrivateFileError};
use crate::serve::settings::is_loopback;

/// How the connection to the mail server is kept private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// From the first byte.
    Tls,
    /// After the greeting, or no mail is sent.
    StartTls,
    /// Never.
    Off,
}

/// How mail is sent.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// The mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// From whom mail comes.
    pub from: String,
    /// User there, and the file with their password.
    pub login: Option<(String, PathBuf)>,
    /// How the connection is kept private.
    pub security: MailSecurity,
}

/// Why mail cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Not an address.
    #[error("sender is not an e-mail address from={0}")]
    From(String),
    /// The password would be readable on the way.
    #[error("mail password would be sent in the clear; use tls or a mail server on this machine")]
    Clear,
    /// The password's file.
    #[error("mail password")]
    Password(#[from] PrivateFileError),
    /// No TLS.
    #[error("tls does not start")]
    Tls(#[from] rustls::Error),
    /// The connection failed.
    #[error("mail server does not answer")]
    Io(#[from] std::io::Error),
    /// It took too long.
    #[error("mail server takes too long")]
    Slow,
    /// The server said no.
    #[error("mail server refused step={step} code={code}")]
    Refused {
        /// What was asked.
        step: &'static str,
        /// What it answered.
        code: u16,
    },
    /// What it said is no SMTP.
    #[error("mail server does not speak smtp")]
    Garbled,
}

/// Sends mail.
pub(crate) struct Mailer {
    host: String,
    port: u16,
    from: Email,
    login: Option<(String, String)>,
    security: MailSecurity,
    private: Private,
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mailer({}:{})", self.host, self.port)
    }
}

impl Mailer {
    /// Reads the password. Blocks.
    pub(crate) fn new(settings: MailSettings) -> Result<Self, MailError> {
        let from = Email::parse(&settings.from).ok_or(MailError::From(settings.from))?;
        let is_clear = settings.security == MailSecurity::Off && !is_loopback(&settings.host);
        if settings.login.is_some() && is_clear {
            return Err(MailError::Clear);
        }
        let login = settings.login.map(|(user, file)| {
            let password = private_file::read_line(&file)?;
            Ok::<_, PrivateFileError>((user, password))
        });
        Ok(Self {
            host: settings.host,
            port: settings.port,
            from,
            login: login.transpose()?,
            security: settings.security,
            private: Private::new()?,
        })
    }

    async fn send(&self, to: &Email, letter: &str) -> Result<(), MailError> {
        let sent = timeout(MAIL_TIME_MAX, self.submit(to, letter)).await;
        sent.unwrap_or(Err(MailError::Slow))
    }

    async fn submit(&self, to: &Email, letter: &str) -> Result<(), MailError> {
        let stream = connect(&self.host, self.port).await?;
        let mut talk = match self.security {
            MailSecurity::Tls => Talk(self.private.wrap(&self.host, stream).await?),
            MailSecurity::StartTls | MailSecurity::Off => Talk(Box::new(stream)),
        };
        talk.hear("greeting", 220).await?;
        talk.ask("ehlo", "EHLO localhost", 250).await?;
        if self.security == MailSecurity::StartTls {
            talk.ask("starttls", "STARTTLS", 220).await?;
            // What came before is not trusted: the server is asked again.
            talk = Talk(self.private.wrap(&self.host, talk.0).await?);
            talk.ask("ehlo", "EHLO localhost", 250).await?;
        }
        if let Some((user, password)) = &self.login {
            let plain = STANDARD.encode(format!("\0{user}\0{password}"));
            talk.ask("auth", &format!("AUTH PLAIN {plain}"), 235)
                .await?;
        }
        let from = format!("MAIL FROM:<{}>", self.from.as_str());
        talk.ask("sender", &from, 250).await?;
        let to = format!("RCPT TO:<{}>", to.as_str());
        talk.ask("recipient", &to, 250).await?;
        talk.ask("data", "DATA", 354).await?;
        talk.ask("letter", &format!("{}\r\n.", stuffed(letter)), 250)
            .await?;
        // It has the letter; how it says goodbye changes nothing.
        drop(talk.ask("quit", "QUIT", 221).await);
        Ok(())
    }
}

/// Lines as SMTP wants them: ended by CR LF, a dot in front doubled.
fn stuffed(letter: &str) -> String {
    let lines = letter.lines().map(|line| {
        let dot = if line.starts_with('.') { "." } else { "" };
        format!("{dot}{line}")
    });
    lines.collect::<Vec<_>>().join("\r\n")
}

struct Talk(Box<dyn Stream>);

impl Talk {
    async fn ask(&mut self, step: &'static str, line: &str, code: u16) -> Result<(), MailError> {
        self.0.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.0.flush().await?;
        self.hear(step, code).await
    }

    /// Reads a reply: lines `250-…`, the last one `250 …`. Byte by byte, so that nothing that comes
    /// after it is taken for what TLS would protect.
    async fn hear(&mut self, step: &'static str, code: u16) -> Result<(), MailError> {
        let mut reply = Vec::new();
        loop {
            let begin = reply.len();
            while reply.last() != Some(&b'\n') || reply.len() == begin {
                if reply.len() == MAIL_REPLY_BYTES_MAX {
                    return Err(MailError::Garbled);
                }
                reply.push(self.0.read_u8().await?);
            }
            let line = &reply[begin..];
            let said = line
                .get(..3)
                .and_then(|code| std::str::from_utf8(code).ok());
            let said: u16 = said
                .and_then(|code| code.parse().ok())
                .ok_or(MailError::Garbled)?;
            match line.get(3) {
                Some(b'-') => {}
                _ if said == code => return Ok(()),
                _ => return Err(MailError::Refused { step, code: said }),
            }
        }
    }
}

/// Does what was asked for, one after the other, until nobody can ask any more.
pub(crate) async fn deliver(
    mut asked: mpsc::Receiver<Email>,
    accounts: Arc<Accounts>,
    mailer: Option<Mailer>,
    base: String,
) {
    while let Some(email) = asked.recv().await {
        let Some(mailer) = &mailer else {
            tracing::info!("a new password was asked for; no mail server, so: obsrv user link");
            continue;
        };
        let token = match accounts.link(Actor::Nobody, &email, Purpose::Reset).await {
            Ok(token) => token,
            Err(SignInError::UnknownUser) => continue,
            Err(error) => {
                tracing::warn!(%error, "no link for who asked for a new password");
                continue;
            }
        };
        let url = Purpose::Reset.url(&base, &token);
        let letter = letter(&mailer.from, &email, &url, accounts.clock.wall_ns());
        if let Err(error) = mailer.send(&email, &letter).await {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, "mail not sent");
        }
    }
}

fn letter(from: &Email, to: &Email, url: &str, now_ns: i64) -> String {
    let date = date(now_ns);
    format!(
        "From: obsrv <{}>\nTo: <{}>\nSubject: Your new password for obsrv\nDate: {date}\n\
         MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\nAuto-Submitted: auto-generated\n\
         \n\
         Somebody asked for a new password for this address at obsrv.\n\
         To choose one, open this link within an hour:\n\
         \n\
         {url}\n\
         \n\
         If it was not you, do nothing: your password stays as it is.\n",
        from.as_str(),
        to.as_str(),
    )
}

/// A date as letters have it, from `2026-01-31T10:20:30.000000Z`.
fn date(now_ns: i64) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = format_micros(now_ns);
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or("00");
    let month: usize = part(5, 7).parse().unwrap_or(1);
    let month = MONTHS[(month.max(1) - 1).min(11)];
    format!(
        "{} {month} {} {} +0000",
        part(8, 10),
        part(0, 4),
        part(11, 19)
    )
}

#[cfg(test)]
mod tests;
