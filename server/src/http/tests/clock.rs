//! A wall clock that jumps changes no order, no identity and no answer, and shuts nobody out.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use serde_json::json;

const BEGAN_NS: i64 = 1_770_000_000_000_000_000;
const YEAR_NS: i64 = 365 * 24 * 3_600 * 1_000_000_000;

/// A clock that is set by hand; time itself goes on as it does.
#[derive(Debug)]
struct Jumping {
    wall_ns: AtomicI64,
    time: SystemClock,
}

impl Clock for Jumping {
    fn wall_ns(&self) -> i64 {
        self.wall_ns.fetch_add(1, Ordering::Relaxed)
    }

    fn mono_ns(&self) -> u64 {
        self.time.mono_ns()
    }
}

async fn listed(world: &World, rest: &str) -> Vec<String> {
    let path = format!("/v1/projects/1/traces?limit=1000{rest}");
    let said = ask(&world.app, get(&path, "key-of-a")).await;
    assert_eq!(said.status, 200);
    let rows = said.json()["data"].as_array().unwrap().clone();
    let id = |row: &Value| row["trace_id"].as_str().unwrap().to_owned();
    rows.iter().map(id).collect()
}

#[tokio::test]
async fn jumps_of_the_clock_change_no_answer() {
    let master = MasterSecret::from_bytes([1; 32]);
    let clock = Arc::new(Jumping {
        wall_ns: AtomicI64::new(BEGAN_NS),
        time: SystemClock::new(),
    });
    let providers = Providers::none(&master, Arc::new(SystemClock::new()), Arc::new(OsRng));
    let world = world_by(providers, Arc::<Jumping>::clone(&clock)).await;
    let times = [
        BEGAN_NS,
        BEGAN_NS + YEAR_NS,
        BEGAN_NS - YEAR_NS,
        0,
        i64::MAX - YEAR_NS,
        1,
        BEGAN_NS,
    ];
    for (n, wall_ns) in times.into_iter().enumerate() {
        clock.wall_ns.store(wall_ns, Ordering::Relaxed);
        // The start is what the client says; one that says none is given the time of its receipt.
        let body = json!({ "trace_id": format!("t{n}"), "name": format!("n{n}"), "status": "success", "steps": [],
            "started_at": format!("2026-02-0{}T00:00:00Z", n + 1) });
        for _ in 0..3 {
            let sent = post("/v1/traces", "key-of-a", JSON, body.to_string());
            let said = ask(&world.app, sent).await;
            let text = String::from_utf8_lossy(&said.body).into_owned();
            assert!(
                said.status.is_success(),
                "{wall_ns}: {} {text}",
                said.status
            );
        }
        // The same change of the first trace, later in the log each time, is what is read.
        let change = json!({ "trace_id": "t0", "name": format!("changed {n}"), "status": "success", "steps": [],
            "started_at": "2026-02-01T00:00:00Z", "ended_at": format!("2026-02-01T00:00:0{n}Z") });
        let sent = post("/v1/traces", "key-of-a", JSON, change.to_string());
        assert!(ask(&world.app, sent).await.status.is_success());
        let said = ask(&world.app, get("/v1/projects/1/traces/t0", "key-of-a")).await;
        assert_eq!(said.json()["trace"]["name"], format!("changed {n}"));
        let expected: Vec<String> = (0..=n).map(|n| format!("t{n}")).collect();
        assert_eq!(listed(&world, "&sort=start").await, expected, "{wall_ns}");
        let figures = post(
            "/v1/projects/1/aggregate",
            "key-of-a",
            JSON,
            json!({ "interval": "1d", "from": "2026-02-01", "to": "2026-02-08" }).to_string(),
        );
        let said = ask(&world.app, figures).await;
        assert_eq!(said.json()["total"]["rows"], n + 1, "{wall_ns}");
    }
    // A page that was begun before a jump goes on after it.
    clock.wall_ns.store(BEGAN_NS, Ordering::Relaxed);
    let first = ask(
        &world.app,
        get("/v1/projects/1/traces?limit=3&sort=start", "key-of-a"),
    )
    .await;
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    clock.wall_ns.store(0, Ordering::Relaxed);
    let path = format!("/v1/projects/1/traces?limit=3&sort=start&cursor={cursor}");
    let rest = ask(&world.app, get(&path, "key-of-a")).await;
    assert_eq!(rest.json()["data"][0]["trace_id"], "t3");
}
