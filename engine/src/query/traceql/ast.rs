//! What a query says: plain data. Its text form is the canonical one, with every bracket written.

use std::fmt::{self, Display, Write as _};

use super::math::Math;

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Every `{…}` of it, in the order in which they stand.
    pub selectors: Vec<Expr>,
    /// What is done with the spans, one step after the other.
    pub stages: Vec<Stage>,
    /// What is worked out of the spans that are left; `None` asks for the traces.
    pub metrics: Option<Metrics>,
    /// What `with(…)` says. Nothing is sampled for it: every answer is exact.
    pub hints: Vec<(Box<str>, Static)>,
}

/// A step of a pipeline: from sets of spans to sets of spans.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// The spans of each set that an expression leaves.
    Spans(Spans),
    /// The sets of which a comparison holds.
    Where(Scalar, Cmp, Scalar),
    /// A set for each value.
    By(Expr),
    /// One set of all.
    Coalesce,
    /// Values that are shown with each span.
    Select(Vec<Field>),
}

/// Spans of one trace.
#[derive(Clone, Debug, PartialEq)]
pub enum Spans {
    /// Those that pass a selector, by its place in [`Query::selectors`].
    Selector(usize),
    /// What a pipeline of its own leaves.
    Pipeline(Vec<Stage>),
    /// What two sides make together.
    Both(SpansOp, Box<Spans>, Box<Spans>),
}

/// How two sides are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpansOp {
    /// All spans of both, if both have some.
    And,
    /// All spans of both.
    Or,
    /// Spans of the right side by how they stand to the left side's.
    Related(Relation, Form),
}

/// How the right side's span stands to a left side's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `>`: right below it.
    Child,
    /// `>>`: anywhere below it.
    Descendant,
    /// `<`: right above it.
    Parent,
    /// `<<`: anywhere above it.
    Ancestor,
    /// `~`: another one with the same parent.
    Sibling,
}

/// Which spans a relation leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Those of the right side for which it holds.
    Plain,
    /// Those of the right side for which it holds with no span of the left.
    Not,
    /// Those of both sides for which it holds.
    Union,
}

/// What is asked of one span.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A literal.
    Static(Static),
    /// The values of a field.
    Field(Field),
    /// Does not hold.
    Not(Box<Expr>),
    /// The negative number.
    Neg(Box<Expr>),
    /// All of them hold.
    And(Vec<Expr>),
    /// Some of them holds.
    Or(Vec<Expr>),
    /// Compares.
    Compare(Cmp, Box<Expr>, Box<Expr>),
    /// Calculates.
    Arith(Arith, Box<Expr>, Box<Expr>),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cmp {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `=~`
    Match,
    /// `!~`
    NotMatch,
}

/// An operation on numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arith {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
}

/// A number made of a set of spans.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// A literal number or duration.
    Static(Static),
    /// `count()`
    Count,
    /// `min(…)`, `max(…)`, `sum(…)`, `avg(…)`: the first is which.
    Of(Fold, Expr),
    /// Calculates.
    Arith(Arith, Box<Scalar>, Box<Scalar>),
}

/// How many numbers become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Their sum.
    Sum,
    /// Their mean.
    Avg,
}

/// A literal.
#[derive(Clone, Debug, PartialEq)]
pub enum Static {
    /// No value.
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Str(Box<str>),
    /// Nanoseconds.
    Duration(i64),
    /// A status.
    Status(Status),
    /// A kind of OpenTelemetry's.
    Kind(Kind),
}

/// How a span ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It failed.
    Error,
    /// It ended well, and said so.
    Ok,
    /// Neither is said.
    Unset,
}

/// A kind of OpenTelemetry's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Not said.
    Unspecified,
    /// Within a program.
    Internal,
    /// Answers a request.
    Server,
    /// Makes a request.
    Client,
    /// Makes a message.
    Producer,
    /// Takes a message.
    Consumer,
}

impl Status {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Error, Self::Ok, Self::Unset];

    /// Its keyword.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Ok => "ok",
            Self::Unset => "unset",
        }
    }
}

impl Kind {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::Internal,
        Self::Server,
        Self::Client,
        Self::Producer,
        Self::Consumer,
    ];

    /// Its keyword, which rows have too, but for the first.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// Something that a span has values of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `.x`: an attribute of the span or its resource, metadata, or a key of the row.
    Any(Box<str>),
    /// `span.x`
    Span(Box<str>),
    /// `resource.x`
    Resource(Box<str>),
    /// `event.x`
    Event(Box<str>),
    /// `link.x`
    Link(Box<str>),
    /// `instrumentation.x`
    Instrumentation(Box<str>),
    /// A path of the row.
    Row(Box<str>),
    /// `parent.x`: the same of the span above.
    Parent(Box<Field>),
    /// What every span has.
    Intrinsic(Intrinsic),
}

/// What every span has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "named as in the language: see GRAMMAR.md")]
pub enum Intrinsic {
    Name,
    Status,
    StatusMessage,
    Kind,
    Duration,
    TraceId,
    SpanId,
    ParentId,
    EventName,
    EventTimeSinceStart,
    LinkTraceId,
    LinkSpanId,
    ScopeName,
    ScopeVersion,
    TraceDuration,
    RootName,
    RootService,
    ChildCount,
    NestedSetLeft,
    NestedSetRight,
    NestedSetParent,
}

/// What is worked out over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// Which number.
    pub measure: Measure,
    /// What series are told apart by.
    pub by: Vec<Field>,
    /// What is done with the series, one step after the other.
    pub second: Vec<Second>,
}

/// A number of the spans of a step of time.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// Spans a second.
    Rate,
    /// Spans.
    Count,
    /// The smallest, largest, sum or mean of a field.
    Of(Fold, Field),
    /// Quantiles of a field.
    Quantiles(Field, Vec<f64>),
    /// Counts between powers of two of a field.
    Histogram(Field),
    /// How often which values are among the spans that pass a selector, and among the others.
    Compare {
        /// Its place in [`Query::selectors`].
        selector: usize,
        /// How many values of each field.
        top: usize,
        /// Spans outside count as the others.
        range: Option<(i64, i64)>,
    },
    /// What functions with spans of their own are calculated to.
    Math(Math),
}

/// What is done with series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Second {
    /// At each step the largest so many.
    Top(usize),
    /// At each step the smallest so many.
    Bottom(usize),
    /// The values of which a comparison holds.
    Keep(Cmp, f64),
}

impl Cmp {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Match => "=~",
            Self::NotMatch => "!~",
        }
    }

    /// The same with its sides changed over.
    pub(super) const fn turned(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            other => other,
        }
    }
}

impl Arith {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
        }
    }

    /// Of two numbers.
    pub(super) fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Mod => a % b,
            Self::Pow => a.powf(b),
        }
    }
}

impl Fold {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
            Self::Avg => "avg",
        }
    }
}

impl SpansOp {
    pub(super) const fn as_str(self) -> &'static str {
        use Form::{Not, Plain, Union};
        use Relation::{Ancestor, Child, Descendant, Parent, Sibling};
        match self {
            Self::And => "&&",
            Self::Or => "||",
            Self::Related(Child, Plain) => ">",
            Self::Related(Child, Not) => "!>",
            Self::Related(Child, Union) => "&>",
            Self::Related(Descendant, Plain) => ">>",
            Self::Related(Descendant, Not) => "!>>",
            Self::Related(Descendant, Union) => "&>>",
            Self::Related(Parent, Plain) => "<",
            Self::Related(Parent, Not) => "!<",
            Self::Related(Parent, Union) => "&<",
            Self::Related(Ancestor, Plain) => "<<",
            Self::Related(Ancestor, Not) => "!<<",
            Self::Related(Ancestor, Union) => "&<<",
            Self::Related(Sibling, Plain) => "~",
            Self::Related(Sibling, Not) => "!~",
            Self::Related(Sibling, Union) => "&~",
        }
    }
}

impl Intrinsic {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Status => "status",
            Self::StatusMessage => "statusMessage",
            Self::Kind => "kind",
            Self::Duration => "duration",
            Self::TraceId => "trace:id",
            Self::SpanId => "span:id",
            Self::ParentId => "span:parentID",
            Self::EventName => "event:name",
            Self::EventTimeSinceStart => "event:timeSinceStart",
            Self::LinkTraceId => "link:traceID",
            Self::LinkSpanId => "link:spanID",
            Self::ScopeName => "instrumentation:name",
            Self::ScopeVersion => "instrumentation:version",
            Self::TraceDuration => "traceDuration",
            Self::RootName => "rootName",
            Self::RootService => "rootServiceName",
            Self::ChildCount => "span:childCount",
            Self::NestedSetLeft => "nestedSetLeft",
            Self::NestedSetRight => "nestedSetRight",
            Self::NestedSetParent => "nestedSetParent",
        }
    }
}

impl Display for Static {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Int(n) => write!(f, "{n}"),
            Self::Float(x) => write!(f, "{x:?}"),
            Self::Str(s) => quoted(f, s),
            Self::Duration(ns) => write!(f, "{ns}ns"),
            Self::Status(s) => f.write_str(s.as_str()),
            Self::Kind(k) => f.write_str(k.as_str()),
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\r' => f.write_str("\\r")?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}

/// A name as the lexer takes it: in quotes where it has characters that end one.
fn named(f: &mut fmt::Formatter<'_>, prefix: &str, name: &str) -> fmt::Result {
    f.write_str(prefix)?;
    if !name.is_empty() && name.chars().all(super::lexer::is_name_char) && !name.contains('"') {
        f.write_str(name)
    } else {
        quoted(f, name)
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(name) => named(f, ".", name),
            Self::Span(name) => named(f, "span.", name),
            Self::Resource(name) => named(f, "resource.", name),
            Self::Event(name) => named(f, "event.", name),
            Self::Link(name) => named(f, "link.", name),
            Self::Instrumentation(name) => named(f, "instrumentation.", name),
            Self::Row(name) => named(f, "obsrv.", name),
            Self::Parent(field) => match &**field {
                Self::Any(name) => named(f, "parent.", name),
                other => write!(f, "parent.{other}"),
            },
            Self::Intrinsic(intrinsic) => f.write_str(intrinsic.as_str()),
        }
    }
}

fn joined<T: Display>(f: &mut fmt::Formatter<'_>, parts: &[T], by: &str) -> fmt::Result {
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            f.write_str(by)?;
        }
        write!(f, "{part}")?;
    }
    Ok(())
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(value) => write!(f, "{value}"),
            Self::Field(field) => write!(f, "{field}"),
            Self::Not(part) => write!(f, "!{part}"),
            Self::Neg(part) => write!(f, "-{part}"),
            Self::And(parts) | Self::Or(parts) => {
                let by = if matches!(self, Self::And(_)) {
                    " && "
                } else {
                    " || "
                };
                f.write_char('(')?;
                joined(f, parts, by)?;
                f.write_char(')')
            }
            Self::Compare(cmp, a, b) => write!(f, "({a} {} {b})", cmp.as_str()),
            Self::Arith(op, a, b) => write!(f, "({a} {} {b})", op.as_str()),
        }
    }
}

impl Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(value) => write!(f, "{value}"),
            Self::Count => f.write_str("count()"),
            Self::Of(fold, part) => write!(f, "{}({part})", fold.as_str()),
            Self::Arith(op, a, b) => write!(f, "({a} {} {b})", op.as_str()),
        }
    }
}

impl Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.measure {
            Measure::Rate => f.write_str("rate()")?,
            Measure::Count => f.write_str("count_over_time()")?,
            Measure::Of(fold, field) => write!(f, "{}_over_time({field})", fold.as_str())?,
            Measure::Quantiles(field, at) => {
                write!(f, "quantile_over_time({field}")?;
                for p in at {
                    write!(f, ", {p}")?;
                }
                f.write_char(')')?;
            }
            Measure::Histogram(field) => write!(f, "histogram_over_time({field})")?,
            Measure::Compare { top, .. } => write!(f, "compare({{…}}, {top})")?,
            Measure::Math(math) => write!(f, "{math}")?,
        }
        if !self.by.is_empty() {
            f.write_str(" by (")?;
            joined(f, &self.by, ", ")?;
            f.write_char(')')?;
        }
        for second in &self.second {
            match second {
                Second::Top(n) => write!(f, " | topk({n})")?,
                Second::Bottom(n) => write!(f, " | bottomk({n})")?,
                Second::Keep(cmp, x) => write!(f, " {} {x}", cmp.as_str())?,
            }
        }
        Ok(())
    }
}

impl Query {
    fn put_stages(&self, f: &mut fmt::Formatter<'_>, stages: &[Stage]) -> fmt::Result {
        for (n, stage) in stages.iter().enumerate() {
            if n > 0 {
                f.write_str(" | ")?;
            }
            match stage {
                Stage::Spans(spans) => self.put_spans(f, spans)?,
                Stage::Where(a, cmp, b) => write!(f, "{a} {} {b}", cmp.as_str())?,
                Stage::By(part) => write!(f, "by({part})")?,
                Stage::Coalesce => f.write_str("coalesce()")?,
                Stage::Select(fields) => {
                    f.write_str("select(")?;
                    joined(f, fields, ", ")?;
                    f.write_char(')')?;
                }
            }
        }
        Ok(())
    }

    fn put_spans(&self, f: &mut fmt::Formatter<'_>, spans: &Spans) -> fmt::Result {
        match spans {
            Spans::Selector(at) => match self.selectors.get(*at) {
                Some(part) => write!(f, "{{{part}}}"),
                None => Err(fmt::Error),
            },
            Spans::Pipeline(stages) => {
                f.write_char('(')?;
                self.put_stages(f, stages)?;
                f.write_char(')')
            }
            Spans::Both(op, a, b) => {
                f.write_char('(')?;
                self.put_spans(f, a)?;
                write!(f, " {} ", op.as_str())?;
                self.put_spans(f, b)?;
                f.write_char(')')
            }
        }
    }
}

impl Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.put_stages(f, &self.stages)?;
        match &self.metrics {
            Some(metrics) if self.stages.is_empty() => write!(f, "{metrics}"),
            Some(metrics) => write!(f, " | {metrics}"),
            None => Ok(()),
        }
    }
}
