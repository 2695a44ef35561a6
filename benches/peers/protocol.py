"""The side of an engine in the benchmark: commands are lines of JSON on standard input."""

import json
import sys
import time
import traceback

TRACES_A_RUN = 100


class Asked:
    """The constants of the queries, out of the manifest."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.__dict__.update(json.load(file)["asked"])
        self.minute = 60_000_000_000
        self.hour = 60 * self.minute
        self.day = 24 * self.hour

    def since(self, window):
        return self.now_ns - window


def share(traces, run):
    """The traces of Q3 that one run asks for."""
    start = run % max(1, len(traces) // TRACES_A_RUN) * TRACES_A_RUN
    return traces[start : start + TRACES_A_RUN]


def serve(engine):
    """Obeys until `quit`. The engine has load, settle, cpu, exact_cpu, query and close."""
    real = sys.stdout
    sys.stdout = sys.stderr

    def say(answer):
        real.write(json.dumps(answer) + "\n")
        real.flush()

    say({"ready": True})
    asked = {}
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "quit":
            break
        try:
            if command["do"] in ("ask", "time"):
                path = command["manifest"]
                asked[path] = asked.get(path) or Asked(path)
            say(obey(engine, command, asked.get(command.get("manifest"))))
        except Exception as error:  # whatever an engine throws is an answer of this run
            traceback.print_exc()
            say({"error": f"{type(error).__name__}: {error}"[:500]})
    engine.close()


def obey(engine, command, asked):
    if command["do"] == "load":
        begun = time.perf_counter()
        engine.load(command["path"])
        return {"wall": time.perf_counter() - begun}
    if command["do"] == "settle":
        begun = time.perf_counter()
        engine.settle()
        return {"wall": time.perf_counter() - begun}
    if command["do"] == "cpu":
        return {"cpu": engine.cpu()}
    if command["do"] == "ask":
        wall, cpu, answer = once(engine, command["query"], asked, 0)
        return {"wall": wall, "cpu": cpu, "answer": answer}
    if command["do"] == "time":
        runs = []
        for run in range(command["warm"] + command["runs"]):
            number = max(0, run - command["warm"])
            runs.append(once(engine, command["query"], asked, number))
        runs = runs[command["warm"] :]
        return {"wall": [r[0] for r in runs], "cpu": [r[1] for r in runs]}
    raise ValueError(f"unknown command {command}")


def once(engine, query, asked, run):
    """Wall and CPU seconds of one run, and its answer; of Q3 for one trace."""
    if query == "Q3":
        traces = share(asked.traces, run)
        cpu = engine.exact_cpu()
        begun = time.perf_counter()
        found = [engine.trace(project, trace) for project, trace in traces]
        wall = time.perf_counter() - begun
        cpu = engine.exact_cpu() - cpu
        return wall / len(traces), cpu / len(traces), found
    statements = engine.statements(query, asked)
    cpu = engine.exact_cpu()
    begun = time.perf_counter()
    rows = [engine.rows(statement) for statement in statements]
    wall = time.perf_counter() - begun
    cpu = engine.exact_cpu() - cpu
    return wall, cpu, shape(query, rows)


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
