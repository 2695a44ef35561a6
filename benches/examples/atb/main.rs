//! `atb`: obsrv as one of the engines of `AgentTraceBench`. `peers/run.py` starts it and asks.
//!
//! Commands are lines of JSON on standard input, answers lines of JSON on standard output:
//! `load` (a file of `rows --form otlp`, of the profile that is the third argument), `settle`, `cpu`, `ask` and `time` (a query of the
//! benchmark), `quit`. The engine is used as a library, as the embedded peers are; nothing is kept
//! from one query to the next but the page cache.
#![expect(clippy::print_stdout, reason = "the protocol")]
#![expect(
    clippy::disallowed_methods,
    reason = "a measuring clock is the real one"
)]

mod asked;
mod asking;
mod feed;
mod logs;
mod points;
mod queries;

use std::error::Error;
use std::io::BufRead as _;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asked::Asked;
use asking::Answer;
use obsrv_benches::load::process::{cpu_time, until_quiet};
use obsrv_engine::engine::{Engine, Options};
use obsrv_server::dialect::Dialect;
use obsrv_wal::io::{Disk, OsRng, RealDisk};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value as Json, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Longest wait for background work to end.
const QUIET_MAX: Duration = Duration::from_mins(20);

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let (Some(directory), Some(memory)) = (args.next(), args.next()) else {
        return Err("atb DIRECTORY MEMORY_BYTES [PROFILE]".into());
    };
    let dialect = feed::dialect(args.next().as_deref().unwrap_or_default());
    let directory = PathBuf::from(directory);
    std::fs::create_dir_all(&directory)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(&directory)?);
    let options = Options::for_memory(memory.parse()?);
    let engine = Engine::open(disk, &OsRng, options, &feed::Otlp)?;
    let threads = engine.start()?;
    println!("{}", json!({ "ready": process::id() }));
    for line in std::io::stdin().lock().lines() {
        let command: Json = serde_json::from_str(&line?)?;
        if command["do"] == "quit" {
            break;
        }
        let answer =
            obey(&engine, dialect, &command).unwrap_or_else(|e| json!({"error": e.to_string()}));
        println!("{answer}");
    }
    threads.stop();
    Ok(())
}

fn obey(engine: &Arc<Engine>, dialect: Dialect, command: &Json) -> Outcome<Json> {
    match command["do"].as_str().unwrap_or_default() {
        "load" => {
            let path = command["path"].as_str().unwrap_or_default();
            let requests = feed::read(path.as_ref())?;
            let begun = Instant::now();
            feed::send(engine, dialect, requests);
            Ok(json!({ "wall": begun.elapsed().as_secs_f64() }))
        }
        "settle" => {
            let begun = Instant::now();
            let (_, busy) = until_quiet(process::id(), QUIET_MAX)?;
            let stats = format!("{:?}", engine.stats());
            let total = begun.elapsed().as_secs_f64();
            Ok(json!({ "wall": busy.as_secs_f64(), "waited": total, "note": stats }))
        }
        "cpu" => Ok(json!({ "cpu": cpu_time(process::id())?.as_secs_f64() })),
        "ask" => {
            let asked = Asked::read(command)?;
            let (wall, cpu, answer) = once(engine, &asked, command, 0)?;
            Ok(json!({ "wall": wall, "cpu": cpu, "answer": answer }))
        }
        "time" => {
            let asked = Asked::read(command)?;
            let count = |name: &str| command[name].as_u64().unwrap_or_default();
            let (warm, runs) = (count("warm"), count("runs"));
            let (mut walls, mut cpus) = (Vec::new(), Vec::new());
            for run in 0..warm + runs {
                let (wall, cpu, _) = once(engine, &asked, command, run.saturating_sub(warm))?;
                if run >= warm {
                    walls.push(wall);
                    cpus.push(cpu);
                }
            }
            Ok(json!({ "wall": walls, "cpu": cpus }))
        }
        other => Err(format!("unknown command {other}").into()),
    }
}

/// CPU seconds of all our threads.
fn exact_cpu() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    let nanos = now.tv_sec * 1_000_000_000 + now.tv_nsec;
    Duration::from_nanos(nanos.cast_unsigned()).as_secs_f64()
}

/// One run of a query: wall and CPU seconds, and what it answers. `run` chooses the traces of Q3 and L3.
fn once(engine: &Engine, asked: &Asked, command: &Json, run: u64) -> Outcome<(f64, f64, Json)> {
    let query = command["query"].as_str().unwrap_or_default();
    let whole = command["do"] == "ask";
    let before = exact_cpu();
    let begun = Instant::now();
    let found = ask(engine, asked, query, run)?;
    let wall = begun.elapsed().as_secs_f64();
    let cpu = exact_cpu() - before;
    let parts = f64::from(u32::try_from(found.parts())?);
    let answer = if whole { found.to_json()? } else { Json::Null };
    Ok((wall / parts, cpu / parts, answer))
}

fn ask(engine: &Engine, asked: &Asked, query: &str, run: u64) -> Outcome<Box<dyn Answer>> {
    match query.chars().next() {
        Some('L') => logs::run(engine, asked, query, run),
        Some('P') => points::run(engine, asked, query),
        _ => queries::run(engine, asked, query, run),
    }
}
