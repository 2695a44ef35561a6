"""A program that calls a model with the official clients of OpenAI and Anthropic while an instrumentor watches.

    calls.py openai|anthropic openinference|openllmetry

Prints the id of its trace and when it began and ended."""

import contextlib
import json
import os
import sys
import time

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

MODEL_URL = os.environ["MODEL_URL"]
CALL_ID = "call_0001"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "array", "items": {"type": "integer"}}}}
RESULT = '{"temp": 61}'
QUESTION = "Weather in SF? 漢字"


class OpenAI:
    def __init__(self):
        import openai

        self.client = openai.OpenAI(base_url=MODEL_URL + "/v1", api_key="none", max_retries=0)
        self.errors = openai.APIError
        self.tools = [{"type": "function", "function": {"name": "get_weather", "description": "Looks.", "parameters": SCHEMA}}]

    def begin(self):
        return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}]

    def ask(self, messages, model="mock-large", **more):
        return self.client.chat.completions.create(model=model, messages=messages, temperature=0.5, **more)

    def after(self, messages, answer):
        said = answer.choices[0].message.model_dump(exclude_none=True)
        return [*messages, said, {"role": "tool", "tool_call_id": CALL_ID, "content": RESULT}]

    def stream(self, messages):
        stream = self.ask(messages, stream=True, stream_options={"include_usage": True})
        return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)

    def embed(self):
        self.client.embeddings.create(model="mock-embed", input="a text", encoding_format="float")


class Anthropic:
    def __init__(self):
        import anthropic

        self.client = anthropic.Anthropic(base_url=MODEL_URL, api_key="none", max_retries=0)
        self.errors = anthropic.APIError
        self.tools = [{"name": "get_weather", "description": "Looks.", "input_schema": SCHEMA}]

    def begin(self):
        return [{"role": "user", "content": QUESTION}]

    def ask(self, messages, model="mock-large", **more):
        return self.client.messages.create(model=model, messages=messages, system="Be brief.", max_tokens=99, **more)

    def after(self, messages, answer):
        said = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]}
        result = {"type": "tool_result", "tool_use_id": CALL_ID, "content": RESULT}
        return [*messages, said, {"role": "user", "content": [result]}]

    def stream(self, messages):
        texts = []
        for event in self.ask(messages, stream=True):
            if event.type == "content_block_delta":
                texts.append(event.delta.text)
        return "".join(texts)

    def embed(self):
        pass


def instrument(library, by, provider):
    if by == "openinference":
        if library == "openai":
            from openinference.instrumentation.openai import OpenAIInstrumentor as Instrumentor
        else:
            from openinference.instrumentation.anthropic import AnthropicInstrumentor as Instrumentor
        from openinference.instrumentation import using_attributes

        context = using_attributes(session_id="thread-1", user_id="ada", metadata={"customer": "acme", "n": 3}, tags=["a", "b"])
    else:
        if library == "openai":
            from opentelemetry.instrumentation.openai import OpenAIInstrumentor as Instrumentor
        else:
            from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor as Instrumentor
        context = contextlib.nullcontext()
    Instrumentor().instrument(tracer_provider=provider)
    return context


def main():
    library, by = sys.argv[1:]
    provider = TracerProvider(resource=Resource.create({"service.name": "shop", "service.version": "1.2"}))
    exporter = OTLPSpanExporter(endpoint=os.environ["OBSRV_URL"] + "/v1/traces", headers={"x-api-key": os.environ["OBSRV_KEY"]})
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    context = instrument(library, by, provider)
    model = OpenAI() if library == "openai" else Anthropic()
    begun = time.time_ns()
    with context, trace.get_tracer("program").start_as_current_span("conversation") as root:
        if by == "openllmetry":
            root.set_attributes({"session.id": "thread-1", "user.id": "ada"})
        messages = model.begin()
        answer = model.ask(messages, tools=model.tools)
        messages = model.after(messages, answer)
        model.ask(messages, tools=model.tools)
        said = model.stream(model.begin())
        with contextlib.suppress(model.errors):
            model.ask(model.begin(), model="broken-model")
        model.embed()
    provider.shutdown()
    trace_id = f"{root.get_span_context().trace_id:032x}"
    print(json.dumps({"trace_id": trace_id, "begun": begun, "ended": time.time_ns(), "streamed": said}))


main()
