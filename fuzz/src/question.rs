//! Any text is a filter in JSON, or conditions, numbers or a search as other tools ask for them, or an error.

use obsrv_server::forge::{conditions_read, filter_reads, parameters_read};

/// One execution: which sort and over which rows, then the text. Whether it is one.
pub fn run(bytes: &[u8]) -> bool {
    let Some((&sort, rest)) = bytes.split_first() else {
        return false;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return false;
    };
    match sort >> 6 {
        0 | 1 => filter_reads(sort, text),
        2 => conditions_read(sort, text),
        _ => parameters_read(text),
    }
}

const FILTERS: [&str; 5] = [
    "{}",
    r#"{"and":[{"key":"status","eq":"error"},{"not":{"key":"duration","gt":"1.5s"}}]}"#,
    r#"{"or":[{"path":"metadata.a","in":["b",1]},{"text_matches":"a|b"},{"text":"c"}]}"#,
    r#"{"span":{"key":"name","starts_with":"a","exists":true}}"#,
    r#"{"score":{"key":"name","contains":"a"}}"#,
];

const CONDITIONS: [&str; 2] = [
    r#"[{"type":"stringOptions","column":"name","operator":"any of","value":["a"]}]"#,
    r#"{"view":"traces","metrics":[{"measure":"count","aggregation":"count"}],"dimensions":[{"field":"name"}],"fromTimestamp":"2026-01-01T00:00:00Z","toTimestamp":"2026-01-02T00:00:00Z"}"#,
];

const SEARCHES: [&str; 2] = [
    "service=a&operation=b&tags=%7B%22c%22%3A%22d%22%7D&minDuration=1ms&limit=20",
    "query.service_name=a&query.attributes=%7B%7D&query.duration_max=2s",
];

/// One of every sort.
pub fn seeds() -> Vec<Vec<u8>> {
    let sorts = [
        (0, &FILTERS[..]),
        (0x80, &CONDITIONS[..]),
        (0xc0, &SEARCHES[..]),
    ];
    let seed = |sort: u8, text: &str| [&[sort][..], text.as_bytes()].concat();
    let seeds = sorts
        .into_iter()
        .flat_map(|(sort, texts)| texts.iter().map(move |text| seed(sort, text)));
    seeds.collect()
}
