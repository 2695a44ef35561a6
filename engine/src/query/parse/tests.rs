use proptest::prelude::*;

use super::*;

const NOW: i64 = 7_200_000_000_000;

fn show_literal(l: &Literal) -> String {
    match l {
        Literal::Str(s) => format!("{s:?}"),
        Literal::I64(n) => n.to_string(),
        Literal::F64(x) => format!("{x:?}"),
        Literal::Bool(b) => b.to_string(),
    }
}

fn show(filter: &Filter) -> String {
    let join = |parts: &[Filter], by: &str| {
        format!("({})", parts.iter().map(show).collect::<Vec<_>>().join(by))
    };
    match filter {
        Filter::All => "all".into(),
        Filter::And(parts) => join(parts, " & "),
        Filter::Or(parts) => join(parts, " | "),
        Filter::Not(part) => format!("!{}", show(part)),
        Filter::AnySpan(part) => format!("span {}", show(part)),
        Filter::AnyScore(part) => format!("score {}", show(part)),
        Filter::Text(TextTest::Words(text)) => format!("text {text:?}"),
        Filter::Text(TextTest::Beginning(text)) => format!("text prefix {text:?}"),
        Filter::Text(TextTest::Contains(text)) => format!("text ~ {text:?}"),
        Filter::Text(TextTest::Regex(text)) => format!("text =~ {text:?}"),
        Filter::Is(column, test) => {
            let what = crate::query::plan::describe(column, test);
            match test {
                Test::Exists => what,
                Test::Contains(s) | Test::Prefix(s) | Test::Regex(s) => format!("{what} {s:?}"),
                Test::In(list) => {
                    let list: Vec<_> = list.iter().map(show_literal).collect();
                    format!("{what} [{}]", list.join(", "))
                }
                Test::Eq(l) | Test::Lt(l) | Test::Le(l) | Test::Gt(l) | Test::Ge(l) => {
                    format!("{what} {}", show_literal(l))
                }
            }
        }
    }
}

#[test]
fn grammar_examples_mean_what_they_say() {
    let grammar = include_str!("../GRAMMAR.md");
    let examples = grammar
        .split("```examples\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let mut count = 0;
    for line in examples.lines() {
        let (search, meaning) = line.split_once(" => ").unwrap();
        let filter = parse(search.trim(), NOW).unwrap_or_else(|e| panic!("{search}: {e}"));
        assert_eq!(show(&filter), meaning, "{search}");
        count += 1;
    }
    assert!(count > 30);
    assert_eq!(parse("  ", NOW), Ok(Filter::All));
}

#[test]
fn errors_say_where_and_what() {
    for (search, at, message) in [
        ("a:x )", 4, "closed"),
        ("(a:x", 4, "not closed"),
        ("a:", 2, "no value"),
        ("a: x", 2, "no value"),
        ("a or", 4, "no term"),
        ("and a", 0, "nothing to join"),
        ("a:\"x", 2, "quote not closed"),
        ("a:(x", 4, "list not closed"),
        ("a:x\\", 4, "nothing after"),
        ("{ {a:x} }", 2, "another span"),
        ("duration>fast", 9, "not a duration"),
        ("start>2026-02-29", 6, "not a time"),
        ("start>2026-01-01T25:00:00Z", 6, "not a time"),
        ("cost_usd>5€", 9, "not an amount"),
        ("cost>much", 5, "not an amount"),
        // No amounts, though elsewhere they are numbers or texts.
        ("cost>5kB", 5, "not an amount"),
        ("cost>\"5\"", 5, "not an amount"),
        ("cost>true", 5, "not an amount"),
        ("cost==5MiB", 6, "neither number"),
        ("start:2026-0*1", 6, "not a time"),
        ("end:(now,2026*)", 9, "not a time"),
        ("duration:1*s", 9, "not a duration"),
        ("duration!=1*", 10, "not a duration"),
        ("staus:error", 0, "did you mean status"),
        ("has:modle", 4, "did you mean model"),
        ("a:x score.good>1", 4, "did you mean scores.good"),
        ("has:score.good", 4, "did you mean scores.good"),
        ("scores.:1", 0, "no name of a score"),
        ("has:scores.", 4, "no name of a score"),
        ("scores.good>", 12, "no value"),
        ("score{scores.good>1}", 6, "another score test"),
        ("score{score{}}", 6, "another score test"),
        ("score{has:scores}", 10, "another score test"),
        ("score{{kind:tool}}", 6, "no span test"),
        ("{score{{}}}", 7, "no span test"),
        ("score{vale:1}", 6, "did you mean value"),
        ("score{value>1", 13, "not closed"),
    ] {
        let error = parse(search, NOW).expect_err(search);
        assert!(error.message.contains(message), "{search}: {error}");
        assert_eq!(error.at, at, "{search}: {error}");
        assert!(!error.expected.is_empty());
    }
    assert!(parse("\"staus\":error", NOW).is_ok());
}

#[test]
fn limits_hold_at_and_above() {
    let brackets = |n| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert!(parse(&brackets(DEPTH_MAX), NOW).is_ok());
    assert!(parse(&brackets(DEPTH_MAX + 1), NOW).is_err());
    assert!(parse(&"-".repeat(SEARCH_BYTES_MAX), NOW).is_err());
    assert!(parse(&"a".repeat(SEARCH_BYTES_MAX), NOW).is_ok());
    assert!(parse(&"a".repeat(SEARCH_BYTES_MAX + 1), NOW).is_err());
    assert!(parse(&"a ".repeat(255), NOW).is_ok());
    assert!(parse(&"a ".repeat(256), NOW).is_err());
    let list = |n| format!("a:({}x)", "x,".repeat(n - 1));
    assert!(parse(&list(LIST_MAX), NOW).is_ok());
    assert!(parse(&list(LIST_MAX + 1), NOW).is_err());
}

#[test]
fn sizes_and_money_at_their_ends() {
    let int = |n| Some(Literal::I64(n));
    for (text, value) in [
        ("1kB", int(1_000)),
        ("1KiB", int(1_024)),
        ("0.5TiB", int(1 << 39)),
        ("8388607TiB", int(i64::MAX - (1 << 40) + 1)),
        ("8388608TiB", None),
        // Beyond 32 bits.
        ("5000000000kB", int(5_000_000_000_000)),
        ("9223372036854775.807kB", int(i64::MAX)),
        ("9223372036854775.808kB", None),
        ("18446744073709551616kB", None),
        ("1.9999KiB", int(2_047)),
        ("MiB", None),
        ("1.MiB", None),
        ("1.5.0MiB", None),
        ("-1MiB", None),
        ("1mib", None),
        ("10B", None),
        ("$0.1", Some(Literal::F64(0.1))),
        ("$.5", Some(Literal::F64(0.5))),
        ("29¢", Some(Literal::F64(0.29))),
        ("$", None),
        ("¢", None),
        ("$-1", None),
        ("$1e3", None),
        ("$1¢", None),
        ("5€", None),
    ] {
        assert_eq!(literal::value(text), value, "{text}");
    }
}

#[test]
fn any_value_of_a_time_is_there_and_sizes_are_no_money() {
    let shown = |search: &str| show(&parse(search, NOW).unwrap());
    assert_eq!(shown("end:*"), "end exists");
    assert_eq!(shown("cost:5kB"), "cost = \"5kB\"");
    assert_eq!(shown("cost:$5"), "cost in [5.0, \"$5\"]");
    assert_eq!(shown("cost==5"), "cost = 5");
    assert_eq!(
        shown("duration>5000000000ms"),
        "duration > 5000000000000000"
    );
}

#[test]
fn what_is_refused_is_not_written() {
    use crate::query::write;
    let cost = |test| Filter::Is(Column::Path("cost".into()), test);
    let text = || Literal::Str("5".into());
    assert_eq!(write(&cost(Test::Gt(text()))), None);
    let either = cost(Test::In(vec![Literal::I64(5), text()]));
    assert_eq!(parse("cost:5", NOW).as_ref(), Ok(&either));
    assert_eq!(parse(&write(&either).unwrap(), NOW), Ok(either));
    let begins = Filter::Is(Column::Start, Test::Prefix("2026".into()));
    assert_eq!(write(&begins), None);
}

#[test]
fn a_glob_is_the_whole_of_a_value() {
    let is = |glob: &str, text: &str| match parse(&format!("name:{glob}"), NOW).unwrap() {
        Filter::Is(_, Test::Regex(pattern)) => regex::Regex::new(&pattern).unwrap().is_match(text),
        other => panic!("{other:?}"),
    };
    assert!(is("*gpt*", "chat gpt-4o") && is("*gpt*", "gpt") && !is("*gpt*", "GPT"));
    assert!(is("c*e", "charge") && is("c*e", "ce") && !is("c*e", "charged") && !is("c*e", "a ce"));
    assert!(
        is("a*b*", "a\nb\nc") && is("*.md", "a.md") && !is("*.md", "a.mdx") && !is("*.md", "amd")
    );
    assert!(is("**x", "x") && is("a\\*b*c", "a*b*c") && !is("a\\*b*c", "abc"));
    // Of the length that a regular expression may have.
    let long = |n: usize| format!("name:*{}*", "x".repeat(n - "^(?s:.*)(?s:.*)$".len()));
    assert!(parse(&long(crate::query::text::REGEX_BYTES_MAX), NOW).is_ok());
    assert!(parse(&long(crate::query::text::REGEX_BYTES_MAX + 1), NOW).is_err());
}

#[test]
fn times_and_durations_at_their_ends() {
    use literal::{duration, time};
    for (text, ns) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        (
            "2000-02-29T12:00:00.000000001Z",
            Some(951_825_600_000_000_001),
        ),
        ("2026-01-31T10:00:00-05:30", Some(1_769_873_400_000_000_000)),
        ("2262-04-11T23:47:16.854775807Z", Some(i64::MAX)),
        ("2262-04-11T23:47:16.854775808Z", None),
        ("2026-13-01", None),
        ("2026-1-01", None),
        ("2026-01-01T10:00:00", None),
        ("2026-01-01 10:00:00Z", None),
        ("é026-01-01", None),
    ] {
        assert_eq!(time(text, NOW), ns, "{text}");
    }
    for (text, ns) in [
        ("5", Some(5)),
        ("1.5us", Some(1_500)),
        ("4294967295d", None),
        ("1", Some(1)),
        ("", None),
        ("s", None),
        ("1.s", None),
        ("1y", None),
    ] {
        assert_eq!(duration(text), ns, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a-c:=!<>~(){}\"\\\\*, .0-9\u{e9}-]{0,40}|\\PC{0,40}") {
        if let Err(error) = parse(&text, NOW) {
            prop_assert!(error.at <= text.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What is written reads as the same filter.
    #[test]
    fn a_filter_that_is_written_reads_as_the_same(
        filter in crate::query::tests::filters(),
        text in "[a-zA-Z*\"\\\\ (){}:=~<>!,-]{0,12}",
    ) {
        use crate::query::write;
        let literal = Literal::Str(text.clone());
        let path = Column::Path(text.as_str().into());
        let own = [
            Filter::Text(TextTest::Words(text.clone())),
            Filter::Text(TextTest::Beginning(text.clone())),
            Filter::Is(Column::Path("a".into()), Test::Prefix(text.clone())),
            Filter::Is(Column::Id, Test::Eq(literal.clone())),
            Filter::Not(Box::new(Filter::Is(path, Test::Eq(literal)))),
        ];
        for filter in own.into_iter().chain([filter]) {
            if let Some(written) = write(&filter) {
                let read = parse(&written, NOW);
                if matches!(&filter, Filter::Not(_)) && text.is_empty() {
                    continue;
                }
                prop_assert_eq!(read.as_ref(), Ok(&filter), "{}", written);
            }
        }
    }
}

#[test]
fn other_rows_have_no_scores() {
    for table in [Table::Logs, Table::Points, Table::Scores] {
        for (search, at) in [("scores.a>1", 0), ("x has:scores.a", 6), ("x score{}", 2)] {
            let error = parse_over(table, search, NOW).expect_err(search);
            assert!(error.message.contains("have none"), "{search}: {error}");
            assert_eq!(error.at, at, "{search}");
        }
        let path = parse_over(table, "\"scores.a\">1", NOW).unwrap();
        assert_eq!(show(&path), "scores.a > 1");
    }
    for table in [Table::Runs, Table::Spans] {
        assert!(parse_over(table, "scores.a>1", NOW).is_ok());
    }
}

#[test]
fn the_span_of_a_line_is_not_the_line() {
    let read = |table, text: &str| show(&parse_over(table, text, 0).unwrap());
    for table in [Table::Logs, Table::Points] {
        assert_eq!(
            read(table, "span_id:a"),
            show(&parse("\"span_id\":a", 0).unwrap())
        );
        assert_eq!(
            read(table, "has:span_id"),
            show(&parse("has:\"span_id\"", 0).unwrap())
        );
        assert_eq!(read(table, "id:a"), show(&parse("id:a", 0).unwrap()));
    }
    assert_eq!(read(Table::Spans, "span_id:a"), read(Table::Spans, "id:a"));
}
