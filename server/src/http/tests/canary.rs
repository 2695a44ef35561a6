//! Thousands of random calls by several tenants, each of whose data hold a word that no other may see.

use super::*;
use crate::tenancy::plane::By;

const CALLS: usize = 10_000;

/// xorshift: the same calls every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).unwrap()).unwrap()
    }
}

struct Player {
    key: String,
    canary: String,
    project: u64,
    cursors: Vec<String>,
}

fn trace_of(canary: &str, n: usize) -> String {
    format!(
        r#"{{"trace_id":"{canary}-{n}","name":"{canary}","status":"success","user_id":"{canary}",
           "metadata":{{"{canary}":"{canary}"}},"tags":["{canary}"],"started_at":"2026-01-01T00:00:00Z",
           "steps":[{{"step_id":"s-{canary}-{n}","type":"llm","name":"{canary}","error_message":"{canary}"}}]}}"#
    )
}

async fn players(world: &World) -> Vec<Player> {
    let plane = Arc::clone(world.app.core().unwrap().plane());
    let mut players = Vec::new();
    for n in 0..4_u64 {
        // Two organizations with two projects each.
        let (by, slug) = (By::operator(), format!("org-{n}"));
        let org = if n % 2 == 0 {
            plane.create_org(by, &slug, &slug).await.unwrap().made
        } else {
            crate::tenancy::OrgId(2 + n / 2)
        };
        let canary = format!("canary{:016x}", (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let project = plane
            .create_project(by, org, &canary)
            .await
            .unwrap()
            .made
            .id;
        let key = plane
            .create_key(by, project, KeyTerms::default())
            .await
            .unwrap()
            .made
            .key;
        let key = key.reveal().to_owned();
        let settings = format!(
            r#"{{"revision":0,"settings":{{"redaction":{{"detectors":[],"keys":{{"deny":["x.{canary}"]}}}}}}}}"#
        );
        let change = Request::put(format!("/v1/projects/{project}/settings"))
            .header("x-api-key", &key)
            .body(settings.into())
            .unwrap();
        assert_eq!(ask(&world.app, change).await.status, 200);
        for n in 0..5 {
            let sent = post("/v1/traces", &key, JSON, trace_of(&canary, n));
            assert_eq!(ask(&world.app, sent).await.status, 201);
        }
        players.push(Player {
            key,
            canary,
            project,
            cursors: Vec::new(),
        });
    }
    players
}

/// A call by one player, about their own things or those of another: what an attacker can guess,
/// ids included.
fn call(dice: &mut Dice, me: &Player, other: &Player, n: usize) -> Request<Body> {
    let (key, named) = (&me.key, &other.canary);
    let (project, trace) = (other.project, format!("{named}-{}", dice.roll(6)));
    let cursor = match other.cursors.len() {
        0 => "AAAA",
        count => &other.cursors[dice.roll(count)],
    };
    match dice.roll(38) {
        0 => get(
            "/v1/traces?limit=2&total=true&facets=name,user_id,tags&explain=true",
            key,
        ),
        1 => get(&format!("/v1/traces?limit=2&cursor={cursor}"), key),
        2 => get(&format!("/v1/traces/{trace}"), key),
        3 => get(&format!("/v1/traces?project_id={project}"), key),
        4 => get(
            &format!("/v1/traces?limit=2&cursor={cursor}&order=-duration"),
            key,
        ),
        5 => get(&format!("/v1/projects/{project}"), key),
        6 => get(&format!("/v1/projects/{project}/keys"), key),
        7 => get("/api/public/projects", key),
        8 => get("/v1/projects", key),
        9 => get("/v1/me", key),
        10 => post("/v1/traces", key, JSON, trace_of(&me.canary, n % 50)),
        11 => post(
            &format!("/v1/traces/{trace}/annotations"),
            key,
            JSON,
            r#"{"score":1}"#,
        ),
        12 => Request::delete(format!("/v1/traces/{trace}"))
            .header("x-api-key", key)
            .header("x-obsrv-project", project)
            .body(Body::empty())
            .unwrap(),
        13 => get(&format!("/v1/projects/{project}/settings"), key),
        14 => get(&format!("/v1/projects/{project}/usage"), key),
        15 => get(&format!("/v1/projects/{project}/refusals"), key),
        16 => post(
            &format!("/v1/projects/{project}/redaction/preview"),
            key,
            JSON,
            r#"{"document":{"x":{"y":"z"}}}"#,
        ),
        17 => get(&format!("/v1/projects/{project}/environments"), key),
        18 => post("/v1/logs", key, JSON, log_of(&me.canary, n % 50)),
        19 => post("/v1/metrics", key, JSON, point_of(&me.canary, n % 50)),
        20 => get(
            &format!("/v1/projects/{project}/logs?limit=2&cursor={cursor}"),
            key,
        ),
        21 => get(
            &format!("/v1/projects/{project}/points?limit=2&total=true"),
            key,
        ),
        _ => read_call(dice, me, (other, cursor), n),
    }
}

/// The same at obsrv's own read routes.
fn read_call(
    dice: &mut Dice,
    me: &Player,
    (other, cursor): (&Player, &str),
    n: usize,
) -> Request<Body> {
    let (key, named) = (&me.key, &other.canary);
    // Mostly one's own project, with the ids and the words of another.
    let project = [me.project, me.project, other.project][dice.roll(3)];
    let trace = format!("traces/{named}-{}", dice.roll(6));
    let at = format!("/v1/projects/{project}");
    let sent = |rest: &str, body: String| post(&format!("{at}/{rest}"), key, JSON, body);
    let mine = &me.canary;
    match dice.roll(24) {
        0 => get(&format!("{at}/traces?limit=2&total=true&explain=true"), key),
        1 => get(&format!("{at}/traces?limit=2&cursor={cursor}"), key),
        2 => get(
            &format!("{at}/spans?limit=2&q={named}&cursor={cursor}"),
            key,
        ),
        3 => get(&format!("{at}/{trace}"), key),
        4 => get(&format!("{at}/{trace}/spans?limit=1&cursor={cursor}"), key),
        5 => get(&format!("{at}/{trace}/spans/s-{named}-0"), key),
        6 => get(
            &format!("{at}/facets?over=spans&keys=name,tags,error_message"),
            key,
        ),
        7 => get(&format!("{at}/values?key=name&prefix={named}"), key),
        8 => get(&format!("{at}/fields?prefix=metadata."), key),
        9 => get(&format!("{at}/export?format=csv&q={named}"), key),
        10 => get(&format!("{at}/{trace}/comments"), key),
        11 => get(&format!("{at}/users/{named}"), key),
        12 => get(&format!("{at}/views/{}", 1 + dice.roll(20)), key),
        13 if n.is_multiple_of(7) => sent("views", format!(r#"{{"name":"{mine}","shared":true}}"#)),
        14 => sent("paths", "{}".to_owned()),
        15 => get("/tempo/api/search?q=%7B%7D&spss=9", key),
        16 => get(&format!("/tempo/api/v2/{trace}"), key),
        17 => get("/tempo/api/v2/search/tag/name/values", key),
        18 => get("/jaeger/api/traces?limit=9", key),
        19 => get(&format!("/jaeger/api/v3/{trace}"), key),
        20 => get(&format!("{at}/experiments/{named}"), key),
        21 => get("/v1/experiments?limit=2", key),
        22 if n.is_multiple_of(7) => sent("experiments", experiment_of(mine)),
        _ => sent("aggregate", r#"{"group_by":["name","user_id"]}"#.to_owned()),
    }
}

#[tokio::test]
async fn no_tenant_ever_sees_the_canary_of_another() {
    let world = world().await;
    let mut players = players(&world).await;
    let mut dice = Dice(0x0b5e_7ab1_e5ee_d001);
    let (mut seen, router) = (0, build(Arc::clone(&world.app)));
    for n in 0..CALLS {
        let me = dice.roll(players.len());
        let other = dice.roll(players.len());
        let request = call(&mut dice, &players[me], &players[other], n);
        // What one sends oneself, in the path, may come back in an error.
        let asked = request.uri().to_string();
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 24).await.unwrap();
        let text = format!("{:?} {}", parts.headers, String::from_utf8_lossy(&body));
        assert!(parts.status.as_u16() != 500, "{asked}: {text}");
        for (index, player) in players.iter().enumerate() {
            if index == me {
                seen += usize::from(text.contains(&player.canary));
                continue;
            }
            let named_by_me = asked.contains(&player.canary);
            let answered = parts.status.is_success() && !asked.ends_with("annotations");
            let deleted = parts.status.is_success() && text.contains("\"deleted\":true");
            let may_echo = named_by_me && (!answered || deleted);
            assert!(
                may_echo || !text.contains(&player.canary),
                "{asked}: {text}"
            );
        }
        if let Ok(page) = serde_json::from_slice::<Value>(&body)
            && let Some(cursor) = page["next_cursor"].as_str()
        {
            players[me].cursors.truncate(20);
            players[me].cursors.insert(0, cursor.to_owned());
        }
    }
    assert!(
        seen > CALLS / 10,
        "the canaries were hardly seen by their own tenants: {seen}"
    );
}

fn experiment_of(canary: &str) -> String {
    format!(
        r#"{{"id":"{canary}","name":"{canary}","arms":[{{"id":"{canary}","prompt_snapshot":"{canary}","traffic_pct":100}}]}}"#
    )
}

fn log_of(canary: &str, n: usize) -> String {
    format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"{n}1","body":{{"stringValue":"{canary}"}}}}]}}]}}]}}"#
    )
}

fn point_of(canary: &str, n: usize) -> String {
    format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"{canary}","gauge":{{"dataPoints":[{{"timeUnixNano":"{n}1","asInt":"1"}}]}}}}]}}]}}]}}"#
    )
}
