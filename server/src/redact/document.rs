//! A document without what rules find in it.
//!
//! Order and shape stay: a map stays a map, and where something is taken out, text stands.

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::Bytes;
use obsrv_engine::doc::{DocError, DocRef, DocWriter};
use regex::{NoExpand, Regex};

use super::detector::{Detector, is_secret_name};
use super::paths::Glob;
use super::rules::Media;
use super::scan::{self, RedactError, RuleId, Work};
use super::{Redactor, rows};
use crate::dialect::KEY_BYTES_MAX;

/// Fields of a row that hold ids. Something found in one makes a pseudonym of the whole id.
const ID_FIELDS: [&str; 10] = [
    "group",
    "id",
    "observation_id",
    "parent_id",
    "run_id",
    "session_id",
    "span_id",
    "step_id",
    "trace_id",
    "user_id",
];
/// `data:type;base64,…`: something that is no text, in the form of one.
static DATA_URL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i-u:data:[a-z0-9.+-]*/?[a-z0-9.+-]*(?:;[a-z0-9=._+-]+)*;base64,[a-z0-9+/=_%-]*)")
        .expect("BUG: a built-in pattern")
});
/// The smallest number that rules look at.
const NUMBER_MIN: u64 = 1_000_000;

/// Why a document is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It holds something that is no text.
    Media,
    /// The whole request is refused.
    All(RedactError),
}

impl From<RedactError> for Refused {
    fn from(error: RedactError) -> Self {
        Self::All(error)
    }
}

/// What holds at a place of a document.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    denied: Option<RuleId>,
    allowed: bool,
    exempt: bool,
}

/// Writes documents of one request.
pub(super) struct Walk<'a, 'w> {
    pub(super) redactor: &'a Redactor,
    pub(super) work: &'a mut Work<'w>,
    pub(super) changed: bool,
    path: String,
    by_name: bool,
    by_path: bool,
}

impl<'a, 'w> Walk<'a, 'w> {
    pub(super) fn new(redactor: &'a Redactor, work: &'a mut Work<'w>) -> Self {
        let rules = &redactor.rules;
        let lists = [&rules.deny, &rules.allow, &rules.exempt];
        Self {
            redactor,
            work,
            changed: false,
            path: String::new(),
            by_name: rules.detectors.contains(&Detector::SecretNames),
            by_path: lists.iter().any(|list| !list.is_empty()),
        }
    }

    /// The document of a row; itself when nothing was found.
    pub(super) fn document(&mut self, doc: &Bytes) -> Result<Bytes, Refused> {
        self.changed = false;
        self.path.clear();
        let mut out = DocWriter::new();
        out.reserve(doc.len());
        // The dialects write documents that read; one that does not is not stored as it is.
        let Ok(value) = DocRef::parse(doc) else {
            return Ok(Bytes::from_static(rows::EMPTY_DOCUMENT));
        };
        self.value(value, Standing::default(), 0, &mut out)?;
        Ok(if self.changed {
            Bytes::from(out.finish())
        } else {
            doc.clone()
        })
    }

    fn value(
        &mut self,
        value: DocRef<'_>,
        at: Standing,
        depth: usize,
        out: &mut DocWriter,
    ) -> Result<(), Refused> {
        match value {
            DocRef::Map(entries) => {
                let open = out.begin_map();
                for entry in entries {
                    self.entry(entry, at, depth, out)?;
                }
                out.end(open);
                Ok(())
            }
            DocRef::Array(items) => {
                let open = out.begin_array();
                for item in items.flatten() {
                    self.value(item, at, depth, out)?;
                }
                out.end(open);
                Ok(())
            }
            leaf => self.leaf(leaf, at, depth, out),
        }
    }

    fn entry(
        &mut self,
        entry: Result<(&str, DocRef<'_>), DocError>,
        at: Standing,
        depth: usize,
        out: &mut DocWriter,
    ) -> Result<(), Refused> {
        let Ok((key, value)) = entry else {
            return Ok(());
        };
        let above = self.path.len();
        let mut here = at;
        if self.by_path {
            if above > 0 {
                self.path.push('.');
            }
            self.path
                .extend(key.chars().map(|c| c.to_ascii_lowercase()));
            here = self.standing(at);
        }
        if self.by_name && here.denied.is_none() && is_secret_name(key) {
            here.denied = Some(RuleId::Builtin(Detector::SecretNames));
        }
        if here.exempt {
            out.key(key);
        } else {
            self.key(key, out)?;
        }
        let is_id = depth == 0 && ID_FIELDS.contains(&key);
        let written = match value {
            DocRef::Str(id) if is_id && here.denied.is_none() && !here.exempt => self.id(id, out),
            other => self.value(other, here, depth + 1, out),
        };
        self.path.truncate(above);
        written
    }

    fn standing(&self, above: Standing) -> Standing {
        let parts: Vec<&str> = self.path.split('.').collect();
        let any = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(&parts));
        let rules = &self.redactor.rules;
        Standing {
            denied: above
                .denied
                .or_else(|| any(&rules.deny).then_some(RuleId::Deny)),
            allowed: above.allowed || any(&rules.allow),
            exempt: above.exempt || any(&rules.exempt),
        }
    }

    fn key(&mut self, key: &str, out: &mut DocWriter) -> Result<(), Refused> {
        let redacted = self.work.key(&self.redactor.rules, key)?;
        self.changed |= redacted != key;
        let is_long = redacted.len() > KEY_BYTES_MAX.max(key.len());
        out.key(if is_long { "[redacted]" } else { &redacted });
        Ok(())
    }

    fn id(&mut self, id: &str, out: &mut DocWriter) -> Result<(), Refused> {
        let stored = self.redactor.id_within(id, self.work)?;
        self.changed |= stored != id;
        out.str(&stored);
        Ok(())
    }

    fn leaf(
        &mut self,
        leaf: DocRef<'_>,
        at: Standing,
        depth: usize,
        out: &mut DocWriter,
    ) -> Result<(), Refused> {
        if at.exempt || leaf == DocRef::Null {
            out.value(leaf);
            return Ok(());
        }
        if let Some(rule) = at.denied.filter(|_| !at.allowed) {
            return self.replace(rule, out);
        }
        match leaf {
            DocRef::Bytes(_) => self.bytes(leaf, out),
            DocRef::Str(text) => {
                let plain = self.without_media(text)?;
                let redacted = scan::text(&self.redactor.rules, &plain, self.work)?;
                self.changed |= redacted != text;
                out.str(&redacted);
                Ok(())
            }
            // The fields of the row itself, as tokens or sizes, are numbers of obsrv.
            DocRef::I64(n) if depth > 1 => self.number(leaf, n.unsigned_abs(), out),
            DocRef::U64(n) if depth > 1 => self.number(leaf, n, out),
            other => {
                out.value(other);
                Ok(())
            }
        }
    }

    fn number(&mut self, leaf: DocRef<'_>, n: u64, out: &mut DocWriter) -> Result<(), Refused> {
        let found = if n < NUMBER_MIN {
            None
        } else {
            scan::first_in_number(&self.redactor.rules, &n.to_string(), self.work)?
        };
        if let Some(rule) = found {
            return self.replace(rule, out);
        }
        out.value(leaf);
        Ok(())
    }

    /// The text without the `data:` URLs in it, if the rules take them out.
    fn without_media<'t>(&mut self, text: &'t str) -> Result<Cow<'t, str>, Refused> {
        let media = self.redactor.rules.media;
        if media == Media::Keep || !DATA_URL.is_match(text) {
            return Ok(Cow::Borrowed(text));
        }
        (self.work.found)(RuleId::Media);
        if media == Media::Refuse {
            return Err(Refused::Media);
        }
        let replacement = scan::replacement(&self.redactor.rules, RuleId::Media);
        Ok(DATA_URL.replace_all(text, NoExpand(replacement)))
    }

    fn bytes(&mut self, leaf: DocRef<'_>, out: &mut DocWriter) -> Result<(), Refused> {
        match self.redactor.rules.media {
            Media::Refuse => {
                (self.work.found)(RuleId::Media);
                Err(Refused::Media)
            }
            Media::Replace => self.replace(RuleId::Media, out),
            Media::Keep => {
                out.value(leaf);
                Ok(())
            }
        }
    }

    fn replace(&mut self, rule: RuleId, out: &mut DocWriter) -> Result<(), Refused> {
        let replacement = scan::replacement(&self.redactor.rules, rule);
        (self.work.found)(rule);
        self.work.spend(replacement.len())?;
        self.changed = true;
        out.str(replacement);
        Ok(())
    }
}
