"""Q1 to Q13 in SQL. What engines write differently comes from a `dialect`."""


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
            f" {d.count_if(failed)}, {d.quantiles(a.quantiles)}"
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
        return [f"SELECT {columns} FROM {spans} WHERE project = {p} AND {d.words(text)} {newest}"]
    if query == "Q9":
        return counted(f"{d.words(a.common)} AND region = 'eu-west-1' AND {day}")
    if query == "Q10":
        return [d.facets(a.facets, f"project = {p} AND status = 'error' AND {day}")]
    if query == "Q11":
        return [
            f"SELECT trace_id, start_ns, duration_ns, status, name FROM {spans} WHERE project = {p}"
            f" AND session = '{a.session}' AND parent_id = '' {newest}"
        ]
    if query == "Q12":
        return counted(f"project = {p} AND {hour} AND {d.matches(a.pattern)}")
    if query == "Q13":
        return counted(f"project = {p} AND {d.true_in_extra(a.rare_key)}")
    raise ValueError(query)
