//! What stands in a section, part by part: for measuring what other encodings would save.

use bytes::Bytes;
use hashbrown::HashSet;

use super::chunk;
use super::directory::{ColumnEntry, Dict, Piece, Placement};
use super::packed::Packed;
use super::read::Segment;
use super::section::SectionReader;
use super::terms;
use super::view::View;
use super::wire::narrow;
use super::{GROUP_ROWS, Page};
use crate::source::SourceError;

/// A section, part by part.
#[derive(Debug)]
pub struct SectionParts {
    /// Its rows.
    pub rows: u32,
    /// Whether it has blocks of columns; else all of it but bodies is one block.
    pub is_full: bool,
    /// Bytes of payload blocks, as stored.
    pub payload: u64,
    /// Bytes of blocks of the index of terms, as stored.
    pub terms: u64,
    /// Bytes of column blocks, as stored.
    pub columns_stored: u64,
    /// Bytes of the section block, as stored.
    pub section_block: u64,
    /// Row ids, a page each.
    pub ids: Vec<TextPage>,
    /// The index of traces.
    pub traces: Vec<Bytes>,
    /// The columns, those first that every row has. Columns that share their pieces stand once.
    pub columns: Vec<ColumnParts>,
}

/// A page of texts: its bytes, and what they say.
#[derive(Debug)]
pub struct TextPage {
    /// As it stands in its block, before compression.
    pub bytes: Bytes,
    /// The texts.
    pub texts: Vec<Box<str>>,
}

/// The chunk of a column in a row group.
#[derive(Debug)]
pub struct ChunkParts {
    /// As it stands in its block, before compression.
    pub bytes: Bytes,
    /// Of them those that say which rows have values; they come first.
    pub presence_bytes: usize,
    /// Its numbers in order.
    pub numbers: Vec<u64>,
}

/// A column.
#[derive(Debug)]
pub struct ColumnParts {
    /// Its path, or in parentheses which hot column it is.
    pub path: Box<str>,
    /// Its type.
    pub kind: &'static str,
    /// Whether numbers are codes into a dictionary.
    pub is_coded: bool,
    /// One per row group.
    pub chunks: Vec<ChunkParts>,
    /// The dictionary of a column of texts.
    pub texts: Vec<TextPage>,
    /// The dictionary of a column of numbers: its bytes and the numbers.
    pub numbers: Option<(Bytes, Vec<u64>)>,
    /// Pages of bitmaps.
    pub bitmaps: Vec<Bytes>,
}

impl Segment {
    /// Every section, part by part.
    pub fn parts(&self) -> Result<Vec<SectionParts>, SourceError> {
        self.readers().map(SectionReader::parts).collect()
    }
}

impl SectionReader {
    fn parts(&self) -> Result<SectionParts, SourceError> {
        let view = self.view()?;
        let directory = &view.index.directory;
        let stored = |blocks: &[super::block::BlockRef]| {
            blocks.iter().map(|block| u64::from(block.stored)).sum()
        };
        let of_terms = match &directory.terms {
            Some(root) => {
                let bad = |at, bad| self.bad(at, bad);
                stored(&terms::blocks_of(root, &|b| self.file.read(b), &bad)?)
            }
            None => 0,
        };
        let names = [
            "(trace)",
            "(start)",
            "(duration)",
            "(first LSN)",
            "(LSN delta)",
        ];
        let core = names.into_iter().zip(directory.core.all());
        let placed = match &directory.payload.placement {
            Placement::InOrder(_) => &[][..],
            Placement::ByRow(columns) => &columns[..],
        };
        let placed = ["(block)", "(slot)"].into_iter().zip(placed);
        let mut columns = Vec::new();
        for (name, column) in core.chain(placed) {
            columns.push(view.column_parts(name, column)?);
        }
        let mut seen: HashSet<Option<Piece>> = HashSet::new();
        let mut rare = Vec::new();
        for page in &directory.rare {
            rare.append(&mut view.rare(page.piece)?);
        }
        for column in directory.columns.iter().chain(&rare) {
            if seen.insert(column.first_piece()) {
                columns.push(view.column_parts(&column.path, column)?);
            }
        }
        Ok(SectionParts {
            rows: view.rows(),
            is_full: view.index.frame.is_none(),
            payload: stored(&directory.payload.blocks),
            terms: of_terms,
            columns_stored: stored(&directory.blocks),
            section_block: u64::from(self.entry.block.stored),
            ids: view.text_pages(&directory.ids, super::ID_PAGE_ROWS, view.rows())?,
            traces: [directory.trace_hashes, directory.trace_runs]
                .into_iter()
                .map(|piece| view.piece(piece))
                .collect::<Result<_, _>>()?,
            columns,
        })
    }
}

impl View<'_> {
    fn text_pages(
        &self,
        pieces: &[Piece],
        per_page: u32,
        total: u32,
    ) -> Result<Vec<TextPage>, SourceError> {
        let page = |(number, piece): (u32, &Piece)| {
            let table = self.page(*piece, number, per_page, total)?;
            let texts = (0..table.len()).map(|at| table.text(at).map(Box::from));
            Ok(TextPage {
                bytes: self.piece(*piece)?,
                texts: texts
                    .collect::<Result<_, _>>()
                    .map_err(|bad| self.bad(*piece, bad))?,
            })
        };
        (0..).zip(pieces).map(page).collect()
    }

    fn column_parts(&self, name: &str, column: &ColumnEntry) -> Result<ColumnParts, SourceError> {
        let mut chunks = Vec::new();
        let all = self.numbers(column)?;
        for (group, chunk) in (0..).zip(&column.chunks) {
            let Some(chunk) = chunk else { continue };
            let here = all.iter().filter(|(row, _)| row / GROUP_ROWS == group);
            let pairs: Vec<(u32, u64)> = here.copied().collect();
            let bytes = self.piece(chunk.piece)?;
            let mut values = Vec::new();
            chunk::put_values(&mut values, &pairs);
            chunks.push(ChunkParts {
                presence_bytes: bytes.len().saturating_sub(values.len()),
                numbers: pairs.into_iter().map(|pair| pair.1).collect(),
                bytes,
            });
        }
        let (mut texts, mut numbers) = (Vec::new(), None);
        match &column.dict {
            Some(Dict::Text { len, pages }) => {
                texts = self.text_pages(pages, Page::Text.items(), *len)?;
            }
            Some(Dict::Numbers { len, piece }) => {
                let len = narrow(u64::from(*len));
                let values = self.decode(*piece, |cursor| {
                    let packed = Packed::read_exact(cursor, len)?;
                    (0..len).map(|at| packed.get(at)).collect()
                })?;
                numbers = Some((self.piece(*piece)?, values));
            }
            None => {}
        }
        let bitmaps = column.bitmaps.iter().map(|page| self.piece(*page));
        Ok(ColumnParts {
            path: name.into(),
            kind: column.kind.name(),
            is_coded: column.dict.is_some(),
            chunks,
            texts,
            numbers,
            bitmaps: bitmaps.collect::<Result<_, _>>()?,
        })
    }
}
