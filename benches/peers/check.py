"""Whether an answer is right. One judge for all engines."""

# Sketches of quantiles are right within this; exact ones pass as well.
QUANTILE_ERROR = 0.02
# Traces that an answer to Q3 has at least.
TRACES_MIN = 100


def wrong(query, right, got, asked):
    """Why the answer is wrong, or None."""
    if query == "Q3":
        # A run asks for the first of the traces alone.
        right = right[: max(len(got), TRACES_MIN)]
    if query == "Q4":
        return wrong_latency(right, got)
    if query == "Q5":
        return wrong_sums(right, got)
    if query == "Q6":
        return wrong_users(right, got)
    if query == "Q10":
        return wrong_facets(right, got, asked)
    if right == got:
        return None
    return differs(right, got)


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


def wrong_latency(right, got):
    problem = wrong_keys(right, got)
    if problem:
        return problem
    for key, (count, errors, around) in right.items():
        if got[key][:2] != [count, errors]:
            return f"{key}: expected {[count, errors]} got {got[key][:2]}"
        for (low, high), value in zip(around, got[key][2]):
            if not low * (1 - QUANTILE_ERROR) <= float(value) <= high * (1 + QUANTILE_ERROR):
                return f"{key}: expected {low}..{high} got {value}"
    return None


def wrong_sums(right, got):
    problem = wrong_keys(right, got)
    if problem:
        return problem
    for key, sums in right.items():
        if not all(close(a, b) for a, b in zip(sums, got[key])):
            return f"{key}: expected {sums} got {got[key]}"
    return None


def wrong_users(right, got):
    if len(right) != len(got):
        return f"{len(right)} users expected, {len(got)} came"
    for a, b in zip(right, got):
        if a[0] != b[0] or not all(close(x, y) for x, y in zip(a[1:], b[1:])):
            return f"expected {a} got {b}"
    return None


def wrong_facets(right, got, asked):
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
