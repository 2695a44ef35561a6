//! Rows as requests of OTLP: what a collector, or obsrv itself, takes as it is.

use obsrv_engine::query::Hit;

use crate::dialect::otlp_write::{self, Rows};
use crate::dialect::theta_read::StoredRow;
use crate::http::Whole;
use crate::http::error::ApiError;
use crate::http::read::ask::Over;
use crate::limits::EXPORT_REQUEST_BYTES;
use crate::wire;

/// Writes requests: as JSON one on each line, as protobuf each behind its length as a varint.
#[derive(Debug)]
pub(super) struct Otlp {
    rows: Rows,
    is_json: bool,
}

impl Otlp {
    pub(super) const fn new(over: Over, is_json: bool) -> Self {
        let rows = match over {
            Over::Traces | Over::Spans => Rows::Spans,
            Over::Scores => Rows::Scores,
            Over::Logs => Rows::Logs,
            Over::Points => Rows::Points,
        };
        Self { rows, is_json }
    }

    pub(super) const fn is_json(&self) -> bool {
        self.is_json
    }

    /// Rows as they were sent.
    pub(super) fn write(
        &self,
        hits: &[Hit],
        whole: &mut Whole<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), ApiError> {
        let rows = hits.iter().map(|hit| wire::row_of(&hit.core, &hit.body));
        let rows = whole.rows(rows.collect::<Result<_, _>>()?)?;
        self.requests(&rows, out);
        Ok(())
    }

    /// What runs say that no span of theirs does.
    pub(super) fn write_runs(&self, hits: &[Hit], out: &mut Vec<u8>) -> Result<(), ApiError> {
        let mut rows = Vec::new();
        for hit in hits {
            let row = wire::row_of(&hit.core, &hit.body)?;
            rows.extend(otlp_write::span_of_run(&row));
        }
        self.requests(&rows, out);
        Ok(())
    }

    /// Requests of about [`EXPORT_REQUEST_BYTES`], so that who takes them has no trouble with their size.
    fn requests(&self, mut rows: &[StoredRow], out: &mut Vec<u8>) {
        while !rows.is_empty() {
            let mut bytes = 0;
            let fits = rows.iter().take_while(|row| {
                bytes += row.view.len();
                bytes <= EXPORT_REQUEST_BYTES
            });
            let (now, rest) = rows.split_at(fits.count().max(1));
            self.request(now, out);
            rows = rest;
        }
    }

    fn request(&self, rows: &[StoredRow], out: &mut Vec<u8>) {
        if self.is_json {
            out.extend_from_slice(otlp_write::json(self.rows, rows).as_bytes());
            out.push(b'\n');
            return;
        }
        let request = otlp_write::protobuf(self.rows, rows);
        put_length(request.len(), out);
        out.extend_from_slice(&request);
    }
}

fn put_length(mut n: usize, out: &mut Vec<u8>) {
    while let Some(low) = u8::try_from(n & 0x7f).ok().filter(|_| n > 0x7f) {
        out.push(low | 0x80);
        n >>= 7;
    }
    out.push(u8::try_from(n).unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use obsrv_engine::source::Core;

    use super::*;

    fn row(bytes: usize) -> StoredRow {
        let mut out = obsrv_engine::doc::DocWriter::new();
        let open = out.begin_map();
        out.key("name");
        out.str(&"x".repeat(bytes));
        out.end(open);
        StoredRow {
            core: Core {
                trace_id: "t".into(),
                id: "s".into(),
                start_ns: 1,
                end_ns: None,
                lsn_first: 1,
                lsn_last: 1,
            },
            view: Bytes::from(out.finish()),
        }
    }

    #[test]
    fn requests_are_cut_by_size_and_a_large_row_has_one_of_its_own() {
        let lines = |sizes: &[usize]| {
            let rows: Vec<_> = sizes.iter().map(|n| row(*n)).collect();
            let mut out = Vec::new();
            Otlp::new(Over::Spans, true).requests(&rows, &mut out);
            String::from_utf8(out).unwrap().lines().count()
        };
        let half = EXPORT_REQUEST_BYTES / 2;
        assert_eq!(lines(&[]), 0);
        assert_eq!(lines(&[half - 100, half - 100]), 1);
        assert_eq!(lines(&[half, half]), 2);
        assert_eq!(lines(&[10, 2 * EXPORT_REQUEST_BYTES, 10]), 3);
    }

    #[test]
    fn a_request_stands_behind_its_length() {
        for n in [0, 1, 127, 128, 300, 1 << 20] {
            let mut out = Vec::new();
            put_length(n, &mut out);
            let read = out
                .iter()
                .rev()
                .fold(0, |n, b| (n << 7) | usize::from(b & 0x7f));
            assert_eq!(read, n);
        }
    }
}
