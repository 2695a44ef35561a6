use super::*;
use crate::http::auth::tests::tenant_called;

fn tenant() -> Tenant {
    tenant_called("mine")
}

fn ask(query: &str) -> Result<Request, ApiError> {
    request_of(&Params::parse(query).unwrap(), &tenant(), 0)
}

fn is(path: &str, test: Test) -> Filter {
    Filter::Is(Column::Path(path.into()), test)
}

fn strs(values: &[&str]) -> Vec<Literal> {
    values.iter().map(|v| text(v)).collect()
}

/// What the published client sends for `list_traces` with every filter: a recorded request.
#[test]
fn reads_what_the_theta_client_sends() {
    let query = "limit=10&status=success&status=error&platform=web&model=claude-opus-4.6&\
        run_type=eval&use_case=web-shopping&tags=demo&tags=late&meta_key=customer.tier&\
        meta_key=git_sha&meta_value=gold&meta_value=abc&user_id=user_43&run_id=run_ext_1&\
        group=thread-7&since=2020-01-01T00%3A00%3A00Z&until=2100-01-01T00%3A00%3A00Z";
    let request = ask(query).unwrap();
    assert_eq!(request.limit, 10);
    assert_eq!(
        request.filter,
        Filter::And(vec![
            is("status", Test::In(strs(&["success", "error"]))),
            is("platform", Test::In(strs(&["web"]))),
            is("model", Test::In(strs(&["claude-opus-4.6"]))),
            is("run_type", Test::In(strs(&["eval"]))),
            is("use_case", Test::In(strs(&["web-shopping"]))),
            is("tags", Test::In(strs(&["demo", "late"]))),
            is("user_id", Test::Eq(text("user_43"))),
            is("run_id", Test::Eq(text("run_ext_1"))),
            is("group", Test::Eq(text("thread-7"))),
            Filter::Is(
                Column::Start,
                Test::Ge(Literal::I64(1_577_836_800_000_000_000))
            ),
            Filter::Is(
                Column::Start,
                Test::Le(Literal::I64(4_102_444_800_000_000_000))
            ),
            is("metadata.customer.tier", Test::In(strs(&["gold"]))),
            is("metadata.git_sha", Test::In(strs(&["abc"]))),
        ])
    );
}

#[test]
fn defaults() {
    let request = ask("").unwrap();
    assert_eq!(request.filter, Filter::All);
    assert_eq!(
        request.order,
        Order {
            column: Column::Start,
            descending: true
        }
    );
    assert_eq!(
        (request.limit, request.total, request.facets.len()),
        (100, false, 0)
    );
    assert_eq!(
        ask("project_id=mine&project_id=")
            .unwrap_err()
            .field
            .as_deref(),
        Some("project_id")
    );
    assert_eq!(ask("project_id=mine").unwrap().filter, Filter::All);
    assert_eq!(
        ask("project_id=other").unwrap().filter,
        Filter::And(vec![is("project_id", Test::Eq(text("other")))])
    );
}

#[test]
fn metadata_is_found_by_text_number_and_bool() {
    assert_eq!(readings("x"), strs(&["x"]));
    assert_eq!(readings("3"), [text("3"), Literal::I64(3)]);
    assert_eq!(readings("0.5"), [text("0.5"), Literal::F64(0.5)]);
    assert_eq!(readings("True"), [text("True"), Literal::Bool(true)]);
    assert_eq!(readings("NaN"), strs(&["NaN"]));
}

#[test]
fn a_search_joins_the_other_parameters() {
    let request = ask("status=error&q=metadata.a%3A1+or+b%3Ax").unwrap();
    let searched = parse("metadata.a:1 or b:x", 0).unwrap();
    let status = is("status", Test::In(strs(&["error"])));
    assert_eq!(request.filter, Filter::And(vec![status, searched]));
}

#[test]
fn order_facets_and_flags() {
    let request = ask("order=duration&facets=status,metadata.a&facets=model&total=true").unwrap();
    assert_eq!(
        request.order,
        Order {
            column: Column::Duration,
            descending: false
        }
    );
    assert_eq!(request.facets.len(), 3);
    assert_eq!(request.facet_values_max, FACET_VALUES);
    assert!(request.total);
    let order = ask("order=-metadata.score").unwrap().order;
    assert_eq!(
        order,
        Order {
            column: Column::Path("metadata.score".into()),
            descending: true
        }
    );
}

#[test]
fn what_cannot_be_read_names_its_parameter() {
    let many = vec!["f"; FACETS_MAX + 1].join(",");
    for (query, field) in [
        ("limit=1001".to_owned(), "limit"),
        ("limit=-1".into(), "limit"),
        ("limit=x".into(), "limit"),
        ("since=yesterday".into(), "since"),
        ("until=".to_owned() + &"9".repeat(400), "until"),
        ("meta_key=a".into(), "meta_value"),
        ("meta_value=a".into(), "meta_value"),
        ("user_id=a&user_id=b".into(), "user_id"),
        ("order=-".into(), "order"),
        ("total=maybe".into(), "total"),
        ("statsu=error".into(), "statsu"),
        (format!("facets={many}"), "facets"),
        (
            "q=".to_owned() + &"a".repeat(obsrv_engine::query::SEARCH_BYTES_MAX + 1),
            "q",
        ),
        ("q=status%3A".into(), "q"),
    ] {
        let error = ask(&query).unwrap_err();
        assert_eq!(error.field.as_deref(), Some(field), "{query}");
        assert_eq!(error.code.status(), 400);
    }
    assert_eq!(ask("limit=1000").unwrap().limit, 1000);
    assert_eq!(ask("limit=0").unwrap().limit, 0);
    assert!(ask(&format!("facets={}", vec!["f"; FACETS_MAX].join(","))).is_ok());
}
