//! What obsrv keeps beside its log and what an operator writes for it is read or refused.

use obsrv_server::forge::{owner_reads, uses, uses_read};
use obsrv_server::price::Table;

/// One execution: which file, then it. Whether it was read.
pub fn run(bytes: &[u8]) -> bool {
    let Some((&sort, rest)) = bytes.split_first() else {
        return false;
    };
    match sort % 4 {
        0 => uses_read(rest),
        1 => std::str::from_utf8(rest).is_ok_and(owner_reads),
        2 => Table::read(rest).is_ok(),
        _ => Table::read_own(rest).is_ok(),
    }
}

const TABLE: &str = r#"[{"modelName":"m","matchPattern":"(?i)^m(-[0-9]+)?$","startDate":"2026-01-01T00:00:00Z","updatedAt":"2026-08-20","pricingTiers":[{"name":"all","isDefault":true,"prices":{"input":0.5,"output":1e-6}},{"name":"long","priority":1,"conditions":[{"operator":"gt","value":200000,"usageDetailPattern":"input"},{"key":"speed","operator":"in","values":["fast"]}],"prices":{"total":1.0}}]}]"#;

/// One of every sort.
pub fn seeds() -> Vec<Vec<u8>> {
    let seed = |sort: u8, bytes: &[u8]| [&[sort][..], bytes].concat();
    let owners = [
        "project/1",
        "organization/2",
        "project/1/key/ff",
        "project/1/others",
    ];
    let mut seeds: Vec<_> = owners.iter().map(|text| seed(1, text.as_bytes())).collect();
    seeds.push(seed(0, &uses()));
    seeds.extend([2, 3].map(|sort| seed(sort, TABLE.as_bytes())));
    seeds
}
