//! Stands in for the engine until it is merged. To be deleted.
#![allow(missing_docs, clippy::all, clippy::pedantic, reason = "temporary")]
pub use obsrv_engine::{body, doc, model, row, source};

pub mod io {
    pub use obsrv_engine::io::*;
    use parking_lot::Mutex;
    use std::collections::HashMap;
    use std::io;
    use std::sync::Arc;

    #[derive(Debug, Default)]
    pub struct MemDisk(Mutex<HashMap<FileId, Arc<MemFile>>>);
    #[derive(Debug, Default)]
    pub struct MemFile(Mutex<Vec<u8>>);
    impl Disk for MemDisk {
        fn create(&self, id: FileId) -> io::Result<Arc<dyn DiskFile>> {
            let f = Arc::new(MemFile::default());
            self.0.lock().insert(id, Arc::clone(&f));
            Ok(f)
        }
        fn publish(&self, _: FileId) -> io::Result<()> {
            Ok(())
        }
        fn discard(&self, _: FileId) -> io::Result<()> {
            Ok(())
        }
        fn open(&self, id: FileId) -> io::Result<Arc<dyn DiskFile>> {
            let f = self.0.lock().get(&id).cloned().ok_or(io::ErrorKind::NotFound)?;
            Ok(f)
        }
        fn remove(&self, _: FileId) -> io::Result<()> {
            Ok(())
        }
        fn list(&self) -> io::Result<Vec<FileId>> {
            Ok(self.0.lock().keys().copied().collect())
        }
        fn sync_dir(&self) -> io::Result<()> {
            Ok(())
        }
        fn free_bytes(&self) -> io::Result<u64> {
            Ok(1 << 40)
        }
        fn map_sealed(&self, _: FileId, _: u64, _: usize) -> io::Result<bytes::Bytes> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
    impl DiskFile for MemFile {
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
            let at = offset as usize;
            let v = self.0.lock();
            buf.copy_from_slice(v.get(at..at + buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }
        fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
            let mut v = self.0.lock();
            let end = offset as usize + buf.len();
            if v.len() < end {
                v.resize(end, 0);
            }
            v[offset as usize..end].copy_from_slice(buf);
            Ok(())
        }
        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }
        fn zero_fill(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn len(&self) -> io::Result<u64> {
            Ok(self.0.lock().len() as u64)
        }
    }
    #[derive(Debug)]
    pub struct SystemClock;
    impl Clock for SystemClock {
        fn wall_ns(&self) -> i64 {
            #[allow(clippy::disallowed_methods, reason = "temporary")]
            let t = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            t.as_nanos() as i64
        }
        fn mono_ns(&self) -> u64 {
            self.wall_ns() as u64
        }
    }
    #[derive(Debug)]
    pub struct SystemRng;
    impl Rng for SystemRng {
        fn fill(&self, buf: &mut [u8]) {
            use std::io::Read;
            std::fs::OpenOptions::new().read(true).open("/dev/urandom").unwrap().read_exact(buf).unwrap();
        }
    }
    pub fn open_dir(_: &std::path::Path) -> io::Result<Arc<dyn Disk>> {
        Ok(Arc::new(MemDisk::default()))
    }
}

pub mod query {
    pub use obsrv_engine::query::ast;
    use super::source::{Column, SourceError};
    use super::row::Lsn;
    use std::collections::BTreeSet;

    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Order {
        pub column: Column,
        pub descending: bool,
    }
    #[derive(Clone, Debug, PartialEq)]
    pub enum SortKey {
        Bool(bool),
        I64(i64),
        F64(f64),
        Str(Box<str>),
    }
    #[derive(Clone, Debug, PartialEq)]
    pub struct Position {
        pub key: Option<SortKey>,
        pub trace_id: String,
        pub id: String,
        pub lsn: Lsn,
    }
    #[derive(Clone, Copy)]
    pub struct Budget<'a> {
        pub rows_max: u64,
        pub bytes_max: u64,
        pub cancelled: &'a dyn Fn() -> bool,
    }
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Explain {
        pub sources: u64,
        pub sources_pruned: u64,
        pub groups: u64,
        pub groups_pruned_by_time: u64,
        pub groups_pruned_by_order: u64,
        pub groups_visited: u64,
        pub rows_visited: u64,
        pub rows_in_doubt: u64,
        pub bodies_read: u64,
        pub bytes_read: u64,
        pub page_bytes: u64,
        pub page_cut: bool,
        pub verified: BTreeSet<String>,
    }
    #[derive(Debug, thiserror::Error)]
    pub enum QueryError {
        #[error("limit")]
        LimitTooLarge(usize),
        #[error("deep")]
        TooDeep,
        #[error("nodes")]
        TooManyNodes,
        #[error("list")]
        ListTooLong(usize),
        #[error("text")]
        TextTooLong(usize),
        #[error("facets")]
        TooManyFacets(usize),
        #[error("facets")]
        TooManyFacetValues(usize),
        #[error("span")]
        NestedAnySpan,
        #[error("query exceeds its budget of {what} max={max}")]
        BudgetExceeded { what: &'static str, max: u64 },
        #[error("query cancelled")]
        Cancelled,
        #[error(transparent)]
        Source(#[from] SourceError),
        #[error("row does not read source={source_name} row={row}")]
        Row { source_name: String, row: u32, source: super::doc::DocError },
    }
    #[derive(Clone, Debug, PartialEq)]
    pub struct Request {
        pub filter: ast::Filter,
        pub order: Order,
        pub limit: usize,
        pub after: Option<Position>,
        pub total: bool,
        pub facets: Vec<Column>,
        pub facet_values_max: usize,
    }
    #[derive(Clone, Debug, PartialEq)]
    pub struct Hit {
        pub core: super::source::Core,
        pub body: bytes::Bytes,
    }
    #[derive(Clone, Debug, PartialEq)]
    pub struct Facet {
        pub column: Column,
        pub values: Vec<(ast::Literal, u64)>,
        pub more: bool,
        pub overflow: bool,
        pub long: u64,
    }
    #[derive(Debug, Default)]
    pub struct Page {
        pub hits: Vec<Hit>,
        pub next: Option<Position>,
        pub total: Option<u64>,
        pub facets: Vec<Facet>,
        pub explain: Explain,
        pub snapshot_changed: bool,
    }
    pub mod parse {
        #[derive(Debug, thiserror::Error)]
        #[error("{message} position={position}")]
        pub struct ParseError {
            pub position: usize,
            pub message: String,
        }
        pub fn parse(_: &str, _: i64) -> Result<super::ast::Filter, ParseError> {
            Ok(super::ast::Filter::All)
        }
    }
}

pub mod engine {
    use super::io::{Clock, Disk, Rng};
    use super::query::{Budget, Page, QueryError};
    use super::row::{Event, Lsn, ProjectId};
    use super::source::{Core, SourceError};
    use bytes::Bytes;
    use parking_lot::Mutex;
    use std::sync::Arc;

    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Envelope {
        pub project: u64,
        pub key_id: u64,
        pub dialect: u16,
        pub encoding: u8,
        pub mapping: u16,
        pub received_ns: i64,
        pub subject: String,
        pub named_project: Option<String>,
        pub rejected: Vec<u32>,
        pub digest: u64,
    }
    pub trait Interpreter: Send + Sync {
        fn interpret(&self, envelope: &Envelope, body: &[u8]) -> Result<Vec<Event>, InterpretError>;
    }
    #[derive(Debug, thiserror::Error)]
    #[error("body does not read reason={reason}")]
    pub struct InterpretError {
        pub reason: String,
    }
    #[derive(Debug)]
    pub struct Submission {
        pub envelope: Envelope,
        pub body: Bytes,
        pub events: Vec<Event>,
    }
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Receipt {
        pub lsn: Lsn,
    }
    #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
    pub enum IngestError {
        #[error("overloaded, nothing stored")]
        Overloaded,
        #[error("disk full, nothing stored")]
        NoSpace,
        #[error("outcome unknown after a failed sync")]
        OutcomeUnknown,
        #[error("engine closed, nothing stored")]
        Closed,
        #[error("too large for a record, nothing stored")]
        TooLarge,
    }
    pub type Done = Box<dyn FnOnce(Result<Receipt, IngestError>) + Send>;
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum State {
        Ready,
        ReadOnly,
        Failed,
    }
    #[derive(Clone, Debug, Default)]
    pub struct Stats {
        pub records: u64,
        pub groups: u64,
        pub events: u64,
        pub duplicates: u64,
        pub superseded: u64,
        pub body_bytes: u64,
        pub flushes: u64,
        pub compactions: u64,
        pub quarantined: u64,
        pub queue_bytes: u64,
        pub memtable_bytes: u64,
        pub frozen: u64,
        pub segments: u64,
        pub segment_bytes: u64,
        pub wal_bytes: u64,
        pub visible_lsn: Lsn,
    }
    #[derive(Clone, Debug)]
    pub struct Options;
    impl Options {
        pub fn for_memory(_: u64) -> Self {
            Self
        }
    }
    #[derive(Debug, thiserror::Error)]
    #[error("open")]
    pub struct OpenError;
    #[derive(Debug, Default)]
    pub struct Engine {
        controls: Mutex<Vec<(Lsn, Bytes)>>,
    }
    impl Engine {
        pub fn open(
            _: Arc<dyn Disk>,
            _: Arc<dyn Clock>,
            _: &dyn Rng,
            _: Options,
            _: &dyn Interpreter,
        ) -> Result<Arc<Self>, OpenError> {
            Ok(Arc::default())
        }
        pub fn start(self: &Arc<Self>) -> std::io::Result<Threads> {
            Ok(Threads)
        }
        pub fn submit(&self, s: Submission, done: Done) {
            let _ = (s.envelope, s.body, s.events);
            done(Ok(Receipt { lsn: 1 }));
        }
        pub fn control(&self, body: Bytes, done: Done) {
            self.controls.lock().push((1, body));
            done(Ok(Receipt { lsn: 1 }));
        }
        pub fn delete_trace(&self, _: ProjectId, _: &str, done: Done) {
            done(Ok(Receipt { lsn: 1 }));
        }
        pub fn controls(&self) -> Vec<(Lsn, Bytes)> {
            self.controls.lock().clone()
        }
        pub fn snapshot(&self) -> Snapshot {
            Snapshot
        }
        pub fn state(&self) -> State {
            State::Ready
        }
        pub fn stats(&self) -> Stats {
            Stats::default()
        }
    }
    #[derive(Debug)]
    pub struct Threads;
    impl Threads {
        pub fn stop(self) {}
    }
    #[derive(Clone, Debug)]
    pub struct StoredRow {
        pub core: Core,
        pub body: Bytes,
    }
    #[derive(Clone, Debug, Default)]
    pub struct TraceRows {
        pub run: Option<StoredRow>,
        pub spans: Vec<StoredRow>,
        pub scores: Vec<StoredRow>,
    }
    #[derive(Debug)]
    pub struct Snapshot;
    impl Snapshot {
        pub fn lsn(&self) -> Lsn {
            1
        }
        pub fn trace(&self, _: ProjectId, _: &str) -> Result<TraceRows, SourceError> {
            Ok(TraceRows::default())
        }
        pub fn search(
            &self,
            _: ProjectId,
            _: super::row::Table,
            _: &super::query::Request,
            _: &Budget<'_>,
        ) -> Result<Page, QueryError> {
            Ok(Page::default())
        }
    }
}
