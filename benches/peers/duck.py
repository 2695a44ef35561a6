"""DuckDB in this process. Arguments: directory, profile. A commit is synced by default."""

import sys
import time
from pathlib import Path

import duckdb

import protocol
import workload

HERE = Path(__file__).resolve().parent
# The words of a value are what the planted texts are: a substring search finds the same rows.


class Dialect:
    def div(self, column, by):
        return f"{column} // {by}"

    def count_if(self, condition):
        return f"count(*) FILTER ({condition})"

    def quantiles(self, column, at, many=False):
        return f"quantile_cont({column}, {list(at)})"

    def distinct(self, column):
        return f"count(DISTINCT {column})"

    def words(self, text, columns):
        return "(" + " OR ".join(f"contains({c}, '{text}')" for c in columns) + ")"

    def facets(self, keys, where):
        sets = ", ".join(f"({k})" for k in keys)
        key = "CASE " + " ".join(f"WHEN grouping({k}) = 0 THEN '{k}'" for k in keys) + " END"
        return (
            f"SELECT {key} AS key, coalesce({', '.join(keys)}) AS value, count(*) FROM spans"
            f" WHERE {where} GROUP BY GROUPING SETS ({sets}) HAVING value <> ''"
        )

    def matches(self, pattern, columns):
        return "(" + " OR ".join(f"regexp_matches({c}, '{pattern}')" for c in columns) + ")"

    def true_in_extra(self, key):
        return f"extra ->> '$.{key}' = 'true'"


class DuckDb:
    def __init__(self, directory, loaded):
        self.workload = loaded
        Path(directory).mkdir(exist_ok=True)
        self.dialect = Dialect()
        self.db = duckdb.connect(
            f"{directory}/{loaded.TABLE}.duckdb",
            config={
                "threads": 2,
                "memory_limit": "8GB",
                "temp_directory": f"{directory}/temp",
                "storage_compatibility_version": "latest",
            },
        )
        tables = [row[0] for row in self.db.execute("SHOW TABLES").fetchall()]
        if loaded.TABLE not in tables:
            self.db.execute((HERE / f"duckdb_{loaded.TABLE}.sql").read_text())
        described = self.db.execute(f"DESCRIBE {loaded.TABLE}").fetchall()
        self.columns = {row[0]: row[1] for row in described}

    def load(self, path):
        typed = ", ".join(f"'{name}': '{kind}'" for name, kind in self.columns.items())
        names = ", ".join(self.columns)
        self.db.execute(
            f"INSERT INTO {self.workload.TABLE} SELECT {names} FROM read_json('{path}',"
            f" format = 'newline_delimited', maximum_object_size = 67108864, columns = {{{typed}}})"
            f" ORDER BY {self.workload.ORDER}"
        )

    def settle(self):
        self.db.execute("CHECKPOINT")

    def cpu(self):
        return time.process_time()

    exact_cpu = cpu

    def rows(self, statement):
        return self.db.execute(statement).fetchall()

    def trace(self, project, trace):
        loaded = self.workload
        rows = self.db.execute(
            f"SELECT * FROM {loaded.TABLE} WHERE project = ? AND trace_id = ?"
            f" {loaded.TRACES_ORDER}", [project, trace]
        ).fetchall()
        return protocol.text_bytes(rows, list(self.columns), loaded.TEXTS)

    def close(self):
        self.db.close()


protocol.serve(DuckDb(sys.argv[1], workload.of(sys.argv[2])))
