//! Rows as a Parquet file: typed columns, in row groups as they fill up.
//!
//! What is nested is JSON as text: every reader takes it. No Arrow schema is written, since some readers
//! trip over it. A row group is kept in memory until it is written, so its rows and bytes are bounded.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use obsrv_engine::query::Hit;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;

use super::columns::{Kind, all, double, find, kind_of, text, time};
use super::form::{Raw, document};
use crate::http::Whole;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::read::ask::Over;
use crate::http::read::list::shown;
use crate::http::read::project::Fields;
use crate::http::read::told;
use crate::limits::{PARQUET_GROUP_BYTES, PARQUET_GROUP_ROWS};

/// Where the footer says how to go on after the last row.
const NEXT_CURSOR: &str = "obsrv.next_cursor";
/// What is damaged on disk and not in the file, as JSON.
const DAMAGED: &str = "obsrv.damaged";
const RAW: &str = "raw";
/// A score's value as a number.
const VALUE_NUMBER: &str = "value_number";

/// Levels of a value that is there, and of one that is not. Elements of a list are one deeper.
const THERE: i16 = 1;
const MISSING: i16 = 0;
const IN_LIST: i16 = 2;

/// What is in the columns of scores, by their names.
pub(super) type Kinds = HashMap<String, Kind>;

#[derive(Debug)]
enum Values {
    Ints(Vec<i64>),
    Doubles(Vec<f64>),
    Bools(Vec<bool>),
    Texts(Vec<ByteArray>),
}

/// A column of the row group that is being filled.
#[derive(Debug)]
struct Column {
    /// The path of its values in a row.
    path: String,
    kind: Kind,
    values: Values,
    present: Vec<i16>,
    /// Of lists: whether an element begins a list (0) or goes on with it (1).
    repeated: Vec<i16>,
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Parquet {
    over: Over,
    raw: Option<Raw>,
    columns: Vec<Column>,
    file: SerializedFileWriter<Vec<u8>>,
    rows: usize,
    bytes: usize,
}

fn failed(error: ParquetError) -> ApiError {
    ApiError::new(
        ErrorCode::Internal,
        format!("parquet does not write: {error}"),
    )
}

impl Parquet {
    /// Of `scores` those that are text have words in them.
    pub(super) fn new(
        over: Over,
        fields: &Fields,
        scores: &Kinds,
        raw: Option<Raw>,
    ) -> Result<Self, ApiError> {
        let kind = |name: &String| match over.score(name) {
            Some(score) => scores.get(score).copied().unwrap_or(Kind::Double),
            None => kind_of(over, name),
        };
        let mut columns: Vec<Column> = match fields.names() {
            Some(names) => names
                .iter()
                .map(|name| Column::new(name, kind(name)))
                .collect(),
            None => all(over)
                .map(|(name, kind)| Column::new(name, kind))
                .collect(),
        };
        if fields.is_all() && over == Over::Scores {
            columns.push(Column::new(VALUE_NUMBER, Kind::Double));
        }
        if raw.is_some() && !columns.iter().any(|column| column.path == RAW) {
            columns.push(Column::new(RAW, Kind::Text));
        }
        let mut taken = HashSet::new();
        let fields = columns.iter().map(|column| {
            let name = name_of(&column.path, &mut taken);
            schema_of(&name, column.kind).map(Arc::new)
        });
        let fields = fields
            .collect::<Result<Vec<TypePtr>, _>>()
            .map_err(failed)?;
        let schema = Type::group_type_builder("obsrv")
            .with_fields(fields)
            .build();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_created_by(format!("obsrv version {}", env!("CARGO_PKG_VERSION")))
            .build();
        let schema = Arc::new(schema.map_err(failed)?);
        let file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties));
        Ok(Self {
            over,
            raw,
            columns,
            file: file.map_err(failed)?,
            rows: 0,
            bytes: 0,
        })
    }

    /// How it writes whole documents, if it does.
    pub(super) const fn raw(&self) -> Option<Raw> {
        self.raw
    }

    pub(super) fn write(
        &mut self,
        (hit, scores): (&Hit, Option<&Value>),
        whole: &mut Whole<'_>,
    ) -> Result<(), ApiError> {
        let row = shown(self.over, hit, &Fields::default())?;
        let mut row: Value = serde_json::from_str(row.get()).unwrap_or_default();
        told::put(&mut row, scores);
        if let Some(raw) = self.raw.filter(|_| self.over != Over::Scores) {
            row[RAW] = Value::String(document(hit, raw, whole)?.get().to_owned());
        }
        self.push(&row)
    }

    fn push(&mut self, row: &Value) -> Result<(), ApiError> {
        for column in &mut self.columns {
            self.bytes += column.push(row);
        }
        self.rows += 1;
        if self.rows >= PARQUET_GROUP_ROWS || self.bytes >= PARQUET_GROUP_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes the row group that is there.
    fn flush(&mut self) -> Result<(), ApiError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group().map_err(failed)?;
        for column in &mut self.columns {
            let writer = group.next_column().map_err(failed)?;
            let writer = writer.expect("BUG: a row group has fewer columns than its schema");
            column.write(writer).map_err(failed)?;
        }
        group.close().map_err(failed)?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    /// Takes what was written so far.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let flushed = self.file.flush();
        flushed.map_err(|error| failed(ParquetError::External(Box::new(error))))?;
        out.append(self.file.inner_mut());
        Ok(())
    }

    /// Writes the rest, and the footer.
    pub(super) fn end(
        &mut self,
        next: Option<&str>,
        damaged: Option<String>,
        out: &mut Vec<u8>,
    ) -> Result<(), ApiError> {
        self.flush()?;
        let next = next.map(|next| (NEXT_CURSOR, next.to_owned()));
        for (key, value) in next.into_iter().chain(damaged.map(|text| (DAMAGED, text))) {
            let entry = KeyValue::new(key.to_owned(), value);
            self.file.append_key_value_metadata(entry);
        }
        self.file.finish().map_err(failed)?;
        self.take(out)
    }
}

/// A name that no column has yet. Dots mean something else to some readers.
fn name_of(path: &str, taken: &mut HashSet<String>) -> String {
    let plain = path.replace('.', "_");
    let mut name = plain.clone();
    let mut n = 2;
    while !taken.insert(name.clone()) {
        name = format!("{plain}_{n}");
        n += 1;
    }
    name
}

fn schema_of(name: &str, kind: Kind) -> Result<Type, ParquetError> {
    let (physical, logical) = match kind {
        Kind::Texts => return list_of_texts(name),
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Int => (Physical::INT64, None),
        Kind::Double => (Physical::DOUBLE, None),
        Kind::Bool => (Physical::BOOLEAN, None),
        Kind::Time => {
            let instant = LogicalType::timestamp(true, TimeUnit::NANOS);
            (Physical::INT64, Some(instant))
        }
    };
    Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

fn list_of_texts(name: &str) -> Result<Type, ParquetError> {
    let element = Type::primitive_type_builder("element", Physical::BYTE_ARRAY)
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(Some(LogicalType::String))
        .build()?;
    let list = Type::group_type_builder("list")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![Arc::new(element)])
        .build()?;
    Type::group_type_builder(name)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(LogicalType::List))
        .with_fields(vec![Arc::new(list)])
        .build()
}

impl Column {
    fn new(path: &str, kind: Kind) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            values: match kind {
                Kind::Text | Kind::Texts => Values::Texts(Vec::new()),
                Kind::Int | Kind::Time => Values::Ints(Vec::new()),
                Kind::Double => Values::Doubles(Vec::new()),
                Kind::Bool => Values::Bools(Vec::new()),
            },
            present: Vec::new(),
            repeated: Vec::new(),
        }
    }

    /// Adds the value of a row; how many bytes that takes.
    fn push(&mut self, row: &Value) -> usize {
        let path = match self.path.as_str() {
            VALUE_NUMBER => "value",
            path => path,
        };
        let value = find(row, path);
        match (&mut self.values, self.kind) {
            (Values::Texts(texts), Kind::Texts) => {
                return push_list(value, texts, &mut self.present, &mut self.repeated);
            }
            (Values::Texts(texts), _) => {
                let text = text(value);
                let bytes = text.as_ref().map_or(0, String::len);
                self.present.push(level(text.is_some()));
                texts.extend(text.map(|text| ByteArray::from(text.into_bytes())));
                return size_of::<ByteArray>() + bytes;
            }
            (Values::Ints(ints), kind) => {
                let n = if kind == Kind::Time {
                    time(value)
                } else {
                    value.and_then(Value::as_i64)
                };
                self.present.push(level(n.is_some()));
                ints.extend(n);
            }
            (Values::Doubles(doubles), _) => {
                let n = double(value);
                self.present.push(level(n.is_some()));
                doubles.extend(n);
            }
            (Values::Bools(bools), _) => {
                let b = value.and_then(Value::as_bool);
                self.present.push(level(b.is_some()));
                bools.extend(b);
            }
        }
        size_of::<i64>()
    }

    /// Writes what is there as a chunk, and begins anew.
    fn write(&mut self, mut writer: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let present = Some(self.present.as_slice());
        let repeated = Some(self.repeated.as_slice()).filter(|_| self.kind == Kind::Texts);
        match &mut self.values {
            Values::Ints(ints) => {
                writer
                    .typed::<Int64Type>()
                    .write_batch(ints, present, repeated)?;
                ints.clear();
            }
            Values::Doubles(doubles) => {
                writer
                    .typed::<DoubleType>()
                    .write_batch(doubles, present, repeated)?;
                doubles.clear();
            }
            Values::Bools(bools) => {
                writer
                    .typed::<BoolType>()
                    .write_batch(bools, present, repeated)?;
                bools.clear();
            }
            Values::Texts(texts) => {
                writer
                    .typed::<ByteArrayType>()
                    .write_batch(texts, present, repeated)?;
                texts.clear();
            }
        }
        self.present.clear();
        self.repeated.clear();
        writer.close()
    }
}

const fn level(is_there: bool) -> i16 {
    if is_there { THERE } else { MISSING }
}

fn push_list(
    value: Option<&Value>,
    texts: &mut Vec<ByteArray>,
    present: &mut Vec<i16>,
    repeated: &mut Vec<i16>,
) -> usize {
    let items = value.and_then(Value::as_array);
    let mut bytes = size_of::<ByteArray>();
    let mut is_first = true;
    for item in items
        .into_iter()
        .flatten()
        .filter_map(|item| text(Some(item)))
    {
        bytes += size_of::<ByteArray>() + item.len();
        texts.push(ByteArray::from(item.into_bytes()));
        present.push(IN_LIST);
        repeated.push(i16::from(!is_first));
        is_first = false;
    }
    if is_first {
        present.push(level(items.is_some()));
        repeated.push(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    use serde_json::json;

    use super::*;
    use crate::http::params::Params;

    fn written(
        fields: &str,
        rows: &[Value],
        next: Option<&str>,
    ) -> SerializedFileReader<bytes::Bytes> {
        let params = Params::parse(&format!("fields={fields}")).unwrap();
        let fields = Fields::of(&params, Over::Spans).unwrap();
        let scores = Kinds::from([("tone".to_owned(), Kind::Text)]);
        let mut file = Parquet::new(Over::Spans, &fields, &scores, None).unwrap();
        let mut out = Vec::new();
        for row in rows {
            file.push(row).unwrap();
            file.take(&mut out).unwrap();
        }
        file.end(next, None, &mut out).unwrap();
        SerializedFileReader::new(bytes::Bytes::from(out)).unwrap()
    }

    fn values(file: &SerializedFileReader<bytes::Bytes>) -> Vec<Vec<String>> {
        let rows = file.get_row_iter(None).unwrap();
        rows.map(|row| {
            let row = row.unwrap();
            row.get_column_iter()
                .map(|(name, field)| match field {
                    Field::Null => format!("{name}: null"),
                    field => format!("{name}: {field}"),
                })
                .collect()
        })
        .collect()
    }

    #[test]
    fn values_read_back_with_their_types() {
        let rows = [
            json!({ "name": "a", "tags": ["x", "y"], "duration_ns": 5, "cost": { "total": 0.5 },
                "metadata": { "k": [1] }, "start": "2026-01-31T12:00:00.000000001Z" }),
            json!({ "name": null, "tags": [], "cost": { "total": "NaN" }, "start": null }),
        ];
        let file = written(
            "name,tags,duration_ns,cost.total,metadata,start",
            &rows,
            None,
        );
        let found = values(&file);
        assert_eq!(
            found[0][..5],
            [
                "name: \"a\"",
                "tags: [\"x\", \"y\"]",
                "duration_ns: 5",
                "cost_total: 0.5",
                "metadata: \"{\"k\":[1]}\"",
            ]
        );
        assert!(found[0][5].starts_with("start: "), "{found:?}");
        assert_eq!(
            found[1],
            [
                "name: null",
                "tags: []",
                "duration_ns: null",
                "cost_total: NaN",
                "metadata: null",
                "start: null",
            ]
        );
        let metadata = file.metadata().file_metadata();
        assert_eq!(metadata.key_value_metadata(), None);
        let file = written("name", &rows, Some("more"));
        let metadata = file
            .metadata()
            .file_metadata()
            .key_value_metadata()
            .unwrap();
        assert_eq!(metadata[0].key, NEXT_CURSOR);
        assert_eq!(metadata[0].value.as_deref(), Some("more"));
    }

    #[test]
    fn scores_are_numbers_unless_they_have_words() {
        let rows = [
            json!({ "scores": { "good": 0.5, "tone": "calm", "of.all": 1.0 } }),
            json!({ "scores": { "tone": ["calm", "warm"] } }),
            json!({ "scores": { "tone": 0.25 } }),
        ];
        let file = written("scores.good,scores.tone,scores.of.all", &rows, None);
        assert_eq!(
            values(&file),
            [
                [
                    "scores_good: 0.5",
                    "scores_tone: \"calm\"",
                    "scores_of_all: 1.0"
                ],
                [
                    "scores_good: null",
                    "scores_tone: \"[\"calm\",\"warm\"]\"",
                    "scores_of_all: null"
                ],
                [
                    "scores_good: null",
                    "scores_tone: \"0.25\"",
                    "scores_of_all: null"
                ],
            ]
        );
        let columns = file.metadata().file_metadata().schema_descr().columns();
        let types = columns.iter().map(|column| column.physical_type());
        assert_eq!(
            types.collect::<Vec<_>>(),
            [Physical::DOUBLE, Physical::BYTE_ARRAY, Physical::DOUBLE]
        );
    }

    #[test]
    fn row_groups_end_at_their_limits() {
        let groups = |rows: &[Value]| written("name", rows, None).num_row_groups();
        assert_eq!(groups(&[]), 0);
        let small = json!({ "name": "n" });
        assert_eq!(groups(&vec![small.clone(); PARQUET_GROUP_ROWS]), 1);
        assert_eq!(groups(&vec![small; PARQUET_GROUP_ROWS + 1]), 2);
        let whole = PARQUET_GROUP_BYTES - size_of::<ByteArray>();
        let large = |bytes: usize| json!({ "name": "n".repeat(bytes) });
        assert_eq!(groups(&[large(whole - 1), large(1)]), 1);
        assert_eq!(groups(&[large(whole), large(1)]), 2);
    }

    #[test]
    fn no_two_columns_have_one_name() {
        let mut taken = HashSet::new();
        let names = ["a.b", "a_b", "a_b_2"].map(|path| name_of(path, &mut taken));
        assert_eq!(names, ["a_b", "a_b_2", "a_b_2_2"]);
    }
}
