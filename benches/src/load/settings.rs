//! What the command line of `load` says.

use std::path::PathBuf;

use super::LoadError;
use super::client::{Encoding, Form, Wire};
use crate::generator::Options;

/// How to call it.
pub const USAGE: &str = "\
load --bin PATH | --url HOST:PORT --key KEY
     [--data DIR] [--server-arg ARG]… [--keep]
     [--workload i1|i2|i3|i4] [--profile core|messy|tail] [--tenants N]
     [--spans 1000000] [--seed 1] [--projects 24] [--batch 64] [--messy]
     [--connections 8] [--form protobuf|json] [--encoding identity|zstd|gzip]
     [--rate SPANS_PER_SECOND] [--resend-every REQUESTS] [--mix]
  i1: bulk, 64 spans a request, closed loop; i2: one span a request, JSON, gzip, 64 connections;
  i3: duplicates, late spans, start and end events, every 20th request sent twice;
  i4: open loop at 10,000 spans/s beside the query mix. What stands after it changes it.";

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server to start.
    pub binary: Option<PathBuf>,
    /// Or one that runs already.
    pub url: Option<String>,
    /// Its key.
    pub key: String,
    /// Data directory of the started server.
    pub data: PathBuf,
    /// More arguments for it.
    pub server_arguments: Vec<String>,
    /// Leave the data directory.
    pub keep: bool,
    /// The workload.
    pub options: Options,
    /// Connections.
    pub connections: usize,
    /// Bodies.
    pub wire: Wire,
    /// Spans a second, open loop.
    pub rate: Option<u64>,
    /// See [`super::ingest::Target::resend_every`].
    pub resend_every: Option<u64>,
    /// Ask the query mix meanwhile.
    pub mix: bool,
}

impl Settings {
    fn new() -> Self {
        Self {
            binary: None,
            url: None,
            key: String::new(),
            data: std::env::temp_dir().join(format!("obsrv-load-{}", std::process::id())),
            server_arguments: Vec::new(),
            keep: false,
            options: Options::core(1, 1_000_000),
            connections: 8,
            wire: Wire {
                form: Form::Protobuf,
                encoding: Encoding::Identity,
            },
            rate: None,
            resend_every: None,
            mix: false,
        }
    }

    /// Reads the arguments.
    pub fn read(mut args: impl Iterator<Item = String>) -> Result<Self, LoadError> {
        let mut s = Self::new();
        while let Some(arg) = args.next() {
            if !s.flag(&arg) {
                let value = args
                    .next()
                    .ok_or_else(|| LoadError::Argument(format!("{arg}: no value\n{USAGE}")))?;
                s.set(&arg, &value)?;
            }
        }
        if s.binary.is_none() == s.url.is_none() {
            return Err(LoadError::Argument(format!("give --bin or --url\n{USAGE}")));
        }
        if s.binary.is_none() {
            // One key is one project.
            s.options.projects = 1;
        }
        Ok(s)
    }

    fn flag(&mut self, arg: &str) -> bool {
        match arg {
            "--keep" => self.keep = true,
            "--mix" => self.mix = true,
            "--messy" => self.messy(),
            _ => return false,
        }
        true
    }

    fn messy(&mut self) {
        let messy = Options::messy(1, 1);
        self.options.duplicate_ppm = messy.duplicate_ppm;
        self.options.late_ppm = messy.late_ppm;
        self.options.pair_ppm = messy.pair_ppm;
    }

    fn set(&mut self, arg: &str, value: &str) -> Result<(), LoadError> {
        match arg {
            "--bin" => self.binary = Some(value.into()),
            "--url" => self.url = Some(value.to_owned()),
            "--key" => value.clone_into(&mut self.key),
            "--data" => self.data = value.into(),
            "--server-arg" => self.server_arguments.push(value.to_owned()),
            "--workload" => self.workload(value)?,
            "--profile" => match value {
                "core" => {}
                "messy" => self.messy(),
                "tail" => self.options.heavy_tail = true,
                _ => return Err(bad(arg, value)),
            },
            "--tenants" => {
                let (seed, spans) = (self.options.seed, self.options.spans);
                self.options = Options::tenants(seed, spans, number(value)?);
            }
            "--spans" => self.options.spans = number(value)?,
            "--seed" => self.options.seed = number(value)?,
            "--projects" => self.options.projects = number(value)?,
            "--batch" => self.options.batch = number(value)?,
            "--connections" => self.connections = number(value)?,
            "--form" => {
                self.wire.form = match value {
                    "protobuf" => Form::Protobuf,
                    "json" => Form::Json,
                    _ => return Err(bad(arg, value)),
                }
            }
            "--encoding" => {
                self.wire.encoding = match value {
                    "identity" => Encoding::Identity,
                    "zstd" => Encoding::Zstd,
                    "gzip" => Encoding::Gzip,
                    _ => return Err(bad(arg, value)),
                }
            }
            "--rate" => self.rate = Some(number(value)?),
            "--resend-every" => self.resend_every = Some(number(value)?),
            _ => return Err(bad(arg, value)),
        }
        Ok(())
    }

    fn workload(&mut self, name: &str) -> Result<(), LoadError> {
        match name {
            "i1" => {}
            "i2" => {
                self.options.batch = 1;
                self.connections = 64;
                self.wire = Wire {
                    form: Form::Json,
                    encoding: Encoding::Gzip,
                };
            }
            "i3" => {
                self.messy();
                self.resend_every = Some(20);
            }
            "i4" => {
                self.rate = Some(10_000);
                self.options.spans = 9_000_000;
                self.mix = true;
            }
            _ => return Err(bad("--workload", name)),
        }
        Ok(())
    }
}

fn bad(arg: &str, value: &str) -> LoadError {
    LoadError::Argument(format!("{arg} {value}\n{USAGE}"))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, LoadError> {
    text.replace('_', "")
        .parse()
        .map_err(|_| LoadError::Argument(format!("not a number: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, LoadError> {
        Settings::read(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_workload_is_changed_by_what_stands_after_it() {
        let s = read("--bin x --workload i4 --spans 20_000 --rate 500").unwrap();
        assert_eq!((s.options.spans, s.rate, s.mix), (20_000, Some(500), true));
        let s = read("--bin x --workload i2 --connections 4").unwrap();
        assert_eq!((s.options.batch, s.connections), (1, 4));
        assert_eq!(s.wire.form, Form::Json);
        assert!(
            read("--bin x --workload i3")
                .unwrap()
                .resend_every
                .is_some()
        );
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for text in [
            "--bin x --url y",
            "",
            "--bin x --workload i9",
            "--bin x --spans many",
            "--bin x --spans",
            "--bin x --what 1",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
