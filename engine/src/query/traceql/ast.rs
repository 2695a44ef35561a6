//! What a query says: plain data.

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
