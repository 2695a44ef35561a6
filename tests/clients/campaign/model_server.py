"""A model that says what its script says, over the HTTP APIs of OpenAI, Anthropic and Google.

It keeps no state between requests: whoever asks with tools and has no result of one yet is told to use one, whoever brings a
result gets the answer. So the same script serves a program that calls the API twice and a framework that does so by itself.
`seen` has every request, which is what the clients really sent."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# The script. Tests compare with these.
ANSWER = "61F and sunny ✓"
THOUGHT = "The user wants the weather."
TOOLS = {
    "get_weather": {"city": "SF", "days": [1, 2]},
    # Tools of coding agents.
    "Bash": {"command": "echo from-the-tool", "description": "Says a word"},
    "run_shell_command": {"command": "echo from-the-tool", "description": "Says a word"},
    "shell": {"command": ["bash", "-lc", "echo from-the-tool"]},
    "shell_command": {"command": "echo from-the-tool"},
    "exec_command": {"cmd": "echo from-the-tool"},
    "local_shell": {"command": ["bash", "-lc", "echo from-the-tool"]},
}
CALL_ID = "call_0001"
BROKEN = "broken-model"
BROKEN_SAYS = "the model is broken on purpose"


class Usage:
    """What one answer used, in buckets that exclude one another."""

    def __init__(self, fresh, read, written, said, thought):
        self.fresh, self.read, self.written, self.said, self.thought = fresh, read, written, said, thought

    def openai(self, prompt="prompt", completion="completion"):
        into, out = self.fresh + self.read, self.said + self.thought
        return {
            f"{prompt}_tokens": into,
            f"{completion}_tokens": out,
            "total_tokens": into + out,
            f"{prompt}_tokens_details": {"cached_tokens": self.read},
            f"{completion}_tokens_details": {"reasoning_tokens": self.thought},
        }

    def anthropic(self):
        return {
            "input_tokens": self.fresh,
            "cache_read_input_tokens": self.read,
            "cache_creation_input_tokens": self.written,
            "output_tokens": self.said + self.thought,
        }

    def google(self):
        return {
            "promptTokenCount": self.fresh + self.read,
            "cachedContentTokenCount": self.read,
            "candidatesTokenCount": self.said,
            "thoughtsTokenCount": self.thought,
            "totalTokenCount": self.fresh + self.read + self.said + self.thought,
        }

    def buckets(self, written=False, thought=True):
        """As obsrv is to serve them. APIs of OpenAI and Google say nothing of writes, Anthropic's nothing of thoughts."""
        named = {
            "input": self.fresh,
            "output": self.said if thought else self.said + self.thought,
            "cache_read": self.read,
            "cache_write": self.written if written else 0,
            "reasoning": self.thought if thought else 0,
        }
        total = sum(named.values())
        return {name: n for name, n in named.items() if n or name in ("input", "output")} | {"total": total}


USES_TOOL = Usage(fresh=20, read=100, written=30, said=12, thought=8)
ANSWERS = Usage(fresh=50, read=100, written=0, said=10, thought=0)


class Turn:
    """What the model says to one request: a use of a tool, or text."""

    def __init__(self, tools, has_result, form=None):
        known = [name for name in tools if name in TOOLS]
        self.tool = known[0] if known and not has_result else None
        self.arguments = TOOLS.get(self.tool)
        self.text = None if self.tool else form or ANSWER
        self.usage = USES_TOOL if self.tool else ANSWERS


def pieces(text):
    """A text as a stream brings it."""
    return [text[i : i + 5] for i in range(0, len(text), 5)]


# OpenAI, chat completions


def chat_turn(body):
    tools = [tool.get("function", {}).get("name") for tool in body.get("tools") or []]
    return Turn(tools, any(message["role"] == "tool" for message in body["messages"]))


def chat_calls(turn, index=False):
    call = {"id": CALL_ID, "type": "function"}
    call["function"] = {"name": turn.tool, "arguments": json.dumps(turn.arguments)}
    return [call | ({"index": 0} if index else {})]


def chat(body):
    turn = chat_turn(body)
    message = {"role": "assistant", "content": turn.text, "refusal": None}
    if turn.tool:
        message["tool_calls"] = chat_calls(turn)
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if turn.tool else "stop", "logprobs": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": body["model"],
        "choices": [choice],
        "usage": turn.usage.openai(),
    }


def chat_stream(body):
    turn = chat_turn(body)

    def chunk(delta, finish=None):
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": body["model"]}
        return None, head | {"choices": choices}

    yield chunk({"role": "assistant", "content": ""})
    if turn.tool:
        yield chunk({"tool_calls": chat_calls(turn, index=True)})
    for piece in pieces(turn.text or ""):
        yield chunk({"content": piece})
    yield chunk({}, "tool_calls" if turn.tool else "stop")
    if (body.get("stream_options") or {}).get("include_usage"):
        name, last = chunk({})
        yield name, last | {"choices": [], "usage": turn.usage.openai()}


# OpenAI, responses


def response_items(turn):
    if turn.tool:
        call = {"type": "function_call", "id": "fc_1", "call_id": CALL_ID, "name": turn.tool, "status": "completed"}
        return [call | {"arguments": json.dumps(turn.arguments)}]
    content = [{"type": "output_text", "text": turn.text, "annotations": []}]
    return [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}]


def response_turn(body):
    tools = [tool.get("name") or tool.get("type") for tool in body.get("tools") or []]
    items = body["input"] if isinstance(body["input"], list) else []
    return Turn(tools, any(str(item.get("type", "")).endswith("call_output") for item in items))


def response(body, items=None, status="completed"):
    turn = response_turn(body)
    usage = turn.usage.openai("input", "output")
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": status,
        "model": body["model"],
        "output": response_items(turn) if items is None else items,
        "usage": usage if items is None else None,
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
    }


def response_stream(body):
    turn, number = response_turn(body), 0

    def event(kind, **fields):
        nonlocal number
        number += 1
        return kind, {"type": kind, "sequence_number": number} | fields

    yield event("response.created", response=response(body, [], "in_progress"))
    [item] = response_items(turn)
    yield event("response.output_item.added", output_index=0, item=item | {"status": "in_progress"})
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    for piece in pieces(turn.text or ""):
        yield event("response.output_text.delta", delta=piece, **place)
    yield event("response.output_item.done", output_index=0, item=item)
    yield event("response.completed", response=response(body))


# Anthropic, messages


def message_turn(body):
    blocks = [block for message in body["messages"] if isinstance(message["content"], list) for block in message["content"]]
    return Turn([tool["name"] for tool in body.get("tools") or []], any(block.get("type") == "tool_result" for block in blocks))


def message_blocks(turn):
    if turn.tool:
        return [{"type": "tool_use", "id": CALL_ID, "name": turn.tool, "input": turn.arguments}]
    return [{"type": "text", "text": turn.text}]


def message(body, turn=None, content=None):
    turn = turn or message_turn(body)
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": message_blocks(turn) if content is None else content,
        "stop_reason": "tool_use" if turn.tool else "end_turn",
        "stop_sequence": None,
        "usage": turn.usage.anthropic(),
    }


def message_stream(body):
    turn = message_turn(body)
    begun = message(body, turn, []) | {"stop_reason": None}
    begun["usage"] = begun["usage"] | {"output_tokens": 1}
    yield "message_start", {"type": "message_start", "message": begun}
    [block] = message_blocks(turn)
    empty = block | ({"input": {}} if turn.tool else {"text": ""})
    yield "content_block_start", {"type": "content_block_start", "index": 0, "content_block": empty}
    kind, field = ("input_json_delta", "partial_json") if turn.tool else ("text_delta", "text")
    for piece in pieces(json.dumps(turn.arguments) if turn.tool else turn.text):
        yield "content_block_delta", {"type": "content_block_delta", "index": 0, "delta": {"type": kind, field: piece}}
    yield "content_block_stop", {"type": "content_block_stop", "index": 0}
    end = {"stop_reason": "tool_use" if turn.tool else "end_turn", "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": end, "usage": {"output_tokens": turn.usage.anthropic()["output_tokens"]}}
    yield "message_stop", {"type": "message_stop"}


# Google, generateContent


def content(body):
    declared = [one["name"] for tool in body.get("tools") or [] for one in tool.get("functionDeclarations") or []]
    parts = [part for content in body["contents"] for part in content.get("parts", [])]
    turn = Turn(declared, any("functionResponse" in part for part in parts), wanted_json(body))
    part = {"functionCall": {"name": turn.tool, "args": turn.arguments}} if turn.tool else {"text": turn.text}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    return {"candidates": [candidate], "usageMetadata": turn.usage.google(), "modelVersion": body.get("model", "")}


def wanted_json(body):
    """An agent that wants JSON of a schema gets some of it."""
    settings = body.get("generationConfig") or {}
    schema = settings.get("responseJsonSchema") or settings.get("responseSchema")
    return json.dumps(example(schema)) if schema else None


def example(schema):
    kind = str(schema.get("type", "string")).lower()
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "object":
        return {name: example(of) for name, of in (schema.get("properties") or {}).items()}
    return {"array": [], "boolean": False, "integer": 1, "number": 1}.get(kind, "a word")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.json(200, {"object": "list", "data": [], "models": []})

    def do_HEAD(self):
        self.json(200, {})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        path = self.path.split("?")[0]
        self.server.seen.append((path, body))
        if body.get("model") == BROKEN:
            error = {"type": "invalid_request_error", "message": BROKEN_SAYS, "code": "broken", "param": None}
            return self.json(400, {"type": "error", "error": error})
        if path.endswith("/chat/completions"):
            return self.either(body, chat, chat_stream, done=True)
        if path.endswith("/responses"):
            return self.either(body, response, response_stream)
        if path.endswith("/messages/count_tokens"):
            return self.json(200, {"input_tokens": 1})
        if path.endswith("/messages"):
            return self.either(body, message, message_stream)
        if path.endswith("/embeddings"):
            vector = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}
            return self.json(200, {"object": "list", "model": body["model"], "data": [vector], "usage": {"prompt_tokens": 7, "total_tokens": 7}})
        name, _, method = path.rpartition("/")[2].partition(":")
        body["model"] = name
        if method == "generateContent":
            return self.json(200, content(body))
        if method == "streamGenerateContent":
            return self.stream([(None, content(body))])
        if method == "countTokens":
            return self.json(200, {"totalTokens": 1})
        self.json(404, {"error": {"message": f"no such path {path}", "code": 404}})

    def either(self, body, whole, stream, done=False):
        if body.get("stream"):
            return self.stream(stream(body), done)
        self.json(200, whole(body))

    def json(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def stream(self, events, done=False):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for name, event in events:
            head = f"event: {name}\n" if name else ""
            self.wfile.write(f"{head}data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
        if done:
            self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True


class ModelServer:
    """The server in a thread of its own."""

    def __init__(self):
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.seen = []
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    @property
    def seen(self):
        """Path and body of every request."""
        return self.http.seen

    def end(self):
        self.http.shutdown()
        self.http.server_close()


if __name__ == "__main__":
    server = ModelServer()
    print(server.url, flush=True)
    server.thread.join()
