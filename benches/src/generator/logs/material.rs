//! What log lines are made of, the same for the whole workload.

use std::rc::Rc;

use super::Place;
use super::line::Line;
use crate::generator::rng::{Rng, Zipf};
use crate::generator::text::{Vocabulary, push_dec, push_hex};
use crate::generator::trace::{NEEDLE_COMMON, NEEDLE_RARE, USERS};

/// Severities: name, number of OTLP, lines per thousand.
pub const SEVERITIES: [(&str, u8, u64); 6] = [
    ("trace", 1, 5),
    ("debug", 5, 150),
    ("info", 9, 700),
    ("warn", 13, 90),
    ("error", 17, 50),
    ("fatal", 21, 5),
];
/// Loggers of the workload.
pub const LOGGERS: usize = 300;
/// Loggers of a service.
const LOGGERS_A_SERVICE: usize = 40;
/// Libraries that the lines are written with: the scopes.
const SCOPES: [&str; 6] = [
    "app.http",
    "app.agent",
    "app.tools",
    "app.store",
    "app.queue",
    "app.auth",
];
/// Statements of a logger for each severity.
const STATEMENTS: usize = 2;
/// Lines with [`NEEDLE_RARE`], per million.
const RARE_PPM: u32 = 300;
/// Lines with [`NEEDLE_COMMON`], per million.
const COMMON_PPM: u32 = 50_000;

/// A place in the program that writes lines.
#[derive(Debug)]
struct Statement {
    says: String,
    function: Rc<str>,
    number: u32,
}

#[derive(Debug)]
pub(super) struct Materials {
    vocabulary: Vocabulary,
    loggers: Vec<Rc<str>>,
    /// By logger, then severity.
    statements: Vec<Statement>,
    users: Zipf,
    severities: Zipf,
    of_service: Zipf,
}

/// What a line says beside its text.
pub(super) struct Spot<'a> {
    pub(super) time_ns: u64,
    pub(super) service: usize,
    pub(super) place: Option<Place>,
    pub(super) user: &'a str,
}

impl Materials {
    pub(super) fn new(seed: u64) -> Self {
        let vocabulary = Vocabulary::new(seed);
        let mut rng = Rng::new(seed ^ 0x5eed_0002);
        let logger = |at| -> Rc<str> {
            let word = vocabulary.word(&mut rng);
            format!("{}.{word}{at}", scope(at)).into()
        };
        let loggers = (0..LOGGERS).map(logger).collect();
        let mut statement = || {
            let mut says = String::new();
            let bytes = 35 + rng.index(60);
            vocabulary.prose(&mut rng, bytes, &mut says);
            Statement {
                says: says.trim_end().replace('\n', " "),
                function: function(&vocabulary, &mut rng),
                number: u32::try_from(rng.range(10, 1_500)).expect("BUG: small number"),
            }
        };
        let count = LOGGERS * SEVERITIES.len() * STATEMENTS;
        let statements = (0..count).map(|_| statement()).collect();
        Self {
            vocabulary,
            loggers,
            statements,
            users: Zipf::harmonic(USERS),
            severities: Zipf::weighted(SEVERITIES.iter().map(|s| s.2)),
            of_service: Zipf::harmonic(LOGGERS_A_SERVICE),
        }
    }

    pub(super) fn user(&self, rng: &mut Rng) -> String {
        format!("user-{:06}", self.users.sample(rng))
    }

    pub(super) fn line(&self, spot: Spot<'_>, rng: &mut Rng) -> Line {
        let severity = self.severities.sample(rng);
        // Services share some of their libraries.
        let logger = (spot.service * 7 + self.of_service.sample(rng)) % LOGGERS;
        let at = (logger * SEVERITIES.len() + severity) * STATEMENTS + rng.index(STATEMENTS);
        let statement = self.statements.get(at).expect("BUG: within the list");
        let (name, number, _) = *SEVERITIES.get(severity).expect("BUG: within the list");
        Line {
            time_ns: spot.time_ns,
            observed_ns: spot.time_ns + rng.range(1_000, 60_000),
            severity: name,
            severity_number: number,
            body: self.body(&statement.says, rng),
            scope: scope(logger),
            logger: Rc::clone(self.loggers.get(logger).expect("BUG: within the list")),
            place: spot.place,
            user: spot.user.to_owned(),
            request: request(rng),
            function: Rc::clone(&statement.function),
            line_number: statement.number,
        }
    }

    fn body(&self, says: &str, rng: &mut Rng) -> String {
        let mut body = String::with_capacity(280);
        body.push_str(says);
        body.push_str(": ");
        let bytes = 10 + rng.index(110);
        self.vocabulary.prose(rng, bytes, &mut body);
        if rng.chance(COMMON_PPM) {
            body.push_str(NEEDLE_COMMON);
            body.push(' ');
        }
        if rng.chance(RARE_PPM) {
            body.push_str(NEEDLE_RARE);
            body.push(' ');
        }
        body.push_str("id=");
        push_hex(rng.u64(), 16, &mut body);
        body.push_str(" took=");
        push_dec(rng.range(1, 5_000), &mut body);
        body.push_str("ms n=");
        push_dec(rng.below(100), &mut body);
        body
    }
}

fn function(vocabulary: &Vocabulary, rng: &mut Rng) -> Rc<str> {
    let words = [vocabulary.word(rng), vocabulary.word(rng)];
    words.join("_").into()
}

/// The library of a logger.
fn scope(logger: usize) -> &'static str {
    let scope = SCOPES.get(logger % SCOPES.len());
    scope.copied().expect("BUG: within the list")
}

fn request(rng: &mut Rng) -> String {
    let mut request = String::from("req-");
    push_hex(rng.u64(), 16, &mut request);
    request
}
