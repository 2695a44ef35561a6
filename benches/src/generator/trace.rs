//! One trace: a root and its steps, with the history that grows from step to step.

use super::manifest::{Needle, TraceFacts};
use super::rng::{Rng, Zipf};
use super::span::{Span, Value, hex};
use super::text::{Vocabulary, push_dec, push_hex};

/// Values of `metadata.env`.
pub const ENVS: [&str; 2] = ["prod", "staging"];
/// Values of `metadata.region`.
pub const REGIONS: [&str; 4] = ["eu-west-1", "us-east-1", "us-west-2", "ap-south-1"];
/// Models.
pub const MODELS: [&str; 6] = [
    "gpt-5.2",
    "gpt-5.2-mini",
    "claude-opus-4-6",
    "claude-haiku-4-5",
    "gemini-3-pro",
    "qwen3-235b",
];
/// Tools.
pub const TOOLS: [&str; 10] = [
    "run_sql",
    "web_search",
    "read_file",
    "write_file",
    "http_get",
    "python",
    "send_email",
    "vector_lookup",
    "create_ticket",
    "calendar",
];
/// Distinct `metadata.workflow` values.
pub const WORKFLOWS: usize = 60;
/// Distinct `metadata.experiment` values.
pub const EXPERIMENTS: usize = 8;
/// Distinct `metadata.release` values.
pub const RELEASES: usize = 300;
/// Distinct `metadata.user` values.
pub const USERS: usize = 200_000;
/// Keys that few spans have.
pub const RARE_KEYS: usize = 200;
/// System prompts of each project.
const PROMPTS: usize = 40;
/// Passages that the retrieval of each project can return.
const PASSAGES: usize = 400;
/// Bytes of a tool result that go on into the history.
const QUOTE_BYTES: usize = 500;
/// History that frameworks keep before they summarise.
const HISTORY_BYTES: usize = 1_565;

/// In the payload of about 1e-5 of spans.
pub const NEEDLE_RARE: &str = "zanzibarquokka";
/// In the payload of about 1e-3 of spans.
pub const NEEDLE_MEDIUM: &str = "flumadiddle";
/// In the payload of about 5% of spans.
pub const NEEDLE_COMMON: &str = "throttled";
/// In no span.
pub const NEEDLE_ABSENT: &str = "xylographicnowhere";
/// Common words, adjacent in about 1e-5 of spans.
pub const NEEDLE_PHRASE: &str = "value of the order of the table";

/// What traces are made of, the same for the whole workload.
#[derive(Debug)]
pub struct Materials {
    vocabulary: Vocabulary,
    prompts: Vec<Vec<String>>,
    passages: Vec<Vec<String>>,
    users: Zipf,
    workflows: Zipf,
    releases: Zipf,
    rare_keys: Vec<&'static str>,
    rare_law: Zipf,
}

/// Projects share system prompts and passages in turn beyond so many, to bound memory.
const POOLS_MAX: usize = 24;

impl Materials {
    /// The materials of a seed. Rare keys are leaked: 200 short names, once per workload.
    pub fn new(seed: u64, projects: usize) -> Self {
        let vocabulary = Vocabulary::new(seed);
        let mut rng = Rng::new(seed ^ 0x5eed_0001);
        let mut texts = |count: usize, begin: &str, bytes: usize| -> Vec<Vec<String>> {
            let mut text = || {
                let mut text = String::from(begin);
                let bytes = bytes + rng.index(bytes);
                vocabulary.prose(&mut rng, bytes, &mut text);
                text
            };
            (0..projects.min(POOLS_MAX))
                .map(|_| (0..count).map(|_| text()).collect())
                .collect()
        };
        let prompts = texts(PROMPTS, "You are ", 350);
        let passages = texts(PASSAGES, "", 250);
        let rare_keys = (0..RARE_KEYS)
            .map(|i| &*Box::leak(format!("metadata.rare_{i}").into_boxed_str()))
            .collect();
        Self {
            vocabulary,
            prompts,
            passages,
            users: Zipf::harmonic(USERS),
            workflows: Zipf::harmonic(WORKFLOWS),
            releases: Zipf::harmonic(RELEASES),
            rare_keys,
            // From 1% of spans down to 0.01%.
            rare_law: Zipf::weighted((1..=RARE_KEYS as u64).map(|r| (10_000 / r).max(100))),
        }
    }
}

/// Where and how big a trace is.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Index of the project.
    pub project: usize,
    /// Number of the trace in the workload.
    pub number: u64,
    /// Spans, root included; at least one.
    pub spans: usize,
    /// When the root starts.
    pub start_ns: u64,
    /// Failing steps per million.
    pub error_ppm: u32,
    /// Some tool results have 64 KiB to 8 MiB.
    pub heavy_tail: bool,
}

/// Makes the trace: its spans in the order in which they end, root last, and what is true of it.
pub fn make(materials: &Materials, place: Place, rng: &mut Rng) -> (Vec<Span>, TraceFacts) {
    let mut maker = Maker::new(materials, place, rng);
    let root_id = Maker::span_id(rng);
    let mut spans = Vec::with_capacity(place.spans);
    let mut parent = root_id;
    let mut now = place.start_ns + rng.range(1, 20) * 1_000_000;
    for step in 1..place.spans {
        let span = maker.step(rng, parent, &mut now);
        // A fifth of the steps open a level, below the depth that frameworks really reach.
        if rng.chance(200_000) && step % 40 < 8 {
            parent = span.span_id;
        } else if rng.chance(250_000) {
            parent = root_id;
        }
        spans.push(span);
    }
    spans.push(maker.root(rng, root_id, now));
    (spans, maker.facts)
}

struct Maker<'a> {
    materials: &'a Materials,
    place: Place,
    trace_id: [u8; 16],
    system: &'a str,
    history: String,
    shared: Vec<(&'static str, Value)>,
    facts: TraceFacts,
    text: String,
}

impl<'a> Maker<'a> {
    fn new(materials: &'a Materials, place: Place, rng: &mut Rng) -> Self {
        let mut trace_id = [0; 16];
        trace_id[..8].copy_from_slice(&rng.u64().to_le_bytes());
        trace_id[8..].copy_from_slice(&rng.u64().to_le_bytes());
        let env = if rng.chance(800_000) {
            ENVS[0]
        } else {
            ENVS[1]
        };
        let region = rng.pick(&REGIONS);
        let workflow = format!("wf-{}", materials.workflows.sample(rng));
        let experiment = format!("exp-{}", rng.index(EXPERIMENTS));
        let release = format!("2026.{}", materials.releases.sample(rng));
        let user = format!("user-{:06}", materials.users.sample(rng));
        let mut session = String::from("sess-");
        push_hex(rng.u64(), 16, &mut session);
        let shared = vec![
            ("metadata.env", Value::Text(env.to_owned())),
            ("metadata.region", Value::Text(region.to_owned())),
            ("metadata.workflow", Value::Text(workflow.clone())),
            ("metadata.experiment", Value::Text(experiment)),
            ("metadata.release", Value::Text(release)),
            ("metadata.user", Value::Text(user.clone())),
            ("metadata.session", Value::Text(session.clone())),
        ];
        let facts = TraceFacts {
            project: place.project,
            trace_id: hex(&trace_id),
            start_ns: place.start_ns,
            spans: place.spans,
            env,
            region,
            workflow,
            user,
            session,
            ..TraceFacts::default()
        };
        let prompts = materials
            .prompts
            .get(place.project % POOLS_MAX)
            .expect("BUG: project out of range");
        let system = prompts
            .get(rng.index(prompts.len()))
            .expect("BUG: no prompts")
            .as_str();
        let (history, text) = (String::new(), String::new());
        Self {
            materials,
            place,
            trace_id,
            system,
            history,
            shared,
            facts,
            text,
        }
    }

    fn span_id(rng: &mut Rng) -> [u8; 8] {
        (rng.u64() | 1).to_le_bytes()
    }

    fn step(&mut self, rng: &mut Rng, parent: [u8; 8], now: &mut u64) -> Span {
        let mut attributes = self.shared.clone();
        let (name, millis) = match rng.below(100) {
            0..45 => self.chat(rng, &mut attributes),
            45..85 => self.tool(rng, &mut attributes),
            _ => self.retrieval(rng, &mut attributes),
        };
        self.rare(rng, &mut attributes);
        let start_ns = *now + rng.range(10, 3_000) * 1_000;
        let end_ns = start_ns + millis * 1_000_000 + rng.below(1_000_000);
        *now = end_ns;
        let error = rng.chance(self.place.error_ppm).then(|| Self::failure(rng));
        if error.is_some() {
            self.facts.error_spans += 1;
        }
        let span_id = Self::span_id(rng);
        let parent = Some(parent);
        Span {
            trace_id: self.trace_id,
            span_id,
            parent,
            name,
            start_ns,
            end_ns,
            attributes,
            error,
        }
    }

    fn root(&mut self, rng: &mut Rng, span_id: [u8; 8], now: u64) -> Span {
        let mut attributes = self.shared.clone();
        attributes.push((
            "gen_ai.operation.name",
            Value::Text("invoke_agent".to_owned()),
        ));
        attributes.push((
            "gen_ai.agent.name",
            Value::Text(self.facts.workflow.clone()),
        ));
        let input = self.prose(rng, 250);
        attributes.push(("input.value", Value::Text(input)));
        let output = self.prose(rng, 500);
        attributes.push(("output.value", Value::Text(output)));
        self.rare(rng, &mut attributes);
        let error = rng.chance(self.place.error_ppm).then(|| Self::failure(rng));
        if error.is_some() {
            self.facts.error_spans += 1;
            self.facts.root_error = true;
        }
        let name = format!("agent {}", self.facts.workflow);
        let end_ns = now + rng.range(1, 50) * 1_000_000;
        let start_ns = self.place.start_ns;
        let trace_id = self.trace_id;
        Span {
            trace_id,
            span_id,
            parent: None,
            name,
            start_ns,
            end_ns,
            attributes,
            error,
        }
    }

    fn chat(&mut self, rng: &mut Rng, to: &mut Vec<(&'static str, Value)>) -> (String, u64) {
        let model = rng.pick(&MODELS);
        to.push(("gen_ai.operation.name", Value::Text("chat".to_owned())));
        to.push(("gen_ai.request.model", Value::Text(model.to_owned())));
        to.push(("gen_ai.request.temperature", Value::Double(0.7)));
        let (read, written) = (rng.range(200, 9_000), rng.range(10, 900));
        to.push(("gen_ai.usage.input_tokens", Value::Int(small(read))));
        to.push(("gen_ai.usage.output_tokens", Value::Int(small(written))));
        to.push(("gen_ai.usage.cost", Value::Double(cost(read, written))));
        let asked = self.prose(rng, 160);
        let said = self.prose(rng, 250);
        let mut input = String::with_capacity(self.system.len() + self.history.len() + 300);
        input.push_str("[{\"role\":\"system\",\"content\":\"");
        input.push_str(&self.system.replace('\n', "\\n"));
        input.push_str("\"}");
        input.push_str(&self.history);
        push_message(&mut input, "user", &asked);
        input.push(']');
        let mut output = String::from("[");
        push_message(&mut output, "assistant", &said);
        output.push(']');
        to.push(("gen_ai.input.messages", Value::Text(input)));
        to.push(("gen_ai.output.messages", Value::Text(output)));
        push_message(&mut self.history, "user", &asked);
        push_message(&mut self.history, "assistant", &said);
        self.forget();
        (format!("chat {model}"), rng.range(200, 12_000))
    }

    /// Drops the oldest messages.
    fn forget(&mut self) {
        while self.history.len() > HISTORY_BYTES {
            let next = self
                .history
                .get(1..)
                .and_then(|h| h.find(",{\"role\""))
                .map(|at| at + 1);
            let Some(next) = next else { break };
            self.history.drain(..next);
        }
    }

    fn tool(&mut self, rng: &mut Rng, to: &mut Vec<(&'static str, Value)>) -> (String, u64) {
        let tool = rng.pick(&TOOLS);
        to.push((
            "gen_ai.operation.name",
            Value::Text("execute_tool".to_owned()),
        ));
        to.push(("gen_ai.tool.name", Value::Text(tool.to_owned())));
        let mut call = String::from("call_");
        push_hex(rng.u64(), 16, &mut call);
        to.push(("gen_ai.tool.call.id", Value::Text(call)));
        let asked = self.prose(rng, 90);
        let arguments = format!(
            "{{\"query\":\"{}\",\"limit\":{}}}",
            escape(&asked),
            rng.below(100)
        );
        to.push(("gen_ai.tool.call.arguments", Value::Text(arguments)));
        self.text.clear();
        let bytes = self.result_bytes(rng);
        if rng.chance(600_000) {
            self.materials
                .vocabulary
                .records(rng, bytes, &mut self.text);
        } else {
            self.materials.vocabulary.prose(rng, bytes, &mut self.text);
        }
        self.plant(rng);
        let quote: String = self.text.chars().take(QUOTE_BYTES).collect();
        push_message(&mut self.history, "tool", &quote.replace('"', "'"));
        self.forget();
        to.push(("gen_ai.tool.call.result", Value::Text(self.text.clone())));
        (format!("execute_tool {tool}"), rng.range(3, 2_500))
    }

    fn result_bytes(&self, rng: &mut Rng) -> usize {
        // Tool results are 40% of spans: rates per span are divided accordingly.
        if self.place.heavy_tail {
            if rng.chance(250) {
                return 8 << 20;
            }
            if rng.chance(25_000) {
                let octave = (64 << 10) << rng.index(4);
                return octave + rng.index(octave);
            }
        }
        150 + rng.index(1_500)
    }

    fn retrieval(&mut self, rng: &mut Rng, to: &mut Vec<(&'static str, Value)>) -> (String, u64) {
        to.push(("gen_ai.operation.name", Value::Text("retrieval".to_owned())));
        to.push(("retrieval.top_k", Value::Int(small(rng.range(3, 20)))));
        to.push(("retrieval.cached", Value::Bool(rng.chance(300_000))));
        let query = self.prose(rng, 90);
        to.push(("retrieval.query", Value::Text(query)));
        let passages = self.materials.passages.get(self.place.project % POOLS_MAX);
        let passages = passages.expect("BUG: project out of range");
        let found = (0..2 + rng.index(3)).map(|_| passages[rng.index(PASSAGES)].as_str());
        let documents = found.collect::<Vec<_>>().join("\n\n");
        to.push(("retrieval.documents", Value::Text(documents)));
        ("retrieve".to_owned(), rng.range(2, 400))
    }

    fn rare(&self, rng: &mut Rng, to: &mut Vec<(&'static str, Value)>) {
        if rng.below(1_000_000) >= self.materials.rare_law.total() {
            return;
        }
        let at = self.materials.rare_law.sample(rng);
        let Some(key) = self.materials.rare_keys.get(at).copied() else {
            return;
        };
        let value = match rng.below(4) {
            0 => Value::Int(small(rng.below(1_000))),
            1 => Value::Bool(true),
            2 => Value::Double(0.25),
            _ => Value::Text(self.materials.vocabulary.word(rng).to_owned()),
        };
        to.push((key, value));
    }

    fn failure(rng: &mut Rng) -> String {
        let mut message = rng
            .pick(&[
                "TimeoutError: upstream took ",
                "RateLimitError: retry after ",
                "ToolError: exit ",
            ])
            .to_string();
        push_dec(rng.below(1_000), &mut message);
        message
    }

    fn prose(&mut self, rng: &mut Rng, bytes: usize) -> String {
        self.text.clear();
        let bytes = bytes / 2 + rng.index(bytes);
        self.materials.vocabulary.prose(rng, bytes, &mut self.text);
        self.text.clone()
    }

    /// Plants needles at the end of `self.text`, a tool result (40% of spans: the rates per span
    /// are divided accordingly).
    fn plant(&mut self, rng: &mut Rng) {
        let mut add = |text: &str| {
            self.text.push(' ');
            self.text.push_str(text);
        };
        if rng.below(40_000) == 0 {
            add(NEEDLE_RARE);
            self.facts.needles.push(Needle::Rare);
        }
        if rng.below(400) == 0 {
            add(NEEDLE_MEDIUM);
            self.facts.needles.push(Needle::Medium);
        }
        if rng.below(8) == 0 {
            add(NEEDLE_COMMON);
            self.facts.needles.push(Needle::Common);
        }
        if rng.below(40_000) == 0 {
            add(NEEDLE_PHRASE);
            self.facts.needles.push(Needle::Phrase);
        }
    }
}

fn push_message(out: &mut String, role: &str, content: &str) {
    out.push_str(",{\"role\":\"");
    out.push_str(role);
    out.push_str("\",\"content\":\"");
    out.push_str(&escape(content));
    out.push_str("\"}");
}

fn escape(text: &str) -> String {
    text.replace('\n', "\\n")
}

/// Dollars, in whole parts of 2^-20, so that sums are the same in any order.
fn cost(read: u64, written: u64) -> f64 {
    let parts = u32::try_from(read * 3 + written * 15).expect("BUG: small number");
    f64::from(parts) / 1_048_576.0
}

fn small(n: u64) -> i64 {
    i64::try_from(n).expect("BUG: small number")
}
