"""ClickHouse in this process (chdb). Arguments: directory, profile, text|plain, synced|lazy."""

import json
import sys
import time
from pathlib import Path

from chdb import session

import protocol
import workload

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

    def quantiles(self, column, at, many=False):
        # Of more than 8,192 values `quantiles` takes a sample.
        function = "quantilesTDigest" if many else "quantiles"
        return f"{function}({', '.join(map(str, at))})({column})"

    def distinct(self, column):
        return f"uniqExact({column})"

    def words(self, text, columns):
        words = text.split()

        def one(column):
            if len(words) == 1:
                return f"hasToken({column}, '{text}')"
            whole = f"position({column}, '{text}') > 0"
            if not self.text:
                return whole
            every = " AND ".join(f"hasToken({column}, '{w}')" for w in sorted(set(words)))
            return f"({every} AND {whole})"

        return "(" + " OR ".join(map(one, columns)) + ")"

    def facets(self, keys, where):
        pairs = ", ".join(f"('{k}', toString({k}))" for k in keys)
        return (
            f"SELECT kv.1 AS key, kv.2 AS value, count(*) AS n FROM (SELECT arrayJoin([{pairs}])"
            f" AS kv FROM spans WHERE {where}) WHERE value <> '' GROUP BY key, value"
            " ORDER BY n DESC LIMIT 20 BY key"
        )

    def matches(self, pattern, columns):
        return "(" + " OR ".join(f"match({c}, '{pattern}')" for c in columns) + ")"

    def true_in_extra(self, key):
        return f"extra.{key}.:Bool = true"


class ClickHouse:
    def __init__(self, directory, loaded, text, synced):
        self.workload = loaded
        self.session = session.Session(directory)
        self.dialect = Dialect(text)
        for name, value in SETTINGS.items():
            self.session.query(f"SET {name} = {value}")
        tables = self.session.query("SHOW TABLES", "TSV").bytes().decode().split()
        if loaded.TABLE not in tables:
            schema = (HERE / f"clickhouse_{loaded.TABLE}.sql").read_text()
            if not text:
                before, _, rest = schema.partition("-- @text begin")
                schema = before + rest.partition("-- @text end")[2]
            if synced:
                schema = schema.rstrip() + ", fsync_after_insert = 1, fsync_part_directory = 1"
            self.session.query(schema)
        described = self.session.query(f"DESCRIBE TABLE {loaded.TABLE}", "TSV").bytes().decode()
        self.columns = [line.split("\t")[0] for line in described.splitlines()]

    def load(self, path):
        table = self.workload.TABLE
        self.session.query(f"INSERT INTO {table} SELECT * FROM file('{path}', JSONEachRow)")

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

    def rows(self, statement):
        out = self.session.query(statement, "JSONCompactEachRow").bytes().decode()
        return [json.loads(line) for line in out.splitlines()]

    def trace(self, project, trace):
        loaded = self.workload
        rows = self.rows(
            f"SELECT * FROM {loaded.TABLE} WHERE project = {project} AND trace_id = '{trace}'"
            f" {loaded.TRACES_ORDER} SETTINGS output_format_json_quote_64bit_integers = 0"
        )
        return protocol.text_bytes(rows, self.columns, loaded.TEXTS)

    def close(self):
        self.session.close()


protocol.serve(
    ClickHouse(sys.argv[1], workload.of(sys.argv[2]), sys.argv[3] == "text", sys.argv[4] == "synced")
)
