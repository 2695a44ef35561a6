//! `obsrv import`: files of traces through the HTTP routes of a running server.
//!
//! Files of other tools go to the server as they are (`whole.rs`). Any other
//! file is lines (one JSON document each: theta traces, envelopes or OTLP requests, mixed) or one
//! JSON document (the same, or a list of theta traces). Lines are sent in batches. When a batch is
//! refused in part, the server's answer or a second pass over its lines names each bad line; ids
//! make a second pass harmless.

mod lines;
mod send;
mod whole;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use self::lines::{Batch, Kind, Reader};
use self::send::Sender;
use self::whole::Form;
use super::client::ClientError;
use crate::keys::KeyError;

#[derive(Args, Debug)]
pub(super) struct ImportArgs {
    /// Files of traces, plain or packed by zstd or gzip.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What the files are.
    #[arg(long, value_enum, default_value_t = Form::Auto)]
    format: Form,
    /// The line of the first file to go on with, where an import of lines was cut off.
    #[arg(long, default_value_t = 1, value_name = "LINE")]
    from_line: u64,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:4318")]
    url: String,
    /// The project's key [default: the first key in ./obsrv-data].
    #[arg(long, env = "OBSRV_API_KEY", hide_env_values = true)]
    key: Option<String>,
}

/// Why an import ended early, or not well.
#[derive(Debug, thiserror::Error)]
pub(super) enum ImportError {
    #[error("not a server's address, http://host:port is url={0}")]
    Url(String),
    #[error("no key; give --key or set OBSRV_API_KEY")]
    NoKey,
    #[error("key cannot be used")]
    Key(#[from] KeyError),
    #[error("cannot read file={path}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("server does not answer")]
    Client(#[from] ClientError),
    #[error("server refused: {0}")]
    Refused(String),
    #[error("some items were not imported failed={0}")]
    Failed(u64),
    #[error("runtime does not start")]
    Io(#[from] std::io::Error),
}

pub(super) fn run(args: &ImportArgs) -> Result<(), ImportError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut import = Import {
            sender: Sender::new(&args.url, &key_of(args)?)?,
            progress: progress(&args.files),
            form: args.format,
            from_line: args.from_line,
            accepted: 0,
            failed: 0,
        };
        // A name that is wrong is told before anything is sent.
        for path in &args.files {
            Reader::open(path, 1).map_err(cannot_read(path))?;
        }
        for path in &args.files {
            import.file(path).await?;
            import.from_line = 1;
        }
        import.progress.finish_and_clear();
        let (files, accepted, failed) = (args.files.len(), import.accepted, import.failed);
        writeln!(
            std::io::stdout(),
            "files={files} accepted={accepted} failed={failed}"
        )?;
        if failed == 0 {
            Ok(())
        } else {
            Err(ImportError::Failed(failed))
        }
    })
}

fn cannot_read(path: &Path) -> impl FnOnce(std::io::Error) -> ImportError + use<> {
    let path = path.to_owned();
    move |source| ImportError::File { path, source }
}

fn key_of(args: &ImportArgs) -> Result<String, ImportError> {
    if let Some(key) = &args.key {
        return Ok(key.trim().to_owned());
    }
    let kept = std::fs::read_to_string(Path::new("./obsrv-data/first-key"));
    kept.map(|key| key.trim().to_owned())
        .map_err(|_| ImportError::NoKey)
}

/// A bar over all bytes of all files; nothing where nobody looks.
fn progress(files: &[PathBuf]) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bytes = files
        .iter()
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|m| m.len())
        .sum();
    let bar = ProgressBar::new(bytes);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta} {msg}") {
        bar.set_style(style);
    }
    bar
}

struct Import {
    sender: Sender,
    progress: ProgressBar,
    form: Form,
    from_line: u64,
    accepted: u64,
    failed: u64,
}

impl Import {
    async fn file(&mut self, path: &Path) -> Result<(), ImportError> {
        let form = match self.form {
            Form::Auto => Form::seen(path).map_err(cannot_read(path))?,
            named => named,
        };
        if form.path().is_some() {
            return self.whole(path, form).await;
        }
        let mut reader = Reader::open(path, self.from_line).map_err(cannot_read(path))?;
        while let Some(batch) = reader.next_batch().map_err(cannot_read(path))? {
            for (line, problem) in &batch.bad {
                self.complain(path, *line, problem);
            }
            let sent = self.batch(path, &batch).await;
            let first = batch.items.first().map_or(0, |item| item.line);
            self.stopped(path, first, sent)?;
            self.progress.inc(batch.bytes_read);
        }
        Ok(())
    }

    /// Says where to go on: what was sent before is there, and comes to the same if it is sent again.
    fn stopped(
        &self,
        path: &Path,
        line: u64,
        sent: Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        if sent.is_err() && line > 1 {
            let text = format!("{}: go on with --from-line {line}", path.display());
            tell(&self.progress, &text);
        }
        sent
    }

    /// A file as it is.
    async fn whole(&mut self, path: &Path, form: Form) -> Result<(), ImportError> {
        let parts = whole::parts(form, path, self.from_line).map_err(cannot_read(path))?;
        for part in parts {
            let sent = self.part(path, form, &part).await;
            self.stopped(path, part.lines_before + 1, sent)?;
            self.progress.inc(count(part.text.len()));
        }
        Ok(())
    }

    async fn part(
        &mut self,
        path: &Path,
        form: Form,
        part: &whole::Part,
    ) -> Result<(), ImportError> {
        let progress = self.progress.clone();
        let say = |text: &str| tell(&progress, text);
        let outcome = self.sender.send(Kind::File(form), &part.text, &say).await?;
        if let Some(refused) = outcome.refused {
            self.complain(path, part.lines_before + 1, &refused);
            return Ok(());
        }
        self.accepted += outcome.accepted;
        for (line, problem) in outcome.items {
            self.complain(path, part.lines_before + count(line), &problem);
        }
        Ok(())
    }

    async fn batch(&mut self, path: &Path, batch: &Batch) -> Result<(), ImportError> {
        if batch.items.is_empty() {
            return Ok(());
        }
        let progress = self.progress.clone();
        let say = |text: &str| tell(&progress, text);
        let body = batch.body();
        let outcome = self.sender.send(batch.kind, body.as_bytes(), &say).await?;
        if outcome.refused.is_none() && outcome.items.is_empty() && outcome.rejected == 0 {
            self.accepted += count(batch.items.len());
            return Ok(());
        }
        if batch.kind == Kind::Theta && outcome.refused.is_none() {
            let failed = count(outcome.items.len());
            self.accepted += count(batch.items.len()).saturating_sub(failed);
            for (place, problem) in outcome.items {
                let line = batch.items.get(place).map_or(0, |item| item.line);
                self.complain(path, line, &problem);
            }
            return Ok(());
        }
        self.one_by_one(path, batch).await
    }

    /// Finds the lines that the server does not want.
    async fn one_by_one(&mut self, path: &Path, batch: &Batch) -> Result<(), ImportError> {
        let progress = self.progress.clone();
        let say = |text: &str| tell(&progress, text);
        for item in &batch.items {
            let body = item.alone(batch.kind);
            let outcome = self.sender.send(batch.kind, body.as_bytes(), &say).await?;
            match outcome.problem() {
                None => self.accepted += 1,
                Some(problem) => self.complain(path, item.line, &problem),
            }
        }
        Ok(())
    }

    fn complain(&mut self, path: &Path, line: u64, problem: &str) {
        self.failed += 1;
        tell(
            &self.progress,
            &format!("{}:{line}: {problem}", path.display()),
        );
    }
}

/// A line for whoever looks; what counts is in the result at the end.
fn tell(progress: &ProgressBar, text: &str) {
    progress.suspend(|| drop(writeln!(std::io::stderr(), "{text}")));
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
