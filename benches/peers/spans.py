"""Spans: Q1 to Q13 in SQL, and who judges them. What engines write differently comes from a `dialect`."""

import check

TABLE, ROW = "spans", "span"
QUERIES = ["Q1", "Q2", "Q3", "Q4", "Q5", "Q6", "Q7", "Q8a", "Q8b", "Q8c", "Q8d", "Q9", "Q10",
           "Q11", "Q12", "Q13"]
# What each weighs in the score: Q1 to Q10, the three questions of Q8 as one.
WEIGHTS = {q: 1.0 for q in QUERIES[:7] + ["Q9", "Q10"]} | {q: 1 / 3 for q in ("Q8a", "Q8b", "Q8c")}
SCORED = "Q1-Q10"
# The query that asks for whole traces, in which order of rows, and which texts of them are weighed.
TRACES, TRACES_ORDER, TEXTS = "Q3", "", ("input", "output")
# How rows of a batch are sorted where the engine does not sort them itself.
ORDER = "project, start_ns"
# What obsrv is sent and syncs at once.
REQUEST = "request of 64 spans"
# Engines that are not run, and why not.
LEFT_OUT = {}
JUDGES = {"Q3": check.traces, "Q4": check.quantiles, "Q5": check.sums, "Q6": check.ranked,
          "Q10": check.facets}


def statements(query, a, d):
    """The statements of a query; of the counted lists the second is the count."""
    p, spans = a.project, "spans"
    hour, day = f"start_ns >= {a.since(a.hour)}", f"start_ns >= {a.since(a.day)}"
    newest = f"ORDER BY start_ns DESC, span_id DESC LIMIT {a.list}"
    failed = "status = 'error'"
    columns = "span_id, trace_id, name, start_ns, duration_ns, status"

    def counted(where):
        return [
            f"SELECT {columns} FROM {spans} WHERE {where} {newest}",
            f"SELECT count(*) FROM {spans} WHERE {where}",
        ]

    if query == "Q1":
        return [
            f"SELECT trace_id, start_ns, duration_ns, status, name, cost FROM {spans}"
            f" WHERE project = {p} AND parent_id = '' AND {hour} {newest}"
        ]
    if query == "Q2":
        return [
            f"SELECT span_id, substring(input, 1, {a.preview}), substring(output, 1, {a.preview}),"
            f" name, start_ns, duration_ns FROM {spans} WHERE project = {p} AND status = 'error'"
            f" AND env = 'prod' AND workflow = 'wf-3' AND {day} {newest}"
        ]
    if query == "Q4":
        return [
            f"SELECT {d.div('start_ns', a.minute)} AS minute, model, count(*),"
            f" {d.count_if(failed)}, {d.quantiles('duration_ns', a.quantiles)}"
            f" FROM {spans} WHERE project = {p} AND model <> ''"
            f" AND start_ns >= {a.since(a.day // 4)} GROUP BY 1, 2"
        ]
    if query == "Q5":
        return [
            f"SELECT project, {d.div('start_ns', a.day)} AS day, model, sum(input_tokens),"
            f" sum(output_tokens), sum(cost) FROM {spans} WHERE model <> '' GROUP BY 1, 2, 3"
        ]
    if query == "Q6":
        return [
            f"SELECT user_id, sum(cost) AS total, count(*), {d.distinct('session')} FROM {spans}"
            f" WHERE project = {p} GROUP BY user_id ORDER BY total DESC, user_id LIMIT {a.users}"
        ]
    if query == "Q7":
        return [
            f"SELECT {columns} FROM {spans} WHERE tool = 'run_sql' AND status = 'error' AND {day}"
            f" ORDER BY duration_ns DESC, span_id DESC LIMIT {a.slowest}"
        ]
    if query in ("Q8a", "Q8b", "Q8c", "Q8d"):
        text = {"Q8a": a.rare, "Q8b": a.absent, "Q8c": a.phrase, "Q8d": a.medium}[query]
        return [f"SELECT {columns} FROM {spans} WHERE project = {p} AND {d.words(text, TEXTS)} {newest}"]
    if query == "Q9":
        return counted(f"{d.words(a.common, TEXTS)} AND region = 'eu-west-1' AND {day}")
    if query == "Q10":
        return [d.facets(a.facets, f"project = {p} AND status = 'error' AND {day}")]
    if query == "Q11":
        return [
            f"SELECT trace_id, start_ns, duration_ns, status, name FROM {spans} WHERE project = {p}"
            f" AND session = '{a.session}' AND parent_id = '' {newest}"
        ]
    if query == "Q12":
        return counted(f"project = {p} AND {hour} AND {d.matches(a.pattern, TEXTS)}")
    if query == "Q13":
        return counted(f"project = {p} AND {d.true_in_extra(a.rare_key)}")
    raise ValueError(query)


def shape(query, results):
    """Rows as the manifest has its answers."""
    rows = [list(row) for row in results[0]]
    if query in ("Q1", "Q2", "Q6"):
        width = {"Q1": 4, "Q2": 3, "Q6": 4}[query]
        return [row[:width] for row in rows]
    if query == "Q4":
        return {f"{r[0]}|{r[1]}": [int(r[2]), int(r[3]), list(r[4])] for r in rows}
    if query == "Q5":
        return {f"{r[0]}|{r[1]}|{r[2]}": [int(r[3]), int(r[4]), float(r[5])] for r in rows}
    if query == "Q10":
        facets = {}
        for key, value, count in rows:
            facets.setdefault(key, {})[value] = int(count)
        return facets
    ids = [row[0] for row in rows]
    if query in ("Q9", "Q12", "Q13"):
        return [int(results[1][0][0]), ids]
    return ids
