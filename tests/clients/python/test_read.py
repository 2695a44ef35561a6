"""obsrv's own read routes as a script uses them: lists, trees, figures, conversations, views, exports."""

import csv
import io
import json

from server import post_json
from test_otlp_json import request, span

READ = "/v1/projects/1"


def text(key, value):
    return {"key": key, "value": {"stringValue": value}}


def number(key, value):
    return {"key": key, "value": {"intValue": str(value)}}


def message(role, said):
    return {"role": role, "parts": [{"type": "text", "content": said}]}


def chat(n, trace, asked, said, tokens, **fields):
    """A model call that is sent the whole talk so far."""
    return span(
        n,
        traceId=f"{trace:032x}",
        name="chat",
        attributes=[
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.request.model", "gpt-5" if n % 2 else "haiku"),
            number("gen_ai.usage.input_tokens", tokens),
            text("gen_ai.input.messages", json.dumps(asked)),
            text("gen_ai.output.messages", json.dumps([message("assistant", said)])),
            text("session.id", f"thread-{trace % 2}"),
            text("user.id", f"user-{trace % 3}"),
            number("tier", trace % 2),
        ],
        **fields,
    )


def load(client, traces=6):
    for trace in range(1, traces + 1):
        talk = [message("user", f"question {trace}")]
        spans = []
        for n in range(1, 4):
            status = {"code": 2, "message": "rate limit"} if trace == 3 and n == 3 else {"code": 1}
            spans.append(chat(n, trace, talk, f"answer {n}", 100 * n + trace, status=status))
            talk = [*talk, message("assistant", f"answer {n}"), message("user", f"more {n}")]
        answer = post_json(client, "/v1/traces", request(*spans))
        assert answer.status_code == 200, answer.text


def read(client, path, **params):
    answer = client.get(READ + path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def asked(client, path, body):
    answer = post_json(client, READ + path, body)
    assert answer.status_code < 300, answer.text
    return answer.json()


def test_lists_trees_and_figures_agree(obsrv):
    with obsrv.client() as client:
        load(client)
        page = read(client, "/traces", sort="-tokens", total="true", limit=4, fields="name,status,tokens.total")
        assert page["total"] == 6 and page["next_cursor"]
        rest = read(client, "/traces", sort="-tokens", limit=4, cursor=page["next_cursor"], fields="name,status,tokens.total")
        tokens = [t["tokens"]["total"] for t in page["data"] + rest["data"]]
        assert tokens == [600 + 3 * n for n in range(6, 0, -1)]
        tree = read(client, f"/traces/{3:032x}/spans")
        assert [(s["depth"], s["children"]) for s in tree["data"]] == [(0, 2), (1, 0), (1, 0)]
        columns = read(client, f"/traces/{3:032x}/spans", shape="columns")["columns"]
        assert columns["parent"] == [-1, 0, 0]
        assert columns["span_id"] == [s["span_id"] for s in tree["data"]]
        failed = read(client, "/spans", q="status:error")["data"]
        assert [s["error_message"] for s in failed] == ["rate limit"]
        full = read(client, f"/traces/{3:032x}/spans/{3:016x}")
        assert [m["role"] for m in full["messages"]] == ["user", "assistant", "user", "assistant", "user", "assistant"]
        facets = read(client, "/facets", keys="model,status", over="spans")
        counts = {f["key"]: {v["value"]: v["count"] for v in f["values"]} for f in facets["facets"]}
        assert counts == {"model": {"gpt-5": 12, "haiku": 6}, "status": {"success": 17, "error": 1}}
        names = [k["key"] for k in read(client, "/fields", over="spans", prefix="attributes.tier")["keys"]]
        assert names == ["attributes.tier"]
        values = read(client, "/values", key="model", over="spans", prefix="gpt")["values"]
        assert values == [{"value": "gpt-5", "count": 12}]
        body = {"over": "spans", "group_by": ["model"], "measures": [{"fn": "sum", "of": "tokens"}], "sort": "keys"}
        sums = {g["by"]["model"]: g["values"][0] for g in asked(client, "/aggregate", body)["groups"]}
        assert sums == {"gpt-5": 12 * 200 + 2 * 21, "haiku": 6 * 200 + 21}


def test_a_talk_is_told_once(obsrv):
    with obsrv.client() as client:
        load(client, 2)
        said = read(client, f"/traces/{1:032x}/conversation")
        texts = [m["content"][0]["text"] for m in said["data"]]
        assert texts == ["question 1", "answer 1", "more 1", "answer 2", "more 2", "answer 3"]
        first = read(client, f"/traces/{1:032x}/conversation", limit=4)
        rest = read(client, f"/traces/{1:032x}/conversation", limit=4, offset=first["next_offset"])
        assert first["data"] + rest["data"] == said["data"] and rest["next_offset"] is None
        threads = read(client, "/threads", sort="-traces", total="true")
        assert {t["thread_id"]: (t["traces"], t["users"]) for t in threads["data"]} == {"thread-0": (1, 1), "thread-1": (1, 1)}
        assert read(client, "/threads/thread-1")["data"][0]["trace_id"] == f"{1:032x}"
        assert [u["user_id"] for u in read(client, "/users", sort="first")["data"]] == ["user-1", "user-2"]
        shown = read(client, f"/traces/{1:032x}/render", tokens=300)
        assert shown["tokens"] <= 300 and "llm chat [success]" in shown["text"]


def test_traces_are_set_against_each_other(obsrv):
    with obsrv.client() as client:
        load(client)
        diff = read(client, f"/traces/{1:032x}/diff/{3:032x}")
        assert (diff["added"], diff["removed"]) == (0, 0)
        assert "status" in diff["steps"][2]["differs"]
        body = {"over": "spans", "a": {"q": "status:error"}, "b": {"q": "status:success"}}
        found = asked(client, "/compare", body)
        assert (found["a_rows"], found["b_rows"]) == (1, 17)
        assert abs(found["data"][0]["difference"]) == 1.0
        paths = asked(client, "/paths", {"by": "kind"})
        edge = next(e for e in paths["edges"] if (e["from"], e["to"]) == ("llm", "llm"))
        assert edge["count"] == 12 and paths["runs"] == 6
        waits = read(client, f"/traces/{1:032x}/critical-path")
        assert sum(s["self_ns"] for s in waits["data"]) == 1_000_000_000


def test_views_comments_and_scores_outlive_a_crash(obsrv):
    with obsrv.client() as client:
        load(client, 1)
        trace = f"{1:032x}"
        view = asked(client, "/views", {"name": "failed", "q": "status:error", "columns": ["name"], "shared": True})["id"]
        comment = asked(client, f"/traces/{trace}/comments", {"text": "look here"})["id"]
        asked(client, "/scores", {"trace_id": trace, "name": "helpful", "value": 0.5, "comment": "so so"})
        obsrv.restart()
        assert [(v["id"], v["name"], v["own"]) for v in read(client, "/views")["data"]] == [(view, "failed", True)]
        assert [c["text"] for c in read(client, f"/traces/{trace}/comments")["data"]] == ["look here"]
        [score] = read(client, f"/traces/{trace}")["scores"]
        assert (score["name"], score["value"], score["comment"]) == ("helpful", 0.5, "so so")
        assert client.delete(f"{READ}/traces/{trace}/comments/{comment}").json()["changed"]
        assert client.delete(f"{READ}/views/{view}").json()["changed"]
        assert client.get(f"{READ}/views/{view}").status_code == 404
        bad = post_json(client, READ + "/views", {"name": "x", "q": "a:("})
        assert bad.status_code == 400 and bad.json()["error"]["field"] == "q"


def test_an_export_has_every_row_and_goes_on_where_it_stopped(obsrv):
    with obsrv.client() as client:
        for n in range(5):
            spans = [span(1 + i, traceId=f"{900 + n:032x}", name="a,b") for i in range(500)]
            assert post_json(client, "/v1/traces", request(*spans)).status_code == 200
        lines, cursor = [], None
        with client.stream("GET", f"{READ}/export", params={"over": "spans", "cursors": "true", "raw": "true"}) as answer:
            for line in answer.iter_lines():
                row = json.loads(line)
                if "next_cursor" in row:
                    cursor = row["next_cursor"]
                    break
                lines.append(row)
        assert len(lines) == 1000 and cursor and lines[0]["raw"]["name"] == "a,b"
        rest = client.get(f"{READ}/export", params={"over": "spans", "cursor": cursor}).text.splitlines()
        ids = {(r["trace_id"], r["span_id"]) for r in [*lines, *map(json.loads, rest)]}
        assert len(lines) + len(rest) == len(ids) == 2500
        table = client.get(f"{READ}/export", params={"over": "spans", "format": "csv", "fields": "span_id,name"})
        assert table.headers["content-type"].startswith("text/csv")
        rows = list(csv.reader(io.StringIO(table.text)))
        assert rows[0] == ["span_id", "name"] and len(rows) == 2501 and rows[1][1] == "a,b"
