"""Metric points: P1 to P7 in SQL, and who judges them."""

import check

TABLE, ROW = "points", "point"
QUERIES = [f"P{n}" for n in range(1, 8)]
WEIGHTS = {query: 1.0 for query in QUERIES}
SCORED = "P1-P7"
TRACES = None
ORDER = "project, name, service, instance, model, time_ns"
REQUEST = "export of about 60 points"
LEFT_OUT = {"postgres": "it has schemas for spans alone",
            "clickhouse-plain": "points have no text, so it would be clickhouse again"}
JUDGES = {"P2": check.sums, "P3": check.sums, "P4": check.quantiles, "P5": check.sums,
          "P6": check.newest, "P7": check.sums}


def statements(query, a, d):
    """The statement of a query, alone in a list."""
    today = f"time_ns >= {a.since(a.day)}"

    def of(name):
        return f"FROM points WHERE project = {a.project} AND name = '{name}'"

    if query == "P1":
        return [
            f"SELECT time_ns, value {of(a.wide)} AND instance = '{a.instance}'"
            f" AND model = '{a.model}' AND {today} ORDER BY time_ns"
        ]
    if query == "P2":
        return [
            f"SELECT {d.div('time_ns', 5 * a.minute)} AS bucket, service, count(*), avg(value)"
            f" {of(a.gauge)} AND {today} GROUP BY 1, 2"
        ]
    if query == "P3":
        return [f"SELECT model, sum(value) {of(a.counter)} GROUP BY model"]
    if query == "P4":
        quantiles = d.quantiles("value", a.quantiles, many=True)
        return [f"SELECT service, count(*), {quantiles} {of(a.wide)} GROUP BY service"]
    if query == "P5":
        return [f"SELECT name, count(*) FROM points WHERE project = {a.project} GROUP BY name"]
    if query == "P6":
        return [
            "SELECT time_ns, name, model, CASE WHEN kind = 'histogram' THEN sum ELSE value END"
            f" FROM points WHERE project = {a.project} AND host = '{a.host}'"
            f" ORDER BY time_ns DESC LIMIT {a.list}"
        ]
    if query == "P7":
        return [f"SELECT service, sum(count), sum(sum) {of(a.histogram)} AND {today}"
                " GROUP BY service"]
    raise ValueError(query)


def shape(query, results):
    """Rows as the manifest has them."""
    rows = [list(row) for row in results[0]]
    if query in ("P1", "P6"):
        return rows
    if query == "P2":
        return {f"{row[0]}|{row[1]}": [int(row[2]), float(row[3])] for row in rows}
    if query == "P4":
        return {row[0]: [int(row[1]), list(row[2])] for row in rows}
    return {row[0]: [float(figure) for figure in row[1:]] for row in rows}
