//! Dotted paths with globs: which keys of a document a rule means.
//!
//! Keys may hold dots themselves (`http.request.header.x`), so a path is compared as one text, cut
//! at every dot: `*` stands for any characters of one part, `**` for any number of parts, also
//! none. Case does not matter in ASCII. Places in a list are no part of a path.

use crate::limits::REDACTION_PATH_BYTES_MAX;

/// One glob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// `**`
    Any,
    /// Text between stars, in lowercase; one piece means no star.
    Pieces(Vec<String>),
}

impl Glob {
    /// Reads a glob; `None` for one that is empty, too long or has an empty part.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > REDACTION_PATH_BYTES_MAX {
            return None;
        }
        let part = |part: &str| match part {
            "" => None,
            "**" => Some(Part::Any),
            other => Some(Part::Pieces(
                other
                    .to_ascii_lowercase()
                    .split('*')
                    .map(str::to_owned)
                    .collect(),
            )),
        };
        text.split('.').map(part).collect::<Option<_>>().map(Self)
    }

    /// Whether it means this path. The path is in lowercase.
    pub(super) fn matches(&self, path: &[&str]) -> bool {
        matches_parts(&self.0, path)
    }
}

/// Backtracks to the last `**` only: linear in pattern × path.
fn matches_parts(parts: &[Part], path: &[&str]) -> bool {
    let (mut p, mut s) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while s < path.len() {
        match parts.get(p) {
            Some(Part::Any) => {
                retry = Some((p, s));
                p += 1;
            }
            Some(Part::Pieces(pieces)) if matches_pieces(pieces, path[s]) => {
                p += 1;
                s += 1;
            }
            _ => match retry {
                Some((any, from)) => {
                    retry = Some((any, from + 1));
                    (p, s) = (any + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    parts[p..].iter().all(|part| *part == Part::Any)
}

fn matches_pieces(pieces: &[String], text: &str) -> bool {
    let Some((first, rest)) = pieces.split_first() else {
        return false;
    };
    let Some(mut left) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    let Some((last, middle)) = rest.split_last() else {
        return left.is_empty();
    };
    for piece in middle {
        let Some((_, after)) = left.split_once(piece.as_str()) else {
            return false;
        };
        left = after;
    }
    left.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(glob: &str, path: &str) -> bool {
        let path = path.to_ascii_lowercase();
        let parts: Vec<&str> = path.split('.').collect();
        Glob::parse(glob).unwrap().matches(&parts)
    }

    #[test]
    fn stars_stand_within_a_part_and_double_stars_for_parts() {
        for (glob, path) in [
            ("metadata.password", "metadata.Password"),
            ("Metadata.*", "metadata.a"),
            ("**.password", "password"),
            ("**.password", "a.b.password"),
            ("metadata.**", "metadata.a.b"),
            ("metadata.**", "metadata"),
            ("a.**.b.**.c", "a.x.b.b.y.c"),
            (
                "attributes.http.*.header.*",
                "attributes.http.request.header.cookie",
            ),
            ("*.x-*-key", "m.x-api-key"),
            ("a*b*c", "a1b2b3c"),
        ] {
            assert!(matches(glob, path), "{glob} {path}");
        }
        for (glob, path) in [
            ("metadata.*", "metadata.a.b"),
            ("metadata.*", "metadata"),
            ("*.password", "a.b.password"),
            ("**.password", "passwords"),
            ("a.**.b.**.c", "a.x.c"),
            ("a*b*c", "a1c"),
            ("ab*ba", "aba"),
        ] {
            assert!(!matches(glob, path), "{glob} {path}");
        }
    }

    #[test]
    fn bad_globs_are_refused() {
        for bad in [
            "",
            ".",
            "a..b",
            "a.",
            &"a".repeat(REDACTION_PATH_BYTES_MAX + 1),
        ] {
            assert_eq!(Glob::parse(bad), None, "{bad}");
        }
        assert!(Glob::parse(&"a".repeat(REDACTION_PATH_BYTES_MAX)).is_some());
    }
}
