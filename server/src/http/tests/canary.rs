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
    match dice.roll(18) {
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
        13 => post("/v1/logs", key, JSON, log_of(&me.canary, n % 50)),
        14 => post("/v1/metrics", key, JSON, point_of(&me.canary, n % 50)),
        15 => get(
            &format!("/v1/projects/{project}/logs?limit=2&cursor={cursor}"),
            key,
        ),
        16 => get(
            &format!("/v1/projects/{project}/points?limit=2&total=true"),
            key,
        ),
        _ => get(&format!("/v1/projects/{project}/environments"), key),
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
