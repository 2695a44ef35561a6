//! Queries over six traces: what each must leave, by hand where it stands on the right, and in any case
//! as the naive evaluator says.

use super::*;
use crate::query::traceql::ast::{Measure, Metrics};
use crate::query::traceql::math::Math;

const S: i64 = 1_000_000_000;

/// shop: a request through three services. agent: a run of an agent. one: a span alone. lost: spans whose
/// parent is not there, and a ring. many: several values, events, links. open: a run that goes on.
#[expect(clippy::too_many_lines, reason = "a table of spans")]
fn world() -> World {
    let spans = vec![
        span(
            "shop",
            "a",
            0,
            Some(10 * S),
            "name=GET_/cart otel_kind=server service=web status=success dialect=otlp attributes.http.method=GET attributes.http.status_code=200 resource.service.name=web resource.region=eu root=true",
        ),
        span(
            "shop",
            "b",
            S,
            Some(4 * S),
            "name=pay otel_kind=client parent_id=a service=web status=success dialect=otlp attributes.http.status_code=500 resource.region=eu",
        ),
        span(
            "shop",
            "c",
            2 * S,
            Some(2 * S),
            "name=pay otel_kind=server parent_id=b service=pay status=error error_message=no_money status_message=no_money dialect=otlp attributes.http.status_code=500 resource.region=us",
        ),
        span(
            "shop",
            "d",
            3 * S,
            Some(S),
            "name=query otel_kind=client parent_id=c service=pay status=success status_code=ok dialect=otlp attributes.db.system=pg attributes.rows=10",
        ),
        span(
            "shop",
            "e",
            6 * S,
            Some(2 * S),
            "name=render otel_kind=internal parent_id=a service=web status=success dialect=otlp attributes.rows=3",
        ),
        span(
            "agent",
            "a",
            20 * S,
            Some(30 * S),
            "name=agent kind=agent status=success dialect=langfuse metadata.customer=acme service=bot",
        ),
        span(
            "agent",
            "b",
            21 * S,
            Some(5 * S),
            "name=plan kind=llm model=o3 parent_id=a status=success dialect=langfuse tokens.total=1200 cost_usd=0.5",
        ),
        span(
            "agent",
            "c",
            27 * S,
            Some(3 * S),
            "name=search kind=tool tool=search parent_id=a status=error error_message=timeout dialect=langfuse",
        ),
        span(
            "agent",
            "d",
            28 * S,
            Some(S),
            "name=answer kind=llm model=haiku parent_id=c status=success dialect=langfuse tokens.total=80 cost_usd=0.25",
        ),
        span(
            "one",
            "a",
            60 * S,
            Some(5 * S),
            "name=job status=success status_code=ok dialect=otlp attributes.ok=true attributes.rows=7.5 service=jobs",
        ),
        span(
            "lost",
            "b",
            70 * S,
            Some(S),
            "name=x parent_id=gone attributes.n=1",
        ),
        span(
            "lost",
            "c",
            71 * S,
            Some(S),
            "name=x parent_id=gone attributes.n=2",
        ),
        span(
            "lost",
            "d",
            72 * S,
            Some(S),
            "name=x parent_id=c attributes.n=3",
        ),
        span(
            "lost",
            "e",
            73 * S,
            Some(S),
            "name=ring parent_id=f attributes.n=4",
        ),
        span(
            "lost",
            "f",
            74 * S,
            Some(S),
            "name=ring parent_id=e attributes.n=5",
        ),
        span(
            "many",
            "a",
            80 * S,
            Some(2 * S),
            "name=m otel_kind=producer attributes.tag=x attributes.tag=y attributes.tag=3 events.name=exception events.name=retry events.attributes.exception.type=IoError events.time_unix_nano=80500000000 links.trace_id=shop links.span_id=a scope.name=lib scope.version=1.2 scope.attributes.lang=rust",
        ),
        span(
            "many",
            "b",
            81 * S,
            Some(S),
            "name=n otel_kind=consumer parent_id=a attributes.tag=y attributes.ok=false links.attributes.why=retry",
        ),
        span(
            "open",
            "a",
            90 * S,
            None,
            "name=open status=running dialect=otlp service=web",
        ),
        span(
            "open",
            "b",
            91 * S,
            None,
            "name=step status=running dialect=otlp parent_id=a attributes.http.status_code=404",
        ),
    ];
    let run = |trace: &str, start: i64, length: Option<i64>, says: &str| {
        span(trace, trace, start, length, says)
    };
    let runs = vec![
        run("shop", 0, Some(10 * S), "name=GET_/cart service=web"),
        run("agent", 20 * S, Some(30 * S), "name=agent service=bot"),
        run("one", 60 * S, Some(5 * S), "name=job service=jobs"),
        run("lost", 70 * S, Some(5 * S), "name=x"),
        run("many", 80 * S, Some(2 * S), "name=m"),
        run("open", 90 * S, None, "name=open service=web"),
    ];
    World::new(spans, runs, &[0, 1, 2, 1, 3, 0, 0])
}

/// `query => trace: spans / spans, trace: spans`; sets of a trace are told apart by `/`.
const TABLE: &str = r#"
{}
{ true }
{ false } => nothing
{ !true } => nothing
{ true && false } => nothing
{ true || false }
{ 1 = 2 } => nothing
{ 1 < 1h }
{ 1 <= 1.1 }
{ "test" =~ "te.t" }
{ "test" =~ "te" } => nothing
{ "test" != "test" } => nothing
{ 1 + 1 = 2 }
{ 2 ^ 3 = 8 && 7 % 4 = 3 && 6 / 4 = 1.5 }
{ name = "pay" } => shop: b c
{ span:name = "pay" } => shop: b c
{ name != "pay" && status = error } => agent: c
{ name =~ "pa.*" } => shop: b c
{ name =~ "pa" } => nothing
{ name !~ "pay|query|render|GET.*" && resource.region != nil } => nothing
{ name > "x" } => nothing
{ name >= "x" } => lost: b c d
{ status = error } => shop: c, agent: c
{ status != error && kind = server } => shop: a
{ status = ok } => shop: d, agent: a b d, one: a
{ status = unset }
{ status = unset && kind = client } => shop: b
{ span:status = error }
{ statusMessage = "no money" } => shop: c
{ statusMessage = "timeout" } => agent: c
{ statusMessage != nil } => shop: c, agent: c
{ statusMessage =~ ".*" } => shop: c, agent: c
{ kind = server } => shop: a c
{ kind = client } => shop: b d
{ kind = internal } => shop: e
{ kind = producer } => many: a
{ kind = consumer } => many: b
{ kind = unspecified && status = error } => agent: c
{ kind != unspecified } => shop: a b c d e, many: a b
{ obsrv.kind = "llm" } => agent: b d
{ obsrv.status = "running" } => open: a b
{ model = "o3" } => agent: b
{ model =~ "o3|haiku" } => agent: b d
{ tool = "search" } => agent: c
{ tokens.total > 1000 } => agent: b
{ cost_usd <= 0.25 } => agent: d
{ metadata.customer = "acme" } => agent: a
{ .customer = "acme" } => agent: a
{ error_message = "timeout" } => agent: c
{ duration > 4s } => shop: a, agent: a b, one: a
{ duration >= 5s && duration <= 5s } => agent: b, one: a
{ duration > 4000000000 } => shop: a, agent: a b, one: a
{ duration = nil } => open: a b
{ duration != nil && name = "step" } => nothing
{ duration > 2s * 2 } => shop: a, agent: a b, one: a
{ 4s < duration } => shop: a, agent: a b, one: a
{ span.http.status_code = 500 } => shop: b c
{ span.http.status_code >= 400 } => shop: b c, open: b
{ span.http.status_code != 500 } => shop: a, open: b
{ span.http.status_code != "500" } => shop: a b c, open: b
{ span.http.status_code = "500" } => nothing
{ .http.status_code = 404 } => open: b
{ .http.status_code = 200 || .http.status_code = 404 } => shop: a, open: b
{ .http.status_code = nil && service = "web" } => shop: e, open: a
{ !(.http.status_code = 500) && service = "web" } => shop: a e, open: a
{ !(.http.status_code != nil) && service = "web" } => shop: e, open: a
{ resource.service.name = "web" } => shop: a b e, open: a
{ resource.service.name != "web" } => shop: c d, agent: a, one: a
{ .service.name = "bot" } => agent: a
{ resource.region = "us" } => shop: c
{ .region =~ "[eu]+" } => shop: a b
{ span.region = "eu" } => nothing
{ .ok } => one: a
{ !.ok && name = "job" } => nothing
{ .ok = true } => one: a
{ .ok = false } => many: b
{ .ok != true } => many: b
{ .ok != nil } => one: a, many: b
{ .rows > 5 } => shop: d, one: a
{ .rows = 7.5 } => one: a
{ .rows + 1 = 4 } => shop: e
{ .rows * 2 > 14 } => shop: d, one: a
{ -.rows < -9 } => shop: d
{ .rows % 2 = 0 } => shop: d
{ .rows - 3 = 0 || .rows / 2 = 5 } => shop: d e
{ .tag = "x" } => many: a
{ .tag = "y" } => many: a b
{ .tag != "x" } => many: b
{ .tag = 3 } => many: a
{ .tag =~ "x|z" } => many: a
{ .tag !~ "x|z" } => many: b
{ .tag > 2 } => many: a
{ .tag + 1 = 4 } => many: a
{ event:name = "exception" } => many: a
{ event:name != "exception" } => nothing
{ event.exception.type = "IoError" } => many: a
{ event:timeSinceStart = 500ms } => many: a
{ event:timeSinceStart > 1s } => nothing
{ link:traceID = "shop" && link:spanID = "a" } => many: a
{ link.why = "retry" } => many: b
{ instrumentation:name = "lib" } => many: a
{ instrumentation:version = "1.2" } => nothing
{ instrumentation:version = 1.2 } !! 26
{ instrumentation.lang = "rust" } => many: a
{ trace:id = "one" } => one: a
{ span:id = "a" && kind = server } => shop: a
{ span:parentID = "a" } => shop: b e, agent: b c, many: b, open: b
{ span:parentID = nil } => shop: a, agent: a, one: a, many: a, open: a
{ nestedSetParent < 0 } => shop: a, agent: a, one: a, many: a, open: a
{ nestedSetParent = -1 && status = error } => nothing
{ nestedSetParent >= 0 && name = "ring" } => lost: e f
{ nestedSetParent = 0 } => lost: b c e
{ nestedSetParent = 1 } => shop: b e, agent: b c, many: b, open: b
{ nestedSetLeft = 1 } => shop: a, agent: a, one: a, lost: b, many: a, open: a
{ nestedSetRight - nestedSetLeft = 1 } => shop: d e, agent: b d, one: a, lost: b d f, many: b, open: b
{ span:childCount > 1 } => shop: a, agent: a
{ childCount = 0 && name = "x" } => lost: b d
{ traceDuration > 10s } => agent: a b c d
{ trace:duration = 5s } => one: a, lost: b c d e f
{ rootName = "agent" && status = error } => agent: c
{ rootServiceName = "web" && kind = client } => shop: b d
{ trace:rootService != "web" } => agent: a b c d, one: a
{ parent.http.status_code = 500 } => shop: c d
{ parent.span.http.status_code = 200 } => shop: b e
{ parent.resource.region = "eu" } => shop: b c e
{ parent.http.status_code = nil && name = "pay" } => nothing
{ parent.n = 5 } => nothing
{ parent.n = 4 } => lost: f
{ .http.status_code = parent.http.status_code } => shop: c
{ .a.b.c = 1 } => nothing
{ kind = server } && { kind = client } => shop: a b c d
{ kind = server } && { kind = producer } => nothing
{ kind = server } || { kind = producer } => shop: a c, many: a
{ status = error } && { kind = server } && { name = "render" } => shop: a c e
{ kind = server } > { kind = client } => shop: b d
{ kind = server } >> { kind = client } => shop: b d
{ name = "GET /cart" } >> { status = error } => shop: c
{ name = "GET /cart" } > { status = error } => nothing
{ status = error } < { } => shop: b, agent: a
{ status = error } << { } => shop: a b, agent: a
{ name = "query" } << { kind = server } => shop: a c
{ name = "query" } < { kind = server } => shop: c
{ name = "pay" } ~ { } => shop: e
{ name = "render" } ~ { } => shop: b
{ name = "x" } ~ { name = "x" } => lost: b c
{ } ~ { } => shop: b e, agent: b c, lost: b c
{ status = error } !> { obsrv.kind = "llm" } => agent: b
{ name = "nothing" } !> { kind = server } => shop: a c
{ } !> { } => shop: a, agent: a, one: a, lost: b c e, many: a, open: a
{ } !>> { } => shop: a, agent: a, one: a, lost: b c e, many: a, open: a
{ } !< { } => shop: d e, agent: b d, one: a, lost: b d f, many: b, open: b
{ } !<< { kind = server } => nothing
{ } !~ { service = "web" } => shop: a, open: a
{ kind = server } &> { kind = client } => shop: a b c d
{ name = "GET /cart" } &>> { status = error } => shop: a c
{ status = error } &< { } => shop: b c, agent: a c
{ name = "query" } &<< { kind = server } => shop: a c d
{ name = "pay" } &~ { name = "render" } => shop: b e
{ name = "agent" } > { obsrv.kind = "tool" } > { obsrv.kind = "llm" } => agent: d
{ name = "ring" } > { name = "ring" } => lost: f
{ name = "ring" } >> { } => lost: f
{ name = "x" } > { name = "x" } => lost: d
({ kind = server } | count() > 1) && ({ kind = client } | count() > 1) => shop: a b c d
({ kind = server } | count() > 5) || { name = "job" } => one: a
({ status = error } | count() = 1) >> { obsrv.kind = "llm" } => agent: d
({ kind = server } > { kind = client }) ~ { } => shop: e
{ } | count() > 4 => shop: a b c d e, lost: b c d e f
{ kind = client } | count() = 2 => shop: b d
count() = 1 => one: a
count() = 1 | { .ok } => one: a
2 >= count() => one: a, many: a b, open: a b
{ } | avg(duration) >= 5s => agent: a b c d, one: a
{ } | max(duration) > 5s => shop: a b c d e, agent: a b c d
{ } | min(duration) = 1s => shop: a b c d e, agent: a b c d, lost: b c d e f, many: a b
{ } | sum(tokens.total) = 1280 => agent: a b c d
{ } | avg(.rows) = 6.5 => shop: a b c d e
{ } | max(.rows) - min(.rows) = 7 => shop: a b c d e
{ } | count() * 2 = 10 => shop: a b c d e, lost: b c d e f
{ } | max(.nothing) > 0 => nothing
{ } | sum(.rows + 1) = 15 => shop: a b c d e
{ } | by(service) | count() = 2 => shop: c d, many: a b
{ kind != unspecified } | by(kind) => shop: a c / b d / e, many: a / b
{ } | by(name) | count() > 1 => shop: b c, lost: b c d / e f
{ } | by(name) | count() > 1 | coalesce() => shop: b c, lost: b c d e f
{ .tag != nil } | by(.tag) => many: a b / a / a
{ } | by(resource.region) | { kind = client } => shop: b / d
{ } | by(status = error) | count() = 1 => shop: c, agent: c, one: a
{ status = error } | select(name, .http.status_code) => shop: c, agent: c
{ kind = server } | { status = error } => shop: c
{ kind = server } | { kind = client } => nothing
{ } | { kind = server } > { kind = client } | count() = 2 => shop: b d
{ status = error } with(most_recent=true) => shop: c, agent: c
true !! 0
( true ) !! 2
{ !! 1
{ . } !! 3
{ < } !! 2
{ .a < } !! 7
{ .a < 3 !! 8
{ (.a < 3 } !! 10
{ attribute = 4 } !! 2
{ sttaus = error } !! 2
{ .attribute == 4 } !! 14
{ span. } !! 7
{ status } !! 2
{ "foo" } !! 2
{ 1 + 1 } !! 2
{ 1 + "foo" = 1 } !! 4
{ 1 = "foo" } !! 4
{ 1 = name } !! 4
{ 1 =~ 2 } !! 4
{ status > ok } !! 9
{ kind = "server" } !! 7
{ status = "error" } !! 9
{ -true } !! 2
{ !"foo" = "bar" } !! 2
{ span.foo =~ "[" } !! 14
{ span.foo =~ .bar } !! 14
{ nil = nil } !! 6
{ trace:status = error } !! 2
{ duration > 5x } !! 13
{ true } + { true } !! 9
{ true } = { true } !! 9
{ true } | count() !! 18
{ true } | count = 1 !! 11
{ true } | cuont() = 1 !! 11
{ true } | max() = 1 !! 15
{ true } | max(name) = 1 !! 15
{ true } | by() !! 14
{ true } | by(1) !! 14
{ true } | select() !! 18
{ true } | select(1) !! 18
{ true } | coalesce !! 11
coalesce() | { true } !! 0
sum(3) = 2 !! 4
3 = 2 !! 0
count() > 3 && { true } !! 12
{ true } | rate() | { true } !! 20
{ true } | rate() by () !! 22
{ true } | min_over_time() !! 25
{ true } | quantile_over_time(duration) !! 38
{ true } | quantile_over_time(duration, 2) !! 40
{ true } | rate() | topk(0) !! 25
{ .a = "x !! 7
{ .a = 1 } ; !! 11
({ true } | rate()) % 10 !! 20
({ true } | rate()) ^ ({ true } | rate()) !! 20
({ true } | rate()) + 10s !! 22
({ true } | rate()) > 1s + 1 !! 25
5 + { true } | rate() !! 4
{ true } | rate() + 5 !! 18
{ true } | rate() + { true } | count_over_time() !! 18
({ true }) + ({ true }) !! 11
({ true } | rate()) + 5 100 !! 24
({ true } | rate()) + !! 21
({ true } | rate()) * ({ true } | count()) !! 41
({ true } | rate()) * ({ true }) !! 31
-({ true } | rate()) !! 0
({ true } | compare({ false })) + ({ true } | rate()) !! 32
2 * ({ true } | compare({ false })) !! 2
({ true } | rate()) / (1 / 0) !! 25
({ true } | rate() + 1) !! 19
({ true } | rate()) && ({ true } | rate()) !! 20
({ true } | rate()) { true } !! 20
({ true } | rate() | count_over_time()) + 1 !! 21
(({ true } | rate()) | topk(1)) * 2 !! 21
({ true } | rate(x)) * 2 !! 17
({ true } | rates()) * ({ true } | rate()) !! 12
({ true } | count()) > ({ true } | count()) !! 19
({ true } | count()) + ({ true } | count()) = 1 !! 19
({ true } | count()) > 2 !! 19
1 + 2 !! 5
"#;

fn shown(found: &BTreeMap<String, Vec<BTreeSet<String>>>) -> String {
    let order = ["shop", "agent", "one", "lost", "many", "open"];
    let of = |sets: &Vec<BTreeSet<String>>| {
        let sets: Vec<String> = sets
            .iter()
            .map(|set| set.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
            .collect();
        sets.join(" / ")
    };
    let traces = order
        .iter()
        .filter_map(|id| Some(format!("{id}: {}", of(found.get(*id)?))));
    let all = traces.collect::<Vec<_>>().join(", ");
    if all.is_empty() {
        "nothing".to_owned()
    } else {
        all
    }
}

fn sorted(line: &str) -> String {
    let traces = line.split(", ").map(|trace| match trace.split_once(": ") {
        None => trace.to_owned(),
        Some((id, sets)) => {
            let mut sets: Vec<Vec<&str>> = sets
                .split(" / ")
                .map(|set| set.split(' ').collect())
                .collect();
            sets.sort();
            let sets: Vec<String> = sets.iter().map(|set| set.join(" ")).collect();
            format!("{id}: {}", sets.join(" / "))
        }
    });
    traces.collect::<Vec<_>>().join(", ")
}

#[test]
fn every_query_of_the_table_leaves_what_it_should() {
    let world = world();
    let (mut count, mut by_hand, mut wrong) = (0, 0, Vec::new());
    for line in TABLE.lines().filter(|line| !line.is_empty()) {
        count += 1;
        if let Some((text, place)) = line.split_once(" !! ") {
            let place: usize = place.parse().unwrap();
            match parse(text) {
                Ok(query) => wrong.push(format!("{text}: read as {query}")),
                Err(e) if e.at != place => wrong.push(format!("{text}: at {} {e}", e.at)),
                Err(_) => {}
            }
            continue;
        }
        let (text, expected) = match line.split_once(" => ") {
            Some((text, expected)) => (text, Some(expected)),
            None => (line, None),
        };
        let query = match parse(text) {
            Ok(query) => query,
            Err(e) => {
                wrong.push(format!("{text}: {e}"));
                continue;
            }
        };
        let found = shown(&world.check(&query, None));
        if let Some(expected) = expected {
            by_hand += 1;
            if found != sorted(expected) {
                wrong.push(format!("{text}: {found} instead of {expected}"));
            }
        }
        world.check(&query, Some((21 * S, 82 * S)));
        world.check(&query, Some((i64::MIN, 3 * S)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 200 && by_hand > 150, "{count} {by_hand}");
}

/// `query => labels: value value …` with steps of 20 s from 0 to 100 s; `-` is no point.
const SERIES: &str = r#"
{ } | count_over_time() => 5 4 0 6 4
{ } | rate() => 0.25 0.2 0 0.3 0.2
{ status = error } | count_over_time() => 1 1 0 0 0
{ } | count_over_time() by (kind)
{ kind != unspecified } | count_over_time() by (kind) => kind=Word("client") : 2 0 0 0 0; kind=Word("consumer") : 0 0 0 0 1; kind=Word("internal") : 1 0 0 0 0; kind=Word("producer") : 0 0 0 0 1; kind=Word("server") : 2 0 0 0 0
{ } | max_over_time(duration) => 10 30 - 5 2
{ } | min_over_time(.rows) => 3 - - 7.5 -
{ } | sum_over_time(.rows) => 13 - - 7.5 -
{ } | avg_over_time(tokens.total) => - 640 - - -
{ } | quantile_over_time(.rows, 1) => 10 - - 7.5 -
{ } >> { status = error } | count_over_time() => 1 1 0 0 0
{ nestedSetParent < 0 } | rate() by (resource.service.name)
{ } | by(name) | count() > 1 | count_over_time() => 2 0 0 5 0
{ rootName = "agent" } | count_over_time() => 0 4 0 0 0
{ parent.http.status_code = 500 } | count_over_time() by (name) => name=Str("pay") : 1 0 0 0 0; name=Str("query") : 1 0 0 0 0
{ .tag != nil } | count_over_time() by (.tag) => .tag=Str("x") : 0 0 0 0 1; .tag=Str("y") : 0 0 0 0 2; .tag=Num(3.0) : 0 0 0 0 1
{ } | count_over_time() by (name) | topk(1) with(sample=true)
{ } | count_over_time() > 4 => 5 - - 6 -
{ } | count_over_time() by (resource.region) | topk(1) => resource.region=nil : 2 4 0 6 4
({ status = error } | rate()) / ({ } | rate()) => 0.2 0.25 - 0 0
({ status = error } | count_over_time()) / ({ } | count_over_time()) => 0.2 0.25 - 0 0
({ } | count_over_time()) * 2 - 1 => 9 7 -1 11 7
100 * ({ } | rate()) => 25 20 0 30 20
({ } | rate()) * 20 with(sample=true) => 5 4 0 6 4
12 / ({ } | count_over_time()) => 2.4 3 - 2 3
({ } | count_over_time()) / 0 => nothing
({ } | count_over_time()) + 2 * 3 => 11 10 6 12 10
(({ } | count_over_time()) + 2) * 3 => 21 18 6 24 18
(1 + 2) * 2 + ({ } | count_over_time()) => 11 10 6 12 10
3 / 2 + ({ } | count_over_time()) => 6.5 5.5 1.5 7.5 5.5
({ } | count_over_time()) - -5 => 10 9 5 11 9
-5 + ({ } | count_over_time()) => 0 -1 -5 1 -1
({ } | count_over_time()) / 2 * 4 => 10 8 0 12 8
({ } | count_over_time()) - ({ status = error } | count_over_time()) - 1 => 3 2 -1 5 3
({ name = "none" } | count_over_time()) / ({ } | count_over_time()) => 0 0 - 0 0
({ name = "none" } | max_over_time(duration)) + ({ } | count_over_time()) => nothing
({ name = "none" } | rate() by (name)) + ({ } | count_over_time()) => nothing
({ status = error } | count_over_time() by (resource.region)) / ({ } | count_over_time() by (resource.region)) => resource.region=Str("us") : 1 - - - -; resource.region=nil : 0 0.25 - 0 0
({ } | count_over_time() by (resource.region)) / ({ } | count_over_time()) => resource.region=Str("eu") : 0.4 0 - 0 0; resource.region=Str("us") : 0.2 0 - 0 0; resource.region=nil : 0.4 1 - 1 1
({ } | count_over_time()) - ({ } | count_over_time() by (resource.region)) => resource.region=Str("eu") : 3 4 0 6 4; resource.region=Str("us") : 4 4 0 6 4; resource.region=nil : 3 0 0 0 0
({ } | count_over_time() by (kind)) + ({ } | count_over_time() by (name)) => nothing
({ kind = server && status = error } | count_over_time() by (kind, status)) + ({ } | count_over_time() by (status, kind)) => kind=Word("server") status=Word("error") : 2 0 0 0 0
({ } | max_over_time(duration)) / ({ } | min_over_time(duration)) => 10 30 - 5 2
({ } | sum_over_time(.rows)) / ({ .rows != nil } | count_over_time()) => 6.5 - - 7.5 -
({ } | quantile_over_time(.rows, 1)) * 2 => 20 - - 15 -
({ } >> { status = error } | count_over_time()) + ({ status = error } | count_over_time()) => 2 2 0 0 0
10 - ({ } | by(name) | count() > 1 | count_over_time()) => 8 10 10 5 10
({ } | count_over_time()) > 4 => 5 - - 6 -
(({ } | count_over_time() > 4)) < 6 => 5 - - - -
({ } | count_over_time()) / 2 > 2 => 2.5 - - 3 -
({ } | count_over_time()) / 2 > 2 < 3 => 2.5 - - - -
({ } | count_over_time() > 4) + ({ } | count_over_time()) => 10 - - 12 -
({ } | count_over_time() by (resource.region)) * 2 | topk(1) => resource.region=nil : 4 8 0 12 8
({ } | count_over_time() by (resource.region)) * 2 | topk(1) > 8 => resource.region=nil : - - - 12 -
({ } | count_over_time() by (resource.region) | topk(1)) / ({ } | count_over_time()) => resource.region=nil : 0.4 1 - 1 1
"#;

/// Whether something is done behind a function.
fn has_second(metrics: &Metrics) -> bool {
    fn within(math: &Math) -> bool {
        match math {
            Math::Query(query) => query.metrics.as_ref().is_some_and(has_second),
            Math::Number(_) => false,
            Math::Both(_, a, b) => within(a) || within(b),
        }
    }
    !metrics.second.is_empty() || matches!(&metrics.measure, Measure::Math(math) if within(math))
}

#[test]
fn every_series_of_the_table_is_as_it_should() {
    let world = world();
    let mut wrong = Vec::new();
    for line in SERIES.lines().filter(|line| !line.is_empty()) {
        let (text, expected) = line.split_once(" => ").unwrap_or((line, ""));
        let query = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let found = world.series(&query, (0, 100 * S), 20 * S);
        let metrics = query.metrics.as_ref().unwrap();
        // The naive one does nothing behind functions, and takes labels in one order.
        if !has_second(metrics) && !text.contains("by (status, kind)") {
            let naive = world.naive(Some((0, 100 * S)));
            let naive = match &metrics.measure {
                Measure::Math(math) => naive.calculated(math, 20 * S),
                _ => naive.series(&query, 20 * S),
            };
            let naive: BTreeMap<_, _> = naive.into_iter().filter(|(_, p)| !p.is_empty()).collect();
            if found != naive {
                wrong.push(format!("{text}: {found:?} instead of {naive:?}"));
            }
        }
        let shown: BTreeSet<String> = found
            .iter()
            .map(|(labels, points)| {
                let point = |step: i64| {
                    points
                        .get(&(step * 20 * S))
                        .map_or("-".to_owned(), |x| format!("{x}"))
                };
                let points: Vec<String> = (0..5).map(point).collect();
                format!("{labels}: {}", points.join(" "))
            })
            .collect();
        let wanted: BTreeSet<String> = expected
            .split("; ")
            .filter(|one| *one != "nothing")
            .map(|one| {
                if one.contains(": ") {
                    one.to_owned()
                } else {
                    format!(": {one}")
                }
            })
            .collect();
        if !expected.is_empty() && shown != wanted {
            wrong.push(format!("{text}: {shown:?} instead of {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
