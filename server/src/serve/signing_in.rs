//! How people come to sign in at a server that starts: its pages' address, mail, the set-up link.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Config, ServeError};
use crate::limits::MAIL_QUEUE_MAX;
use crate::signin::event::Purpose;
use crate::signin::mail::{self, Mailer};
use crate::signin::oidc::{Providers, ProvidersError};
use crate::signin::{Accounts, Origins, SignIn};

/// Where the set-up link is when no terminal was there to show it.
pub(crate) const LINK_FILE: &str = "setup-link";

/// Puts signing in together; shows the way to the first user if there is none.
pub(super) async fn prepare(
    config: &Config,
    accounts: Arc<Accounts>,
    mut providers: Providers,
    address: SocketAddr,
) -> Result<Arc<SignIn>, ServeError> {
    if config.behind_proxy && config.trusted_proxies.is_empty() {
        tracing::warn!("no --trusted-proxy: attempts to sign in are counted by account alone");
    }
    let base = config.base(address);
    let public = config
        .public_url
        .as_ref()
        .map(|url| url.as_str().to_owned());
    if let Some(file) = &config.providers {
        if public.is_none() {
            return Err(ProvidersError::NoUrl.into());
        }
        providers = providers.load(file, &base)?;
    }
    let (queue, asked) = mpsc::channel(MAIL_QUEUE_MAX);
    let mailer = config.mail.clone().map(Mailer::new).transpose()?;
    let work = mail::deliver(asked, Arc::clone(&accounts), mailer, base.clone());
    tokio::spawn(work);
    accounts.own().await?;
    show_set_up_link(&accounts, &config.data, &base).await?;
    Ok(Arc::new(SignIn {
        accounts,
        origins: Origins::new(public),
        base,
        proxies: config.proxies(),
        providers,
        queue,
    }))
}

/// A fresh link at each start until somebody has used one. Its token is nowhere but on the terminal
/// or in the file, which goes at the next start.
async fn show_set_up_link(accounts: &Accounts, data: &Path, base: &str) -> Result<(), ServeError> {
    let path = data.join(LINK_FILE);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(super::io("old set-up link cannot be removed")(error));
        }
        Ok(()) | Err(_) => {}
    }
    let Some(token) = accounts.set_up_link().await? else {
        return Ok(());
    };
    let url = Purpose::SetUp.url(base, &token);
    let shown = if io::stdout().is_terminal() {
        writeln!(
            io::stdout(),
            "Nobody can sign in yet. Become the owner, once:\n\n    {url}\n"
        )
    } else {
        tracing::info!(path = %path.display(), "set-up link written");
        write_link(&path, &url)
    };
    shown.map_err(super::io("set-up link cannot be shown"))
}

fn write_link(path: &Path, url: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{url}")?;
    file.sync_all()
}
