"""Corpora of conversations as theta traces. None of them has times: one second a step, and the trace says so."""

import datetime
import json

from read import lines

EPOCH = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


def stamp(second):
    return (EPOCH + datetime.timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Builder:
    """One trace; steps follow each other in a made-up clock."""

    clock = 0

    def __init__(self, trace_id, name, **fields):
        self.start = Builder.clock
        self.trace = {
            "schema_version": "1.0",
            "trace_id": trace_id,
            "project_id": "",
            "name": name,
            "tags": [],
            "metadata": {},
            "steps": [],
            "events": [],
            "attachments": [],
            "annotations": [],
            **fields,
        }
        self.trace["metadata"]["times"] = "synthesised"

    def step(self, kind, name, **fields):
        index = len(self.trace["steps"])
        self.trace["steps"].append(
            {
                "step_id": f"{self.trace['trace_id']}-{index}",
                "index": index,
                "type": kind,
                "name": name,
                "status": "success",
                "started_at": stamp(Builder.clock),
                "ended_at": stamp(Builder.clock + 1),
                "latency_ms": 1000,
                "messages": [],
                "tool_calls": [],
                "events": [],
                "attachments": [],
                "sensor_frames": [],
                "metadata": {},
                "annotations": [],
                **{k: v for k, v in fields.items() if v is not None},
            }
        )
        Builder.clock += 1

    def done(self, solved, why):
        self.trace["status"] = "success" if solved else "error"
        if not solved:
            self.trace["error_message"] = why
        self.trace["started_at"] = stamp(self.start)
        self.trace["ended_at"] = stamp(Builder.clock)
        self.trace["latency_ms"] = (Builder.clock - self.start) * 1000
        Builder.clock += 1
        return self.trace


def message(role, text, tool_calls=(), name=None):
    made = {
        "role": role,
        "content": [{"type": "text", "text": text}] if text is not None else [],
        "tool_calls": list(tool_calls),
    }
    if name:
        made["name"] = name
    return made


def tool_calls_of(turn):
    return [
        {
            "id": call["id"],
            "name": call["function"]["name"],
            "arguments": json.loads(call["function"]["arguments"]),
        }
        for call in turn.get("tool_calls") or []
    ]


def tau(root):
    """What was said since the last answer, and the answer, are one llm step; a tool's result is a tool step."""
    for _, run in lines(root, "tau-bench-airline/runs.jsonl*"):
        task, trial = run["task_id"], run["trial"]
        made = Builder(
            f"tau-airline-{task}-{trial}",
            f"airline task {task}",
            group=f"task-{task}",
            user_id=run["info"]["task"]["user_id"],
            run_type="agent",
            model="gpt-4o",
            tags=["tau-bench", "airline"],
            metadata={"corpus": "tau", "task_id": task, "trial": trial, "reward": run["reward"]},
            annotations=[{"label": "reward", "score": run["reward"]}],
        )
        said, calls = [], {}
        for turn in run["traj"]:
            if turn["role"] == "tool":
                call = calls[turn["tool_call_id"]]
                made.step("tool", turn["name"], tool_calls=[{**call, "result": turn["content"]}])
                continue
            asked = tool_calls_of(turn)
            calls.update((call["id"], call) for call in asked)
            said.append(message(turn["role"], turn["content"], asked))
            if turn["role"] == "assistant":
                made.step("llm", "answer", messages=said, model="gpt-4o")
                said = []
        if said:
            made.step("human", "last word", messages=said)
        yield made.trace["trace_id"], made.done(run["reward"] == 1, f"reward {run['reward']}")


def intercode(root):
    """An action is an llm step, what it led to a tool step."""
    for _, run in lines(root, "intercode/runs.jsonl*"):
        stem = run["file"].removesuffix(".json").replace("/", "-")
        turns = run["turn_history"]
        metadata = {
            "corpus": "intercode",
            "environment": run["environment"],
            "file": run["file"],
            "query": run["query"],
            "max_reward": run["summary"]["max_reward"],
            "turns": len(turns["actions"]),
        }
        if "hardness" in run:
            metadata["hardness"] = run["hardness"]
        made = Builder(
            f"intercode-{stem}-{run['key']}",
            run["environment"],
            run_type="agent",
            tags=["intercode"],
            metadata=metadata,
        )
        for i, action in enumerate(turns["actions"]):
            made.step("llm", "action", messages=[message("assistant", action)])
            if i >= len(turns["observations"]):
                continue
            judged = turns.get("valid_action", [])  # a few runs were not judged
            valid = judged[i] if i < len(judged) else True
            seen = turns["observations"][i]
            call = {"id": f"call-{i}", "name": "execute", "arguments": {"code": action}, "result": seen}
            made.step(
                "tool",
                "execute",
                tool_calls=[call],
                status="success" if valid else "error",
                error_message=None if valid else seen[:200],
            )
        solved = run["summary"]["max_reward"] == 1
        yield made.trace["trace_id"], made.done(solved, "not solved")


def who_and_when(root):
    """Every message is a step; the human label is an annotation of the step it blames."""
    for _, run in lines(root, "who-and-when/failures.jsonl*"):
        stem = run["file"].removesuffix(".json").replace("/", "-")
        made = Builder(
            f"who-and-when-{stem}",
            "failed multi-agent run",
            run_type="agent",
            tags=["who-and-when"],
            metadata={"corpus": "who-and-when", "mistake_agent": run["mistake_agent"]},
        )
        blamed = int(run["mistake_step"])
        for i, turn in enumerate(run["history"]):
            agent = turn.get("name") or turn["role"]
            note = [{"label": "mistake", "comment": run["mistake_reason"], "score": 0.0}]
            made.step(
                "llm",
                agent,
                messages=[message("assistant", turn["content"], name=agent)],
                metadata={"agent": {"name": agent}},
                annotations=note if i == blamed else [],
            )
        yield made.trace["trace_id"], made.done(False, run["mistake_reason"])


ALL = {"tau": tau, "intercode": intercode, "who-and-when": who_and_when}
