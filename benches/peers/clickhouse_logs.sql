-- ClickHouse as its own people would lay log lines out: by project and time, since lists are of the newest, with
-- the keys that the queries name as columns of their own; the rest is JSON. Ids and users are found by
-- bloom filters, of which small granules make good use.
-- @text: the statement ends without the text index in the run without it.
CREATE TABLE logs (
    project UInt16,
    time_ns UInt64 CODEC(Delta, ZSTD(1)),
    observed_ns UInt64 CODEC(Delta, ZSTD(1)),
    severity_number UInt8,
    severity LowCardinality(String),
    service LowCardinality(String),
    host LowCardinality(String),
    env LowCardinality(String),
    region LowCardinality(String),
    scope LowCardinality(String),
    logger LowCardinality(String),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    user_id String CODEC(ZSTD(1)),
    request_id String CODEC(ZSTD(1)),
    body String CODEC(ZSTD(3)),
    extra JSON(max_dynamic_paths = 8) CODEC(ZSTD(1)),
    -- @text begin
    INDEX body_words body TYPE text(tokenizer = 'splitByNonAlpha'),
    -- @text end
    INDEX trace trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX user user_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX severe severity_number TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree ORDER BY (project, time_ns)
SETTINGS index_granularity = 1024
