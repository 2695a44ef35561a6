"""Whether an answer is right. One judge for all engines."""

# Sketches of quantiles are right within this; exact ones pass as well.
QUANTILE_ERROR = 0.02
# Traces that an answer has at least.
TRACES_MIN = 100


def wrong(workload, query, right, got, asked):
    """Why the answer is wrong, or None."""
    return workload.JUDGES.get(query, equal)(right, got, asked)


def equal(right, got, _):
    return None if right == got else differs(right, got)


def traces(right, got, asked):
    # A run asks for the first of the traces alone.
    return equal(right[: max(len(got), TRACES_MIN)], got, asked)


def differs(right, got):
    if isinstance(right, list) and isinstance(got, list):
        if len(right) != len(got):
            return f"{len(right)} values expected, {len(got)} came"
        for at, (a, b) in enumerate(zip(right, got)):
            if a != b:
                return f"[{at}] expected {str(a)[:90]} got {str(b)[:90]}"
    return f"expected {str(right)[:90]} got {str(got)[:90]}"


def close(a, b):
    return abs(float(a) - float(b)) <= 1e-9 * max(1.0, abs(float(a)))


def wrong_keys(right, got):
    if right.keys() != got.keys():
        odd = sorted(right.keys() ^ got.keys())[:3]
        return f"{len(right)} groups expected, {len(got)} came, e.g. {odd}"
    return None


def quantiles(right, got, _):
    """Groups of exact figures and, last, the two values around each quantile."""
    problem = wrong_keys(right, got)
    if problem:
        return problem
    for key, (*exact, around) in right.items():
        if got[key][:-1] != exact:
            return f"{key}: expected {exact} got {got[key][:-1]}"
        for (low, high), value in zip(around, got[key][-1], strict=True):
            if not low * (1 - QUANTILE_ERROR) <= float(value) <= high * (1 + QUANTILE_ERROR):
                return f"{key}: expected {low}..{high} got {value}"
    return None


def sums(right, got, _):
    problem = wrong_keys(right, got)
    if problem:
        return problem
    for key, figures in right.items():
        if len(figures) != len(got[key]) or not all(map(close, figures, got[key])):
            return f"{key}: expected {figures} got {got[key]}"
    return None


def ranked(right, got, _):
    if len(right) != len(got):
        return f"{len(right)} rows expected, {len(got)} came"
    for a, b in zip(right, got):
        if a[0] != b[0] or not all(close(x, y) for x, y in zip(a[1:], b[1:])):
            return f"expected {a} got {b}"
    return None


def facets(right, got, asked):
    for key in asked["facets"]:
        exact, mine = right[key], got.get(key, {})
        best = sorted(exact.values(), reverse=True)[:20]
        listed = sorted(mine.items(), key=lambda kv: -kv[1])[:20]
        if [count for _, count in listed] != best:
            return f"{key}: expected {best[:5]} got {listed[:5]}"
        for value, count in listed:
            if exact.get(value) != count:
                return f"{key}={value}: expected {exact.get(value)} got {count}"
    return None


def newest(right, got, asked):
    """A list whose last row is one of several that are as old: right has all of these."""
    limit = asked["list"]
    if [row[0] for row in got] != [row[0] for row in right[:limit]]:
        return differs(right[:limit], got)
    left = [list(row) for row in right]
    for row in got:
        if row not in left:
            return f"expected no {str(row)[:90]}"
        left.remove(row)
    return None
