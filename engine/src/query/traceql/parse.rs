//! Text to query. `GRAMMAR.md` beside this file is the reference; a test runs its examples.

mod expr;
mod math;
mod metrics;
mod names;

use super::ast::{
    Cmp, Expr, Fold, Form, Metrics, Query, Relation, Scalar, Spans, SpansOp, Stage, Static,
};
use super::lexer::{Word, words};
use super::{DEPTH_MAX, NODES_MAX, QUERY_BYTES_MAX, SELECTED_MAX, SELECTORS_MAX};
use crate::query::ParseError;

/// Reads a query.
pub fn parse(text: &str) -> Result<Query, ParseError> {
    if text.len() > QUERY_BYTES_MAX {
        let message = format!("query too long max_bytes={QUERY_BYTES_MAX}");
        return Err(ParseError::new(QUERY_BYTES_MAX, "end of query", message));
    }
    let mut parser = Parser {
        words: words(text)?,
        at: 0,
        depth: 0,
        nodes: 0,
        selectors: Vec::new(),
        selectors_before: 0,
        patterns: 0,
    };
    if parser.sees_math() {
        return parser.math_query();
    }
    parser.query()
}

const STAGE: &str =
    "a selector like { status = error }, count(), avg(), by(), select() or coalesce()";

struct Parser {
    words: Vec<(usize, Word)>,
    at: usize,
    depth: usize,
    nodes: usize,
    selectors: Vec<Expr>,
    /// How many selectors the functions before this one have.
    selectors_before: usize,
    patterns: usize,
}

impl Parser {
    fn peek(&self) -> &Word {
        self.words.get(self.at).map_or(&Word::End, |(_, word)| word)
    }

    /// The byte at which the next word begins.
    fn place(&self) -> usize {
        let last = self.words.last();
        self.words
            .get(self.at)
            .or(last)
            .map_or(0, |(place, _)| *place)
    }

    fn error(&self, expected: &'static str, message: impl Into<String>) -> ParseError {
        ParseError::new(self.place(), expected, message)
    }

    fn sees(&self, sign: &str) -> bool {
        matches!(self.peek(), Word::Sign(seen) if *seen == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.sees(sign);
        self.at += usize::from(found);
        found
    }

    fn must_take(&mut self, sign: &'static str, message: &str) -> Result<(), ParseError> {
        if self.take(sign) {
            return Ok(());
        }
        Err(self.error(sign, message))
    }

    /// The name before a bracket, if that is what comes next.
    fn sees_call(&self) -> Option<&str> {
        let Word::Name(name) = self.peek() else {
            return None;
        };
        let after = self.words.get(self.at + 1);
        matches!(after, Some((_, Word::Sign("(")))).then_some(name)
    }

    fn take_call(&mut self, name: &str) -> bool {
        let found = self.sees_call() == Some(name);
        self.at += 2 * usize::from(found);
        found
    }

    /// One more part of the query.
    fn node<T>(&mut self, node: T) -> Result<T, ParseError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let message = format!("query too large max_parts={NODES_MAX}");
            return Err(self.error("a smaller query", message));
        }
        Ok(node)
    }

    /// One bracket or sign deeper.
    fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("query nested too deep max={DEPTH_MAX}");
            return Err(self.error("fewer brackets", message));
        }
        let found = inner(self)?;
        self.depth -= 1;
        Ok(found)
    }

    fn query(&mut self) -> Result<Query, ParseError> {
        let (stages, metrics) = self.steps()?;
        let hints = self.hints()?;
        if *self.peek() != Word::End {
            let expected = if metrics.is_some() {
                "| topk(), | bottomk(), a comparison, with() or the end; \
                 brackets around a function to calculate with it"
            } else {
                "an operator, | and a step, or the end"
            };
            return Err(self.error(expected, "the query does not go on like this"));
        }
        Ok(Query {
            selectors: std::mem::take(&mut self.selectors),
            stages,
            metrics,
            hints,
        })
    }

    /// Steps, and the function over time behind them.
    fn steps(&mut self) -> Result<(Vec<Stage>, Option<Metrics>), ParseError> {
        let mut stages = vec![self.stage(true)?];
        while self.take("|") {
            if let Some(found) = self.metrics()? {
                return Ok((stages, Some(found)));
            }
            stages.push(self.stage(false)?);
        }
        Ok((stages, None))
    }

    /// Steps up to a closing bracket.
    fn pipeline(&mut self) -> Result<Vec<Stage>, ParseError> {
        let mut stages = vec![self.stage(true)?];
        while self.take("|") {
            stages.push(self.stage(false)?);
        }
        Ok(stages)
    }

    fn stage(&mut self, is_first: bool) -> Result<Stage, ParseError> {
        self.node(())?;
        let call = self.sees_call().map(str::to_owned);
        match call.as_deref() {
            Some("by") => {
                self.at += 2;
                let part = self.value("a value to group by, like resource.service.name")?;
                self.must_take(")", "by( is not closed")?;
                return Ok(Stage::By(part));
            }
            Some("select") => {
                self.at += 2;
                let fields = self.fields(SELECTED_MAX)?;
                return Ok(Stage::Select(fields));
            }
            Some("coalesce") if is_first => {
                return Err(self.error(STAGE, "coalesce() has nothing before it to put together"));
            }
            Some("coalesce") => {
                self.at += 2;
                self.must_take(")", "coalesce() takes nothing")?;
                return Ok(Stage::Coalesce);
            }
            _ => {}
        }
        if self.sees("{") || (self.sees("(") && self.has_spans()) {
            return self.spans().map(Stage::Spans);
        }
        self.filter()
    }

    /// Whether what is in the bracket that comes next makes spans, not numbers.
    fn has_spans(&self) -> bool {
        let mut open = 0;
        for (_, word) in self.words.iter().skip(self.at) {
            match word {
                Word::Sign("(") => open += 1,
                Word::Sign(")") => open -= 1,
                Word::Sign("{" | "|" | "=" | "!=" | "<" | "<=" | ">" | ">=") => return true,
                Word::Name(name) if matches!(&**name, "by" | "select" | "coalesce") => return true,
                _ => {}
            }
            if open == 0 {
                break;
            }
        }
        false
    }

    /// `count() > 2`
    fn filter(&mut self) -> Result<Stage, ParseError> {
        let begin = self.place();
        let left = self.scalar()?;
        let Some(cmp) = self.comparison(false) else {
            let message = "a number alone leaves no spans";
            return Err(self.error("a comparison like > 2", message));
        };
        let right = self.scalar()?;
        if !(has_spans(&left) || has_spans(&right)) {
            let message = "neither side says anything of the spans";
            return Err(ParseError::new(
                begin,
                "count(), avg(), min(), max() or sum()",
                message,
            ));
        }
        Ok(Stage::Where(left, cmp, right))
    }

    /// The comparison that comes next.
    fn comparison(&mut self, with_patterns: bool) -> Option<Cmp> {
        let Word::Sign(sign) = self.peek() else {
            return None;
        };
        let found = match *sign {
            "=" => Cmp::Eq,
            "!=" => Cmp::Ne,
            "<" => Cmp::Lt,
            "<=" => Cmp::Le,
            ">" => Cmp::Gt,
            ">=" => Cmp::Ge,
            "=~" if with_patterns => Cmp::Match,
            "!~" if with_patterns => Cmp::NotMatch,
            _ => return None,
        };
        self.at += 1;
        Some(found)
    }

    fn scalar(&mut self) -> Result<Scalar, ParseError> {
        let mut left = self.product()?;
        while let Some(op) = self.arithmetic(&["+", "-"]) {
            let right = self.product()?;
            left = self.node(Scalar::Arith(op, Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Scalar, ParseError> {
        let mut left = self.power()?;
        while let Some(op) = self.arithmetic(&["*", "/", "%"]) {
            let right = self.power()?;
            left = self.node(Scalar::Arith(op, Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn power(&mut self) -> Result<Scalar, ParseError> {
        let left = self.one_scalar()?;
        match self.arithmetic(&["^"]) {
            None => Ok(left),
            Some(op) => {
                let right = self.nested(Self::power)?;
                self.node(Scalar::Arith(op, Box::new(left), Box::new(right)))
            }
        }
    }

    fn one_scalar(&mut self) -> Result<Scalar, ParseError> {
        let folds = [Fold::Min, Fold::Max, Fold::Sum, Fold::Avg];
        if self.take_call("count") {
            self.must_take(")", "count() takes nothing")?;
            return self.node(Scalar::Count);
        }
        if let Some(fold) = folds.into_iter().find(|fold| self.take_call(fold.as_str())) {
            let part = self.number("a number of each span, like duration or span.size")?;
            self.must_take(")", "bracket not closed")?;
            return self.node(Scalar::Of(fold, part));
        }
        if self.take("(") {
            let inner = self.nested(Self::scalar)?;
            self.must_take(")", "bracket not closed")?;
            return Ok(inner);
        }
        let is_negative = self.take("-");
        let value = match (self.peek(), is_negative) {
            (Word::Int(n), sign) => Static::Int(if sign { -n } else { *n }),
            (Word::Float(x), sign) => Static::Float(if sign { -x } else { *x }),
            (Word::Duration(ns), sign) => Static::Duration(if sign { -ns } else { *ns }),
            (Word::Name(name), false) => {
                let known = [
                    "count", "min", "max", "sum", "avg", "by", "select", "coalesce",
                ];
                let near = known
                    .iter()
                    .find(|k| crate::query::parse::one_slip(name, k));
                let message = match near {
                    Some(known) => format!("no such step, did you mean {known}()? name={name}"),
                    None => format!("no such step name={name}"),
                };
                return Err(self.error(STAGE, message));
            }
            _ => return Err(self.error(STAGE, "nothing that makes spans or a number")),
        };
        self.at += 1;
        self.node(Scalar::Static(value))
    }

    /// Spans joined by `&&` and `||`, which bind alike, from the left.
    fn spans(&mut self) -> Result<Spans, ParseError> {
        let mut left = self.related()?;
        loop {
            let op = if self.take("&&") {
                SpansOp::And
            } else if self.take("||") {
                SpansOp::Or
            } else {
                return Ok(left);
            };
            let right = self.related()?;
            left = self.node(Spans::Both(op, Box::new(left), Box::new(right)))?;
        }
    }

    fn related(&mut self) -> Result<Spans, ParseError> {
        let mut left = self.one_spans()?;
        while let Some(op) = self.relation() {
            let right = self.one_spans()?;
            left = self.node(Spans::Both(op, Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn relation(&mut self) -> Option<SpansOp> {
        let Word::Sign(sign) = self.peek() else {
            return None;
        };
        let relations = [
            Relation::Child,
            Relation::Descendant,
            Relation::Parent,
            Relation::Ancestor,
            Relation::Sibling,
        ];
        let forms = [Form::Plain, Form::Not, Form::Union];
        let mut all = relations
            .into_iter()
            .flat_map(|relation| forms.map(|form| SpansOp::Related(relation, form)));
        let found = all.find(|op| op.as_str() == *sign)?;
        self.at += 1;
        Some(found)
    }

    fn one_spans(&mut self) -> Result<Spans, ParseError> {
        if self.take("{") {
            return self.selector().map(Spans::Selector);
        }
        if self.take("(") {
            let mut stages = self.nested(Self::pipeline)?;
            self.must_take(")", "bracket not closed")?;
            return Ok(match (stages.len(), stages.pop()) {
                (1, Some(Stage::Spans(spans))) => spans,
                (_, last) => {
                    stages.extend(last);
                    Spans::Pipeline(stages)
                }
            });
        }
        Err(self.error("{ or (", "no spans here"))
    }

    /// What follows a `{`: its place.
    fn selector(&mut self) -> Result<usize, ParseError> {
        if self.selectors_before + self.selectors.len() == SELECTORS_MAX {
            let message = format!("too many selectors max={SELECTORS_MAX}");
            return Err(self.error("fewer selectors", message));
        }
        let part = if self.sees("}") {
            self.node(Expr::Static(Static::Bool(true)))?
        } else {
            self.condition()?
        };
        self.must_take("}", "selector not closed")?;
        self.selectors.push(part);
        Ok(self.selectors.len() - 1)
    }
}

/// Whether it depends on spans.
fn has_spans(scalar: &Scalar) -> bool {
    match scalar {
        Scalar::Static(_) => false,
        Scalar::Count | Scalar::Of(..) => true,
        Scalar::Arith(_, a, b) => has_spans(a) || has_spans(b),
    }
}
