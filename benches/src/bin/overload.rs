//! `overload`: many times what the server can do, and one tenant that sends many times its part. Prints a table
//! and a verdict for each bound, and fails if one is broken.
//!
//! The client is on the machine that is measured. So each run is held against one with the same client and
//! the same requests of which the excess goes to a second obsrv, the decoy: what the client costs is in both.
//! Excess over what the server can do goes to a decoy that refuses it (its key is unknown); a tenant's excess
//! to one that stores it, so that the processor is as busy in both runs.
//!
//! `--cpu-percent` gives the server that part of one processor: what the client can offer is as much more than what it takes.
#![expect(clippy::print_stdout, reason = "the table is the product")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Parser;
use obsrv_benches::load::arguments;
use obsrv_benches::load::cpus::CpuGroup;
use obsrv_benches::load::flow::{Bodies, Flow, Flowed, run};
use obsrv_benches::load::server::Server;
use obsrv_benches::load::{LoadError, process};

/// Of the peak, what must be stored under overload.
const GOODPUT_MIN: f64 = 0.9;
/// Against the run with the decoy: the other tenants' p99.
const P99_RATIO_MAX: f64 = 1.5;
/// Of `--memory`, in percent: resident memory.
const MEMORY_PERCENT_MAX: u64 = 125;
/// How soon after an overload the p99 is again what it was.
const RECOVERY: Duration = Duration::from_secs(10);
/// Part of the capacity that all tenants together send when none of them sends too much.
const CALM: f64 = 0.4;
/// Different traces that bodies are made of.
const TRACES: u64 = 64;
const UNKNOWN_KEY: &str = "obsrv_bench_of_nobody_0123456789abcdef01234567";

#[derive(Debug, Parser)]
#[command(about = "Sends many times what the server can do, and one tenant many times its part")]
struct Settings {
    /// The server to start.
    #[arg(long = "bin")]
    binary: PathBuf,
    /// Of each run.
    #[arg(long = "seconds", default_value = "20", value_parser = arguments::seconds)]
    time: Duration,
    /// Times the peak, one run each.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "10,50",
        conflicts_with = "tenant_only"
    )]
    multiples: Vec<f64>,
    /// Only one tenant that sends too much, not all of them.
    #[arg(long)]
    tenant_only: bool,
    /// Projects that send.
    #[arg(long, default_value_t = 8, value_parser = arguments::at_least::<2>)]
    tenants: usize,
    /// Times its part, of the one that sends too much.
    #[arg(long, default_value_t = 50.0)]
    tenant_multiple: f64,
    /// Spans of a request.
    #[arg(long, default_value_t = 32)]
    spans: usize,
    /// Of the client.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// The server's budget.
    #[arg(long, default_value_t = 512)]
    memory_mib: u64,
    /// Of one processor, for the server; all there is if none.
    #[arg(long)]
    cpu_percent: Option<u32>,
    /// Of the bodies.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    match measure(&Settings::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(broken) => {
            println!("\n{broken} bounds broken");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The server that is measured, the decoy, and what is sent to both.
struct Bench<'a> {
    settings: &'a Settings,
    server: Server,
    decoy: Server,
    /// Goes after the server.
    _cpus: Option<CpuGroup>,
    /// One for each tenant.
    keys: Vec<String>,
    bodies: Bodies,
    /// Bounds that were broken.
    broken: u32,
}

fn measure(settings: &Settings) -> Result<u32, LoadError> {
    let folder = std::env::temp_dir().join(format!("obsrv-overload-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = Bench::start(settings, &folder).and_then(Bench::run);
    std::fs::remove_dir_all(&folder)?;
    outcome
}

fn nobody(_: usize, _: [u8; 16]) {}

impl<'a> Bench<'a> {
    fn start(settings: &'a Settings, folder: &std::path::Path) -> Result<Self, LoadError> {
        let memory = ["--memory".to_owned(), format!("{}MiB", settings.memory_mib)];
        let mut server = Server::new(&settings.binary, &folder.join("data"), &memory)?;
        let mut decoy = Server::new(&settings.binary, &folder.join("decoy"), &memory)?;
        server.start()?;
        decoy.start()?;
        let limit = |percent| CpuGroup::of(server.pid().unwrap_or_default(), percent);
        let cpus = settings.cpu_percent.map(limit).transpose()?;
        let keys = (1..=settings.tenants).map(|n| server.make_key(&format!("tenant-{n}")));
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
            bodies: Bodies::make(settings.seed, TRACES, settings.spans),
            settings,
            server,
            decoy,
            _cpus: cpus,
            broken: 0,
        })
    }

    fn flow<'b>(&'b self, keys: &'b [String], rate: Option<f64>) -> Flow<'b> {
        Flow {
            address: self.server.address,
            keys,
            bodies: &self.bodies,
            connections: self.settings.connections,
            rate,
            time: self.settings.time,
            acknowledged: &nobody,
        }
    }

    fn run(mut self) -> Result<u32, LoadError> {
        println!("| what | value |\n|---|---|");
        let peak = run(&self.flow(&self.keys, None))?;
        // The rate of requests that the server can take.
        let capacity = peak.accepted_per_second();
        row("peak, spans/s", format!("{:.0}", peak.spans_per_second()));
        row("peak, requests/s", format!("{capacity:.0}"));
        if !self.settings.tenant_only {
            for multiple in self.settings.multiples.clone() {
                self.above_capacity(capacity, multiple)?;
            }
        }
        self.one_tenant(capacity)?;
        self.memory()?;
        Ok(self.broken)
    }

    /// All tenants together send many times what the server can take.
    fn above_capacity(&mut self, capacity: f64, multiple: f64) -> Result<(), LoadError> {
        let unknown = [UNKNOWN_KEY.to_owned()];
        let excess = Flow {
            address: self.decoy.address,
            ..self.flow(&unknown, Some(capacity * (multiple - 1.0)))
        };
        let (alone, _) = both(&self.flow(&self.keys, Some(capacity)), &excess)?;
        let excess = self.flow(&self.keys, Some(capacity * (multiple - 1.0)));
        let (mut under, over) = both(&self.flow(&self.keys, Some(capacity)), &excess)?;
        let offered = (under.sent_per_second() + over.sent_per_second()) / capacity;
        let goodput = under.spans_per_second() + over.spans_per_second();
        row(
            &format!("{multiple}x: offered, times the peak"),
            format!("{offered:.1}"),
        );
        row(
            &format!("{multiple}x: goodput, and with the excess sent elsewhere, spans/s"),
            format!("{goodput:.0} / {:.0}", alone.spans_per_second()),
        );
        row(
            &format!("{multiple}x: p99 of what was stored, and with the excess elsewhere"),
            format!("{:.1?} / {:.1?}", under.at(0.99), alone.at(0.99)),
        );
        row(
            &format!("{multiple}x: stored, refused, due and not sent"),
            format!(
                "{} / {} / {}",
                under.accepted + over.accepted,
                under.refused + over.refused,
                under.unsent + over.unsent
            ),
        );
        under.odd += over.odd;
        under.odd_kept.extend(over.odd_kept);
        self.clean(&format!("{multiple}x"), &under);
        self.holds(
            &format!("{multiple}x: goodput at least {GOODPUT_MIN} of that"),
            goodput >= alone.spans_per_second() * GOODPUT_MIN,
        );
        self.recovers(capacity, multiple)
    }

    /// Nothing but 200 and clean refusals.
    fn clean(&mut self, what: &str, flowed: &Flowed) {
        for odd in &flowed.odd_kept {
            row(
                &format!("{what}: an answer that nobody expected"),
                odd.clone(),
            );
        }
        self.holds(
            &format!("{what}: every refusal is 503 or 429 with a small Retry-After"),
            flowed.odd == 0,
        );
    }

    /// A calm load right after an overload, and once more later.
    fn recovers(&mut self, capacity: f64, multiple: f64) -> Result<(), LoadError> {
        let calm = |time| Flow {
            time,
            ..self.flow(&self.keys, Some(capacity * CALM))
        };
        let wait = run(&calm(RECOVERY))?;
        let after = run(&calm(RECOVERY))?;
        let later = run(&calm(RECOVERY))?;
        row(
            &format!(
                "{multiple}x: p99 of a calm load in the first, second and third {RECOVERY:?} afterwards"
            ),
            format!(
                "{:.1?} / {:.1?} / {:.1?}",
                wait.at(0.99),
                after.at(0.99),
                later.at(0.99)
            ),
        );
        self.holds(
            &format!("{multiple}x: {RECOVERY:?} later it is over"),
            after.at(0.99) <= later.at(0.99).mul_f64(2.0) + Duration::from_millis(20)
                && after.refused == 0,
        );
        Ok(())
    }

    /// One tenant sends many times its part; the others what they always do.
    fn one_tenant(&mut self, capacity: f64) -> Result<(), LoadError> {
        let (settings, multiple) = (self.settings, self.settings.tenant_multiple);
        let count = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        let part = capacity * CALM / f64::from(count);
        let (greedy, others) = self.keys.split_at(1);
        let calm = self.flow(others, Some(part * f64::from(count - 1)));
        let decoys = [self.decoy.key().to_owned()];
        let excess = |address, keys| Flow {
            address,
            keys,
            rate: Some(part * multiple),
            ..self.flow(others, None)
        };
        let (alone, _) = both(&calm, &excess(self.decoy.address, &decoys))?;
        let (beside, over) = both(&calm, &excess(self.server.address, greedy))?;
        let ratio = beside.at(0.99).as_secs_f64() / alone.at(0.99).as_secs_f64().max(0.000_001);
        row(
            &format!(
                "one of {} tenants at {multiple}x: its requests/s, stored and refused",
                settings.tenants
            ),
            format!(
                "{:.0}, {} / {}",
                over.sent_per_second(),
                over.accepted,
                over.refused
            ),
        );
        row(
            "the others' p50 and p90, and with that load on a decoy",
            format!(
                "{:.1?}, {:.1?} / {:.1?}, {:.1?}",
                beside.at(0.5),
                beside.at(0.9),
                alone.at(0.5),
                alone.at(0.9)
            ),
        );
        row(
            "the others' p99, and with that load on a decoy",
            format!(
                "{:.1?} / {:.1?}, ratio {ratio:.2}",
                beside.at(0.99),
                alone.at(0.99)
            ),
        );
        row(
            "the others' requests stored, refused; with that load on a decoy",
            format!(
                "{} / {}; {} / {}",
                beside.accepted, beside.refused, alone.accepted, alone.refused
            ),
        );
        self.clean("one tenant", &over);
        self.clean("the others", &beside);
        self.holds(
            "the others are refused nothing that they are not refused beside a decoy",
            beside.refused <= alone.refused + beside.sent / 100,
        );
        self.holds(
            &format!("the others' p99 within {P99_RATIO_MAX}x"),
            ratio <= P99_RATIO_MAX,
        );
        Ok(())
    }

    fn memory(&mut self) -> Result<(), LoadError> {
        let Some(pid) = self.server.pid() else {
            return Ok(());
        };
        let peak = process::peak_memory(pid)? >> 20;
        let budget = self.settings.memory_mib;
        row("peak memory and budget, MiB", format!("{peak} / {budget}"));
        let most = budget * MEMORY_PERCENT_MAX / 100;
        self.holds(
            &format!("memory within {MEMORY_PERCENT_MAX}% of the budget"),
            peak <= most,
        );
        Ok(())
    }

    fn holds(&mut self, what: &str, is_so: bool) {
        row(what, if is_so { "holds" } else { "BROKEN" }.to_owned());
        self.broken += u32::from(!is_so);
    }
}

/// Both at the same time.
fn both(one: &Flow<'_>, other: &Flow<'_>) -> Result<(Flowed, Flowed), LoadError> {
    thread::scope(|scope| {
        let beside = scope.spawn(|| run(other));
        let one = run(one)?;
        let other = beside.join().expect("BUG: a flow panicked")?;
        Ok((one, other))
    })
}

fn row(what: &str, value: String) {
    println!("| {what} | {value} |");
}
