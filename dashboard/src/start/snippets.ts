// How each client is pointed at this server. The tests run the first two as they stand here.

export interface Snippet {
  id: string;
  name: string;
  install: string | null;
  code: (url: string, key: string) => string;
}

export const SNIPPETS: Snippet[] = [
  {
    id: "curl",
    name: "curl",
    install: null,
    code: (url, key) => `curl -s ${url}/v1/traces \\
  -H 'x-api-key: ${key}' -H 'content-type: application/json' \\
  -d '{"resourceSpans":[{"scopeSpans":[{"spans":[{
    "traceId":"'$(openssl rand -hex 16)'","spanId":"'$(openssl rand -hex 8)'",
    "name":"hello obsrv","kind":1,
    "startTimeUnixNano":"'$(date +%s)000000000'","endTimeUnixNano":"'$(date +%s)000000000'",
    "attributes":[{"key":"input.value","value":{"stringValue":"How are you?"}},
                  {"key":"output.value","value":{"stringValue":"Fine, thank you."}}]}]}]}]}'`,
  },
  {
    id: "theta",
    name: "theta-obsrv",
    install: "pip install theta-obsrv",
    code: (url, key) => `from theta_observability import TraceClient

client = TraceClient(api_key="${key}", base_url="${url}")
with client.trace("hello obsrv", metadata={"customer": "acme"}) as trace:
    with trace.step(name="plan", type="llm", model="gpt-4o") as step:
        step.log_message("user", "How are you?")`,
  },
  {
    id: "otel-python",
    name: "OpenTelemetry, Python",
    install: "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http",
    code: (url, key) => `from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(
    endpoint="${url}/v1/traces", headers={"x-api-key": "${key}"})))
trace.set_tracer_provider(provider)

with trace.get_tracer("first").start_as_current_span("hello obsrv") as span:
    span.set_attribute("input.value", "How are you?")
provider.shutdown()`,
  },
  {
    id: "otel-node",
    name: "OpenTelemetry, Node",
    install: "npm install @opentelemetry/sdk-trace-node @opentelemetry/exporter-trace-otlp-http",
    code: (
      url,
      key,
    ) => `import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";

const exporter = new OTLPTraceExporter({
  url: "${url}/v1/traces", headers: { "x-api-key": "${key}" } });
const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });

provider.getTracer("first").startSpan("hello obsrv").end();
await provider.shutdown();`,
  },
  {
    id: "env",
    name: "Any OTLP exporter",
    install: null,
    code: (url, key) => `export OTEL_EXPORTER_OTLP_ENDPOINT=${url}
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_EXPORTER_OTLP_HEADERS="x-api-key=${key}"`,
  },
  {
    id: "langfuse",
    name: "Langfuse",
    install: "pip install langfuse",
    code: (url, key) => `export LANGFUSE_HOST=${url}
export LANGFUSE_PUBLIC_KEY=obsrv
export LANGFUSE_SECRET_KEY=${key}`,
  },
  {
    id: "langsmith",
    name: "LangSmith",
    install: "pip install langsmith",
    code: (url, key) => `export LANGSMITH_TRACING=true
export LANGSMITH_ENDPOINT=${url}
export LANGSMITH_API_KEY=${key}`,
  },
];
