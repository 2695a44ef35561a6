//! What rules find in one text. All patterns are looked for at once; only those that occur are then
//! located. What overlaps is replaced as one, so that no rule uncovers half of another's match.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use regex::SetMatches;

use super::detector::{BUILTIN, Detector};
use super::rules::Compiled;

/// Matches between two looks at the clock.
const PATIENCE: usize = 64;

/// Which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RuleId {
    /// A detector.
    Builtin(Detector),
    /// The pattern at this place.
    Own(usize),
    /// A denied path.
    Deny,
    /// Content that is no text.
    Media,
}

/// Why a request's rows cannot be redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedactError {
    /// The rules take too long.
    #[error("redaction of this body takes too long, send less at once or simplify the patterns")]
    Slow,
    /// Replacements would make it too large.
    #[error("redaction would make this body too large, send less at once")]
    Large,
}

/// What one request may still cost, and what was found in it.
pub(super) struct Work<'a> {
    pub(super) give_up: &'a dyn Fn() -> bool,
    pub(super) bytes_left: usize,
    /// Keys in which nothing was found.
    pub(super) clean_keys: HashSet<Box<str>>,
    /// Called for each place that a rule replaces.
    pub(super) found: &'a mut dyn FnMut(RuleId),
}

/// Most keys that are remembered, and their longest.
const CLEAN_KEYS_MAX: usize = 1024;
const CLEAN_KEY_BYTES_MAX: usize = 128;

impl<'a> Work<'a> {
    pub(super) fn new(
        give_up: &'a dyn Fn() -> bool,
        bytes_left: usize,
        found: &'a mut dyn FnMut(RuleId),
    ) -> Self {
        let clean_keys = HashSet::new();
        Self {
            give_up,
            bytes_left,
            clean_keys,
            found,
        }
    }

    /// The same as [`text`], remembering what has nothing in it.
    pub(super) fn key<'t>(
        &mut self,
        rules: &Compiled,
        key: &'t str,
    ) -> Result<Cow<'t, str>, RedactError> {
        if self.clean_keys.contains(key) {
            return Ok(Cow::Borrowed(key));
        }
        let after = text(rules, key, self)?;
        let fits = key.len() <= CLEAN_KEY_BYTES_MAX && self.clean_keys.len() < CLEAN_KEYS_MAX;
        if fits && matches!(after, Cow::Borrowed(_)) {
            self.clean_keys.insert(key.into());
        }
        Ok(after)
    }

    pub(super) fn check_time(&self) -> Result<(), RedactError> {
        if (self.give_up)() {
            Err(RedactError::Slow)
        } else {
            Ok(())
        }
    }

    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), RedactError> {
        self.bytes_left = self
            .bytes_left
            .checked_sub(bytes)
            .ok_or(RedactError::Large)?;
        Ok(())
    }
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work")
            .field("bytes_left", &self.bytes_left)
            .finish_non_exhaustive()
    }
}

/// One place to replace.
type Found = (Range<usize>, RuleId);

/// The text without what rules find.
pub(super) fn text<'t>(
    rules: &Compiled,
    text: &'t str,
    work: &mut Work<'_>,
) -> Result<Cow<'t, str>, RedactError> {
    let places = places(rules, text, false, work)?;
    if places.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut kept = 0;
    for (range, rule) in places {
        (work.found)(rule);
        let replacement = replacement(rules, rule);
        out.push_str(text.get(kept..range.start).unwrap_or_default());
        work.spend(replacement.len())?;
        out.push_str(replacement);
        kept = range.end;
    }
    out.push_str(text.get(kept..).unwrap_or_default());
    Ok(Cow::Owned(out))
}

/// The first rule that finds something, if any does.
pub(super) fn first(
    rules: &Compiled,
    text: &str,
    work: &mut Work<'_>,
) -> Result<Option<RuleId>, RedactError> {
    Ok(places(rules, text, false, work)?
        .first()
        .map(|(_, rule)| *rule))
}

/// The same for a whole number, with the rules that look at numbers.
pub(super) fn first_in_number(
    rules: &Compiled,
    number: &str,
    work: &mut Work<'_>,
) -> Result<Option<RuleId>, RedactError> {
    Ok(places(rules, number, true, work)?
        .first()
        .map(|(_, rule)| *rule))
}

pub(super) fn replacement(rules: &Compiled, rule: RuleId) -> &str {
    match rule {
        RuleId::Builtin(detector) => detector.replacement(),
        RuleId::Own(place) => rules
            .own
            .get(place)
            .map_or("[redacted]", |own| &own.replacement),
        RuleId::Deny => "[redacted]",
        RuleId::Media => "[media]",
    }
}

/// Places in order, none overlapping another.
fn places(
    rules: &Compiled,
    text: &str,
    is_number: bool,
    work: &Work<'_>,
) -> Result<Vec<Found>, RedactError> {
    let mut all = Vec::new();
    if can_hold_builtin(rules, text) {
        builtin(rules, text, is_number, work, &mut all)?;
    }
    if !rules.own.is_empty() {
        own(rules, text, is_number, work, &mut all)?;
    }
    Ok(merged(all))
}

/// Shortest text in which a detector other than those of [`SIGNS`] and telephone numbers finds
/// something: a card number.
const PLAIN_BYTES_MIN: usize = 13;
/// The same for telephone numbers.
const PHONE_BYTES_MIN: usize = 8;
/// One of these is in whatever detectors find in shorter texts: addresses and credentials.
const SIGNS: [u8; 2] = [b'@', b'%'];

/// Whether it is worth a look. Most texts of a row are short names and words.
fn can_hold_builtin(rules: &Compiled, text: &str) -> bool {
    text.len() >= PLAIN_BYTES_MIN
        || (text.len() >= PHONE_BYTES_MIN && rules.detectors.contains(&Detector::Phones))
        || text.bytes().any(|b| SIGNS.contains(&b))
}

fn builtin(
    rules: &Compiled,
    text: &str,
    is_number: bool,
    work: &Work<'_>,
    all: &mut Vec<Found>,
) -> Result<(), RedactError> {
    let hits: SetMatches = BUILTIN.set.matches(text);
    for place in &hits {
        let Some((detector, regex)) = BUILTIN.each.get(place) else {
            continue;
        };
        let reads = !is_number || detector.reads_numbers();
        if !reads || !rules.detectors.contains(detector) {
            continue;
        }
        for (n, found) in regex.find_iter(text).enumerate() {
            if n % PATIENCE == 0 {
                work.check_time()?;
            }
            detector.verify(text, found.range(), &mut |range| {
                all.push((range, RuleId::Builtin(*detector)));
            });
        }
    }
    Ok(())
}

fn own(
    rules: &Compiled,
    text: &str,
    is_number: bool,
    work: &Work<'_>,
    all: &mut Vec<Found>,
) -> Result<(), RedactError> {
    for place in &rules.set.matches(text) {
        let Some(own) = rules.own.get(place) else {
            continue;
        };
        if is_number && !own.numbers {
            continue;
        }
        for (n, found) in own.regex.find_iter(text).enumerate() {
            if n % PATIENCE == 0 {
                work.check_time()?;
            }
            // An assertion alone, as `\b`, covers nothing.
            if !found.is_empty() {
                all.push((found.range(), RuleId::Own(place)));
            }
        }
    }
    Ok(())
}

/// Overlapping places as one, under the rule that begins first; of those the longest.
fn merged(mut all: Vec<Found>) -> Vec<Found> {
    all.sort_by(|(a, r), (b, s)| (a.start, b.end, r).cmp(&(b.start, a.end, s)));
    let mut out: Vec<Found> = Vec::with_capacity(all.len());
    for (range, rule) in all {
        match out.last_mut() {
            Some((last, last_rule))
                if range.start < last.end || (range.start == last.end && *last_rule == rule) =>
            {
                last.end = last.end.max(range.end);
            }
            _ => out.push((range, rule)),
        }
    }
    out
}
