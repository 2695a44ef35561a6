"""The side of an engine in the benchmark: commands are lines of JSON on standard input."""

import json
import sys
import time
import traceback

TRACES_A_RUN = 100


def text_bytes(rows, columns, texts):
    """How many rows a trace has, and bytes of these texts of theirs."""
    at = [columns.index(text) for text in texts]
    return [len(rows), sum(len(row[i]) for row in rows for i in at)]


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
    """The traces that one run asks for."""
    start = run % max(1, len(traces) // TRACES_A_RUN) * TRACES_A_RUN
    return traces[start : start + TRACES_A_RUN]


def serve(engine):
    """Obeys until `quit`. The engine has load, settle, cpu, exact_cpu, rows, trace
    and close, and its workload."""
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
    """Wall and CPU seconds of one run, and its answer; of whole traces for one."""
    workload = engine.workload
    if query == workload.TRACES:
        traces = share(asked.traces, run)
        cpu = engine.exact_cpu()
        begun = time.perf_counter()
        found = [engine.trace(project, trace) for project, trace in traces]
        wall = time.perf_counter() - begun
        cpu = engine.exact_cpu() - cpu
        return wall / len(traces), cpu / len(traces), found
    statements = workload.statements(query, asked, engine.dialect)
    cpu = engine.exact_cpu()
    begun = time.perf_counter()
    rows = [engine.rows(statement) for statement in statements]
    wall = time.perf_counter() - begun
    cpu = engine.exact_cpu() - cpu
    return wall, cpu, workload.shape(query, rows)
