//! The pipeline over the spans of one trace.

use roaring::RoaringBitmap;

use super::SETS_MAX;
use super::ast::{Cmp, Expr, Field, Fold, Form, Query, Relation, Scalar, Spans, SpansOp, Stage};
use super::compile::{Compiled, and, compile};
use super::fields::fields_of;
use super::trace::Trace;
use super::value::{Looked, Patterns, Value, Values, of_static};
use crate::query::QueryError;
use crate::query::ast::Filter;
use crate::query::meter::Meter;
use crate::query::plan::{Node, plan};
use crate::query::scan::{evaluate, settle};
use crate::source::Visible;

/// Reads the values of a field, span by span.
pub(super) type Read<'a> =
    &'a mut dyn FnMut(&Field, &RoaringBitmap) -> Result<Vec<Values>, QueryError>;

/// Spans of a trace that belong together.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    pub(super) spans: RoaringBitmap,
    /// What `by()` and comparisons of numbers say of it.
    pub(super) says: Vec<(String, Option<Value>)>,
}

/// A query's selectors as filters, and its regular expressions.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) filters: Vec<Compiled>,
    patterns: Patterns,
}

impl Prepared {
    pub(super) fn new(query: &Query) -> Result<Self, QueryError> {
        let mut patterns = Patterns::default();
        for part in &query.selectors {
            patterns.add(part)?;
        }
        add_patterns(&query.stages, &mut patterns)?;
        Ok(Self {
            filters: query.selectors.iter().map(compile).collect(),
            patterns,
        })
    }
}

fn add_patterns(stages: &[Stage], patterns: &mut Patterns) -> Result<(), QueryError> {
    for stage in stages {
        match stage {
            Stage::Spans(spans) => add_patterns_of(spans, patterns)?,
            Stage::By(part) => patterns.add(part)?,
            Stage::Where(a, _, b) => {
                for scalar in [a, b] {
                    add_patterns_of_scalar(scalar, patterns)?;
                }
            }
            Stage::Coalesce | Stage::Select(_) => {}
        }
    }
    Ok(())
}

fn add_patterns_of(spans: &Spans, patterns: &mut Patterns) -> Result<(), QueryError> {
    match spans {
        Spans::Selector(_) => Ok(()),
        Spans::Pipeline(stages) => add_patterns(stages, patterns),
        Spans::Both(_, a, b) => {
            add_patterns_of(a, patterns)?;
            add_patterns_of(b, patterns)
        }
    }
}

fn add_patterns_of_scalar(scalar: &Scalar, patterns: &mut Patterns) -> Result<(), QueryError> {
    match scalar {
        Scalar::Static(_) | Scalar::Count => Ok(()),
        Scalar::Of(_, part) => patterns.add(part),
        Scalar::Arith(_, a, b) => {
            add_patterns_of_scalar(a, patterns)?;
            add_patterns_of_scalar(b, patterns)
        }
    }
}

/// A query that is ready to run.
pub(super) struct Runner<'q> {
    query: &'q Query,
    prepared: &'q Prepared,
    nodes: Vec<Node<'q>>,
}

/// A filter over spans as a plan.
pub(super) fn planned(filter: &Filter) -> Result<Node<'_>, QueryError> {
    plan(filter, &mut |_| Err(QueryError::NestedAnySpan))
}

impl<'q> Runner<'q> {
    pub(super) fn new(query: &'q Query, prepared: &'q Prepared) -> Result<Self, QueryError> {
        let nodes = prepared.filters.iter().map(|c| planned(&c.filter));
        Ok(Self {
            query,
            prepared,
            nodes: nodes.collect::<Result<_, _>>()?,
        })
    }

    /// The sets that the query leaves of a trace.
    pub(super) fn run(
        &self,
        trace: &mut Trace<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<Vec<Set>, QueryError> {
        let all = Set {
            spans: trace.within.clone(),
            says: Vec::new(),
        };
        let mut work = Work {
            runner: self,
            selected: vec![None; self.nodes.len()],
            trace,
            meter,
        };
        if all.spans.is_empty() {
            return Ok(Vec::new());
        }
        work.stages(&self.query.stages, vec![all])
    }

    /// The rows of a source that pass a selector of which no field needs more than rows.
    pub(super) fn rows(
        &self,
        selector: usize,
        visible: &Visible<'_>,
        rows: &RoaringBitmap,
        meter: &mut Meter<'_>,
    ) -> Result<RoaringBitmap, QueryError> {
        let (Some(node), Some(part)) =
            (self.nodes.get(selector), self.query.selectors.get(selector))
        else {
            return Ok(RoaringBitmap::new());
        };
        let verdict = evaluate(node, visible.source, rows, meter)?;
        let passed = settle(node, visible, verdict, meter)?;
        if self
            .prepared
            .filters
            .get(selector)
            .is_some_and(|c| c.is_exact)
        {
            return Ok(passed);
        }
        self.looked_at(part, &passed, &mut |field, rows| {
            super::fields::read(field, visible, rows, &mut *meter)
        })
    }

    /// Those of which the expression holds.
    pub(super) fn looked_at(
        &self,
        part: &Expr,
        spans: &RoaringBitmap,
        read: Read<'_>,
    ) -> Result<RoaringBitmap, QueryError> {
        let mut passed = RoaringBitmap::new();
        self.each(
            std::slice::from_ref(part),
            spans,
            read,
            &mut |number, looked| {
                if looked.holds(part) {
                    passed.insert(number);
                }
            },
        )?;
        Ok(passed)
    }

    /// Calls `visit` for each span with what expressions can see of it.
    pub(super) fn each(
        &self,
        parts: &[Expr],
        spans: &RoaringBitmap,
        read: Read<'_>,
        visit: &mut dyn FnMut(u32, &Looked<'_>),
    ) -> Result<(), QueryError> {
        let mut fields = Vec::new();
        for part in parts {
            fields_of(part, &mut fields);
        }
        let mut known = Vec::with_capacity(fields.len());
        for field in fields {
            let values = read(&field, spans)?;
            known.push((field, values));
        }
        for (place, number) in spans.iter().enumerate() {
            let values = |field: &Field| -> &[Value] {
                let found = known.iter().find(|(known, _)| known == field);
                found
                    .and_then(|(_, values)| values.get(place))
                    .map_or(&[], Vec::as_slice)
            };
            let looked = Looked {
                values: &values,
                patterns: &self.prepared.patterns,
            };
            visit(number, &looked);
        }
        Ok(())
    }
}

/// A query at work on one trace.
struct Work<'w, 'q, 'v, 'm, 'b> {
    runner: &'w Runner<'q>,
    /// The spans that pass each selector, once they are known.
    selected: Vec<Option<RoaringBitmap>>,
    trace: &'w mut Trace<'v>,
    meter: &'m mut Meter<'b>,
}

impl Work<'_, '_, '_, '_, '_> {
    fn stages(&mut self, stages: &[Stage], mut sets: Vec<Set>) -> Result<Vec<Set>, QueryError> {
        for stage in stages {
            if sets.is_empty() {
                break;
            }
            sets = self.stage(stage, sets)?;
        }
        Ok(sets)
    }

    fn stage(&mut self, stage: &Stage, sets: Vec<Set>) -> Result<Vec<Set>, QueryError> {
        let mut left = Vec::new();
        match stage {
            Stage::Spans(spans) => {
                for set in sets {
                    let spans = self.spans(spans, &set)?;
                    if !spans.is_empty() {
                        left.push(Set { spans, ..set });
                    }
                }
            }
            Stage::Where(a, cmp, b) => {
                for mut set in sets {
                    let (x, y) = (
                        self.scalar(a, &mut set, true)?,
                        self.scalar(b, &mut set, true)?,
                    );
                    if x.zip(y).is_some_and(|(x, y)| holds(x, *cmp, y)) {
                        left.push(set);
                    }
                }
            }
            Stage::By(part) => {
                for set in sets {
                    self.group(part, set, &mut left)?;
                    if left.len() > SETS_MAX {
                        return Err(QueryError::TooMany {
                            what: "sets of a trace",
                            max: SETS_MAX,
                            count: left.len(),
                        });
                    }
                }
            }
            Stage::Coalesce => {
                let mut all = Set::default();
                for set in sets {
                    all.spans |= set.spans;
                }
                left.push(all);
            }
            Stage::Select(_) => left = sets,
        }
        Ok(left)
    }

    /// The spans that an expression leaves of a set.
    fn spans(&mut self, spans: &Spans, set: &Set) -> Result<RoaringBitmap, QueryError> {
        match spans {
            Spans::Selector(at) => Ok(self.selected(*at)? & &set.spans),
            Spans::Pipeline(stages) => {
                let mut all = RoaringBitmap::new();
                for left in self.stages(stages, vec![set.clone()])? {
                    all |= left.spans;
                }
                Ok(all)
            }
            Spans::Both(op, a, b) => {
                let (a, b) = (self.spans(a, set)?, self.spans(b, set)?);
                match op {
                    SpansOp::And if a.is_empty() || b.is_empty() => Ok(RoaringBitmap::new()),
                    SpansOp::And | SpansOp::Or => Ok(a | b),
                    SpansOp::Related(relation, form) => self.related(*relation, *form, &a, &b),
                }
            }
        }
    }

    fn related(
        &mut self,
        relation: Relation,
        form: Form,
        a: &RoaringBitmap,
        b: &RoaringBitmap,
    ) -> Result<RoaringBitmap, QueryError> {
        if b.is_empty() || (a.is_empty() && form != Form::Not) {
            return Ok(RoaringBitmap::new());
        }
        let tree = self.trace.tree(self.meter)?;
        let right = tree.related(relation, a, b);
        let turned = match relation {
            Relation::Child => Relation::Parent,
            Relation::Parent => Relation::Child,
            Relation::Descendant => Relation::Ancestor,
            Relation::Ancestor => Relation::Descendant,
            Relation::Sibling => Relation::Sibling,
        };
        Ok(match form {
            Form::Plain => right,
            Form::Not => b - right,
            Form::Union => right | tree.related(turned, b, a),
        })
    }

    /// The spans of the range that pass a selector.
    fn selected(&mut self, at: usize) -> Result<RoaringBitmap, QueryError> {
        if let Some(Some(known)) = self.selected.get(at) {
            return Ok(known.clone());
        }
        let (Some(node), Some(part)) = (
            self.runner.nodes.get(at),
            self.runner.query.selectors.get(at),
        ) else {
            return Ok(RoaringBitmap::new());
        };
        let meter = &mut *self.meter;
        let within = self.trace.within.clone();
        let mut passed = self.trace.among(&within, &mut |visible, rows| {
            let verdict = evaluate(node, visible.source, rows, meter)?;
            settle(node, visible, verdict, meter)
        })?;
        let compiled = self.runner.prepared.filters.get(at);
        if !compiled.is_some_and(|c| c.is_exact) {
            passed = self.runner.looked_at(part, &passed, &mut |field, spans| {
                self.trace.read(field, spans, &mut *self.meter)
            })?;
        }
        if let Some(slot) = self.selected.get_mut(at) {
            *slot = Some(passed.clone());
        }
        Ok(passed)
    }

    /// A number of a set, noted as what the set says.
    fn scalar(
        &mut self,
        scalar: &Scalar,
        set: &mut Set,
        is_noted: bool,
    ) -> Result<Option<f64>, QueryError> {
        let found = match scalar {
            Scalar::Static(value) => return Ok(of_static(value).first().and_then(Value::as_f64)),
            Scalar::Arith(op, a, b) => {
                let (a, b) = (self.scalar(a, set, true)?, self.scalar(b, set, true)?);
                return Ok(a.zip(b).map(|(a, b)| op.of(a, b)).filter(|x| !x.is_nan()));
            }
            #[expect(
                clippy::cast_precision_loss,
                reason = "spans of a trace are few enough"
            )]
            Scalar::Count => Some(set.spans.len() as f64),
            Scalar::Of(fold, part) => self.folded(*fold, part, &set.spans)?,
        };
        if is_noted && !set.says.iter().any(|(name, _)| *name == scalar.to_string()) {
            let is_time = matches!(scalar, Scalar::Of(_, Expr::Field(field)) if is_duration(field));
            let value = found.map(|x| noted(x, is_time));
            set.says.push((scalar.to_string(), value));
        }
        Ok(found)
    }

    fn folded(
        &mut self,
        fold: Fold,
        part: &Expr,
        spans: &RoaringBitmap,
    ) -> Result<Option<f64>, QueryError> {
        let mut numbers = Numbers::default();
        let (trace, meter) = (&mut *self.trace, &mut *self.meter);
        let mut read = |field: &Field, spans: &RoaringBitmap| trace.read(field, spans, &mut *meter);
        let parts = std::slice::from_ref(part);
        self.runner
            .each(parts, spans, &mut read, &mut |_, looked| {
                if let Some(x) = looked.number(part) {
                    numbers.add(x);
                }
            })?;
        Ok(numbers.fold(fold))
    }

    /// A set for each value; a span with several is in the set of each.
    fn group(&mut self, part: &Expr, set: Set, left: &mut Vec<Set>) -> Result<(), QueryError> {
        let mut groups: std::collections::BTreeMap<Option<Value>, RoaringBitmap> =
            std::collections::BTreeMap::new();
        let (trace, meter) = (&mut *self.trace, &mut *self.meter);
        let mut read = |field: &Field, spans: &RoaringBitmap| trace.read(field, spans, &mut *meter);
        let parts = std::slice::from_ref(part);
        self.runner
            .each(parts, &set.spans, &mut read, &mut |number, looked| {
                let values = looked.values(part);
                for value in values.iter() {
                    let key = Some(value.clone().into_key());
                    groups.entry(key).or_default().insert(number);
                }
                if values.is_empty() {
                    groups.entry(None).or_default().insert(number);
                }
            })?;
        let name = format!("by({part})");
        for (value, spans) in groups {
            let mut says = set.says.clone();
            says.push((name.clone(), value));
            left.push(Set { spans, says });
        }
        Ok(())
    }
}

fn is_duration(field: &Field) -> bool {
    use super::ast::Intrinsic::{Duration, EventTimeSinceStart, TraceDuration};
    matches!(
        field,
        Field::Intrinsic(Duration | EventTimeSinceStart | TraceDuration)
    )
}

/// A number as a set says it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "`as` saturates, for whom it is shown"
)]
fn noted(x: f64, is_time: bool) -> Value {
    if is_time {
        Value::Duration(x as i64)
    } else {
        Value::Float(x).into_key()
    }
}

/// Numbers that are added up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Numbers {
    pub(super) fn add(&mut self, x: f64) {
        if self.count == 0 {
            (self.min, self.max) = (x, x);
        }
        self.count += 1;
        self.sum += x;
        self.min = self.min.min(x);
        self.max = self.max.max(x);
    }

    /// `None` without numbers.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a mean of that many is not exact"
    )]
    pub(super) fn fold(&self, fold: Fold) -> Option<f64> {
        let found = match fold {
            Fold::Min => self.min,
            Fold::Max => self.max,
            Fold::Sum => self.sum,
            Fold::Avg => self.sum / self.count as f64,
        };
        (self.count > 0).then_some(found)
    }
}

/// Compares two numbers.
#[expect(clippy::float_cmp, reason = "as asked for")]
pub(super) fn holds(x: f64, cmp: Cmp, y: f64) -> bool {
    match cmp {
        Cmp::Eq => x == y,
        Cmp::Ne => x != y,
        Cmp::Lt => x < y,
        Cmp::Le => x <= y,
        Cmp::Gt => x > y,
        Cmp::Ge => x >= y,
        Cmp::Match | Cmp::NotMatch => false,
    }
}

/// A filter and the range of starts.
pub(super) fn ranged(filter: Filter, range: Option<(i64, i64)>) -> Filter {
    use crate::query::ast::{Literal, Test};
    use crate::source::Column;
    let Some((from, to)) = range else {
        return filter;
    };
    let is = |test| Filter::Is(Column::Start, test);
    let parts = vec![
        is(Test::Ge(Literal::I64(from))),
        is(Test::Lt(Literal::I64(to))),
        filter,
    ];
    and(parts)
}
