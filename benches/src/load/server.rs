//! The server under test: a process of ours, or one that runs already.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::client::Client;

/// A started server. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    binary: PathBuf,
    data: PathBuf,
    arguments: Vec<String>,
    bootstrap_key: String,
    /// Where it listens.
    pub address: SocketAddr,
    child: Option<Child>,
}

/// Longest wait for a server to answer `/ready`.
const READY_MAX: Duration = Duration::from_mins(5);

impl Server {
    /// A server of `binary` over `data`, on a free port of this machine; not started yet.
    pub fn new(binary: &Path, data: &Path, arguments: &[String]) -> io::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        Ok(Self {
            binary: binary.to_owned(),
            data: data.to_owned(),
            arguments: arguments.to_vec(),
            bootstrap_key: "obsrv_bench_0123456789abcdef0123456789abcdef".to_owned(),
            address,
            child: None,
        })
    }

    /// The key of the project `default`.
    pub fn key(&self) -> &str {
        &self.bootstrap_key
    }

    /// Starts it and waits until it is ready; the time that this took.
    pub fn start(&mut self) -> io::Result<Duration> {
        let begun = Instant::now();
        let log = self.data.with_extension("log");
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)?;
        let child = Command::new(&self.binary)
            .arg("serve")
            .arg("--data")
            .arg(&self.data)
            .args(["--grpc", "off"])
            .arg("--http")
            .arg(self.address.to_string())
            .args(&self.arguments)
            .env("OBSRV_BOOTSTRAP_KEY", &self.bootstrap_key)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        while begun.elapsed() < READY_MAX {
            if let Some(status) = self
                .child
                .as_mut()
                .map(Child::try_wait)
                .transpose()?
                .flatten()
            {
                return Err(io::Error::other(format!("server ended status={status}")));
            }
            let ready = Client::connect(self.address).and_then(|mut c| c.get("/ready", ""));
            if ready.is_ok_and(|a| a.status == 200) {
                return Ok(begun.elapsed());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(io::Error::other("server not ready in time"))
    }

    /// Makes a key of a project through the running server.
    pub fn make_key(&self, project: &str) -> io::Result<String> {
        let output = Command::new(&self.binary)
            .args(["key", "create", "--data"])
            .arg(&self.data)
            .args(["--project", project])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // The key is the last word printed, whatever stands before it.
        let key = text.split_whitespace().last().map(str::to_owned);
        key.filter(|_| output.status.success()).ok_or_else(|| {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            io::Error::other(format!("no key project={project} error={error}"))
        })
    }

    /// The process.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends it as a power cut of the process would: SIGKILL.
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that is gone already is what we want.
        let _ = self.kill();
    }
}
