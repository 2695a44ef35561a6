"""An agent of pydantic-ai under Logfire, whose own exporter is pointed at obsrv by its base URL: pending spans included.

    pydantic_agent.py openai|anthropic

Prints the id of its trace, and what the first answer to a question about an open span was."""

import json
import os
import sys
import time
import urllib.request

import logfire
from pydantic_ai import Agent

KEY = os.environ["OBSRV_KEY"]
URL = os.environ["OBSRV_URL"]

logfire.configure(
    token=KEY,
    service_name="shop",
    service_version="1.2",
    environment="test",
    console=False,
    inspect_arguments=False,
    advanced=logfire.AdvancedOptions(base_url=URL),
)
logfire.instrument_pydantic_ai()


def model(library):
    if library == "openai":
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        return OpenAIChatModel("mock-large", provider=OpenAIProvider(base_url=os.environ["MODEL_URL"] + "/v1", api_key="none"))
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = AsyncAnthropic(base_url=os.environ["MODEL_URL"], api_key="none", max_retries=0)
    return AnthropicModel("mock-large", provider=AnthropicProvider(anthropic_client=client))


agent = Agent(model(sys.argv[1]), name="forecaster", instructions="Be brief.")


@agent.tool_plain
def get_weather(city: str, days: list[int]) -> dict:
    """Looks."""
    return {"temp": 61, "city": city, "days": days}


@agent.tool_plain
def never_called() -> str:
    """Is there."""
    return ""


def served(trace_id):
    request = urllib.request.Request(f"{URL}/v1/traces/{trace_id}", headers={"x-api-key": KEY})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


begun = time.time_ns()
with logfire.span("conversation {customer}", customer="acme", _tags=["a", "b"]) as root:
    trace_id = f"{root.context.trace_id:032x}"
    said = agent.run_sync("Weather in SF? 漢字").output
    logfire.info("half way {n}", n=1)
    logfire.force_flush()
    running = served(trace_id)
try:
    with logfire.span("fails"):
        raise KeyError("gone")
except KeyError:
    pass
logfire.shutdown()
print(json.dumps({"trace_id": trace_id, "begun": begun, "ended": time.time_ns(), "said": said, "running": running}))
