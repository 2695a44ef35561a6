//! The read side: each answer is compared with the manifest, then timed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::LoadError;
use super::client::{Client, percent};
use crate::generator::manifest::{Manifest, TraceFacts};

/// Rows of a list.
const LIMIT: usize = 50;
const WARM_UPS: usize = 3;
const TIMED: usize = 30;

/// A list query and the ids that answer it.
#[derive(Debug)]
struct List {
    name: &'static str,
    path: String,
    expected: Vec<String>,
}

/// How long a query took, or why it was not timed.
#[derive(Debug)]
pub struct Timing {
    /// What was asked.
    pub name: String,
    /// Rows in the answer.
    pub rows: usize,
    /// Median and 95th percentile, or what was wrong.
    pub result: Result<(Duration, Duration), String>,
}

/// Who asks.
#[derive(Debug)]
pub struct Asker<'a> {
    /// The server.
    pub address: SocketAddr,
    /// The key of the project.
    pub key: &'a str,
    /// Index of the project.
    pub project: usize,
    /// The right answers.
    pub manifest: &'a Manifest,
}

impl Asker<'_> {
    /// Checks and times every query.
    pub fn run(&self) -> Result<Vec<Timing>, LoadError> {
        let mut client = Client::connect(self.address)?;
        let mut timings = Vec::new();
        for list in self.lists() {
            timings.push(self.list(&mut client, &list)?);
        }
        let traces = self.manifest.newest(self.project, |t| t.spans <= 100);
        if let Some(trace) = traces.get(traces.len() / 2) {
            timings.push(self.trace(&mut client, trace)?);
        }
        timings.push(self.traces(&mut client, &traces)?);
        Ok(timings)
    }

    /// The newest traces are there, whole: what a restart must not change.
    pub fn spot_check(&self) -> Result<usize, LoadError> {
        let mut client = Client::connect(self.address)?;
        let lists = self.lists();
        let newest = lists.first().expect("BUG: there are lists");
        self.check_list(&mut client, newest)?;
        let traces = self.manifest.newest(self.project, |_| true);
        let step = (traces.len() / 100).max(1);
        let sample: Vec<_> = traces.iter().step_by(step).collect();
        for trace in &sample {
            self.check_trace(&mut client, trace)?;
        }
        Ok(sample.len())
    }

    /// The project has exactly the traces that it should have, and a hundred of them exactly the
    /// spans: nothing is there twice, whatever was sent twice.
    pub fn count_check(&self) -> Result<(u64, usize), LoadError> {
        let mut client = Client::connect(self.address)?;
        let path = "/v1/traces?limit=1&total=true";
        let body = self.get(&mut client, path)?;
        let answer: Json = serde_json::from_slice(&body).unwrap_or_default();
        let got = answer.get("total").and_then(Json::as_u64);
        let traces = self.manifest.newest(self.project, |_| true);
        let right = u64::try_from(traces.len()).ok();
        if got != right || right.is_none() {
            return Err(LoadError::Wrong {
                query: path.to_owned(),
                expected: format!("{right:?} traces"),
                got: format!("{got:?}"),
            });
        }
        let step = (traces.len() / 100).max(1);
        let sample: Vec<_> = traces.iter().step_by(step).collect();
        for trace in &sample {
            self.check_trace(&mut client, trace)?;
        }
        Ok((right.unwrap_or_default(), sample.len()))
    }

    fn lists(&self) -> Vec<List> {
        let list = |name, path: &str, pass: &dyn Fn(&TraceFacts) -> bool| {
            let ids = self.manifest.newest(self.project, pass);
            let expected = ids.iter().take(LIMIT).map(|t| t.trace_id.clone()).collect();
            List {
                name,
                path: format!("/v1/traces?limit={LIMIT}{path}"),
                expected,
            }
        };
        let q = |filter: &str| format!("&q={}", percent(filter));
        let all = self.manifest.newest(self.project, |_| true);
        let middle = all
            .get(all.len() / 2)
            .expect("BUG: a project without traces");
        let (user, session) = (middle.user.clone(), middle.session.clone());
        vec![
            list("newest 50", "", &|_| true),
            list("status = error", "&status=error", &|t| t.root_error),
            list(
                "metadata, 2 values (env)",
                &q("metadata.env:staging"),
                &|t| t.env == "staging",
            ),
            list(
                "metadata, 60 values (workflow), rare one",
                &q("metadata.workflow:wf-40"),
                &|t| t.workflow == "wf-40",
            ),
            list(
                "env and region and status",
                &q("metadata.env:prod metadata.region:eu-west-1 status:error"),
                &|t| t.env == "prod" && t.region == "eu-west-1" && t.root_error,
            ),
            list(
                "metadata, 200 K values (user)",
                &q(&format!("metadata.user:{user}")),
                &|t| t.user == user,
            ),
            list(
                "metadata, unique (session)",
                &q(&format!("metadata.session:{session}")),
                &|t| t.session == session,
            ),
            list(
                "metadata, absent value",
                &q("metadata.user:nobody"),
                &|_| false,
            ),
        ]
    }

    fn get(&self, client: &mut Client, path: &str) -> Result<Vec<u8>, LoadError> {
        let answer = client.get(path, self.key)?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        let body = String::from_utf8_lossy(&answer.body)
            .chars()
            .take(300)
            .collect();
        Err(LoadError::Refused {
            status: answer.status,
            body,
        })
    }

    fn check_list(&self, client: &mut Client, list: &List) -> Result<(), LoadError> {
        let body = self.get(client, &list.path)?;
        let got = trace_ids(&body).unwrap_or_default();
        if got == list.expected {
            return Ok(());
        }
        let at = got
            .iter()
            .zip(&list.expected)
            .take_while(|(a, b)| a == b)
            .count();
        let tell = |ids: &[String]| format!("{} ids, [{at}]={:?}", ids.len(), ids.get(at));
        Err(LoadError::Wrong {
            query: list.path.clone(),
            expected: tell(&list.expected),
            got: tell(&got),
        })
    }

    fn check_trace(&self, client: &mut Client, trace: &TraceFacts) -> Result<(), LoadError> {
        let path = format!("/v1/traces/{}", trace.trace_id);
        let body = self.get(client, &path)?;
        let got = step_count(&body);
        if got == Some(trace.spans) {
            return Ok(());
        }
        let (expected, got) = (format!("{} steps", trace.spans), format!("{got:?}"));
        Err(LoadError::Wrong {
            query: path,
            expected,
            got,
        })
    }

    fn list(&self, client: &mut Client, list: &List) -> Result<Timing, LoadError> {
        let (name, rows) = (list.name.to_owned(), list.expected.len());
        let result = match self.check_list(client, list) {
            Ok(()) => Ok(self.time(client, |_| &list.path)?),
            Err(LoadError::Io(e)) => return Err(e.into()),
            Err(wrong) => Err(wrong.to_string()),
        };
        Ok(Timing { name, rows, result })
    }

    fn trace(&self, client: &mut Client, trace: &TraceFacts) -> Result<Timing, LoadError> {
        let path = format!("/v1/traces/{}", trace.trace_id);
        let result = match self.check_trace(client, trace) {
            Ok(()) => Ok(self.time(client, |_| &path)?),
            Err(LoadError::Io(e)) => return Err(e.into()),
            Err(wrong) => Err(wrong.to_string()),
        };
        Ok(Timing {
            name: "trace by id, same one".to_owned(),
            rows: trace.spans,
            result,
        })
    }

    /// As many traces as are timed, each for the first time, spread over the project.
    fn traces(&self, client: &mut Client, all: &[&TraceFacts]) -> Result<Timing, LoadError> {
        let step = (all.len() / (TIMED + WARM_UPS)).max(1);
        let chosen: Vec<_> = all.iter().step_by(step).take(TIMED + WARM_UPS).collect();
        let rows = chosen.iter().map(|t| t.spans).sum::<usize>() / chosen.len().max(1);
        let paths: Vec<_> = chosen
            .iter()
            .map(|t| format!("/v1/traces/{}", t.trace_id))
            .collect();
        let pick = |i: usize| paths.get(i % paths.len()).expect("BUG: some path").as_str();
        let mut result = Ok(self.time(client, pick)?);
        for trace in chosen {
            match self.check_trace(client, trace) {
                Ok(()) => {}
                Err(LoadError::Io(e)) => return Err(e.into()),
                Err(wrong) => result = Err(wrong.to_string()),
            }
        }
        Ok(Timing {
            name: "trace by id, another each time".to_owned(),
            rows,
            result,
        })
    }

    fn time<'p>(
        &self,
        client: &mut Client,
        path: impl Fn(usize) -> &'p str,
    ) -> Result<(Duration, Duration), LoadError> {
        let mut times = Vec::with_capacity(TIMED);
        for i in 0..WARM_UPS + TIMED {
            let begun = Instant::now();
            self.get(client, path(i))?;
            if i >= WARM_UPS {
                times.push(begun.elapsed());
            }
        }
        times.sort_unstable();
        let at = |n: usize| times.get(n).copied().unwrap_or_default();
        Ok((at(TIMED / 2), at(TIMED * 95 / 100)))
    }
}

fn trace_ids(body: &[u8]) -> Option<Vec<String>> {
    let answer: Json = serde_json::from_slice(body).ok()?;
    let items = answer.get("items")?.as_array()?;
    items
        .iter()
        .map(|i| Some(i.get("trace_id")?.as_str()?.to_owned()))
        .collect()
}

fn step_count(body: &[u8]) -> Option<usize> {
    let answer: Json = serde_json::from_slice(body).ok()?;
    Some(answer.get("trace")?.get("steps")?.as_array()?.len())
}
