//! Bytes by kind of column, as stored and as they would be otherwise.

use std::collections::BTreeMap;

use obsrv_engine::segment::{ColumnParts, SectionParts, TextPage};

use super::other;

/// As blocks of columns: see `FORMAT.md`.
const BLOCK_BYTES: usize = 64 << 10;
const LEVEL: i32 = 1;
/// A dictionary with more texts is of high cardinality.
const FEW_TEXTS_MAX: usize = 4_096;

/// What segments take as a whole.
#[derive(Default)]
pub(crate) struct Total {
    rows: u64,
    payload: u64,
    terms: u64,
    columns: u64,
    sections: u64,
}

impl Total {
    pub(crate) fn add(&mut self, section: &SectionParts) {
        self.rows += u64::from(section.rows);
        self.payload += section.payload;
        self.terms += section.terms;
        self.columns += section.columns_stored;
        self.sections += section.section_block;
    }

    const fn bytes(&self) -> u64 {
        self.payload + self.terms + self.columns + self.sections
    }

    pub(crate) fn print(&self) {
        println!("| part | bytes a row |\n|---|---|");
        for (name, bytes) in [
            ("payload blocks", self.payload),
            ("term index", self.terms),
            ("column blocks", self.columns),
            ("section blocks", self.sections),
            ("all", self.bytes()),
        ] {
            println!("| {name} | {} |", per_row(bytes, self.rows));
        }
        println!("\n{} rows of all tables", self.rows);
    }
}

fn per_row(bytes: u64, rows: u64) -> String {
    let hundredths = bytes * 100 / rows.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Gathers pieces into blocks and adds up what those take.
#[derive(Default)]
struct Blocks {
    held: Vec<u8>,
    bytes: u64,
}

impl Blocks {
    fn put(&mut self, piece: &[u8]) {
        if self.held.len() + piece.len() > BLOCK_BYTES {
            self.cut();
        }
        self.held.extend_from_slice(piece);
    }

    /// A section ends here.
    fn cut(&mut self) {
        let packed = zstd::bulk::compress(&self.held, LEVEL).expect("BUG: compress to memory");
        self.bytes += packed.len().min(self.held.len()) as u64;
        self.held.clear();
    }
}

#[derive(Default)]
struct Kind {
    stored: Blocks,
    others: BTreeMap<String, Blocks>,
}

/// Every kind of column.
#[derive(Default)]
pub(crate) struct Kinds(BTreeMap<&'static str, Kind>);

impl Kinds {
    fn put(&mut self, kind: &'static str, piece: &[u8], others: Vec<(String, Vec<u8>)>) {
        let kind = self.0.entry(kind).or_default();
        kind.stored.put(piece);
        for (name, bytes) in others {
            kind.others.entry(name).or_default().put(&bytes);
        }
    }

    pub(crate) fn add(&mut self, section: &SectionParts) {
        // Whole rows in one block: no columns are stored.
        if section.payload == 0 {
            return;
        }
        self.put_texts("row ids", &section.ids);
        for piece in &section.traces {
            self.put("index of traces", piece, Vec::new());
        }
        for column in &section.columns {
            self.column(column);
        }
        let blocks = |kind: &mut Kind| {
            kind.stored.cut();
            kind.others.values_mut().for_each(Blocks::cut);
        };
        self.0.values_mut().for_each(blocks);
    }

    fn put_texts(&mut self, kind: &'static str, pages: &[TextPage]) {
        for page in pages {
            self.put(kind, &page.bytes, Vec::new());
        }
        let pages: Vec<_> = pages.iter().map(|p| (&*p.bytes, &*p.texts)).collect();
        let others = &mut self.0.entry(kind).or_default().others;
        for (name, pages) in other::of_texts(&pages) {
            let blocks = others.entry(name).or_default();
            pages.iter().for_each(|page| blocks.put(page));
        }
    }

    fn column(&mut self, column: &ColumnParts) {
        let kind = match (&*column.path, column.kind, column.is_coded) {
            ("(trace)", ..) => "codes of trace ids",
            ("(start)", ..) => "start",
            ("(duration)", ..) => "duration",
            ("(first LSN)" | "(LSN delta)", ..) => "LSNs",
            ("(block)" | "(slot)", ..) => "places of bodies",
            (.., true) => "codes",
            (_, "i64", _) => "whole numbers",
            (_, "f64", _) => "floats",
            (_, "long", _) => "fingerprints",
            _ => "bools",
        };
        for chunk in &column.chunks {
            let (bytes, numbers) = (&chunk.bytes, &chunk.numbers);
            let mut others = Vec::new();
            if !matches!(kind, "fingerprints" | "bools") {
                others = other::of_numbers(numbers);
            }
            if kind == "floats" {
                others.append(&mut other::of_floats(numbers));
            }
            // What says which rows have values stays as it is.
            let presence = bytes.get(..chunk.presence_bytes).unwrap_or_default();
            for (_, other) in &mut others {
                other.extend_from_slice(presence);
            }
            self.put(kind, bytes, others);
        }
        let texts: usize = column.texts.iter().map(|page| page.texts.len()).sum();
        match &*column.path {
            "(trace)" => self.put_texts("trace ids", &column.texts),
            _ if texts > FEW_TEXTS_MAX => self.put_texts("texts, many", &column.texts),
            _ if texts > 0 => self.put_texts("texts, few", &column.texts),
            _ => {}
        }
        if let Some((bytes, numbers)) = &column.numbers {
            self.put("dictionaries of numbers", bytes, other::of_numbers(numbers));
        }
        for page in &column.bitmaps {
            self.put("bitmaps", page, Vec::new());
        }
    }

    pub(crate) fn print(&self, total: &Total) {
        println!("\n| kind | encoding | bytes a row | of a segment |\n|---|---|---|---|");
        let share = |saved: i128| {
            let hundredths = saved * 10_000 / i128::from(total.bytes().max(1));
            let sign = if hundredths < 0 { "-" } else { "+" };
            let hundredths = hundredths.abs();
            format!("{sign}{}.{:02}%", hundredths / 100, hundredths % 100)
        };
        for (name, kind) in &self.0 {
            let stored = kind.stored.bytes;
            let of_all = share(stored.into());
            let of_all = of_all.trim_start_matches('+');
            println!(
                "| {name} | as stored | {} | {of_all} |",
                per_row(stored, total.rows)
            );
            for (other, blocks) in &kind.others {
                let more = i128::from(blocks.bytes) - i128::from(stored);
                println!(
                    "| | {other} | {} | {} |",
                    per_row(blocks.bytes, total.rows),
                    share(more)
                );
            }
        }
    }
}
