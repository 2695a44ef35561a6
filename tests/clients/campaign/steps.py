"""Steps as served, and requests as the model got them, in one comparable form."""

import json

from spans import of_text


def said_in(step):
    """Role, text, and uses of tools as id, name and arguments. Some have results of tools in a message of the user."""
    results = ("tool_call_response", "tool_result")
    return [
        (
            "tool" if any(part.get("part_type") in results for part in message["content"]) else message.get("role_sent", message["role"]),
            "".join(part["text"] for part in message["content"]),
            [(used["id"], used["name"], used["arguments"]) for used in message["tool_calls"]],
        )
        for message in step["messages"]
    ]


def uses_of(step):
    return [(used["id"], used["name"], used["arguments"], used.get("result"), used.get("error")) for used in step["tool_calls"]]


def asked_of_openai(body):
    """The messages of a request of chat completions."""
    return [
        (
            message["role"],
            message.get("content") or "",
            [
                (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
                for call in message.get("tool_calls") or []
            ],
        )
        for message in body["messages"]
    ]


def asked_of_anthropic(body):
    """The messages of a request, with results of tools as messages of role "tool"."""
    system = body.get("system") or []
    system = system if isinstance(system, str) else "".join(block["text"] for block in system)
    said = [("system", system, [])] if system else []
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        results = [block for block in blocks if block["type"] == "tool_result"]
        if results:
            said += [("tool", text_of(block["content"]), []) for block in results]
            continue
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        uses = [(block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
        said.append((message["role"], text, uses))
    return said


def text_of(content):
    return content if isinstance(content, str) else "".join(block["text"] for block in content)


def tree_of(trace):
    """Name of each step and of its parent."""
    names = {step["step_id"]: step["name"] for step in trace["steps"]}
    return [(step["name"], names.get(step.get("parent_step_id"))) for step in trace["steps"]]


def kind_of(step):
    return step.get("type_sent", step["type"])


def of_kind(trace, kind):
    return [step for step in trace["steps"] if kind_of(step) == kind]


def check_times(trace, program):
    """Every step lies within the program, and within its parent."""
    steps = {step["step_id"]: step for step in trace["steps"]}
    for step in trace["steps"]:
        start, end = of_text(step["started_at"]), of_text(step["ended_at"])
        assert program["begun"] // 1000 <= start <= end <= program["ended"] // 1000, step["name"]
        parent = steps.get(step.get("parent_step_id"))
        # Some clients have times in milliseconds.
        assert parent is None or of_text(parent["started_at"]) - 1000 <= start, step["name"]
        assert abs(step["latency_ms"] - (end - start) // 1000) <= 1
