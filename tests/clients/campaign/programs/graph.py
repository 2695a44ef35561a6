"""A LangGraph agent with a tool, watched by OpenInference's instrumentor of LangChain. Prints the id of its trace."""

import json
import os
import time

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from openinference.instrumentation import using_attributes
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
exporter = OTLPSpanExporter(endpoint=os.environ["OBSRV_URL"] + "/v1/traces", headers={"x-api-key": os.environ["OBSRV_KEY"]})
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)
LangChainInstrumentor().instrument(tracer_provider=provider)


@tool
def get_weather(city: str, days: list[int]) -> str:
    """Looks."""
    return json.dumps({"temp": 61, "city": city, "days": days})


model = ChatOpenAI(model="mock-large", base_url=os.environ["MODEL_URL"] + "/v1", api_key="none", max_retries=0).bind_tools([get_weather])


def think(state):
    return {"messages": [model.invoke(state["messages"])]}


def act(state):
    calls = state["messages"][-1].tool_calls
    return {"messages": [ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"]) for call in calls]}


graph = StateGraph(MessagesState)
graph.add_node("think", think)
graph.add_node("act", act)
graph.add_edge(START, "think")
graph.add_conditional_edges("think", lambda state: "act" if state["messages"][-1].tool_calls else END)
graph.add_edge("act", "think")
agent = graph.compile(name="forecaster")

begun = time.time_ns()
with using_attributes(session_id="thread-1", user_id="ada", metadata={"customer": "acme"}, tags=["a", "b"]):
    with trace.get_tracer("program").start_as_current_span("conversation") as root:
        state = agent.invoke({"messages": [SystemMessage("Be brief."), HumanMessage("Weather in SF? 漢字")]})
provider.shutdown()
trace_id = f"{root.get_span_context().trace_id:032x}"
print(json.dumps({"trace_id": trace_id, "begun": begun, "ended": time.time_ns(), "said": state["messages"][-1].content}))
