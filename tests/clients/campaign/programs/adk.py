"""An agent of Google's ADK with a tool; it makes its spans itself. Prints the id of its trace."""

import asyncio
import json
import os
import time

os.environ["GOOGLE_GEMINI_BASE_URL"] = os.environ["MODEL_URL"]
os.environ["GOOGLE_API_KEY"] = "none"
os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
exporter = OTLPSpanExporter(endpoint=os.environ["OBSRV_URL"] + "/v1/traces", headers={"x-api-key": os.environ["OBSRV_KEY"]})
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)

from google.adk.agents import Agent
from google.adk.runners import InMemoryRunner
from google.genai import types


def get_weather(city: str, days: list[int]) -> dict:
    """Looks."""
    return {"temp": 61, "city": city, "days": days}


agent = Agent(model="gemini-mock", name="forecaster", instruction="Be brief.", tools=[get_weather])


async def talk():
    runner = InMemoryRunner(agent=agent, app_name="shop")
    await runner.session_service.create_session(app_name="shop", user_id="ada", session_id="thread-1")
    question = types.Content(role="user", parts=[types.Part(text="Weather in SF? 漢字")])
    said = ""
    async for event in runner.run_async(user_id="ada", session_id="thread-1", new_message=question):
        for part in (event.content and event.content.parts) or []:
            said = part.text or said
    return said


begun = time.time_ns()
with trace.get_tracer("program").start_as_current_span("conversation") as root:
    said = asyncio.run(talk())
provider.shutdown()
trace_id = f"{root.get_span_context().trace_id:032x}"
print(json.dumps({"trace_id": trace_id, "begun": begun, "ended": time.time_ns(), "said": said}))
