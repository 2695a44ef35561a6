//! Words of a search, and whether a text has them one behind the other.

use memchr::memmem;

use super::fold::each_word;
use super::term;

/// Words that must follow each other in one text.
#[derive(Debug)]
pub(crate) struct Phrase {
    words: Vec<Box<str>>,
    /// The last word need only begin so.
    open: bool,
    /// How many words of the phrase still match when the word after so many does not.
    back: Vec<usize>,
    terms: Vec<u64>,
    /// The longest of the ASCII words: its index, and what finds it.
    longest: Option<(usize, Finder)>,
}

/// Most words of a phrase that is looked for around each place where its longest word stands.
const LOOK_WORDS_MAX: usize = 16;
/// Most terms of one phrase that an index is asked for.
pub(crate) const TERMS_MAX: usize = 16;

impl Phrase {
    /// The words of a text; `None` if it has none. With `open` the last one is a beginning.
    pub(crate) fn new(text: &str, open: bool) -> Option<Self> {
        let mut words: Vec<(Box<str>, bool)> = Vec::new();
        each_word(text, &mut String::new(), &mut |word, sign| {
            words.push((word.into(), sign));
        });
        let last = words.last()?;
        // A sign is whole as it is.
        let open = open && !last.1;
        let terms = terms_of(&words, open);
        let words: Vec<Box<str>> = words.into_iter().map(|(word, _)| word).collect();
        let mut ascii: Vec<usize> = (0..words.len()).collect();
        ascii.retain(|at| words[*at].is_ascii());
        Some(Self {
            back: back(&words),
            longest: ascii
                .into_iter()
                .max_by_key(|at| words[*at].len())
                .map(|at| (at, Finder::new(words[at].as_bytes()))),
            open,
            terms,
            words,
        })
    }

    /// Terms that every text with this phrase has.
    pub(crate) fn terms(&self) -> &[u64] {
        &self.terms
    }

    /// Whether a text has the phrase exactly if it has its one term.
    pub(crate) fn is_one_term(&self) -> bool {
        self.terms.len() == 1 && !self.open && self.is_term()
    }

    fn is_term(&self) -> bool {
        match &*self.words {
            [_] => true,
            [a, b] => [a, b].into_iter().all(|w| is_sign(w)),
            _ => false,
        }
    }

    /// What finds the longest of its ASCII words. Without it, only text over ASCII can have the phrase.
    pub(crate) fn longest(&self) -> Option<&Finder> {
        self.longest.as_ref().map(|(_, finder)| finder)
    }

    /// Whether the text has the words one behind the other.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        if let Some((at, finder)) = &self.longest {
            match self.look(*at, finder, text) {
                Look::Found if self.words.len() <= LOOK_WORDS_MAX => return true,
                Look::Absent => return false,
                Look::Found | Look::Unknown => {}
            }
        } else if text.is_ascii() {
            return false;
        }
        self.walk(text)
    }

    /// Looks for one ASCII word as it would stand in ASCII text, and there for those around it.
    fn look(&self, at: usize, finder: &Finder, text: &str) -> Look {
        let open = self.open && at + 1 == self.words.len();
        let (word, bytes) = (self.words[at].as_bytes(), text.as_bytes());
        let mut from = 0;
        while let Some(found) = finder.find(bytes.get(from..).unwrap_or_default()) {
            let start = from + found;
            let before = start.checked_sub(1).and_then(|at| bytes.get(at));
            let after = bytes.get(start + word.len());
            if ends(before) && (open || ends(after)) && self.stands(at, bytes, start) {
                return Look::Found;
            }
            from = start + 1;
        }
        if text.is_ascii() {
            Look::Absent
        } else {
            Look::Unknown
        }
    }

    /// Whether the other words stand around the one at `start`, as they would in ASCII text. A phrase of
    /// too many words is left to [`Self::walk`], which does not go back in the text.
    fn stands(&self, at: usize, bytes: &[u8], start: usize) -> bool {
        if self.words.len() > LOOK_WORDS_MAX {
            return true;
        }
        let mut begin = start;
        for word in self.words[..at].iter().rev() {
            let gap = gap(bytes[..begin].iter().rev());
            let Some(before) = begin.checked_sub(gap + word.len()) else {
                return false;
            };
            let is_same = bytes[before..begin - gap].eq_ignore_ascii_case(word.as_bytes());
            if gap == 0 || !is_same || !ends(before.checked_sub(1).and_then(|at| bytes.get(at))) {
                return false;
            }
            begin = before;
        }
        let mut end = start + self.words[at].len();
        for (at, word) in self.words.iter().enumerate().skip(at + 1) {
            let rest = bytes.get(end..).unwrap_or_default();
            let from = gap(rest.iter());
            let found = rest.get(from..from + word.len());
            let open = self.open && at + 1 == self.words.len();
            end += from + word.len();
            if from == 0
                || !found.is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
                || !(open || ends(bytes.get(end)))
            {
                return false;
            }
        }
        true
    }

    /// Word by word, never going back in the text.
    fn walk(&self, text: &str) -> bool {
        let (mut matched, mut found) = (0, false);
        each_word(text, &mut String::new(), &mut |word, _| {
            if found {
                return;
            }
            while matched > 0 && !self.fits(matched, word) {
                matched = self.back[matched - 1];
            }
            matched += usize::from(self.fits(matched, word));
            found = matched == self.words.len();
        });
        found
    }

    fn fits(&self, at: usize, word: &str) -> bool {
        let wanted = &*self.words[at];
        if self.open && at + 1 == self.words.len() {
            word.starts_with(wanted)
        } else {
            word == wanted
        }
    }
}

enum Look {
    Found,
    Absent,
    /// Folding may still make it of characters over ASCII.
    Unknown,
}

/// How many ASCII separators come first.
fn gap<'b>(bytes: impl Iterator<Item = &'b u8>) -> usize {
    bytes
        .take_while(|b| b.is_ascii() && !b.is_ascii_alphanumeric())
        .count()
}

fn ends(neighbour: Option<&u8>) -> bool {
    neighbour.is_none_or(|b| b.is_ascii() && !b.is_ascii_alphanumeric())
}

/// Terms that any text has in which `text` stands, be it within longer words: those of its words
/// that ASCII separators on both sides set apart.
pub(crate) fn terms_within(text: &str) -> Vec<u64> {
    let separates = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric();
    let (Some(first), Some(last)) = (text.find(separates), text.rfind(separates)) else {
        return Vec::new();
    };
    let mut words = Vec::new();
    let inner = text.get(first..=last).unwrap_or_default();
    each_word(inner, &mut String::new(), &mut |word, sign| {
        words.push((word.into(), sign));
    });
    terms_of(&words, false)
}

fn is_sign(word: &str) -> bool {
    let mut sign = false;
    each_word(word, &mut String::new(), &mut |_, is| sign = is);
    sign
}

fn terms_of(words: &[(Box<str>, bool)], open: bool) -> Vec<u64> {
    let mut terms = Vec::new();
    let char_of = |word: &str| word.chars().next();
    for (at, (word, sign)) in words.iter().enumerate() {
        if open && at + 1 == words.len() {
            break;
        }
        let next = words.get(at + 1).filter(|next| *sign && next.1);
        let before = at.checked_sub(1).and_then(|at| words.get(at));
        let paired = *sign && before.is_some_and(|b| b.1);
        let term = match next.and_then(|next| Some((char_of(word)?, char_of(&next.0)?))) {
            Some((a, b)) => Some(term::pair(a, b)),
            None if paired => None,
            None => Some(term::word(word.as_bytes())),
        };
        terms.extend(term.filter(|t| !terms.contains(t)));
        if terms.len() >= TERMS_MAX {
            break;
        }
    }
    terms
}

/// Per prefix of the words the length of its longest proper prefix that ends it, too.
fn back(words: &[Box<str>]) -> Vec<usize> {
    let mut back = vec![0; words.len()];
    let mut matched = 0;
    for at in 1..words.len() {
        while matched > 0 && words[at] != words[matched] {
            matched = back[matched - 1];
        }
        matched += usize::from(words[at] == words[matched]);
        back[at] = matched;
    }
    back
}

/// Looks for some bytes, ASCII letters compared without case, by the one of them that is rarest in
/// English text.
#[derive(Clone, Debug)]
pub(crate) struct Finder {
    needle: Box<[u8]>,
    /// Where the rarest byte is, and its two forms.
    rarest: usize,
    forms: (u8, u8),
    /// What has no letters has one form.
    exact: Option<memmem::Finder<'static>>,
}

impl Finder {
    pub(crate) fn new(needle: &[u8]) -> Self {
        let rarest = (0..needle.len()).min_by_key(|at| commonness(needle[*at]));
        let rarest = rarest.unwrap_or(0);
        let byte = needle.get(rarest).copied().unwrap_or(0);
        Self {
            needle: needle.into(),
            rarest,
            forms: (byte.to_ascii_lowercase(), byte.to_ascii_uppercase()),
            exact: (!needle.iter().any(u8::is_ascii_alphabetic))
                .then(|| memmem::Finder::new(needle).into_owned()),
        }
    }

    /// Where the text first has the bytes.
    pub(crate) fn find(&self, text: &[u8]) -> Option<usize> {
        if let Some(exact) = &self.exact {
            return exact.find(text);
        }
        let last = text.len().checked_sub(self.needle.len())?;
        let starts = text.get(self.rarest..=last + self.rarest)?;
        memchr::memchr2_iter(self.forms.0, self.forms.1, starts).find(|at| {
            text.get(*at..at + self.needle.len())
                .is_some_and(|part| part.eq_ignore_ascii_case(&self.needle))
        })
    }
}

/// How common a byte is, about.
const fn commonness(byte: u8) -> u8 {
    match byte.to_ascii_lowercase() {
        b' ' => 30,
        b'e' => 29,
        b't' => 28,
        b'a' => 27,
        b'o' => 26,
        b'i' => 25,
        b'n' => 24,
        b's' => 23,
        b'r' => 22,
        b'l' => 20,
        b'd' => 19,
        b'h' => 18,
        b'c' => 17,
        b'u' => 16,
        b'm' => 15,
        b'p' => 14,
        b'f' => 13,
        b'y' => 11,
        b'w' => 10,
        b'b' => 9,
        b'g' | b'_' | b'-' | b'.' | b',' | b'"' | b'0'..=b'9' => 12,
        b'v' => 7,
        b'k' => 6,
        b'x' => 3,
        b'j' | b'q' | b'z' => 2,
        _ => 5,
    }
}
