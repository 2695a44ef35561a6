"""What a user's program does with the aiobs package, against a model server of its own. The package writes what it
sent to files; the test compares with these and with what is written here."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import aiobs.collector
from aiobs import observe, observer

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "ho 漢字"}}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
}


class Model(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
aiobs.collector.SHEPHERD_SERVER_URL = os.environ["OBSRV_URL"]
out = sys.argv[1]

first = observer.observe("checkout", labels={"environment": "production", "team": "a"})
from openai import OpenAI  # noqa: E402  the package instruments it when it begins to observe

model = OpenAI(api_key="x", base_url=f"http://127.0.0.1:{server.server_port}/v1")


@observe(enh_prompt=True, auto_enhance_after=10)
def summarize(text, ratio=float("nan")):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    answer = model.chat.completions.create(model="gpt-4o", messages=messages, temperature=0.5)
    return answer.choices[0].message.content


@observe
def fails(key):
    raise KeyError(key)


@observe(name="research")
def research(topic):
    try:
        fails("nothing")
    except KeyError:
        pass
    return {"topic": topic, "summary": summarize("long " + topic), "limit": float("inf")}


research("tea")
bare = {"provider": "mine", "api": "lookup", "request": {"q": 1}, "response": [1, None], "started_at": 1795000000.25}
observer._record_event(bare | {"ended_at": 1795000001.5, "duration_ms": 1250.0})
observer.end()
# Files calls of the model under the first session, though this one is open.
second = observer.observe("later")
summarize("short")
observer.flush(path=f"{out}/first.json")

third = observer.observe("never ended")
summarize("again")
observer.flush(path=f"{out}/second.json")
observer.flush(path=f"{out}/empty.json")
print(json.dumps({"sessions": [first, second, third]}))
