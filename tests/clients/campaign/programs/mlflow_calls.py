"""A program whose calls of a model MLflow logs by itself (`autolog`), which sends its traces over OTLP.

    mlflow_calls.py mlflow|genai

With `genai` MLflow names the attributes of a span as the conventions of OpenTelemetry do. Prints the id of its trace and when it began
and ended."""

import contextlib
import json
import os
import sys
import time

os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = os.environ["OBSRV_URL"] + "/v1/traces"
os.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http/protobuf"
os.environ["OTEL_EXPORTER_OTLP_HEADERS"] = "x-api-key=" + os.environ["OBSRV_KEY"]
# Not asked for anything: what is exported over OTLP goes nowhere else.
os.environ["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
os.environ["OTEL_SERVICE_NAME"] = "shop"
os.environ["OTEL_RESOURCE_ATTRIBUTES"] = "service.version=1.2"
os.environ["MLFLOW_ENABLE_OTEL_GENAI_SEMCONV"] = "true" if sys.argv[1] == "genai" else "false"

import mlflow
import openai

CALL_ID = "call_0001"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "array", "items": {"type": "integer"}}}}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Looks.", "parameters": SCHEMA}}]
BEGIN = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather in SF? 漢字"}]

client = openai.OpenAI(base_url=os.environ["MODEL_URL"] + "/v1", api_key="none", max_retries=0)


def ask(messages, model="mock-large", **more):
    return client.chat.completions.create(model=model, messages=messages, temperature=0.5, **more)


@mlflow.trace(span_type="TOOL", name="get_weather")
def get_weather(city, days):
    return {"temp": 61}


@mlflow.trace(span_type="TOOL", name="broken_tool")
def broken_tool(city):
    raise ValueError("no such city: 漢字")


@mlflow.trace(span_type="RETRIEVER", name="look_up", attributes={"k": 3, "near": True})
def look_up(query):
    return [{"page_content": "It is sunny.", "metadata": {"doc_uri": "a.md"}, "id": "1"}]


@mlflow.trace(span_type="CHAIN", name="conversation")
def conversation(question):
    mlflow.update_current_trace(tags={"customer": "acme", "seats": "7"})
    span = mlflow.get_current_active_span()
    span.set_attributes({"rating": 0.25, "words": ["a", "ü"], "deep": {"er": [1, None]}})
    # Metadata of a trace stays in the process; attributes are sent.
    span.set_attributes({"user.id": "ada", "session.id": "thread-1"})
    look_up(question)
    answer = ask(BEGIN, tools=TOOLS)
    [call] = answer.choices[0].message.tool_calls
    result = get_weather(**json.loads(call.function.arguments))
    said = answer.choices[0].message.model_dump(exclude_none=True)
    messages = [*BEGIN, said, {"role": "tool", "tool_call_id": CALL_ID, "content": json.dumps(result)}]
    ask(messages, tools=TOOLS)
    stream = ask(BEGIN, stream=True, stream_options={"include_usage": True})
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    with contextlib.suppress(openai.APIError):
        ask(BEGIN, model="broken-model")
    with contextlib.suppress(ValueError):
        broken_tool("x")
    client.embeddings.create(model="mock-embed", input="a text", encoding_format="float")
    return {"said": streamed, "trace_id": span.trace_id.removeprefix("tr-")}


def flush():
    from mlflow.tracing.provider import provider

    for processor in provider.get()._active_span_processor._span_processors:
        processor.force_flush()


def main():
    mlflow.openai.autolog()
    begun = time.time_ns()
    done = conversation("Weather in SF? 漢字")
    # MLflow ends its exporter with the process; what is printed is to be there.
    flush()
    print(json.dumps(done | {"begun": begun, "ended": time.time_ns()}))


main()
