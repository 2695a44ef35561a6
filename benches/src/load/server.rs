//! The server under test: a process of ours, or one that runs already.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

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

/// As many as the server lets an organization have.
const PROJECTS_PER_ORG: usize = 1_000;
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

    /// Asks at the admin socket of the running server.
    pub fn operate(&self, method: &str, path: &str, body: &Json) -> io::Result<Json> {
        let mut stream = UnixStream::connect(self.data.join("admin.sock"))?;
        let body = body.to_string();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or(("", ""));
        if !head.starts_with("HTTP/1.1 20") {
            return Err(io::Error::other(format!("{method} {path}: {answer}")));
        }
        Ok(serde_json::from_str(body)?)
    }

    /// A key of a project, which is made if there is none of that name in the first organization.
    pub fn make_key(&self, project: &str) -> io::Result<String> {
        let made = self.operate("POST", "/keys", &json!({ "project": project }))?;
        key_in(&made)
    }

    /// Keys of so many new projects, in as many new organizations as these need.
    pub fn make_keys(&self, count: usize) -> io::Result<Vec<String>> {
        let mut keys = Vec::with_capacity(count);
        let mut org = Json::Null;
        for n in 0..count {
            if n % PROJECTS_PER_ORG == 0 {
                let new = json!({"name": format!("Bench {n}"), "slug": format!("bench-{n}")});
                org = self.operate("POST", "/v1/orgs", &new)?["id"].clone();
            }
            let new = json!({ "name": format!("bench-{n}") });
            let path = format!("/v1/orgs/{org}/projects");
            let project = self.operate("POST", &path, &new)?["id"].clone();
            let path = format!("/v1/projects/{project}/keys");
            keys.push(key_in(&self.operate("POST", &path, &json!({}))?)?);
        }
        Ok(keys)
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

fn key_in(made: &Json) -> io::Result<String> {
    let key = made["key"].as_str().map(str::to_owned);
    key.ok_or_else(|| io::Error::other(format!("no key in {made}")))
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that is gone already is what we want.
        let _ = self.kill();
    }
}
