"""DuckDB in this process. Argument: directory. A commit is synced by default."""

import sys
import time
from pathlib import Path

import duckdb

import protocol
import sql

HERE = Path(__file__).resolve().parent
# The words of a value are what the planted texts are: a substring search finds the same rows.


class Dialect:
    def div(self, column, by):
        return f"{column} // {by}"

    def count_if(self, condition):
        return f"count(*) FILTER ({condition})"

    def quantiles(self, at):
        return f"quantile_cont(duration_ns, {list(at)})"

    def distinct(self, column):
        return f"count(DISTINCT {column})"

    def words(self, text):
        return f"(contains(input, '{text}') OR contains(output, '{text}'))"

    def facets(self, keys, where):
        sets = ", ".join(f"({k})" for k in keys)
        key = "CASE " + " ".join(f"WHEN grouping({k}) = 0 THEN '{k}'" for k in keys) + " END"
        return (
            f"SELECT {key} AS key, coalesce({', '.join(keys)}) AS value, count(*) FROM spans"
            f" WHERE {where} GROUP BY GROUPING SETS ({sets}) HAVING value <> ''"
        )

    def matches(self, pattern):
        return f"(regexp_matches(input, '{pattern}') OR regexp_matches(output, '{pattern}'))"

    def true_in_extra(self, key):
        return f"extra ->> '$.{key}' = 'true'"


class DuckDb:
    def __init__(self, directory):
        Path(directory).mkdir(exist_ok=True)
        self.dialect = Dialect()
        self.db = duckdb.connect(
            f"{directory}/spans.duckdb",
            config={
                "threads": 2,
                "memory_limit": "8GB",
                "temp_directory": f"{directory}/temp",
                "storage_compatibility_version": "latest",
            },
        )
        tables = [row[0] for row in self.db.execute("SHOW TABLES").fetchall()]
        if "spans" not in tables:
            self.db.execute((HERE / "duckdb.sql").read_text())
        described = self.db.execute("DESCRIBE spans").fetchall()
        self.columns = {row[0]: row[1] for row in described}

    def load(self, path):
        typed = ", ".join(f"'{name}': '{kind}'" for name, kind in self.columns.items())
        names = ", ".join(self.columns)
        self.db.execute(
            f"INSERT INTO spans SELECT {names} FROM read_json('{path}',"
            f" format = 'newline_delimited', maximum_object_size = 67108864, columns = {{{typed}}})"
            " ORDER BY project, start_ns"
        )

    def settle(self):
        self.db.execute("CHECKPOINT")

    def cpu(self):
        return time.process_time()

    exact_cpu = cpu

    def statements(self, query, asked):
        return sql.statements(query, asked, self.dialect)

    def rows(self, statement):
        return self.db.execute(statement).fetchall()

    def trace(self, project, trace):
        rows = self.db.execute(
            "SELECT * FROM spans WHERE project = ? AND trace_id = ?", [project, trace]
        ).fetchall()
        return [len(rows), sum(len(r[16]) + len(r[17]) for r in rows)]

    def close(self):
        self.db.close()


protocol.serve(DuckDb(sys.argv[1]))
