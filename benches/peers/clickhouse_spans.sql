-- ClickHouse as its own people would lay the spans out: every key that the queries name is a column
-- of its own, which the schema has to know beforehand; the rest is JSON with typed sub-columns.
-- Few paths of `extra` are columns: with more, reading whole rows took three times as long. Granules are
-- small, so that a trace costs less to read; the size is the same.
-- @text: the statement ends without the text indexes in the run without them.
CREATE TABLE spans (
    project UInt16,
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    parent_id String CODEC(ZSTD(1)),
    name LowCardinality(String),
    status LowCardinality(String),
    kind LowCardinality(String),
    model LowCardinality(String),
    tool LowCardinality(String),
    env LowCardinality(String),
    region LowCardinality(String),
    workflow LowCardinality(String),
    experiment LowCardinality(String),
    release LowCardinality(String),
    user_id String CODEC(ZSTD(1)),
    session String CODEC(ZSTD(1)),
    start_ns UInt64 CODEC(Delta, ZSTD(1)),
    duration_ns UInt64 CODEC(T64, ZSTD(1)),
    input_tokens UInt32 CODEC(T64, ZSTD(1)),
    output_tokens UInt32 CODEC(T64, ZSTD(1)),
    cost Float64 CODEC(ZSTD(1)),
    input String CODEC(ZSTD(3)),
    output String CODEC(ZSTD(3)),
    error String CODEC(ZSTD(1)),
    extra JSON(max_dynamic_paths = 8) CODEC(ZSTD(1)),
    -- @text begin
    INDEX input_words input TYPE text(tokenizer = 'splitByNonAlpha'),
    INDEX output_words output TYPE text(tokenizer = 'splitByNonAlpha'),
    -- @text end
    INDEX trace trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX start start_ns TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree ORDER BY (project, start_ns)
SETTINGS index_granularity = 1024
