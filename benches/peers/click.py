"""ClickHouse in this process (chdb). Arguments: directory, then text|plain, then synced|lazy."""

import json
import sys
import time
from pathlib import Path

from chdb import session

import protocol
import sql

HERE = Path(__file__).resolve().parent
SETTINGS = {
    "max_threads": 2,
    "max_insert_threads": 1,
    "max_memory_usage": 8_000_000_000,
    # Else a repeated scan is answered from what the last one found.
    "use_query_condition_cache": 0,
    "use_query_cache": 0,
    "use_skip_indexes_for_disjunctions": 1,
    "input_format_try_infer_datetimes": 0,
}


class Dialect:
    def __init__(self, text):
        self.text = text

    def div(self, column, by):
        return f"intDiv({column}, {by})"

    def count_if(self, condition):
        return f"countIf({condition})"

    def quantiles(self, at):
        return f"quantiles({', '.join(map(str, at))})(duration_ns)"

    def distinct(self, column):
        return f"uniqExact({column})"

    def words(self, text):
        words = text.split()
        if not self.text:
            if len(words) == 1:
                return f"(hasToken(input, '{text}') OR hasToken(output, '{text}'))"
            return f"(position(input, '{text}') > 0 OR position(output, '{text}') > 0)"

        def one(column):
            if len(words) == 1:
                return f"hasToken({column}, '{text}')"
            every = " AND ".join(f"hasToken({column}, '{w}')" for w in sorted(set(words)))
            return f"({every} AND position({column}, '{text}') > 0)"

        return f"({one('input')} OR {one('output')})"

    def facets(self, keys, where):
        pairs = ", ".join(f"('{k}', toString({k}))" for k in keys)
        return (
            f"SELECT kv.1 AS key, kv.2 AS value, count(*) AS n FROM (SELECT arrayJoin([{pairs}])"
            f" AS kv FROM spans WHERE {where}) WHERE value <> '' GROUP BY key, value"
            " ORDER BY n DESC LIMIT 20 BY key"
        )

    def matches(self, pattern):
        return f"(match(input, '{pattern}') OR match(output, '{pattern}'))"

    def true_in_extra(self, key):
        return f"extra.{key}.:Bool = true"


class ClickHouse:
    def __init__(self, directory, text, synced):
        self.session = session.Session(directory)
        self.dialect = Dialect(text)
        for name, value in SETTINGS.items():
            self.session.query(f"SET {name} = {value}")
        tables = self.session.query("SHOW TABLES", "TSV").bytes().decode().split()
        if "spans" not in tables:
            schema = (HERE / "clickhouse.sql").read_text()
            if not text:
                before, _, rest = schema.partition("-- @text begin")
                schema = before + rest.partition("-- @text end")[2]
            if synced:
                schema = schema.rstrip() + ", fsync_after_insert = 1, fsync_part_directory = 1"
            self.session.query(schema)

    def load(self, path):
        self.session.query(f"INSERT INTO spans SELECT * FROM file('{path}', JSONEachRow)")

    def settle(self):
        """Waits for merges of its own choosing; none are forced."""
        quiet, last = 0, None
        while quiet < 6:
            time.sleep(0.5)
            merging = self.session.query(
                "SELECT (SELECT count() FROM system.merges), (SELECT count() FROM system.parts"
                " WHERE active)",
                "TSV",
            )
            now = merging.bytes()
            quiet = quiet + 1 if now == last and now.startswith(b"0\t") else 0
            last = now

    def cpu(self):
        return time.process_time()

    exact_cpu = cpu

    def statements(self, query, asked):
        return sql.statements(query, asked, self.dialect)

    def rows(self, statement):
        out = self.session.query(statement, "JSONCompactEachRow").bytes().decode()
        return [json.loads(line) for line in out.splitlines()]

    def trace(self, project, trace):
        rows = self.rows(
            f"SELECT * FROM spans WHERE project = {project} AND trace_id = '{trace}'"
            " SETTINGS output_format_json_quote_64bit_integers = 0"
        )
        return [len(rows), sum(len(r[21]) + len(r[22]) for r in rows)]

    def close(self):
        self.session.close()


protocol.serve(ClickHouse(sys.argv[1], sys.argv[2] == "text", sys.argv[3] == "synced"))
