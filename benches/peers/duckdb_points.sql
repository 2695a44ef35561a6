-- DuckDB: columns as for ClickHouse. Every batch is sorted by series and time when it is inserted, so zone maps
-- prune by project and name, and equal values lie together.
CREATE TABLE points (
    project USMALLINT,
    name VARCHAR,
    service VARCHAR,
    instance VARCHAR,
    model VARCHAR,
    time_ns UBIGINT,
    start_ns UBIGINT,
    kind VARCHAR,
    unit VARCHAR,
    description VARCHAR,
    temporality VARCHAR,
    monotonic BOOLEAN,
    scope VARCHAR,
    host VARCHAR,
    env VARCHAR,
    region VARCHAR,
    value DOUBLE,
    count UBIGINT,
    sum DOUBLE,
    min DOUBLE,
    max DOUBLE,
    buckets UINTEGER[],
    bounds DOUBLE[]
);
