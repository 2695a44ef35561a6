"""Log lines: L1 to L7 in SQL, and who judges them."""

import check

TABLE, ROW = "logs", "line"
QUERIES = [f"L{n}" for n in range(1, 8)]
WEIGHTS = {query: 1.0 for query in QUERIES}
SCORED = "L1-L7"
TRACES, TRACES_ORDER, TEXTS = "L3", "ORDER BY time_ns", ("body",)
ORDER = "project, time_ns"
REQUEST = "request of 512 lines"
LEFT_OUT = {"postgres": "it has schemas for spans alone"}
JUDGES = {"L3": check.traces, "L6": check.sums}


def statements(query, a, d):
    """The statement of a query, alone in a list."""
    of_project = f"project = {a.project}"

    def newest(condition="true"):
        return [
            f"SELECT request_id, time_ns, severity, service, body FROM logs WHERE {of_project}"
            f" AND {condition} ORDER BY time_ns DESC LIMIT {a.list}"
        ]

    if query == "L1":
        return newest()
    if query == "L2":
        return newest(f"severity_number >= {a.severe} AND service = '{a.service}'")
    if query == "L4":
        return newest(d.words(a.rare, TEXTS))
    if query == "L5":
        return [f"SELECT count(*) FROM logs WHERE {of_project} AND {d.words(a.common, TEXTS)}"]
    if query == "L6":
        return [
            f"SELECT {d.div('time_ns', a.hour)} AS hour, severity, count(*) FROM logs"
            f" WHERE {of_project} AND time_ns >= {a.since(a.day)} GROUP BY 1, 2"
        ]
    if query == "L7":
        return newest(f"user_id = '{a.user}'")
    raise ValueError(query)


def shape(query, results):
    """Rows as the manifest has them."""
    rows = [list(row) for row in results[0]]
    if query == "L5":
        return int(rows[0][0])
    if query == "L6":
        return {f"{hour}|{severity}": [int(count)] for hour, severity, count in rows}
    return rows
