"""PostgreSQL as a server of its own on a socket. Arguments: directory, first day, days. Spans alone."""

import glob
import os
import pwd
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psycopg

import protocol
import spans

HERE = Path(__file__).resolve().parent
DAY_NS = 86_400_000_000_000
TICKS = os.sysconf("SC_CLK_TCK")
SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "2GB",
    "effective_cache_size": "6GB",
    "work_mem": "64MB",
    "maintenance_work_mem": "1GB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "30min",
    "default_toast_compression": "lz4",
    "random_page_cost": "1.1",
    "effective_io_concurrency": "200",
    "max_parallel_workers_per_gather": "1",
    "jit": "off",
}


class Dialect:
    def div(self, column, by):
        return f"{column} / {by}"

    def count_if(self, condition):
        return f"count(*) FILTER (WHERE {condition})"

    def quantiles(self, column, at, many=False):
        return f"percentile_cont(ARRAY{list(at)}) WITHIN GROUP (ORDER BY {column})"

    def distinct(self, column):
        return f"count(DISTINCT {column})"

    def words(self, text, columns):
        texts = " || ' ' || ".join(columns)
        return f"to_tsvector('simple', {texts}) @@ phraseto_tsquery('simple', '{text}')"

    def facets(self, keys, where):
        sets = ", ".join(f"({k})" for k in keys)
        key = "CASE " + " ".join(f"WHEN grouping({k}) = 0 THEN '{k}'" for k in keys) + " END"
        return (
            f"SELECT {key}, coalesce({', '.join(keys)}), count(*) FROM spans WHERE {where}"
            f" GROUP BY GROUPING SETS ({sets}) HAVING coalesce({', '.join(keys)}) <> ''"
        )

    def matches(self, pattern, columns):
        return "(" + " OR ".join(f"{c} ~ '{pattern}'" for c in columns) + ")"

    def true_in_extra(self, key):
        return f"""extra @> '{{"{key}": true}}'"""


def programs():
    """The newest installed server's."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    return Path(found[-1]).parent if found else Path(shutil.which("postgres")).parent


class Postgres:
    workload = spans

    def __init__(self, directory, first_day, days):
        self.directory = Path(directory)
        self.data = self.directory / "data"
        self.bin = programs()
        # The server refuses to run as root.
        self.user = "postgres" if os.getuid() == 0 else None
        fresh = not self.data.exists()
        if fresh:
            self.directory.mkdir(exist_ok=True)
            if self.user:
                entry = pwd.getpwnam(self.user)
                os.chown(self.directory, entry.pw_uid, entry.pw_gid)
            self.run("initdb", "-D", self.data, "-A", "trust", "-U", "bench", "--locale=C",
                     "-E", "UTF8")
        settings = dict(SETTINGS, unix_socket_directories=str(self.directory))
        self.server = subprocess.Popen(
            self.command("postgres", "-D", self.data,
                         *[w for k, v in settings.items() for w in ("-c", f"{k}={v}")]),
            stdout=sys.stderr, stderr=open(self.directory / "log", "ab"),
            cwd=self.directory, stdin=subprocess.DEVNULL)
        self.connect()
        pid = (self.data / "postmaster.pid").read_text().split()[0]
        self.postmaster = int(pid)
        self.dialect = Dialect()
        if fresh:
            self.db.execute((HERE / "postgres.sql").read_text())
            for day in range(first_day, first_day + days):
                self.db.execute(
                    f"CREATE TABLE spans_{day} PARTITION OF spans"
                    f" FOR VALUES FROM ({day * DAY_NS}) TO ({(day + 1) * DAY_NS})")

    def command(self, program, *arguments):
        words = [str(self.bin / program), *map(str, arguments)]
        # So that it ends with this process, whatever happens to it.
        prefix = ["setpriv", "--pdeathsig", "INT"]
        if self.user:
            prefix += ["--reuid", self.user, "--regid", self.user, "--clear-groups"]
        return prefix + words

    def run(self, program, *arguments):
        subprocess.run(self.command(program, *arguments), check=True, cwd=self.directory,
                       stdout=subprocess.DEVNULL)

    def connect(self):
        deadline = time.monotonic() + 120
        while True:
            try:
                self.db = psycopg.connect(
                    f"host={self.directory} user=bench dbname=postgres", autocommit=True)
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self.server.poll() is not None:
                    raise
                time.sleep(0.05)

    def load(self, path):
        with self.db.cursor() as cursor, open(path, "rb") as file:
            with cursor.copy("COPY spans FROM STDIN") as copy:
                while block := file.read(1 << 20):
                    copy.write(block)

    def settle(self):
        for line in (HERE / "postgres_indexes.sql").read_text().splitlines():
            if not line.startswith("--"):
                self.db.execute(line)
        self.db.execute("VACUUM ANALYZE")
        self.db.execute("CHECKPOINT")

    def cpu(self):
        """Of the server and all that it started."""
        def times(pid):
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                return [int(n) for n in file.read().rpartition(")")[2].split()[11:15]]

        total = sum(times(self.postmaster))
        for path in glob.glob(f"/proc/{self.postmaster}/task/*/children"):
            with open(path, encoding="ascii") as file:
                for child in file.read().split():
                    try:
                        total += sum(times(child)[:2])
                    except OSError:
                        pass
        return total / TICKS

    def exact_cpu(self):
        """Of our backend, to the nanosecond, and of ended parallel workers, to a tick."""
        with open(f"/proc/{self.db.info.backend_pid}/schedstat", encoding="ascii") as file:
            own = int(file.read().split()[0]) / 1e9
        with open(f"/proc/{self.postmaster}/stat", encoding="ascii") as file:
            ended = [int(n) for n in file.read().rpartition(")")[2].split()[13:15]]
        return own + sum(ended) / TICKS

    def rows(self, statement):
        return self.db.execute(statement, prepare=False).fetchall()

    def trace(self, project, trace):
        rows = self.db.execute(
            "SELECT * FROM spans WHERE project = %s AND trace_id = %s", [project, trace],
            prepare=True).fetchall()
        return [len(rows), sum(len(r[16]) + len(r[17]) for r in rows)]

    def close(self):
        self.db.close()
        self.run("pg_ctl", "-D", self.data, "stop", "-m", "fast", "-w", "-t", "600")
        self.server.wait()


protocol.serve(Postgres(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
