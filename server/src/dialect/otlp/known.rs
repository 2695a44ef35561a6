//! Attributes that name facts which other dialects know too. `README.md` has the tables, `names.rs` the names.

use obsrv_engine::doc::{DocRef, DocWriter};
use obsrv_engine::model;

use super::mlflow;
use super::names::{Fact, fact_named, kind_named, metadata_name};
use super::usage::Usage;
use super::value::{Any, Attribute};
use crate::dialect::langfuse;
use crate::dialect::place::Said;
use crate::dialect::{ATTRIBUTES_MAX, ID_BYTES_MAX, JSON_DEPTH_MAX, json};

/// Whose API a model was called by: a field of steps beside those of the model.
pub(super) const PROVIDER: &str = "provider";

/// A value of the best rank so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best<T>(Option<(u8, T)>);

impl<T> Default for Best<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Copy> Best<T> {
    pub(super) fn offer(&mut self, rank: u8, value: Option<T>) {
        if let Some(value) = value
            && self.0.is_none_or(|(best, _)| rank < best)
        {
            self.0 = Some((rank, value));
        }
    }

    pub(super) fn get(self) -> Option<T> {
        self.0.map(|(_, v)| v)
    }
}

/// What the attributes of one span say under known names.
#[derive(Debug, Default)]
pub(super) struct Known<'a> {
    kind: Best<&'static str>,
    model: Best<&'a str>,
    tool: Best<&'a str>,
    entity: Best<&'a str>,
    user: Best<&'a str>,
    group: Best<&'a str>,
    /// Whether they are those of a span of `MLflow`.
    is_mlflow: bool,
    /// The parameter of a call by `MLflow` that names the model, which it does even of a call that failed.
    mlflow_model: Option<&'a str>,
    parameters: Option<&'a str>,
    provider: Best<&'a str>,
    is_pending: bool,
    pending_parent: Option<&'a str>,
    error: Best<&'a str>,
    run: Best<&'a str>,
    run_alias: Option<&'a str>,
    trace: Option<&'a str>,
    usage: Usage,
    usage_json: Option<&'a str>,
    cost_json: Option<&'a str>,
    mlflow_cost: Option<&'a str>,
    /// What a program set on a span of `MLflow`: names, where the JSON stands in the document, and the JSON.
    set: Vec<(&'a str, (usize, usize), Option<&'a str>)>,
    cost: Best<f64>,
    cents: Option<f64>,
    currency: Option<&'a str>,
    /// Where the list stands in the document.
    tags: Best<(usize, usize)>,
    /// Names, where the values stand in the document, and the text that is the JSON of one.
    metadata: Vec<(&'a str, (usize, usize), Option<&'a str>)>,
    metadata_json: Option<&'a str>,
    has_model_request: bool,
    place: Said<'a>,
}

impl<'a> Known<'a> {
    /// Of a span of this scope, which may be one of `MLflow`.
    pub(super) fn of_scope(is_mlflow: bool) -> Self {
        Self {
            is_mlflow,
            ..Self::default()
        }
    }

    /// Takes note of one attribute.
    pub(super) fn note(&mut self, attribute: Attribute<'a>) {
        let Attribute { key, any, written } = attribute;
        if self.is_mlflow && mlflow::is_set_by_program(key) && !Self::says_who(key) {
            self.set.push((key, written, any.as_str()));
        }
        let any = if mlflow::is_json(key, self.is_mlflow) {
            mlflow::read(any)
        } else {
            any
        };
        if self.is_mlflow && key == mlflow::MODEL {
            self.mlflow_model = text(any);
        }
        if let Some((fact, rank)) = fact_named(key) {
            match fact {
                Fact::Kind => self.kind.offer(rank, any.as_str().and_then(kind_named)),
                Fact::Model => {
                    self.has_model_request |= matches!(rank, 0 | 1 | 3);
                    self.model.offer(rank, text(any));
                }
                Fact::Tool => self.tool.offer(rank, text(any)),
                Fact::Entity => self.entity.offer(rank, text(any)),
                Fact::User => self.user.offer(rank, text(any)),
                Fact::Group => self.group.offer(rank, text(any)),
                Fact::Parameters => self.parameters = any.as_str(),
                Fact::Provider => self.provider.offer(rank, text(any)),
                Fact::SpanType => self.is_pending = any.as_str() == Some("pending_span"),
                Fact::PendingParent => self.pending_parent = id(any),
                Fact::Error => self.error.offer(rank, text(any)),
                Fact::Run => self.run.offer(rank, id(any)),
                Fact::RunAlias => self.run_alias = id(any),
                Fact::Trace => self.trace = id(any),
                Fact::Tokens(count) => self.usage.offer(count, rank, whole(any)),
                Fact::UsageJson => self.usage_json = any.as_str(),
                Fact::CostJson => self.cost_json = any.as_str(),
                Fact::MlflowUsage => {
                    json_of(any.as_str(), |usage| mlflow::count(usage, &mut self.usage));
                }
                Fact::MlflowCost => self.mlflow_cost = any.as_str(),
                Fact::Cents => self.cents = number(any),
                Fact::Currency => self.currency = any.as_str(),
                Fact::Cost => self.cost.offer(rank, number(any)),
                Fact::Tags => {
                    let list = matches!(any, Any::Array(_)).then_some(written);
                    self.tags.offer(rank, list);
                }
                Fact::MetadataJson => self.metadata_json = any.as_str(),
            }
        }
        self.place.note(key, any.as_str());
        if let Some(name) = metadata_name(key) {
            // Langfuse sends the JSON of every value.
            let is_json = key.starts_with("langfuse.");
            self.metadata
                .push((name, written, any.as_str().filter(|_| is_json)));
        }
    }

    /// Whether a fact of the model stands under this key, which is then no metadata.
    fn says_who(key: &str) -> bool {
        matches!(fact_named(key), Some((Fact::User | Fact::Group, _)))
    }

    /// Whether it is a call of a model.
    fn is_call(&self) -> bool {
        matches!(self.kind(), "llm" | "embedding")
    }

    /// One of the kinds of the model.
    pub(super) fn kind(&self) -> &'static str {
        match self.kind.get() {
            Some(kind) => kind,
            None if self.tool.get().is_some() => "tool",
            None if self.has_model_request => "llm",
            None => "custom",
        }
    }

    /// Whether it writes this field of the model.
    pub(super) fn says(&self, key: &str) -> bool {
        match key {
            model::MODEL => self.model.get().is_some(),
            model::TOOL => self.tool.get().or(self.entity.get()).is_some(),
            model::GROUP => self.group.get().is_some(),
            model::COST_USD => self.cost().is_some(),
            model::TOKENS => self.usage.is_said() || self.usage_json.is_some(),
            _ => false,
        }
    }

    /// What the attributes say went wrong.
    pub(super) fn error(&self) -> Option<&'a str> {
        self.error.get()
    }

    /// Where it ran, as it says itself.
    pub(super) const fn place(&self) -> Said<'a> {
        self.place
    }

    /// Writes the fields of the model that it knows, into an open map.
    pub(super) fn write(&self, out: &mut DocWriter) {
        let entity = self.entity.get().filter(|_| self.kind() == "tool");
        let model = self
            .model
            .get()
            .or(self.mlflow_model.filter(|_| self.is_call()));
        if model.is_none() {
            json_of(self.parameters, |parameters| {
                if let Some(name) = parameters.get("model").and_then(DocRef::as_str) {
                    out.key(model::MODEL);
                    out.str(name);
                }
            });
        }
        let texts = [
            (model::MODEL, model),
            (model::TOOL, self.tool.get().or(entity)),
            (PROVIDER, self.provider.get()),
            (model::USER_ID, self.user.get()),
            (model::GROUP, self.group.get()),
        ];
        for (key, value) in texts {
            if let Some(value) = value {
                out.key(key);
                out.str(value);
            }
        }
        self.write_tokens(out);
        if let Some(cost) = self.cost() {
            out.key(model::COST_USD);
            out.f64(cost);
        }
        if let Some(tags) = self.tags.get() {
            out.key(model::TAGS);
            out.again(tags.0..tags.1);
        }
        self.write_metadata(out);
    }

    fn write_tokens(&self, out: &mut DocWriter) {
        if self.usage.is_said() {
            return self.usage.write(out);
        }
        json_of(self.usage_json, |details| {
            if let Some(tokens) = langfuse::usage::of_details(details) {
                tokens.write(out);
            }
        });
    }

    /// US dollars.
    fn cost(&self) -> Option<f64> {
        let is_usd = self.currency.is_none_or(|c| c.eq_ignore_ascii_case("usd"));
        let of_cents = || self.cents.filter(|_| is_usd).map(|cents| cents / 100.0);
        let mut of_json = None;
        if self.cost.get().is_none() {
            json_of(self.cost_json, |details| {
                of_json = langfuse::usage::cost_of(details);
            });
            json_of(self.mlflow_cost, |details| {
                of_json = of_json.or(mlflow::cost(details));
            });
        }
        self.cost.get().or(of_json).or_else(of_cents)
    }

    /// The run that it belongs to, if it names one other than its trace.
    pub(super) fn run(&self) -> Option<&'a str> {
        self.run.get()
    }

    /// The user's own name for that run, if there are two.
    pub(super) const fn run_alias(&self) -> Option<&'a str> {
        self.run_alias
    }

    /// The parent of the open span that this record of Logfire stands for, if it is one: all zeros of a root.
    pub(super) fn pending(&self) -> Option<&'a str> {
        self.pending_parent.filter(|_| self.is_pending)
    }

    /// The trace of a log record that has none itself.
    pub(super) const fn trace(&self) -> Option<&'a str> {
        self.trace
    }

    fn write_metadata(&self, out: &mut DocWriter) {
        let parsed = self
            .metadata_json
            .and_then(|text| json::read_text(text, JSON_DEPTH_MAX).ok());
        let parsed = parsed.as_deref().and_then(|doc| DocRef::parse(doc).ok());
        let entries = parsed.and_then(DocRef::entries);
        // What an attribute of a call says is a parameter of it.
        let set = self.set.iter().filter(|_| !self.is_call());
        let named: Vec<_> = self.metadata.iter().chain(set).collect();
        if named.is_empty() && entries.is_none() {
            return;
        }
        out.key(model::METADATA);
        let open = out.begin_map();
        for (key, (start, end), text) in named {
            out.key(key);
            match text {
                Some(text) => json_or_text(text, out),
                None => out.again(*start..*end),
            }
        }
        // Beyond the limits it stays in the attribute, as text.
        for (key, value) in entries.into_iter().flatten().flatten().take(ATTRIBUTES_MAX) {
            out.key(key);
            out.value(value);
        }
        out.end(open);
    }
}

/// Calls back with what a text means as JSON.
fn json_of(text: Option<&str>, then: impl FnOnce(DocRef<'_>)) {
    let doc = text.and_then(|text| json::read_text(text, JSON_DEPTH_MAX).ok());
    if let Some(value) = doc.as_deref().and_then(|doc| DocRef::parse(doc).ok()) {
        then(value);
    }
}

/// Writes what a text means as JSON, or the text.
fn json_or_text(text: &str, out: &mut DocWriter) {
    let doc = json::read_text(text, JSON_DEPTH_MAX).ok();
    match doc.as_deref().and_then(|doc| DocRef::parse(doc).ok()) {
        Some(value) => out.value(value),
        None => out.str(text),
    }
}

fn id(any: Any<'_>) -> Option<&str> {
    text(any).filter(|id| id.len() <= ID_BYTES_MAX)
}

fn text(any: Any<'_>) -> Option<&str> {
    any.as_str().filter(|s| !s.is_empty())
}

/// A count: whole, not negative. Some senders make every number a float.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked first"
)]
fn whole(any: Any<'_>) -> Option<i64> {
    match any {
        Any::I64(n) => Some(n),
        Any::F64(n) if n.fract() == 0.0 && n.abs() < 9e15 => Some(n as i64),
        _ => None,
    }
    .filter(|n| *n >= 0)
}

#[expect(clippy::cast_precision_loss, reason = "a price in dollars")]
fn number(any: Any<'_>) -> Option<f64> {
    match any {
        Any::F64(n) => Some(n).filter(|n| n.is_finite()),
        Any::I64(n) => Some(n as f64),
        _ => None,
    }
}
