//! What is asked of one span: operators by how tightly they bind, and which types go together.

use super::super::PATTERNS_MAX;
use super::super::ast::{Arith, Cmp, Expr, Field, Intrinsic, Static};
use super::super::lexer::Word;
use super::Parser;
use super::names::{Named, meant, named};
use crate::query::ParseError;
use crate::query::text::Pattern;

/// What an expression comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Known only when the span is looked at.
    Any,
    Number,
    Text,
    Bool,
    Status,
    Kind,
    Nil,
}

impl Type {
    fn goes_with(self, other: Self) -> bool {
        self == other || self == Self::Any || other == Self::Any
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Number => "a number or a duration",
            Self::Text => "a text",
            Self::Bool => "true or false",
            Self::Status => "a status",
            Self::Kind => "a kind",
            Self::Nil => "nil",
        }
    }
}

/// An expression, and what it comes to.
type Typed = (Expr, Type);

const VALUE: &str = "an attribute like .x, span.x or resource.x, a name like duration, or a value";
const OPERATOR: &str = "an operator or }";

impl Parser {
    /// What must hold or not.
    pub(super) fn condition(&mut self) -> Result<Expr, ParseError> {
        let place = self.place();
        let (part, kind) = self.joined()?;
        if !kind.goes_with(Type::Bool) {
            let message = format!("a selector must hold or not, this is {}", kind.as_str());
            return Err(ParseError::new(place, "a comparison", message));
        }
        Ok(part)
    }

    /// A value of each span.
    pub(super) fn value(&mut self, expected: &'static str) -> Result<Expr, ParseError> {
        let place = self.place();
        let (part, _) = self.joined()?;
        if !has_field(&part) {
            let message = "the same for every span";
            return Err(ParseError::new(place, expected, message));
        }
        Ok(part)
    }

    /// A number of each span.
    pub(super) fn number(&mut self, expected: &'static str) -> Result<Expr, ParseError> {
        let place = self.place();
        let (part, kind) = self.joined()?;
        if !kind.goes_with(Type::Number) {
            let message = format!("not a number but {}", kind.as_str());
            return Err(ParseError::new(place, expected, message));
        }
        if !has_field(&part) {
            let message = "the same for every span";
            return Err(ParseError::new(place, expected, message));
        }
        Ok(part)
    }

    /// `a, b)`: up to `max` fields and the bracket.
    pub(super) fn fields(&mut self, max: usize) -> Result<Vec<Field>, ParseError> {
        let mut fields = Vec::new();
        loop {
            fields.push(self.field()?);
            if fields.len() > max {
                return Err(self.error("fewer fields", format!("too many fields max={max}")));
            }
            if !self.take(",") {
                break;
            }
        }
        self.must_take(")", "list not closed")?;
        Ok(fields)
    }

    pub(super) fn field(&mut self) -> Result<Field, ParseError> {
        let place = self.place();
        match self.one()? {
            (Expr::Field(field), _) => Ok(field),
            _ => Err(ParseError::new(
                place,
                "a name or an attribute",
                "a value, not a field",
            )),
        }
    }

    fn joined(&mut self) -> Result<Typed, ParseError> {
        let (mut left, mut kind) = self.compared()?;
        loop {
            let place = self.place();
            let is_and = self.sees("&&");
            if !(self.take("&&") || self.take("||")) {
                return Ok((left, kind));
            }
            let (right, right_kind) = self.compared()?;
            if !(kind.goes_with(Type::Bool) && right_kind.goes_with(Type::Bool)) {
                return Err(ParseError::new(
                    place,
                    "a comparison on both sides",
                    format!("joins {} and {}", kind.as_str(), right_kind.as_str()),
                ));
            }
            kind = Type::Bool;
            left = match (left, is_and) {
                (Expr::And(mut parts), true) => {
                    parts.push(right);
                    Expr::And(parts)
                }
                (Expr::Or(mut parts), false) => {
                    parts.push(right);
                    Expr::Or(parts)
                }
                (left, true) => Expr::And(vec![left, right]),
                (left, false) => Expr::Or(vec![left, right]),
            };
            self.node(())?;
        }
    }

    fn compared(&mut self) -> Result<Typed, ParseError> {
        let (mut left, mut kind) = self.sum()?;
        loop {
            let place = self.place();
            let Some(cmp) = self.comparison(true) else {
                return Ok((left, kind));
            };
            let right_place = self.place();
            let (right, right_kind) = self.sum()?;
            check_comparison(cmp, (kind, right_kind), place)?;
            if matches!(cmp, Cmp::Match | Cmp::NotMatch) {
                check_pattern(&right, right_place)?;
                self.patterns += 1;
                if self.patterns > PATTERNS_MAX {
                    let message = format!("too many regular expressions max={PATTERNS_MAX}");
                    return Err(ParseError::new(place, "fewer of them", message));
                }
            }
            left = self.node(Expr::Compare(cmp, Box::new(left), Box::new(right)))?;
            kind = Type::Bool;
        }
    }

    /// The operation that comes next, if it is one of these.
    pub(super) fn arithmetic(&mut self, signs: &[&str]) -> Option<Arith> {
        let Word::Sign(sign) = self.peek() else {
            return None;
        };
        let found = match *sign {
            "+" => Arith::Add,
            "-" => Arith::Sub,
            "*" => Arith::Mul,
            "/" => Arith::Div,
            "%" => Arith::Mod,
            "^" => Arith::Pow,
            _ => return None,
        };
        if !signs.contains(sign) {
            return None;
        }
        self.at += 1;
        Some(found)
    }

    fn calculated(
        &mut self,
        (op, place): (Arith, usize),
        (left, kind): Typed,
        (right, right_kind): Typed,
    ) -> Result<Typed, ParseError> {
        if !(kind.goes_with(Type::Number) && right_kind.goes_with(Type::Number)) {
            let message = format!(
                "calculates with {} and {}",
                kind.as_str(),
                right_kind.as_str()
            );
            return Err(ParseError::new(place, "numbers on both sides", message));
        }
        let node = Expr::Arith(op, Box::new(left), Box::new(right));
        Ok((self.node(node)?, Type::Number))
    }

    fn sum(&mut self) -> Result<Typed, ParseError> {
        let mut left = self.times()?;
        loop {
            let place = self.place();
            let Some(op) = self.arithmetic(&["+", "-"]) else {
                return Ok(left);
            };
            let right = self.times()?;
            left = self.calculated((op, place), left, right)?;
        }
    }

    fn times(&mut self) -> Result<Typed, ParseError> {
        let mut left = self.raised()?;
        loop {
            let place = self.place();
            let Some(op) = self.arithmetic(&["*", "/", "%"]) else {
                return Ok(left);
            };
            let right = self.raised()?;
            left = self.calculated((op, place), left, right)?;
        }
    }

    fn raised(&mut self) -> Result<Typed, ParseError> {
        let left = self.unary()?;
        let place = self.place();
        match self.arithmetic(&["^"]) {
            None => Ok(left),
            Some(op) => {
                let right = self.nested(Self::raised)?;
                self.calculated((op, place), left, right)
            }
        }
    }

    fn unary(&mut self) -> Result<Typed, ParseError> {
        let place = self.place();
        if self.take("!") {
            let (part, kind) = self.nested(Self::unary)?;
            if !kind.goes_with(Type::Bool) {
                let message = format!("! before {}", kind.as_str());
                return Err(ParseError::new(place, "brackets: !( … )", message));
            }
            return Ok((self.node(Expr::Not(Box::new(part)))?, Type::Bool));
        }
        if self.take("-") {
            let (part, kind) = self.nested(Self::unary)?;
            if !kind.goes_with(Type::Number) {
                let message = format!("- before {}", kind.as_str());
                return Err(ParseError::new(place, "a number", message));
            }
            let part = match part {
                Expr::Static(Static::Int(n)) => Expr::Static(Static::Int(-n)),
                Expr::Static(Static::Float(x)) => Expr::Static(Static::Float(-x)),
                Expr::Static(Static::Duration(ns)) => Expr::Static(Static::Duration(-ns)),
                other => Expr::Neg(Box::new(other)),
            };
            return Ok((self.node(part)?, Type::Number));
        }
        self.one()
    }

    fn one(&mut self) -> Result<Typed, ParseError> {
        if self.take("(") {
            let inner = self.nested(Self::joined)?;
            self.must_take(")", "bracket not closed")?;
            return Ok(inner);
        }
        let place = self.place();
        let word = self.peek().clone();
        let typed = match word {
            Word::Text(text) => (Expr::Static(Static::Str(text.into())), Type::Text),
            Word::Int(n) => (Expr::Static(Static::Int(n)), Type::Number),
            Word::Float(x) => (Expr::Static(Static::Float(x)), Type::Number),
            Word::Duration(ns) => (Expr::Static(Static::Duration(ns)), Type::Number),
            Word::Attribute(scopes, name) => (Expr::Field(attribute(&scopes, &name)), Type::Any),
            Word::Name(name) => match named(&name) {
                Some(Named::Static(value)) => {
                    let kind = type_of(&value);
                    (Expr::Static(value), kind)
                }
                Some(Named::Field(field)) => {
                    let kind = type_of_field(&field);
                    (Expr::Field(field), kind)
                }
                None => {
                    let meant = meant(&name);
                    let message = format!("no such name, did you mean {meant}? name={name}");
                    return Err(ParseError::new(place, VALUE, message));
                }
            },
            Word::Sign(_) => return Err(self.error(VALUE, "no value here")),
            Word::End => return Err(self.error(OPERATOR, "the query ends too early")),
        };
        self.at += 1;
        self.node(typed)
    }
}

fn attribute(scopes: &[&'static str], name: &str) -> Field {
    let name: Box<str> = name.into();
    let Some((scope, inner)) = scopes.split_first() else {
        return Field::Any(name);
    };
    match *scope {
        "span" => Field::Span(name),
        "resource" => Field::Resource(name),
        "event" => Field::Event(name),
        "link" => Field::Link(name),
        "instrumentation" => Field::Instrumentation(name),
        "obsrv" => Field::Row(name),
        "parent" => Field::Parent(Box::new(attribute(inner, &name))),
        _ => Field::Any(name),
    }
}

const fn type_of(value: &Static) -> Type {
    match value {
        Static::Nil => Type::Nil,
        Static::Bool(_) => Type::Bool,
        Static::Int(_) | Static::Float(_) | Static::Duration(_) => Type::Number,
        Static::Str(_) => Type::Text,
        Static::Status(_) => Type::Status,
        Static::Kind(_) => Type::Kind,
    }
}

const fn type_of_field(field: &Field) -> Type {
    let Field::Intrinsic(intrinsic) = field else {
        return Type::Any;
    };
    match intrinsic {
        Intrinsic::Status => Type::Status,
        Intrinsic::Kind => Type::Kind,
        Intrinsic::Duration
        | Intrinsic::EventTimeSinceStart
        | Intrinsic::TraceDuration
        | Intrinsic::ChildCount
        | Intrinsic::NestedSetLeft
        | Intrinsic::NestedSetRight
        | Intrinsic::NestedSetParent => Type::Number,
        Intrinsic::Name
        | Intrinsic::StatusMessage
        | Intrinsic::TraceId
        | Intrinsic::SpanId
        | Intrinsic::ParentId
        | Intrinsic::EventName
        | Intrinsic::LinkTraceId
        | Intrinsic::LinkSpanId
        | Intrinsic::ScopeName
        | Intrinsic::ScopeVersion
        | Intrinsic::RootName
        | Intrinsic::RootService => Type::Text,
    }
}

fn check_comparison(cmp: Cmp, (a, b): (Type, Type), at: usize) -> Result<(), ParseError> {
    let both = |kind: Type| a.goes_with(kind) && b.goes_with(kind);
    let message = format!("compares {} with {}", a.as_str(), b.as_str());
    let wrong = |expected| Err(ParseError::new(at, expected, message.clone()));
    match cmp {
        Cmp::Eq | Cmp::Ne if a == Type::Nil || b == Type::Nil => {
            if a == b {
                return wrong("a field on one side of nil");
            }
            Ok(())
        }
        Cmp::Match | Cmp::NotMatch if !both(Type::Text) => wrong("texts on both sides"),
        Cmp::Lt | Cmp::Le | Cmp::Gt | Cmp::Ge if !(both(Type::Number) || both(Type::Text)) => {
            wrong("numbers or texts on both sides")
        }
        _ if a.goes_with(b) => Ok(()),
        _ if [a, b].contains(&Type::Kind) && [a, b].contains(&Type::Text) => {
            wrong("server, client, internal, producer or consumer; obsrv.kind for llm, tool, …")
        }
        _ if [a, b].contains(&Type::Status) => wrong("error, ok or unset; obsrv.status for texts"),
        _ => wrong("the same type on both sides"),
    }
}

fn check_pattern(part: &Expr, at: usize) -> Result<(), ParseError> {
    let expected = "a regular expression in quotes";
    let Expr::Static(Static::Str(pattern)) = part else {
        return Err(ParseError::new(at, expected, "not a text"));
    };
    match Pattern::new(&super::super::whole(pattern)) {
        Ok(_) => Ok(()),
        Err(e) => Err(ParseError::new(at, expected, e.to_string())),
    }
}

fn has_field(part: &Expr) -> bool {
    match part {
        Expr::Static(_) => false,
        Expr::Field(_) => true,
        Expr::Not(part) | Expr::Neg(part) => has_field(part),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().any(has_field),
        Expr::Compare(_, a, b) | Expr::Arith(_, a, b) => has_field(a) || has_field(b),
    }
}
