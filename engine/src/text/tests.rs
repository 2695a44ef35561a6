//! Words and terms against a plain reading, character by character.

use proptest::prelude::*;

use super::find::{Finder, Phrase, terms_within};
use super::fold::{each_word, fold};
use super::{Tokeniser, term};

fn words(text: &str) -> Vec<(String, bool)> {
    let mut words = Vec::new();
    each_word(text, &mut String::new(), &mut |word, sign| {
        words.push((word.to_owned(), sign));
    });
    words
}

fn plain(text: &str) -> Vec<String> {
    words(text).into_iter().map(|w| w.0).collect()
}

/// Terms as the rule has them.
fn expected(text: &str) -> Vec<u64> {
    let mut terms = Vec::new();
    let mut sign: Option<char> = None;
    for (word, is_sign) in words(text) {
        terms.push(term::word(word.as_bytes()));
        let c = word.chars().next().filter(|_| is_sign);
        if let (Some(before), Some(c)) = (sign, c) {
            terms.push(term::pair(before, c));
        }
        sign = c;
    }
    terms
}

fn terms(text: &str) -> Vec<u64> {
    let mut terms = Vec::new();
    let mut tokeniser = Tokeniser::default();
    // Whatever stands around a text is no part of it.
    let around = format!("é東x{text}東xé");
    let start = "é東x".len();
    let put = &mut |t| terms.push(t);
    tokeniser
        .each(around.as_bytes(), start..start + text.len(), put)
        .unwrap();
    let mut alone = Vec::new();
    let bytes = text.as_bytes();
    tokeniser
        .each(bytes, 0..bytes.len(), &mut |t| alone.push(t))
        .unwrap();
    assert_eq!(terms, alone);
    terms
}

#[test]
fn words_of_every_script() {
    for (text, expect) in [
        ("", vec![]),
        ("Rate-Limit  EXCEEDED!", vec!["rate", "limit", "exceeded"]),
        (
            "tool_call-2 gpt-4.1",
            vec!["tool", "call", "2", "gpt", "4", "1"],
        ),
        (
            "Café CAFE\u{301} Größe ﬁne Ａ１",
            vec!["cafe", "cafe", "grosse", "fine", "a1"],
        ),
        (
            "Ærøskøbing Łódź ΟΔΥΣΣΕΥΣ Ёлка",
            vec!["aeroskobing", "lodz", "οδυσσευσ", "елка"],
        ),
        ("don’t — “quoted”…", vec!["don", "t", "quoted"]),
        ("مُحَمَّد كـتـاب أحمد", vec!["محمد", "كتاب", "احمد"]),
        ("שָׁלוֹם", vec!["שלום"]),
        ("हिन्दी में", vec!["हिन्दी", "में"]),
        ("東京タワー", vec!["東", "京", "タ", "ワ", "ー"]),
        ("AI模型v2", vec!["ai", "模", "型", "v2"]),
        ("한국어 검색", vec!["한", "국", "어", "검", "색"]),
        ("ก่อน", vec!["ก", "่", "อ", "น"]),
        ("🚀 launch", vec!["launch"]),
        ("می\u{200c}خواهم", vec!["میخواهم"]),
    ] {
        assert_eq!(plain(text), expect, "{text}");
    }
    assert_ne!(plain("が"), plain("か"));
}

/// A change here is another rule: raise [`super::RULE`], so that indexes of the old one are not
/// asked.
#[test]
fn the_rule_is_as_ever() {
    let mut all = String::new();
    for c in '\0'..=char::MAX {
        fold(c, &mut |folded| all.push(folded));
        all.push_str(&plain(&format!("a{c}")).join("|"));
    }
    let digest = xxhash_rust::xxh3::xxh3_64(all.as_bytes());
    let terms = terms("Rate 東京 of-longer-than-sixteen-bytesandmorethanthat");
    let expect = (0xeb94_f9f7_b686_14fd, TERMS.to_vec());
    assert_eq!((digest, terms.clone()), expect, "{digest:#x} {terms:#x?}");
}

/// Of the text above: words, signs, a pair, a word of two blocks.
const TERMS: [u64; 9] = [
    52_946_591_432_278_760,
    18_577_869_616_134_415,
    44_724_055_625_611_262,
    46_481_601_564_900_461,
    69_407_339_579_027_773,
    25_000_717_894_591_272,
    37_710_037_731_844_225,
    14_469_584_654_227_108,
    27_311_569_790_925_500,
];

fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[a-zA-Z0-9]{1,20}",
        4 => "[ ,._/:\"\\n-]{1,3}",
        1 => "[a-z]{60,70}",
        1 => "[éÖßøαΣЖ]{1,3}",
        2 => "[東京大阪タワ한국]{1,4}",
        1 => "[\u{301}\u{200d}🚀…]{1}",
        1 => "[مُحَمَّدـ]{1,4}",
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(part, 0..30).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn terms_equal_the_plain_reading(text in text()) {
        prop_assert_eq!(terms(&text), expected(&text));
    }

    #[test]
    fn phrases_equal_the_plain_reading(
        text in text(), other in text(), from in 0usize..20, n in 0usize..6, open in any::<bool>(),
        cut in 0usize..3, own in prop::bool::weighted(0.8),
    ) {
        // Most phrases come from the text itself.
        let all = words(if own { &text } else { &other });
        let part: Vec<&str> = all.iter().skip(from).take(n).map(|w| &*w.0).collect();
        let mut wanted = part.join(if open { "-" } else { " " }).to_uppercase();
        for _ in 0..cut {
            wanted.pop();
        }
        let list = plain(&wanted);
        let Some(phrase) = Phrase::new(&wanted, open) else {
            prop_assert!(list.is_empty());
            return Ok(());
        };
        let have = words(&text);
        let sign = words(&wanted).last().is_some_and(|w| w.1);
        let found = have.windows(list.len()).any(|window| {
            window.iter().zip(&list).enumerate().all(|(at, (have, want))| {
                let beginning = open && !sign && at + 1 == list.len();
                have.0 == *want || beginning && have.0.starts_with(want.as_str())
            })
        });
        prop_assert_eq!(phrase.is_in(&text), found, "{}", wanted);
        let terms = terms(&text);
        let all_there = phrase.terms().iter().all(|t| terms.contains(t));
        prop_assert!(!found || all_there);
        if phrase.is_one_term() {
            prop_assert_eq!(found, all_there);
        }
    }

    #[test]
    fn what_stands_in_a_text_has_its_terms(text in text(), from in 0usize..60, n in 0usize..40) {
        let part: String = text.chars().skip(from).take(n).collect();
        let terms = terms(&text);
        for term in terms_within(&part) {
            prop_assert!(terms.contains(&term), "{}", part);
        }
    }

    #[test]
    fn substrings_are_found_where_they_are(text in "[abzAB.0 ]{0,40}", needle in "[abzAB.0 ]{0,4}") {
        let plain = text.to_ascii_lowercase().find(&needle.to_ascii_lowercase());
        prop_assert_eq!(Finder::new(needle.as_bytes()).find(text.as_bytes()), plain);
    }
}

#[test]
fn bytes_that_are_not_text_are_refused() {
    let mut tokeniser = Tokeniser::default();
    assert!(tokeniser.each(b"ok \xff", 0..4, &mut |_| {}).is_err());
    assert!(tokeniser.each(&[b'a'; 64], 0..64, &mut |_| {}).is_ok());
}
