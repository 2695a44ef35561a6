-- ClickHouse as its own people would lay metric points out: a series lies together, in order of time, and a
-- partition has a day, so that a question about today does not read the week. Times are regular but for
-- the timer's jitter, values wander or are drawn anew.
CREATE TABLE points (
    project UInt16,
    name LowCardinality(String),
    service LowCardinality(String),
    instance LowCardinality(String),
    model LowCardinality(String),
    time_ns UInt64 CODEC(DoubleDelta, ZSTD(1)),
    start_ns UInt64 CODEC(DoubleDelta, ZSTD(1)),
    kind LowCardinality(String),
    unit LowCardinality(String),
    description LowCardinality(String),
    temporality LowCardinality(String),
    monotonic Bool,
    scope LowCardinality(String),
    host LowCardinality(String),
    env LowCardinality(String),
    region LowCardinality(String),
    value Float64 CODEC(Gorilla, ZSTD(1)),
    count UInt64 CODEC(T64, ZSTD(1)),
    sum Float64 CODEC(Gorilla, ZSTD(1)),
    min Float64 CODEC(Gorilla, ZSTD(1)),
    max Float64 CODEC(Gorilla, ZSTD(1)),
    buckets Array(UInt32) CODEC(T64, ZSTD(1)),
    bounds Array(Float64) CODEC(ZSTD(1)),
    INDEX time time_ns TYPE minmax GRANULARITY 1,
    INDEX of_host host TYPE set(16) GRANULARITY 1
)
ENGINE = MergeTree PARTITION BY intDiv(time_ns, 86400000000000)
ORDER BY (project, name, service, instance, model, time_ns)
SETTINGS index_granularity = 8192
