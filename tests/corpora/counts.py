"""What is in the corpora, counted twice: from the files, without the converters, and from what obsrv serves.

A count is the number of runs, of steps, and a digest over every text in them, whatever its order."""

import csv
import dataclasses
import hashlib
import json
import sys

from read import documents, lines, stream_of, files


@dataclasses.dataclass
class Count:
    runs: int = 0
    steps: int = 0
    texts: int = 0
    characters: int = 0
    digest: int = 0

    def text(self, value):
        """Adds a text; the sum of hashes does not depend on order but on repetition."""
        self.texts += 1
        self.characters += len(value)
        hashed = hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()
        self.digest = (self.digest + int.from_bytes(hashed[:8], "little")) % 2**64


def of_files(root):
    found = {
        "tau": tau(root),
        "intercode": intercode(root),
        "who-and-when": who_and_when(root),
        "framework-traces": framework_traces(root),
        "any-agent": any_agent(root),
        "halo": halo(root),
        "nezha": nezha(root),
        "otlp-example": otlp_example(root),
    }
    return {corpus: count for corpus, count in found.items() if count.runs}


def tau(root):
    count = Count()
    for _, run in lines(root, "tau-bench-airline/runs.jsonl*"):
        count.runs += 1
        roles = [turn["role"] for turn in run["traj"]]
        count.steps += roles.count("assistant") + roles.count("tool")
        count.steps += not roles or roles[-1] not in ("assistant", "tool")
        for turn in run["traj"]:
            if turn["content"] is not None:
                count.text(turn["content"])
    return count


def tau_rewards(root):
    return sum(run["reward"] == 1 for _, run in lines(root, "tau-bench-airline/runs.jsonl*"))


def intercode(root):
    count = Count()
    for _, run in lines(root, "intercode/runs.jsonl*"):
        turns = run["turn_history"]
        count.runs += 1
        count.steps += len(turns["actions"]) + len(turns["observations"])
        for said in turns["actions"] + turns["observations"]:
            count.text(said)
    return count


def who_and_when(root):
    count = Count()
    for _, run in lines(root, "who-and-when/failures.jsonl*"):
        count.runs += 1
        count.steps += len(run["history"])
        for turn in run["history"]:
            count.text(turn["content"])
    return count


def framework_traces(root):
    count = Count()
    for _, run in documents(root, "framework-traces/*.trace.json*"):
        count.runs += 1
        for seen in run["observations"]:
            count.steps += 1
            count.text(seen["name"])
            for field in ["input", "output"]:
                value = seen[field]
                if value is not None:
                    count.text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return count


def any_agent(root):
    count = Count()
    for _, run in documents(root, "otel-agent-spans/any-agent-*.json*"):
        count.runs += len({seen["context"]["trace_id"] for seen in run["spans"]})
        for seen in run["spans"]:
            count.steps += 1
            attribute_texts(count, seen["name"], seen["attributes"])
    return count


def halo(root):
    count, traces = Count(), set()
    for _, seen in lines(root, "otel-agent-spans/halo-*.jsonl*"):
        traces.add(seen["trace_id"])
        count.steps += 1
        attribute_texts(count, seen["name"], seen["attributes"])
    count.runs = len(traces)
    return count


def attribute_texts(count, name, attributes):
    count.text(name)
    for key, value in attributes.items():
        count.text(f"{key}={json.dumps(value)}")


def nezha(root):
    """4,579 of the 395,391 rows of the full files stand there twice, the same in every field: those are one span."""
    count, traces, spans = Count(), set(), {}
    for path in files(root, "nezha/*.spans.csv*"):
        for row in csv.reader(stream_of(path)):
            if row[0] == "TraceID":
                continue
            trace, span, parent, pod, operation, start, end, _ = row
            if (trace, span) in spans:
                assert spans[trace, span] == row, f"two spans of one id trace={trace} span={span}"
                continue
            spans[trace, span] = row
            traces.add(trace)
            count.steps += 1
            start, end = int(start) // 1000, int(end) // 1000
            count.text(f"{span} {'' if parent == 'root' else parent} {pod} {operation} {start} {end}")
    count.runs = len(traces)
    return count


def otlp_example(root):
    count = Count()
    if files(root, "span-formats/otlp-trace.json"):
        count.runs = count.steps = 1
        count.text("I'm a server span")
    return count


def of_served(details):
    """The same counts over answers of `GET /v1/traces/{id}`."""
    found = {}
    for detail in details:
        steps = detail["trace"]["steps"]
        corpus = detail["meta"].get("metadata", {}).get("corpus", "otlp-example")
        count = found.setdefault(corpus, Count())
        count.runs += 1
        count.steps += len(steps)
        for step in steps:
            SERVED[corpus](count, step)
    return found


def served_conversation(count, step):
    for message in step["messages"]:
        for part in message["content"]:
            count.text(part["text"])
    if step["type"] == "tool":
        for call in step["tool_calls"]:
            count.text(call["result"])


def served_observation(count, step):
    count.text(step["name"])
    for field in ["input", "output"]:
        value = step["metadata"].get(f"langfuse.observation.{field}")
        if value is not None:
            count.text(value)


def served_attributes(count, step):
    kept = {k: v for k, v in step["metadata"].items() if k != "metadata.corpus"}
    attribute_texts(count, step["name"], kept)


def served_pod(count, step):
    from spans import of_text

    parent, pod = step.get("parent_step_id") or "", step["resource"]["k8s.pod.name"]
    start, end = of_text(step["started_at"]), of_text(step["ended_at"])
    count.text(f"{step['step_id']} {parent} {pod} {step['name']} {start} {end}")


SERVED = {
    "tau": served_conversation,
    "intercode": served_conversation,
    "who-and-when": served_conversation,
    "framework-traces": served_observation,
    "any-agent": served_attributes,
    "halo": served_attributes,
    "nezha": served_pod,
    "otlp-example": lambda count, step: count.text(step["name"]),
}


def table(found):
    """The counts as Markdown."""
    rows = ["| corpus | runs | steps | texts | characters | digest |", "|---|---|---|---|---|---|"]
    for corpus, c in found.items():
        rows.append(f"| {corpus} | {c.runs:,} | {c.steps:,} | {c.texts:,} | {c.characters:,} | {c.digest:016x} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table(of_files(sys.argv[1])))
