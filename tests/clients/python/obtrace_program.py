"""What a user's program does with obtrace-sdk-python, in whichever version the path has."""

import json
import logging
import os
import sys
import time

from obtrace_sdk import ObtraceClient, ObtraceConfig
from obtrace_sdk.types import SDKContext

config = ObtraceConfig(
    api_key=os.environ["OBSRV_KEY"],
    ingest_base_url=os.environ["OBSRV_URL"],
    service_name="shop-" + sys.argv[1],
    service_version="1.2.3",
    tenant_id="ten_1",
    app_id="app_1",
    env="prod",
)
client = ObtraceClient(config)
if hasattr(client, "initialized"):
    give_up = time.monotonic() + 5
    while not client.initialized and time.monotonic() < give_up:
        time.sleep(0.01)
ids = client.span("checkout.charge", status_code=500, status_message="declined", attrs={"order": "o-1", "tries": 3})
said = SDKContext(session_id="sess-9", trace_id=ids["trace_id"], span_id=ids["span_id"], route_template="/pay/{id}")
said.attrs["coupon"] = "c-1"
client.log("warn", "card declined ✓", said)
client.log("error", "giving up")
client.metric("http_requests_total", 7, context=SDKContext(attrs={"route": "/pay"}))
client.metric("latency_p95", 12.5, unit="ms")
deeper = {}
if hasattr(client, "start_span"):
    with client.start_span("checkout", {"feature": "pay", "list": ["a", "b"]}) as outer:
        with client.start_span("llm.call", {"gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 12}) as inner:
            client.log("debug", "inside")
            inner_id = format(inner.get_span_context().span_id, "016x")
        try:
            raise ValueError("no such card")
        except ValueError as error:
            client.capture_error(error, {"retry": 1})
        context = outer.get_span_context()
        deeper = {"trace": format(context.trace_id, "032x"), "outer": format(context.span_id, "016x"), "inner": inner_id}
    logging.getLogger("shop").warning("from the standard library")
client.flush()
client.shutdown()
print(json.dumps({"ids": ids, "deeper": deeper, "initialized": getattr(client, "initialized", None)}))
