"""A crew of CrewAI with one agent and a tool, watched by OpenInference's instrumentors. Prints the id of its trace."""

import json
import os
import time

os.environ["CREWAI_DISABLE_TELEMETRY"] = "true"
os.environ["CREWAI_TRACING_ENABLED"] = "false"

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool
from openinference.instrumentation import using_attributes
from openinference.instrumentation.crewai import CrewAIInstrumentor
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
exporter = OTLPSpanExporter(endpoint=os.environ["OBSRV_URL"] + "/v1/traces", headers={"x-api-key": os.environ["OBSRV_KEY"]})
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)
CrewAIInstrumentor().instrument(tracer_provider=provider)
OpenAIInstrumentor().instrument(tracer_provider=provider)


@tool("get_weather")
def get_weather(city: str, days: list[int]) -> str:
    """Looks."""
    return json.dumps({"temp": 61, "city": city, "days": days})


llm = LLM(model="openai/gpt-4o", base_url=os.environ["MODEL_URL"] + "/v1", api_key="none")
agent = Agent(role="forecaster", goal="Tell the weather.", backstory="Is brief.", llm=llm, tools=[get_weather], max_iter=4)
task = Task(description="Weather in SF? 漢字", expected_output="A sentence.", agent=agent)
begun = time.time_ns()
with using_attributes(session_id="thread-1", user_id="ada", metadata={"customer": "acme"}, tags=["a", "b"]):
    with trace.get_tracer("program").start_as_current_span("conversation") as root:
        said = str(Crew(agents=[agent], tasks=[task], verbose=False).kickoff())
provider.shutdown()
trace_id = f"{root.get_span_context().trace_id:032x}"
print(json.dumps({"trace_id": trace_id, "begun": begun, "ended": time.time_ns(), "said": said}))
