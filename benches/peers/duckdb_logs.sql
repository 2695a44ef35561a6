-- DuckDB: columns as for ClickHouse. Every batch is sorted by (project, time_ns) when it is inserted, so
-- zone maps prune by both.
CREATE TABLE logs (
    project USMALLINT,
    time_ns UBIGINT,
    observed_ns UBIGINT,
    severity_number UTINYINT,
    severity VARCHAR,
    service VARCHAR,
    host VARCHAR,
    env VARCHAR,
    region VARCHAR,
    scope VARCHAR,
    logger VARCHAR,
    trace_id VARCHAR,
    span_id VARCHAR,
    user_id VARCHAR,
    request_id VARCHAR,
    body VARCHAR,
    extra JSON
);
