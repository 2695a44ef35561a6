//! Writes a segment: all of its bytes, put once, read back.

use std::io;
use std::sync::Arc;

use super::block::{BlockWriter, Place};
use super::bodies::{self, BlockBodies, Piece};
use super::directory::{Payload, Placement};
use super::encode::Pieces;
use super::footer::{self, Form, SectionEntry};
use super::index::Gathered;
use super::merge::MergeSection;
use super::read::{Segment, SegmentError};
use super::steps::{AtOnce, Steps};
use super::terms::Builder;
use super::wire::{count_u32, narrow, wide};
use super::{
    BLOCK_RAW_BYTES_MAX, COMPACT_BODY_BYTES_MAX, FORMAT_VERSION, FULL_ROWS_MIN,
    INLINE_BODY_BYTES_MAX, PAYLOAD_BLOCK_BYTES, RowInput, SectionInput, SectionSummary,
    SegmentOptions, WINDOW_NS, Written, index, merge, rows,
};
use crate::body::{self, Content};
use crate::boundary::Store;
use crate::doc::DocError;
use crate::io::{FileId, FileKind};
use crate::row::{ProjectId, Table};
use crate::source::SourceError;

/// Why a segment was not written. Nothing of it is reachable then.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The disk refused. After a failed sync nothing is known about the file.
    #[error("segment write failed file={file}")]
    Io {
        /// The file.
        file: String,
        /// The cause.
        source: io::Error,
    },
    /// A row's body does not read.
    #[error("body of a row does not read trace={trace_id} id={id}")]
    Body {
        /// The trace.
        trace_id: Box<str>,
        /// The row.
        id: Box<str>,
        /// What is wrong with it.
        source: DocError,
    },
    /// A body, or the values of one column in one row group, over the limit of a block.
    #[error("part of a segment too large bytes={bytes} limit={BLOCK_RAW_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// Two sections for one table of one project.
    #[error("two sections for one table project={project} table={table:?}")]
    DuplicateSection {
        /// The project.
        project: u64,
        /// The table.
        table: Table,
    },
    /// What was written does not read back.
    #[error("segment does not read back")]
    ReadBack(#[source] SegmentError),
    /// A segment that is merged into this one does not read.
    #[error("input of a merge does not read")]
    Input(#[from] SourceError),
    /// It was given up between two steps.
    #[error("stopped between two steps")]
    Stopped,
}

impl WriteError {
    pub(super) fn body(row: &RowInput, source: DocError) -> Self {
        Self::Body {
            trace_id: row.key.trace_id.clone(),
            id: row.key.id.clone(),
            source,
        }
    }
}

impl Place {
    pub(super) fn failed(&self, source: io::Error) -> WriteError {
        WriteError::Io {
            file: self.file.to_string(),
            source,
        }
    }
}

/// Writes segment `id` and makes it durable: when this returns, the object has its name and
/// survives a power cut. On any error nothing refers to what was written.
pub fn write(
    store: &Arc<dyn Store>,
    id: u64,
    database: [u8; 16],
    sections: Vec<SectionInput>,
    options: &SegmentOptions,
) -> Result<Written, WriteError> {
    let works = sections.into_iter().map(|s| Work::Rows(s, None)).collect();
    write_works(store, id, database, works, options)
}

/// What a section is made from.
pub(crate) enum Work<'a> {
    /// Rows, and their columns if they were gathered before.
    Rows(SectionInput, Option<Box<dyn Gathered>>),
    /// Sections of other segments. In [`Written::order`] their rows stand one input behind the
    /// other; [`crate::columns::LEFT_OUT`] stands for rows that were left out.
    Merge(MergeSection<'a>),
}

impl Work<'_> {
    const fn key(&self) -> (ProjectId, Table) {
        match self {
            Self::Rows(section, _) => (section.project, section.table),
            Self::Merge(section) => (section.project, section.table),
        }
    }
}

/// As [`write`], without reading the documents of the sections whose columns are there.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "options will grow")]
pub(crate) fn write_works(
    store: &Arc<dyn Store>,
    id: u64,
    database: [u8; 16],
    works: Vec<Work<'_>>,
    options: &SegmentOptions,
) -> Result<Written, WriteError> {
    write_in_steps(store, id, database, works, options, &AtOnce)
}

/// As [`write_works`]. Each section is begun once `steps` say so, and one that is merged from others stops there many
/// times more.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "options will grow")]
pub(crate) fn write_in_steps(
    store: &Arc<dyn Store>,
    id: u64,
    database: [u8; 16],
    works: Vec<Work<'_>>,
    options: &SegmentOptions,
    steps: &dyn Steps,
) -> Result<Written, WriteError> {
    let file = FileId::new(FileKind::Segment, id);
    let place = Place { file, database };
    let create = || create(store, &place, &works, options, steps);
    let (entries, order) = create().or_else(|error| match &error {
        // An earlier try may have failed after its object got the name: nothing refers to that
        // object, or this would not be another try.
        WriteError::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
            store.delete(place.file).map_err(|e| place.failed(e))?;
            create()
        }
        _ => Err(error),
    })?;
    drop(works);
    let segment = Segment::open(store, id, database).map_err(WriteError::ReadBack)?;
    let sections: Vec<SectionSummary> = entries.into_iter().map(|e| e.summary).collect();
    if !segment.sections().eq(&sections) {
        return Err(WriteError::ReadBack(SegmentError::damaged(
            &place,
            0,
            "other sections",
        )));
    }
    Ok(Written {
        id,
        bytes: segment.bytes(),
        sections,
        order,
    })
}

type Created = (Vec<SectionEntry>, Vec<Vec<u32>>);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "options will grow")]
fn create(
    store: &Arc<dyn Store>,
    place: &Place,
    works: &[Work<'_>],
    options: &SegmentOptions,
    steps: &dyn Steps,
) -> Result<Created, WriteError> {
    let failed = |e| place.failed(e);
    let mut by_key: Vec<usize> = (0..works.len()).collect();
    by_key.sort_unstable_by_key(|at| works[*at].key());
    let twice = by_key
        .windows(2)
        .find(|pair| works[pair[0]].key() == works[pair[1]].key());
    if let Some(pair) = twice {
        let (project, table) = works[pair[0]].key();
        let project = project.0;
        return Err(WriteError::DuplicateSection { project, table });
    }
    let upload = store.upload(place.file).map_err(failed)?;
    let mut out = BlockWriter::new(place.clone(), upload, options.compression).map_err(failed)?;
    out.put(&footer::header(place, FORMAT_VERSION))
        .map_err(failed)?;
    let mut entries = Vec::new();
    let mut order = vec![Vec::new(); works.len()];
    for at in by_key {
        steps.next()?;
        let (entry, places) = match &works[at] {
            Work::Rows(section, _) if section.rows.is_empty() => continue,
            Work::Rows(section, gathered) => put_rows(&mut out, section, gathered.as_deref())?,
            Work::Merge(section) => merge::put_section(&mut out, section, steps)?,
        };
        entries.push(entry);
        order[at] = places;
    }
    let tail = footer::encode(place, out.offset(), &entries);
    out.put(&tail).and_then(|()| out.finish()).map_err(failed)?;
    Ok((entries, order))
}

/// Writes the rows of a section, and says where each went.
fn put_rows(
    out: &mut BlockWriter,
    section: &SectionInput,
    gathered: Option<&dyn Gathered>,
) -> Result<(SectionEntry, Vec<u32>), WriteError> {
    let sorted = sort(&section.rows);
    let mut places = vec![0; sorted.len()];
    for (row, input) in (0..).zip(&sorted) {
        places[*input] = row;
    }
    let rows: Vec<&RowInput> = sorted.iter().map(|input| &section.rows[*input]).collect();
    let gathered = gathered.map(|g| (g, places.as_slice()));
    let entry = put_section(out, section, &rows, gathered)?;
    Ok((entry, places))
}

/// Input indexes in the order of the file.
fn sort(rows: &[RowInput]) -> Vec<usize> {
    let keys = rows.iter().enumerate().map(|(at, row)| {
        let window = row.start_ns.div_euclid(WINDOW_NS);
        (window, &*row.key.trace_id, row.start_ns, &*row.key.id, at)
    });
    let mut order: Vec<_> = keys.collect();
    order.sort_unstable();
    order.into_iter().map(|(.., at)| at).collect()
}

/// The form of a section, by nothing but its size.
pub(super) fn form(rows: u32, body_bytes: u64) -> Form {
    if rows >= FULL_ROWS_MIN || body_bytes > COMPACT_BODY_BYTES_MAX {
        Form::Full
    } else if body_bytes > INLINE_BODY_BYTES_MAX {
        Form::Compact
    } else {
        Form::Inline
    }
}

fn put_section(
    out: &mut BlockWriter,
    section: &SectionInput,
    rows: &[&RowInput],
    gathered: Option<(&dyn Gathered, &[u32])>,
) -> Result<SectionEntry, WriteError> {
    let body_bytes = rows.iter().map(|row| wide(row.content.body_len())).sum();
    let form = form(count_u32(rows.len()), body_bytes);
    let frame = match form {
        Form::Inline => {
            if gathered.is_none() {
                // What would not read later is refused now.
                index::gather(rows)?;
            }
            let mut frame = Vec::new();
            rows.iter().for_each(|row| rows::put(&mut frame, row));
            frame
        }
        Form::Compact | Form::Full => {
            let mut terms = Builder::default();
            let payload = put_payload(out, rows, &mut terms)?;
            let (mut directory, pieces) =
                index::build(rows, gathered, payload, Pieces::of(form, out))?;
            directory.terms = terms.finish(out).map_err(|e| out.place().failed(e))?;
            directory.frame(form, &pieces)
        }
    };
    check_size(frame.len())?;
    let block = out.block(&frame).map_err(|e| out.place().failed(e))?;
    Ok(SectionEntry {
        summary: summary(section, rows),
        form,
        block,
    })
}

fn summary(section: &SectionInput, rows: &[&RowInput]) -> SectionSummary {
    let starts = rows.iter().map(|row| row.start_ns);
    let lsns = rows.iter().flat_map(|row| [row.lsn_first, row.lsn_last]);
    SectionSummary {
        project: section.project,
        table: section.table,
        rows: count_u32(rows.len()),
        start_min: starts.clone().min().unwrap_or(0),
        start_max: starts.max().unwrap_or(0),
        lsn_min: lsns.clone().min().unwrap_or(0),
        lsn_max: lsns.max().unwrap_or(0),
    }
}

/// Rows whose bodies go into one block.
struct Held<'o> {
    out: &'o mut BlockWriter,
    terms: &'o mut Builder,
    payload: Payload,
    bodies: BlockBodies,
    /// A body, or a block: whatever is looked at. The room is used again.
    raw: Vec<u8>,
    /// Rows in blocks, and all rows with those that are held.
    cut: u32,
    rows: u32,
}

impl Held<'_> {
    fn push(&mut self, row: &RowInput, pieces: &[Piece]) -> Result<(), WriteError> {
        let len = row.content.body_len();
        check_size(len)?;
        if self.bodies.is_full(self.bodies.added(len, pieces), len) {
            self.cut()?;
        }
        let body = self.bodies.push(pieces, |out| row.content.put_body(out));
        let view = body::view_bytes(body);
        let added = view.and_then(|view| self.terms.add_row(view));
        added.map_err(|e| WriteError::body(row, e))?;
        self.rows += 1;
        Ok(())
    }

    /// The pieces of a body.
    fn pieces(&mut self, content: &Content) -> Vec<Piece> {
        if !bodies::is_cut(content.body_len()) {
            return Vec::new();
        }
        self.raw.clear();
        content.put_body(&mut self.raw);
        bodies::cut(&self.raw)
    }

    /// Writes what is held as a block and starts the next one.
    fn cut(&mut self) -> Result<(), WriteError> {
        if self.bodies.is_empty() {
            return Ok(());
        }
        self.bodies.take(&mut self.raw);
        check_size(self.raw.len())?;
        self.terms.end_block(count_u32(self.payload.blocks.len()));
        let block = self.out.cold_block(&self.raw);
        self.payload
            .blocks
            .push(block.map_err(|e| self.out.place().failed(e))?);
        if let Placement::InOrder(firsts) = &mut self.payload.placement {
            firsts.push(self.cut);
        }
        self.cut = self.rows;
        Ok(())
    }
}

/// Bodies in blocks; a trace that fits into one block is not cut.
fn put_payload(
    out: &mut BlockWriter,
    rows: &[&RowInput],
    terms: &mut Builder,
) -> Result<Payload, WriteError> {
    let mut held = Held {
        out,
        terms,
        payload: Payload::none(),
        bodies: BlockBodies::default(),
        raw: Vec::new(),
        cut: 0,
        rows: 0,
    };
    for run in rows.chunk_by(|a, b| a.key.trace_id == b.key.trace_id) {
        let pieces: Vec<_> = run.iter().map(|row| held.pieces(&row.content)).collect();
        let (mut added, mut bytes) = (0, 0);
        for (row, pieces) in run.iter().zip(&pieces) {
            let len = row.content.body_len();
            added += held.bodies.added(len, pieces);
            bytes += len;
        }
        if added <= PAYLOAD_BLOCK_BYTES && held.bodies.is_full(added, bytes) {
            held.cut()?;
        }
        for (row, pieces) in run.iter().zip(&pieces) {
            held.push(row, pieces)?;
        }
    }
    held.cut()?;
    Ok(held.payload)
}

/// Whether a block can hold so many bytes.
pub(super) fn check_size(bytes: usize) -> Result<(), WriteError> {
    if bytes > narrow(u64::from(BLOCK_RAW_BYTES_MAX)) {
        return Err(WriteError::TooLarge { bytes: wide(bytes) });
    }
    Ok(())
}
