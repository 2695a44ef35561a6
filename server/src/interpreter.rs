//! From stored bytes to events: what ingest and replay share.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::dialect::encoding::{self, EncodingError};
use crate::dialect::{self, Context, DecodeError, Decoded, Dialect};
use crate::price::Book;
use crate::redact::rows;
use obsrv_engine::cost::Costs;
use obsrv_engine::engine::{Envelope, InterpretError, Interpreter};
use obsrv_engine::mapping::{Mapped, Mapping};
use obsrv_engine::row::{Event, ProjectId, Table};

/// Content encoding of a stored body. Persisted in the log: never reuse a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Encoding {
    /// As it is.
    Identity = 0,
    /// gzip.
    Gzip = 1,
    /// zlib, or raw deflate from some senders.
    Deflate = 2,
    /// Zstandard.
    Zstd = 3,
}

/// A compressed body is taken to be this many times larger until it is known.
const RATIO_GUESS: usize = 8;

impl Encoding {
    const ALL: [Self; 4] = [Self::Identity, Self::Gzip, Self::Deflate, Self::Zstd];

    /// The encoding with this persisted number.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.number() == number)
    }

    /// The persisted number.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Identity => 0,
            Self::Gzip => 1,
            Self::Deflate => 2,
            Self::Zstd => 3,
        }
    }

    /// How large a body of so many bytes is once it is plain, as far as that can be told before.
    pub(crate) const fn likely_bytes(self, bytes: usize) -> usize {
        match self {
            Self::Identity => bytes,
            Self::Gzip | Self::Deflate | Self::Zstd => bytes.saturating_mul(RATIO_GUESS),
        }
    }

    /// What a `Content-Encoding` header names; an empty value is no encoding.
    pub(crate) fn of_header(value: &str) -> Result<Self, EncodingError> {
        match value.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            "zstd" => Ok(Self::Zstd),
            _ => Err(EncodingError::Unsupported(value.chars().take(64).collect())),
        }
    }

    const fn header(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
        }
    }
}

/// The plain bytes of a body, at most `limit` of them.
pub(crate) fn decompress(
    encoding: Encoding,
    body: &Bytes,
    limit: usize,
) -> Result<Bytes, EncodingError> {
    encoding::decompress(encoding.header(), body, limit)
}

/// What is needed to read a plain body, beside the body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meaning<'a> {
    /// How.
    pub(crate) dialect: Dialect,
    /// Whose.
    pub(crate) project: ProjectId,
    /// What the path named.
    pub(crate) subject: &'a str,
    /// When it came.
    pub(crate) received_ns: i64,
    /// With which key.
    pub(crate) key_id: u64,
}

/// Reads a plain body. Minted ids come from the plain bytes: a client that compresses a retry
/// differently still sends the same thing.
pub(crate) fn read(meaning: Meaning<'_>, plain: &[u8]) -> Result<Decoded, DecodeError> {
    read_hashed(meaning, plain, xxhash_rust::xxh3::xxh3_64(plain))
}

/// The same with another hash of the plain bytes.
pub(crate) fn read_hashed(
    meaning: Meaning<'_>,
    plain: &[u8],
    body_hash: u64,
) -> Result<Decoded, DecodeError> {
    let context = Context {
        project: meaning.project,
        body_hash,
        subject: meaning.subject,
        received_ns: meaning.received_ns,
        key_id: meaning.key_id,
    };
    dialect::decode(meaning.dialect, &context, plain)
}

/// Reads the bodies in the log again, and prices what they say.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The prices.
    pub(crate) book: Arc<Book>,
}

impl Interpreter for Reading {
    fn interpret(&self, envelope: &Envelope, body: &[u8]) -> Result<Vec<Event>, InterpretError> {
        Replay.interpret(envelope, body)
    }

    fn costs(&self) -> Arc<dyn Costs> {
        Arc::<Book>::clone(&self.book)
    }

    fn mapping(&self) -> Arc<dyn Mapping> {
        Arc::new(Today)
    }
}

/// The mapping that this binary has.
#[derive(Debug)]
pub(crate) struct Today;

impl Mapping for Today {
    fn map(&self, table: Table, doc: &[u8]) -> Mapped {
        dialect::map(table, doc)
    }
}

/// Reads the bodies in the log again. Ingest has checked every limit before; here none may turn
/// away what was acknowledged.
#[derive(Debug)]
pub(crate) struct Replay;

impl Interpreter for Replay {
    fn interpret(&self, envelope: &Envelope, body: &[u8]) -> Result<Vec<Event>, InterpretError> {
        let because = |reason: String| InterpretError { reason };
        if envelope.dialect == rows::DIALECT_NUMBER {
            let plain = plain_of(envelope, body)?;
            return rows::decode(&plain).map_err(|e| because(e.to_string()));
        }
        let dialect = Dialect::from_u16(envelope.dialect)
            .ok_or_else(|| because(format!("unknown dialect number={}", envelope.dialect)))?;
        let plain = plain_of(envelope, body)?;
        let meaning = Meaning {
            dialect,
            project: ProjectId(envelope.project),
            subject: &envelope.subject,
            received_ns: envelope.received_ns,
            key_id: envelope.key_id,
        };
        Ok(read(meaning, &plain)
            .map_err(|e| because(e.to_string()))?
            .events)
    }
}

fn plain_of<'a>(envelope: &Envelope, body: &'a [u8]) -> Result<Cow<'a, [u8]>, InterpretError> {
    let because = |reason: String| InterpretError { reason };
    let encoding = Encoding::from_number(envelope.encoding)
        .ok_or_else(|| because(format!("unknown encoding number={}", envelope.encoding)))?;
    Ok(match encoding {
        Encoding::Identity => body.into(),
        Encoding::Gzip | Encoding::Deflate | Encoding::Zstd => {
            let plain = decompress(encoding, &Bytes::copy_from_slice(body), usize::MAX)
                .map_err(|e| because(e.to_string()))?;
            plain.to_vec().into()
        }
    })
}

/// Rows from this size on are compressed for the log.
const COMPRESS_BYTES_MIN: usize = 1 << 10;

/// The body of a record of rows.
pub(crate) fn body_of_rows(events: &[Event]) -> (Encoding, Bytes) {
    let plain = rows::encode(events);
    if plain.len() < COMPRESS_BYTES_MIN {
        return (Encoding::Identity, plain.into());
    }
    let packed = zstd::bulk::compress(&plain, 1).expect("BUG: compressing in memory failed");
    (Encoding::Zstd, packed.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_have_distinct_numbers_and_names() {
        for encoding in Encoding::ALL {
            assert_eq!(Encoding::from_number(encoding.number()), Some(encoding));
            assert_eq!(Encoding::of_header(encoding.header()).unwrap(), encoding);
        }
        assert_eq!(Encoding::from_number(4), None);
        assert_eq!(Encoding::of_header(" GZIP ").unwrap(), Encoding::Gzip);
        assert!(Encoding::of_header("gzip, gzip").is_err());
        assert!(Encoding::of_header("br").is_err());
    }

    /// What replay reads is what ingest read, whatever the encoding.
    #[test]
    fn replay_reads_the_same_events() {
        let plain = Bytes::from_static(
            br#"{"trace_id":"tr_1","name":"n","status":"success","started_at":"2026-01-01T00:00:00Z",
                "steps":[{"type":"llm","status":"success","messages":[]}]}"#,
        );
        let meaning = Meaning {
            dialect: Dialect::ThetaTrace,
            project: ProjectId(3),
            subject: "",
            received_ns: 5,
            key_id: 6,
        };
        let direct = read(meaning, &plain).unwrap();
        assert!(!direct.events.is_empty());
        let zstd = zstd::encode_all(&plain[..], 3).unwrap();
        for (encoding, body) in [(Encoding::Identity, plain.to_vec()), (Encoding::Zstd, zstd)] {
            let envelope = Envelope {
                project: 3,
                dialect: Dialect::ThetaTrace.number(),
                encoding: encoding.number(),
                received_ns: 5,
                key_id: 6,
                ..Envelope::default()
            };
            assert_eq!(Replay.interpret(&envelope, &body).unwrap(), direct.events);
            let unknown = Envelope {
                dialect: 99,
                ..envelope
            };
            assert!(Replay.interpret(&unknown, &body).is_err());
        }
    }

    /// Rows of a project with rules come back as they were stored, however many there are.
    #[test]
    fn replay_reads_the_same_rows() {
        assert_eq!(Dialect::from_u16(rows::DIALECT_NUMBER), None);
        let meaning = Meaning {
            dialect: Dialect::ThetaTrace,
            project: ProjectId(3),
            subject: "",
            received_ns: 5,
            key_id: 6,
        };
        for steps in [0, 100] {
            let steps = vec!["{}"; steps].join(",");
            let body = format!(r#"{{"trace_id":"t","steps":[{steps}]}}"#);
            let events = read_hashed(meaning, body.as_bytes(), 8).unwrap().events;
            let (encoding, body) = body_of_rows(&events);
            let envelope = Envelope {
                dialect: rows::DIALECT_NUMBER,
                encoding: encoding.number(),
                ..Envelope::default()
            };
            assert_eq!(Replay.interpret(&envelope, &body).unwrap(), events);
            assert!(Replay.interpret(&envelope, &body[1..]).is_err());
        }
    }
}
