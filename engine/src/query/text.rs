//! Text anywhere in a row: words by the index of terms, the rest by looking at every text.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use std::cell::Cell;

use regex::{Regex, RegexBuilder};

use super::QueryError;
use super::ast::TextTest;
use crate::doc::{DocError, DocRef};
use crate::source::{Blocks, Probe, Source, SourceError};
use crate::text::Phrase;
use crate::text::escape;
use crate::text::find::{Finder, terms_within};

/// Longest regular expression, in bytes.
pub const REGEX_BYTES_MAX: usize = 1_024;
/// Largest compiled form of a regular expression, in bytes.
pub const REGEX_SIZE_MAX: usize = 1 << 20;
/// Most regular expressions of one filter.
pub const REGEXES_MAX: usize = 8;

/// A compiled regular expression.
#[derive(Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self, QueryError> {
        check_pattern(pattern)?;
        RegexBuilder::new(pattern)
            .size_limit(REGEX_SIZE_MAX)
            .dfa_size_limit(REGEX_SIZE_MAX)
            .build()
            .map(Self)
            .map_err(|e| {
                // The last line says what; those before it draw where.
                let told = e.to_string();
                let what = told.lines().last().unwrap_or_default().trim();
                QueryError::Regex(what.trim_start_matches("error: ").to_owned())
            })
    }

    /// Whether a part of some form of the text matches.
    pub(super) fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text) || escape::any_form(text, &mut |form| self.0.is_match(form))
    }
}

/// The regular expressions of one filter while it is read: each is one, and they are not too many, before they
/// are compiled.
#[derive(Debug, Default)]
pub struct Patterns {
    seen: Cell<usize>,
}

impl Patterns {
    /// Refuses what is no regular expression, is too large, or is one more than [`REGEXES_MAX`].
    pub fn check(&self, pattern: &str) -> Result<(), QueryError> {
        self.seen.set(self.seen.get() + 1);
        if self.seen.get() > REGEXES_MAX {
            return Err(QueryError::TooManyRegexes);
        }
        Pattern::new(pattern).map(drop)
    }
}

pub(super) fn check_pattern(pattern: &str) -> Result<(), QueryError> {
    if pattern.len() > REGEX_BYTES_MAX {
        return Err(QueryError::Regex(format!(
            "too long max_bytes={REGEX_BYTES_MAX} len={}",
            pattern.len()
        )));
    }
    Ok(())
}

impl TextTest {
    /// What it looks for, as it was written.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Words(t) | Self::Beginning(t) | Self::Contains(t) | Self::Regex(t) => t,
        }
    }
}

#[derive(Debug)]
enum Look<'f> {
    Phrase(Phrase),
    Contains(&'f str, Finder),
    Regex(Pattern),
}

/// A source, by its address while the query runs, and what its index left.
type Known = (usize, Arc<Option<Blocks>>);

/// A text test that is ready to run.
pub(super) struct Text<'f> {
    look: Look<'f>,
    /// Terms that every row which passes has.
    terms: Vec<u64>,
    /// The last answer: the row groups of one source often follow each other.
    last: Mutex<Option<Known>>,
}

/// What is asked, without the last answer: equal questions look alike, whoever was asked before.
impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Text").field(&self.look).finish()
    }
}

impl<'f> Text<'f> {
    pub(super) fn new(test: &'f TextTest) -> Result<Self, QueryError> {
        let contains = || Look::Contains(test.text(), Finder::new(test.text().as_bytes()));
        let look = match test {
            TextTest::Words(text) => Phrase::new(text, false).map_or_else(contains, Look::Phrase),
            TextTest::Beginning(text) => {
                Phrase::new(text, true).map_or_else(contains, Look::Phrase)
            }
            TextTest::Contains(_) => contains(),
            TextTest::Regex(pattern) => Look::Regex(Pattern::new(pattern)?),
        };
        let terms = match &look {
            Look::Phrase(phrase) => phrase.terms().to_vec(),
            Look::Contains(text, _) => terms_within(text),
            Look::Regex(_) => Vec::new(),
        };
        Ok(Self {
            look,
            terms,
            last: Mutex::new(None),
        })
    }

    /// Whether an index of terms can help.
    pub(super) fn has_terms(&self) -> bool {
        !self.terms.is_empty()
    }

    /// Whether a row passes exactly if it has the one term.
    pub(super) fn is_one_term(&self) -> bool {
        matches!(&self.look, Look::Phrase(phrase) if phrase.is_one_term())
    }

    /// How it is called in `explain`.
    pub(super) const fn name(&self) -> &'static str {
        match self.look {
            Look::Phrase(_) => "text",
            Look::Contains(..) => "text ~",
            Look::Regex(_) => "text =~",
        }
    }

    /// Whether some form of some key or text of the document passes.
    pub(super) fn passes(&self, doc: DocRef<'_>) -> Result<bool, DocError> {
        if let Some(finder) = self.finder()
            && finder.find(doc.stored()).is_none()
            && !escape::is_in(doc.stored())
            && (!self.folds() || is_ascii(doc))
        {
            return Ok(false);
        }
        doc.any_text(&mut |bytes| {
            let absent = self.finder().is_some_and(|f| f.find(bytes).is_none());
            let is_out = absent && (!self.folds() || bytes.is_ascii());
            if !is_out && self.is_in(crate::doc::text(bytes)?) {
                return Ok(true);
            }
            if !escape::is_in(bytes) {
                return Ok(false);
            }
            let text = crate::doc::text(bytes)?;
            Ok(escape::any_form(text, &mut |form| self.is_in(form)))
        })
    }

    /// What finds bytes that every text which passes has as they are, but for what folding makes of
    /// characters over ASCII: see [`Self::folds`].
    fn finder(&self) -> Option<&Finder> {
        match &self.look {
            Look::Phrase(phrase) => phrase.longest(),
            Look::Contains(_, finder) => Some(finder),
            Look::Regex(_) => None,
        }
    }

    const fn folds(&self) -> bool {
        matches!(self.look, Look::Phrase(_))
    }

    /// Whether the text passes as it stands.
    fn is_in(&self, text: &str) -> bool {
        match &self.look {
            Look::Phrase(phrase) => phrase.is_in(text),
            Look::Contains(_, finder) => finder.find(text.as_bytes()).is_some(),
            Look::Regex(Pattern(pattern)) => pattern.is_match(text),
        }
    }

    /// The blocks of the source that its index leaves.
    pub(super) fn narrow(&self, source: &dyn Source) -> Result<Arc<Option<Blocks>>, SourceError> {
        let address = std::ptr::from_ref(source).cast::<()>().addr();
        let mut last = self.last.lock();
        if let Some((known, blocks)) = &*last
            && *known == address
        {
            return Ok(Arc::clone(blocks));
        }
        let blocks = Arc::new(source.narrow(Probe::Words(&self.terms))?);
        *last = Some((address, Arc::clone(&blocks)));
        Ok(blocks)
    }
}

/// Whether every key and text is ASCII. False, too, if the document does not read: a walk says why.
fn is_ascii(doc: DocRef<'_>) -> bool {
    let wide = doc.any_text(&mut |text| Ok(!text.is_ascii()));
    wide.is_ok_and(|wide| !wide)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::doc::DocWriter;

    fn doc(texts: &[String], number: i64) -> Vec<u8> {
        let mut w = DocWriter::new();
        let map = w.begin_map();
        w.key("at");
        w.i64(number);
        for text in texts {
            w.key(text);
            let list = w.begin_array();
            w.i64(number);
            w.str(text);
            w.end(list);
        }
        w.end(map);
        w.finish()
    }

    proptest! {
        #[test]
        fn a_document_passes_if_one_of_its_texts_does(
            texts in prop::collection::vec("([ab31K\u{212a}é東 .-]|\\\\|\\\\u6771|\\\\n){0,12}", 0..4),
            asked in "[ab31Ké東 .]{1,6}",
            number in any::<i64>(),
        ) {
            let bytes = doc(&texts, number);
            let doc = DocRef::parse(&bytes).unwrap();
            for test in [
                TextTest::Words(asked.clone()),
                TextTest::Beginning(asked.clone()),
                TextTest::Contains(asked.clone()),
                TextTest::Regex(regex::escape(&asked)),
            ] {
                let text = Text::new(&test).unwrap();
                let in_form = |one: &String| {
                    text.is_in(one) || escape::any_form(one, &mut |form| text.is_in(form))
                };
                let expect = text.is_in("at") || texts.iter().any(in_form);
                prop_assert_eq!(text.passes(doc).unwrap(), expect, "{:?}", test);
            }
        }
    }
}
