//! A query as text: the canonical form, with every bracket written.

use std::fmt::{self, Display, Write as _};

use super::ast::{
    Arith, Cmp, Expr, Field, Fold, Form, Intrinsic, Measure, Metrics, Query, Relation, Scalar,
    Second, Spans, SpansOp, Stage, Static,
};

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
