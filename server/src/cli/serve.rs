//! The flags of `obsrv serve`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{CommandError, size};
use crate::blob::s3::S3Place;
use crate::keys::KeyString;
use crate::limits::{
    BLOB_BYTES_DEFAULT, BLOB_BYTES_MAX, DECODED_BYTES_MAX, MEMORY_BYTES_MIN, MEMORY_BYTES_UNKNOWN,
    MEMORY_SHARE_DEFAULT,
};
use crate::machine;
use crate::net::forwarded::Network;
use crate::net::tls::TlsFiles;
use crate::serve::{self, Config, GrpcAddress, PublicUrl};
use crate::signin::mail::{MailSecurity, MailSettings};
use crate::telemetry;
use obsrv_engine::engine::RESERVE_BYTES;

/// Where OpenTelemetry's SDKs send over gRPC if nobody tells them otherwise.
const GRPC_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4317);

#[derive(Args, Debug)]
pub(super) struct ServeArgs {
    /// The data directory; made if it is not there.
    #[arg(long, default_value = "./obsrv-data")]
    pub(super) data: PathBuf,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:4318", value_name = "ADDR", value_parser = address)]
    pub(super) http: SocketAddr,
    /// Where to listen for OTLP over gRPC, or `off` [default: 127.0.0.1:4317] if that is free.
    #[arg(long, value_name = "ADDR", value_parser = grpc_address)]
    grpc: Option<GrpcAddress>,
    /// Memory budget, e.g. 512MiB or 0.4GiB [default: a quarter of the machine's, or of its control group's].
    #[arg(long, value_parser = size::parse, value_name = "SIZE")]
    pub(super) memory: Option<u64>,
    /// Room on the disk that is left for deletes and for changes of keys: with less, nothing is ingested
    /// [default: 256MiB].
    #[arg(long, value_parser = size::parse, value_name = "SIZE")]
    disk_reserve: Option<u64>,
    /// Largest request body after decompression [default: 64MiB].
    #[arg(long, value_parser = size::parse, value_name = "SIZE")]
    max_body: Option<u64>,
    /// Where attachments are, as in `s3://bucket/prefix`, with credentials, region and endpoint from the
    /// environment (`AWS_ACCESS_KEY_ID`, `AWS_REGION`, `AWS_ENDPOINT_URL`, …) [default: the data directory].
    #[arg(long, env = "OBSRV_BLOBS", value_name = "PLACE", value_parser = S3Place::parse)]
    blobs: Option<S3Place>,
    /// Largest attachment [default: 256MiB].
    #[arg(long, value_parser = size::parse, value_name = "SIZE")]
    max_blob: Option<u64>,
    /// Certificate chain in PEM; read again when it changes.
    #[arg(
        long,
        env = "OBSRV_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    tls_cert: Option<PathBuf>,
    /// Its private key in PEM, mode 0600.
    #[arg(
        long,
        env = "OBSRV_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    tls_key: Option<PathBuf>,
    /// A proxy in front does TLS: allow an address that is not loopback.
    #[arg(long)]
    behind_proxy: bool,
    /// A proxy that is believed when it says from where a request comes, as an address or a network.
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    trusted_proxy: Vec<Network>,
    /// Where browsers find this server, as in `https://obsrv.example.org`.
    #[arg(long, env = "OBSRV_PUBLIC_URL", value_name = "URL", value_parser = PublicUrl::parse)]
    public_url: Option<PublicUrl>,
    /// Providers by which people sign in, as a JSON file.
    #[arg(long, env = "OBSRV_OIDC_FILE", value_name = "FILE")]
    oidc_file: Option<PathBuf>,
    /// What tokens cost, as a JSON file in the place of the table that is built in.
    #[arg(long, env = "OBSRV_PRICES_FILE", value_name = "FILE")]
    prices: Option<PathBuf>,
    #[command(flatten)]
    mail: MailArgs,
    /// The key to install at the first start.
    #[arg(long, env = "OBSRV_BOOTSTRAP_KEY", hide_env_values = true, hide = true)]
    bootstrap_key: Option<String>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Mail")]
#[expect(clippy::struct_field_names, reason = "they are the names of the flags")]
struct MailArgs {
    /// Mail server; without one, administrators hand out links.
    #[arg(
        long,
        env = "OBSRV_SMTP_HOST",
        value_name = "HOST",
        requires = "smtp_from"
    )]
    smtp_host: Option<String>,
    /// Its port [default: 587, with `--smtp-tls on` 465].
    #[arg(
        long,
        env = "OBSRV_SMTP_PORT",
        value_name = "PORT",
        requires = "smtp_host"
    )]
    smtp_port: Option<u16>,
    /// From whom mail comes.
    #[arg(
        long,
        env = "OBSRV_SMTP_FROM",
        value_name = "EMAIL",
        requires = "smtp_host"
    )]
    smtp_from: Option<String>,
    /// User at the mail server.
    #[arg(
        long,
        env = "OBSRV_SMTP_USER",
        value_name = "NAME",
        requires = "smtp_password_file"
    )]
    smtp_user: Option<String>,
    /// File with the password there, mode 0600.
    #[arg(
        long,
        env = "OBSRV_SMTP_PASSWORD_FILE",
        value_name = "FILE",
        requires = "smtp_user"
    )]
    smtp_password_file: Option<PathBuf>,
    /// How the connection is kept private.
    #[arg(
        long,
        env = "OBSRV_SMTP_TLS",
        value_name = "HOW",
        default_value = "starttls"
    )]
    smtp_tls: MailTls,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MailTls {
    /// From the first byte.
    On,
    /// After the greeting, or not at all.
    Starttls,
    /// Never; for a mail server on this machine.
    Off,
}

impl MailArgs {
    fn settings(self) -> Option<MailSettings> {
        let security = match self.smtp_tls {
            MailTls::On => MailSecurity::Tls,
            MailTls::Starttls => MailSecurity::StartTls,
            MailTls::Off => MailSecurity::Off,
        };
        let port = self.smtp_port.unwrap_or(match security {
            MailSecurity::Tls => 465,
            MailSecurity::StartTls | MailSecurity::Off => 587,
        });
        Some(MailSettings {
            host: self.smtp_host?,
            port,
            from: self.smtp_from?,
            login: self.smtp_user.zip(self.smtp_password_file),
            security,
        })
    }
}

/// The memory budget if nobody says one, of so much that there is.
fn budget(there_is: Option<u64>) -> u64 {
    there_is.map_or(MEMORY_BYTES_UNKNOWN, |bytes| {
        (bytes / MEMORY_SHARE_DEFAULT).max(MEMORY_BYTES_MIN)
    })
}

pub(super) fn run(args: ServeArgs) -> Result<(), CommandError> {
    telemetry::start();
    let memory_bytes = args
        .memory
        .unwrap_or_else(|| budget(machine::memory_bytes()));
    if memory_bytes < MEMORY_BYTES_MIN {
        return Err(CommandError::Memory(memory_bytes));
    }
    let decoded_bytes_max = match args.max_body.map(usize::try_from) {
        None => DECODED_BYTES_MAX,
        Some(Ok(n)) if (1..=DECODED_BYTES_MAX).contains(&n) => n,
        Some(_) => return Err(CommandError::MaxBody(args.max_body.unwrap_or(0))),
    };
    let blob_bytes_max = args.max_blob.unwrap_or(BLOB_BYTES_DEFAULT);
    if blob_bytes_max > BLOB_BYTES_MAX {
        return Err(CommandError::MaxBlob(blob_bytes_max));
    }
    let bootstrap_key = args.bootstrap_key.filter(|key| !key.is_empty());
    let bootstrap_key = bootstrap_key.as_deref().map(KeyString::parse).transpose()?;
    let tls = args.tls_cert.zip(args.tls_key);
    serve::run(Config {
        data: args.data,
        http: args.http,
        grpc: args.grpc.unwrap_or(GrpcAddress::IfFree(GRPC_ADDRESS)),
        memory_bytes,
        disk_reserve_bytes: args.disk_reserve.unwrap_or(RESERVE_BYTES),
        decoded_bytes_max,
        bucket: args.blobs,
        blob_bytes_max,
        behind_proxy: args.behind_proxy,
        trusted_proxies: args.trusted_proxy,
        tls: tls.map(|(cert, key)| TlsFiles { cert, key }),
        public_url: args.public_url,
        mail: args.mail.settings(),
        providers: args.oidc_file,
        prices: args.prices,
        bootstrap_key,
    })?;
    Ok(())
}

fn network(text: &str) -> Result<Network, String> {
    let wrong = || "write an address or a network, as in 10.0.0.0/8".to_owned();
    Network::parse(text).ok_or_else(wrong)
}

fn grpc_address(text: &str) -> Result<GrpcAddress, String> {
    if text == "off" {
        return Ok(GrpcAddress::Off);
    }
    address(text).map(GrpcAddress::At)
}

/// An address to listen on.
fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.replacen("localhost:", "127.0.0.1:", 1);
    let parsed = numeric.parse();
    parsed.map_err(|_| "write an IP address and a port, as in 127.0.0.1:4318".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(address("localhost:80").unwrap().to_string(), "127.0.0.1:80");
        assert_eq!(address("[::1]:80").unwrap().to_string(), "[::1]:80");
        for bad in [
            "4318",
            ":4318",
            "localhost",
            "example.org:80",
            "127.0.0.1:65536",
            "",
        ] {
            assert!(
                address(bad).unwrap_err().contains("127.0.0.1:4318"),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_budget_is_a_quarter_of_what_there_is() {
        assert_eq!(budget(Some(24 << 30)), 6 << 30);
        assert_eq!(budget(Some(4 * MEMORY_BYTES_MIN)), MEMORY_BYTES_MIN);
        assert_eq!(budget(Some(4 * MEMORY_BYTES_MIN + 4)), MEMORY_BYTES_MIN + 1);
        assert_eq!(budget(Some(1)), MEMORY_BYTES_MIN);
        assert_eq!(budget(None), MEMORY_BYTES_UNKNOWN);
    }
}
