//! Redaction: what a project's rules take out of its rows before anything of them is stored.
//!
//! Works on decoded rows, between the dialects and the log, so that one implementation sees every
//! text of every protocol: values and keys of documents, names, ids, tags, error texts, what is
//! answered. Owns the encoding in which such rows are logged (`rows`, `FORMAT.md`), because the
//! body as received must not be.

mod decoded;
mod detector;
mod digits;
mod document;
mod paths;
pub mod rows;
mod rules;
mod scan;

use std::borrow::Cow;
use std::sync::LazyLock;

use obsrv_engine::row::ProjectId;

use crate::keys::{Macs, hex};

pub use detector::Detector;
pub use rules::{Keys, Media, Pattern, Rules, RulesError};
pub use scan::RedactError;

use scan::{RuleId, Work};

/// What begins the pseudonym of an id.
const PSEUDONYM: &str = "redacted-";
/// Bytes of a MAC that a pseudonym shows, in hex.
const PSEUDONYM_BYTES: usize = 16;

/// A project's rules, ready to be used.
#[derive(Debug)]
pub struct Redactor {
    rules: rules::Compiled,
    project: ProjectId,
    macs: Macs,
}

/// How often each rule replaced something, by name.
pub type Counts = std::collections::BTreeMap<String, u64>;

impl Redactor {
    /// Checks the rules and makes them ready for one project.
    pub fn new(rules: &Rules, project: ProjectId, macs: Macs) -> Result<Self, RulesError> {
        let rules = rules::compile(rules)?;
        // The built-in patterns are compiled here too, once for the process.
        LazyLock::force(&detector::BUILTIN);
        Ok(Self {
            rules,
            project,
            macs,
        })
    }

    /// What the project does with bytes in which nothing can be looked for.
    pub const fn media(&self) -> Media {
        self.rules.media
    }

    /// Stands for a body where ids are made from it. Keyed: who sees an id and guesses the body
    /// cannot tell that the guess is right.
    pub fn body_hash(&self, plain: &[u8]) -> u64 {
        let mac = self.mac(b"body", plain);
        let (first, _) = mac
            .split_first_chunk::<8>()
            .expect("BUG: a MAC has 32 bytes");
        u64::from_le_bytes(*first)
    }

    /// The id under which something is stored: itself, or a pseudonym if a rule finds something in
    /// it. The same id of a project always has the same pseudonym, so that what refers to it still
    /// does.
    pub fn id<'t>(&self, id: &'t str) -> Cow<'t, str> {
        let mut found = |_| {};
        let mut work = Work::new(&|| false, usize::MAX, &mut found);
        // Neither time nor room runs out: an id is short.
        self.id_within(id, &mut work)
            .unwrap_or(Cow::Borrowed("redacted"))
    }

    fn id_within<'t>(&self, id: &'t str, work: &mut Work<'_>) -> Result<Cow<'t, str>, RedactError> {
        if is_pseudonym(id) {
            return Ok(Cow::Borrowed(id));
        }
        let Some(rule) = scan::first(&self.rules, id, work)? else {
            return Ok(Cow::Borrowed(id));
        };
        (work.found)(rule);
        Ok(Cow::Owned(self.pseudonym(PSEUDONYM, id)))
    }

    fn pseudonym(&self, prefix: &str, id: &str) -> String {
        let mac = self.mac(b"id", id.as_bytes());
        format!("{prefix}{}", hex(&mac[..PSEUDONYM_BYTES]))
    }

    fn mac(&self, what: &[u8], message: &[u8]) -> [u8; 32] {
        let project = self.project.0.to_le_bytes();
        self.macs.mac_of_parts(&[&project, what, b"\0", message])
    }

    fn rule_name(&self, rule: RuleId) -> &str {
        match rule {
            RuleId::Builtin(detector) => detector.as_str(),
            RuleId::Own(place) => self.rules.own.get(place).map_or("", |own| &own.name),
            RuleId::Deny => "keys.deny",
            RuleId::Media => "media",
        }
    }
}

fn is_pseudonym(id: &str) -> bool {
    id.strip_prefix(PSEUDONYM).is_some_and(|rest| {
        rest.len() == PSEUDONYM_BYTES * 2 && rest.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests;
