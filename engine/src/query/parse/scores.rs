//! Tests of scores: `scores.NAME` in the place of a field, `has:scores.NAME`, `score{…}`.

use super::scanner::Word;
use super::{Column, Filter, ParseError, Parser, TERM, Test};
use crate::model::score::Fact;
use crate::query::scores::scored;

/// Opens a test of what one and the same score says.
pub(super) const SCORE: &str = "score{";
/// Begins the name of a score where a field's would stand; alone it is every score.
const SCORES: &str = "scores";

const QUOTE_IT: &str = "a field; quote its name if it is right";

/// Which test of other rows is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    Nothing,
    Span,
    Score,
}

pub(super) const fn score_value() -> Column {
    Column::Score(Fact::Value)
}

impl Parser<'_> {
    /// What is in brackets about rows of another table.
    pub(super) fn other_rows(&mut self, these: Inside) -> Result<Filter, ParseError> {
        let outside = self.inside;
        match (outside, these) {
            (Inside::Score, Inside::Span) => {
                return Err(self.error(TERM, "a score test can hold no span test"));
            }
            (Inside::Span, Inside::Span) => {
                return Err(self.error(TERM, "a span test cannot hold another span test"));
            }
            _ => {}
        }
        self.inside = these;
        let filter = self.nested(|p| p.bracket("}"))?;
        self.inside = outside;
        Ok(filter)
    }

    /// `score{…}`.
    pub(super) fn score_test(&mut self) -> Result<Filter, ParseError> {
        self.check_scores(self.input.at)?;
        // Up to the bracket.
        self.input.at += SCORE.len() - 1;
        let filter = self.other_rows(Inside::Score)?;
        Ok(Filter::AnyScore(Box::new(filter)))
    }

    /// Refuses a test of scores where there are none.
    fn check_scores(&self, at: usize) -> Result<(), ParseError> {
        let message = if self.inside == Inside::Score {
            "a score test cannot hold another score test"
        } else if self.has_scores {
            return Ok(());
        } else {
            "traces and spans have scores, other rows have none"
        };
        Err(ParseError::new(at, QUOTE_IT, message))
    }

    /// A name, or the first word of a text. Of `scores."NAME"` the last may be in quotes.
    pub(super) fn name(&mut self) -> Result<Option<Word>, ParseError> {
        let Some(mut name) = self.input.word(true)? else {
            return Ok(None);
        };
        if self.has_scores && !name.quoted && name.text == "scores." {
            let Some(score) = self.input.word(true)?.filter(|score| score.quoted) else {
                return Ok(Some(name));
            };
            name.text.push_str(&score.text);
        }
        Ok(Some(name))
    }

    /// What is behind `has:`.
    pub(super) fn has(&mut self) -> Result<Filter, ParseError> {
        let at = self.input.at;
        let mut name = self.value_word()?;
        if name.text == "scores." && !name.quoted && self.input.peek() == Some('"') {
            name.text.push_str(&self.value_word()?.text);
        }
        if let Some(score) = self.score_of(&name, at)? {
            return Ok(scored(&score, Filter::Is(score_value(), Test::Exists)));
        }
        if self.has_scores && name.text == SCORES && !name.quoted {
            self.check_scores(at)?;
            return Ok(Filter::AnyScore(Box::new(Filter::All)));
        }
        Ok(Filter::Is(self.column_of(&name, at)?, Test::Exists))
    }

    /// The score that a name means of which something is asked.
    pub(super) fn score_of(&self, name: &Word, at: usize) -> Result<Option<String>, ParseError> {
        if name.quoted {
            return Ok(None);
        }
        let wrong = |expected, message: String| Err(ParseError::new(at, expected, message));
        match name.text.split_once('.') {
            Some((SCORES, "")) => wrong("scores.NAME", "no name of a score".to_owned()),
            Some((SCORES, score)) => {
                self.check_scores(at)?;
                Ok(Some(score.to_owned()))
            }
            Some(("score", score)) if self.has_scores && self.inside != Inside::Score => wrong(
                QUOTE_IT,
                format!(
                    "unknown field, did you mean scores.{score}? field={}",
                    name.text
                ),
            ),
            _ => Ok(None),
        }
    }
}
