//! Expected costs are worked out by hand from the prices that providers publish, and from those of reports.

use super::*;
use crate::limits::{
    PRICE_FILE_BYTES_MAX, PRICE_MODELS_MAX, PRICE_NAME_BYTES_MAX, PRICE_NAMES_MAX,
};

fn call<'a>(model: &'a str, buckets: &[(&'a str, i64)]) -> Call<'a> {
    Call {
        model,
        buckets: buckets.to_vec(),
        total: buckets.iter().map(|(_, n)| n).sum(),
        service: None,
        at_ns: 1_795_000_000_000_000_000,
    }
}

fn micros(table: &Table, call: &Call<'_>) -> Option<(i64, String)> {
    let priced = table.price(call)?;
    #[expect(clippy::cast_possible_truncation, reason = "a small amount")]
    let micros = (priced.dollars * 1e6).round() as i64;
    Some((micros, priced.tier.to_owned()))
}

fn standard(micros: i64) -> (i64, String) {
    (micros, "Standard".to_owned())
}

#[test]
fn the_shipped_table_has_its_date_and_its_models() {
    let table = Table::shipped();
    assert_eq!(table.len(), 167);
    assert!(table.date().starts_with("2026-08-20"), "{}", table.date());
    // OpenAI: gpt-4o 2.50 in, 1.25 cached, 10 out, a million.
    let used = [("input", 86), ("cache_read", 17_817), ("output", 100)];
    let expected = 215 + 22_271 + 1_000;
    assert_eq!(
        micros(&table, &call("gpt-4o", &used)),
        Some(standard(expected))
    );
    assert_eq!(
        micros(&table, &call("openai/gpt-4o", &used)),
        Some(standard(expected))
    );
}

/// BerriAI/litellm#26919: 3 in, 3.75 written, 0.30 read, 15 out, a million, each bucket once.
#[test]
fn buckets_of_a_cache_have_prices_of_their_own() {
    let table = Table::shipped();
    let used = [
        ("input", 1_000),
        ("cache_write", 1_000),
        ("cache_read", 10_000),
        ("output", 1_000),
        ("reasoning", 1_000),
    ];
    let expected = 3_000 + 3_750 + 3_000 + 15_000 + 15_000;
    assert_eq!(
        micros(&table, &call("claude-sonnet-4-5-20250929", &used)),
        Some(standard(expected))
    );
}

/// Google: gemini-2.5-pro 1.25 in and 10 out, above 200,000 tokens given 2.50 and 15.
#[test]
fn long_contexts_have_a_tier() {
    let table = Table::shipped();
    let short = [
        ("input", 100_000),
        ("cache_read", 100_000),
        ("output", 1_000),
    ];
    assert_eq!(
        micros(&table, &call("gemini-2.5-pro", &short)),
        Some(standard(125_000 + 12_500 + 10_000))
    );
    let long = [
        ("input", 100_000),
        ("cache_read", 100_001),
        ("output", 1_000),
    ];
    let expected = (250_000 + 25_000 + 15_000, "Large Context".to_owned());
    assert_eq!(
        micros(&table, &call("gemini-2.5-pro", &long)),
        Some(expected)
    );
}

#[test]
fn a_tier_of_service_is_asked_for() {
    let table = Table::shipped();
    let mut fast = call("gpt-4o", &[("input", 1_000_000)]);
    fast.service = Some("priority");
    assert_eq!(
        micros(&table, &fast),
        Some((4_250_000, "Fast mode".to_owned()))
    );
    fast.service = Some("unheard of");
    assert_eq!(micros(&table, &fast), Some(standard(2_500_000)));
}

#[test]
fn what_is_not_known_has_no_price() {
    let table = Table::shipped();
    assert_eq!(
        micros(&table, &call("a model of our own", &[("input", 1)])),
        None
    );
    assert_eq!(
        micros(&table, &call("not-gpt-4o-really", &[("input", 1)])),
        None
    );
    // No price for a cache, none for a bucket of the sender's own, tokens that nobody sorted.
    assert_eq!(
        micros(&table, &call("gpt-4", &[("input", 1), ("cache_read", 1)])),
        None
    );
    assert_eq!(
        micros(&table, &call("gpt-4o", &[("input", 1), ("pages", 1)])),
        None
    );
    let mut unsorted = call("gpt-4o", &[]);
    unsorted.total = 7;
    assert_eq!(micros(&table, &unsorted), None);
    assert_eq!(micros(&table, &call("gpt-4o", &[])), Some(standard(0)));
    // What is priced whole needs no buckets: 0.02 a million.
    unsorted = call("text-embedding-3-small", &[]);
    unsorted.total = 1_000_000;
    assert_eq!(micros(&table, &unsorted), Some(standard(20_000)));
}

fn own(entries: &str) -> Result<Table, TableError> {
    Table::read(format!("[{entries}]").as_bytes())
}

fn entry(start: &str, tiers: &str) -> String {
    format!(
        r#"{{"modelName":"m","matchPattern":"m|n","startDate":{start},"pricingTiers":[{tiers}]}}"#
    )
}

fn tier(input: &str) -> String {
    format!(r#"{{"name":"Standard","isDefault":true,"prices":{{"input":{input}}}}}"#)
}

#[test]
fn a_price_holds_from_its_date_on() {
    let old = entry("null", &tier("1e-6"));
    let new = entry("\"2026-11-01T00:00:00Z\"", &tier("2e-6"));
    for entries in [format!("{old},{new}"), format!("{new},{old}")] {
        let table = own(&entries).unwrap();
        let at = |text: &str| {
            let mut call = call("n", &[("input", 1_000_000)]);
            call.at_ns = parse_time(text).unwrap();
            micros(&table, &call)
        };
        assert_eq!(at("2026-10-31T23:59:59Z"), Some(standard(1_000_000)));
        assert_eq!(at("2026-11-01T00:00:00Z"), Some(standard(2_000_000)));
        assert_eq!(micros(&table, &call("mn", &[("input", 1)])), None);
    }
}

#[test]
fn a_table_that_makes_no_sense_is_refused_by_name() {
    let refusal = |entries: &str| own(entries).unwrap_err().to_string();
    assert!(refusal("7").starts_with("prices do not read"));
    assert!(
        refusal(&entry("\"soon\"", &tier("1")))
            .contains("startDate is no time in RFC 3339 model=m")
    );
    assert!(refusal(&entry("null", &tier("-1"))).contains("a price is no amount"));
    let open = r#"{"name":"x","conditions":[],"prices":{}}"#;
    assert!(refusal(&entry("null", open)).contains("without conditions"));
    let bad = r#"{"modelName":"m","matchPattern":"(","pricingTiers":[]}"#;
    assert!(refusal(bad).contains("model=m"));
    // A condition that no row can tell never holds.
    let odd =
        r#"{"name":"x","conditions":[{"operator":"near","key":"moon"}],"prices":{"input":9}}"#;
    let table = own(&entry("null", &format!("{odd},{}", tier("1e-6")))).unwrap();
    assert_eq!(
        micros(&table, &call("m", &[("input", 1_000_000)])),
        Some(standard(1_000_000))
    );
}

#[test]
fn a_table_has_limits() {
    let small = |n: usize| own(&vec![entry("null", ""); n].join(","));
    assert_eq!(small(PRICE_MODELS_MAX).unwrap().len(), PRICE_MODELS_MAX);
    assert!(matches!(
        small(PRICE_MODELS_MAX + 1),
        Err(TableError::Large(PRICE_MODELS_MAX))
    ));
    let padded = |n: usize| Table::read(format!("[]{}", " ".repeat(n - 2)).as_bytes());
    assert!(padded(PRICE_FILE_BYTES_MAX).unwrap().is_empty());
    assert!(matches!(
        padded(PRICE_FILE_BYTES_MAX + 1),
        Err(TableError::Large(PRICE_FILE_BYTES_MAX))
    ));
}

#[test]
fn names_are_remembered_up_to_a_limit() {
    let table = own(&entry("null", &tier("1e-6"))).unwrap();
    let known = || table.found.lock().len();
    for n in 0..PRICE_NAMES_MAX {
        assert_eq!(
            micros(&table, &call(&format!("x{n}"), &[("input", 1)])),
            None
        );
    }
    assert_eq!(known(), PRICE_NAMES_MAX);
    for _ in 0..2 {
        let used = [("input", 1_000_000)];
        assert_eq!(micros(&table, &call("m", &used)), Some(standard(1_000_000)));
        assert_eq!(known(), 1, "all were forgotten, and the new one is known");
    }
    let long = |bytes: usize| "y".repeat(bytes);
    table.price(&call(&long(PRICE_NAME_BYTES_MAX), &[("input", 1)]));
    assert_eq!(known(), 2);
    table.price(&call(&long(PRICE_NAME_BYTES_MAX + 1), &[("input", 1)]));
    assert_eq!(known(), 2);
}
