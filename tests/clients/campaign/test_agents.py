"""Coding agents from npm: one prompt, one use of the shell, one answer; their OTLP logs, metrics and spans."""

import json

import pytest

from model_server import ANSWER, ANSWERS, CALL_ID, USES_TOOL
from server import KEY
from steps import of_kind

PROMPT = "Say the word 漢字"
COMMAND = "echo from-the-tool"


def tokens_of(rows):
    return [row["tokens"] for row in rows if row.get("tokens")]


def named(rows, name):
    return [row for row in rows if row.get("name") == name]


def sums(points, name, by):
    """What the points of a metric add up to, by an attribute."""
    found = {}
    for point in named(points, name):
        key = point["attributes"].get(by)
        found[key] = found.get(key, 0) + (point["value"] if "value" in point else point["sum"])
    return found


def one_thread(*tables):
    threads = {row["thread_id"] for rows in tables for row in rows if row.get("thread_id")}
    assert len(threads) == 1, threads
    return threads.pop()


LOGS = ["name", "status", "model", "messages", "tool calls", "tokens", "thread", "service", "log lines", "points"]


@pytest.mark.reads_back("Claude Code", *LOGS, "cost", "user", "ids", "tree", "kind", "times", "metadata")
def test_claude_code(clients):
    exporters = {f"OTEL_{signal}_EXPORTER": "otlp" for signal in ("LOGS", "METRICS", "TRACES")}
    out = clients.run(
        *["claude", "-p", PROMPT, "--model", "mock-large", "--allowedTools", "Bash", "--output-format", "json"],
        **exporters,
        ANTHROPIC_BASE_URL=clients.model.url,
        ANTHROPIC_API_KEY="none",
        CLAUDE_CODE_ENABLE_TELEMETRY="1",
        CLAUDE_CODE_ENHANCED_TELEMETRY_BETA="1",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        DISABLE_AUTOUPDATER="1",
        IS_SANDBOX="1",
        OTEL_EXPORTER_OTLP_ENDPOINT=clients.obsrv.url,
        OTEL_EXPORTER_OTLP_HEADERS=f"x-api-key={KEY}",
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_LOG_USER_PROMPTS="1",
        OTEL_LOG_TOOL_DETAILS="1",
        OTEL_RESOURCE_ATTRIBUTES="team=blue",
    )
    said = json.loads(out)
    assert said["result"] == ANSWER
    logs, points, spans = (clients.rows(table) for table in ("logs", "points", "spans"))
    assert one_thread(logs, points, spans) == said["session_id"]
    assert {row["resource"]["service.name"] for row in logs + points} == {"claude-code"}
    assert {row["attributes"]["team"] for row in logs + points} == {"blue"}
    assert len({row["user_id"] for row in logs + points + spans}) == 1

    # The transcript, out of the log lines alone.
    [prompt], [result], [answer] = (named(logs, name) for name in ("user_prompt", "tool_result", "assistant_response"))
    assert (prompt["attributes"]["prompt"], answer["attributes"]["response"]) == (PROMPT, ANSWER)
    assert (result["tool"], result["status"], result["attributes"]["tool_use_id"]) == ("Bash", "success", CALL_ID)
    assert json.loads(result["attributes"]["tool_input"])["command"] == COMMAND
    usages = [USES_TOOL.buckets(written=True, thought=False), ANSWERS.buckets(written=True, thought=False)]
    requests = named(logs, "api_request")
    assert tokens_of(requests) == usages
    assert {row["model"] for row in requests} == {"mock-large"}
    assert sum(row["cost_usd"] for row in requests) == pytest.approx(said["total_cost_usd"])

    # What the agent itself says at its end, in its own counters.
    used = said["usage"]
    assert sums(points, "claude_code.token.usage", "type") == {
        "input": used["input_tokens"],
        "output": used["output_tokens"],
        "cacheRead": used["cache_read_input_tokens"],
        "cacheCreation": used["cache_creation_input_tokens"],
    }
    assert sums(points, "claude_code.cost.usage", "model") == {"mock-large": pytest.approx(said["total_cost_usd"])}
    assert sums(points, "claude_code.session.count", "start_type") == {"fresh": 1}

    # The spans, which the same version has as a beta.
    [served] = clients.traces()
    trace, meta = served["trace"], served["meta"]
    [turn] = of_kind(trace, "agent")
    assert (turn["name"], turn["messages"][0]["content"][0]["text"]) == ("claude_code.interaction", PROMPT)
    calls, [tool] = of_kind(trace, "llm"), of_kind(trace, "tool")
    assert [step["parent_step_id"] for step in (*calls, tool)] == [turn["step_id"]] * 3
    assert tokens_of([{"tokens": step["token_usage"]} for step in calls]) == usages
    assert meta["total_tokens"] == sum(usage["total"] for usage in usages)
    assert {step["provider"] for step in calls} == {"anthropic"}
    [used] = tool["tool_calls"]
    assert (used["id"], used["name"]) == (CALL_ID, "Bash")
    assert COMMAND in json.dumps(used["arguments"])
    assert {row["trace_id"] for row in logs} == {meta["trace_id"]}


@pytest.mark.reads_back("Codex CLI", *LOGS)
def test_codex(clients):
    def exporter(signal):
        settings = f'endpoint = "{clients.obsrv.url}/v1/{signal}", protocol = "binary", headers = {{ "x-api-key" = "{KEY}" }}'
        return f"{{ otlp-http = {{ {settings} }} }}"

    folder = clients.home / ".codex"
    folder.mkdir()
    (folder / "config.toml").write_text(
        f"""model = "mock-large"
model_provider = "mock"
check_for_update_on_startup = false
[model_providers.mock]
name = "mock"
base_url = "{clients.model.url}/v1"
wire_api = "responses"
env_key = "MODEL_KEY"
request_max_retries = 0
[analytics]
enabled = false
[otel]
environment = "test"
log_user_prompt = true
exporter = {exporter("logs")}
trace_exporter = {exporter("traces")}
metrics_exporter = {exporter("metrics")}
"""
    )
    command = ["codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", PROMPT]
    out = clients.run(*command, MODEL_KEY="none", CODEX_HOME=str(folder))
    assert ANSWER in out
    logs, points, spans = (clients.rows(table) for table in ("logs", "points", "spans"))
    events = [row for row in logs if str(row.get("name")).startswith("codex.")]
    one_thread(events)
    assert {row["resource"]["service.name"] for row in events} == {"codex_exec"}
    [prompt], [decision], [result] = (named(events, f"codex.{name}") for name in ("user_prompt", "tool_decision", "tool_result"))
    assert prompt["attributes"]["prompt"] == PROMPT
    assert (result["status"], result["attributes"]["call_id"]) == ("success", CALL_ID)
    assert result["tool"] == decision["tool"]
    assert COMMAND in result["attributes"]["arguments"]
    assert "from-the-tool" in result["attributes"]["output"]
    assert tokens_of(events) == [USES_TOOL.buckets(), ANSWERS.buckets()]
    assert {row["model"] for row in events} == {"mock-large"}
    assert named(points, "codex.turn.token_usage") or any("token" in row["name"] for row in points)
    # Of its spans, which are those of its own insides, the calls say what the events say.
    assert len(spans) > 50


@pytest.mark.reads_back("Gemini CLI", *LOGS, "ids", "kind", "times")
def test_gemini(clients):
    folder = clients.home / ".gemini"
    folder.mkdir()
    telemetry = {"enabled": True, "target": "local", "otlpEndpoint": clients.obsrv.url, "otlpProtocol": "http", "logPrompts": True}
    settings = {"telemetry": telemetry, "security": {"auth": {"selectedType": "gemini-api-key"}}}
    settings |= {"general": {"enableAutoUpdate": False}, "privacy": {"usageStatisticsEnabled": False}}
    (folder / "settings.json").write_text(json.dumps(settings))
    out = clients.run(
        *["gemini", "-p", PROMPT, "--yolo", "-m", "gemini-mock"],
        OTEL_EXPORTER_OTLP_HEADERS=f"x-api-key={KEY}",
        GEMINI_API_KEY="none",
        GOOGLE_GEMINI_BASE_URL=clients.model.url,
        GEMINI_CLI_TRUST_WORKSPACE="true",
        GEMINI_CLI_NO_RELAUNCH="true",
    )
    assert out.strip() == ANSWER
    logs, points, spans = (clients.rows(table) for table in ("logs", "points", "spans"))
    thread = one_thread(logs, spans)
    assert {row["resource"]["service.name"] for row in logs + points} == {"gemini-cli"}
    [prompt], [result] = named(logs, "gemini_cli.user_prompt"), named(logs, "gemini_cli.tool_call")
    assert (prompt["attributes"]["prompt"], prompt["attributes"]["session.id"]) == (PROMPT, thread)
    assert (result["tool"], result["status"]) == ("run_shell_command", "success")
    assert json.loads(result["attributes"]["function_args"])["command"] == COMMAND
    responses = named(logs, "gemini_cli.api_response")
    assert tokens_of(responses) == [USES_TOOL.buckets(), ANSWERS.buckets()]
    assert {row["model"] for row in responses} == {"gemini-mock"}
    assert ANSWER in responses[1]["attributes"]["response_text"]
    used = sums(points, "gemini_cli.token.usage", "type")
    assert used["input"] == sum(usage.fresh + usage.read for usage in (USES_TOOL, ANSWERS))
    assert (used["output"], used["thought"], used["cache"]) == (
        USES_TOOL.said + ANSWERS.said,
        USES_TOOL.thought + ANSWERS.thought,
        USES_TOOL.read + ANSWERS.read,
    )
    kinds = sorted(row["kind"] for row in spans)
    assert kinds == ["custom", "llm", "llm", "tool"]
