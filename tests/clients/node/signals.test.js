// Logs and metrics of the OpenTelemetry JS SDK with its OTLP exporters, over HTTP and gRPC, unmodified, against the binary. What is
// expected is what the SDK handed to the exporter.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { SeverityNumber } from "@opentelemetry/api-logs";
import { OTLPLogExporter as GrpcLogs } from "@opentelemetry/exporter-logs-otlp-grpc";
import { OTLPLogExporter as JsonLogs } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPLogExporter as ProtobufLogs } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter as GrpcMetrics } from "@opentelemetry/exporter-metrics-otlp-grpc";
import { OTLPMetricExporter as JsonMetrics } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPMetricExporter as ProtobufMetrics } from "@opentelemetry/exporter-metrics-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";
import { AggregationType, DataPointType, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";

import { hold, readBack } from "./conformance.js";
import { KEY, Obsrv } from "./server.js";

const OF_SPANS = ["ids", "name", "status", "error", "times", "tree", "kind", "metadata", "service", "events", "links"];
hold(["OpenTelemetry JS"], OF_SPANS);

const HEADERS = { "x-api-key": KEY };
const LEVELS = { 5: "debug", 9: "info", 17: "error" };
const TYPES = {
  [DataPointType.GAUGE]: "gauge",
  [DataPointType.SUM]: "sum",
  [DataPointType.HISTOGRAM]: "histogram",
  [DataPointType.EXPONENTIAL_HISTOGRAM]: "exponential_histogram",
};

const ns = ([seconds, nanoseconds]) => BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
const nsOf = (text) => BigInt(Date.parse(text.slice(0, 19) + "Z")) * 1_000_000n + BigInt(text.slice(20, 29));
const json = (value) => JSON.stringify(value, (_, v) => (typeof v === "bigint" ? v.toString() : v));
const sorted = (rows) => rows.map(json).sort();

async function rows(server, table, run) {
  const query = new URLSearchParams({ limit: "1000", q: `resource.run:${run}` });
  const answer = await fetch(`${server.url}/v1/projects/1/${table}?${query}`, { headers: HEADERS });
  assert.equal(answer.status, 200);
  return (await answer.json()).data;
}

/** Attributes as JSON has them, in one order. */
const plain = (attributes) => Object.entries(JSON.parse(JSON.stringify(attributes))).sort();

describe("OpenTelemetry JS", () => {
  let server;
  before(async () => (server = await Obsrv.start()));
  after(() => server.end());

  for (const [form, Exporter] of Object.entries({ protobuf: ProtobufLogs, json: JsonLogs, grpc: GrpcLogs })) {
    test(`logs as ${form} are read back equal`, async () => {
      const memory = new InMemoryLogRecordExporter();
      const exporter = new Exporter(server.exporterOf(form, "/v1/logs"));
      const provider = new LoggerProvider({
        resource: resourceFromAttributes({ "service.name": "shop-js", run: form }),
        processors: [new SimpleLogRecordProcessor({ exporter: memory }), new BatchLogRecordProcessor({ exporter })],
      });
      const logger = provider.getLogger("tests.program", "1.0");
      const emit = (severityNumber, body, attributes) => logger.emit({ severityNumber, severityText: "as sent", body, attributes });
      emit(SeverityNumber.DEBUG, "ünï 漢字 🙂", { whole: 42, part: 0.1, yes: true, texts: ["a", "b"] });
      emit(SeverityNumber.INFO, { deep: { er: [1, "two", { three: null }] } }, {});
      emit(SeverityNumber.ERROR, "twice", {});
      emit(SeverityNumber.ERROR, "twice", {});
      await provider.forceFlush();
      const made = memory.getFinishedLogRecords();
      await provider.shutdown();
      assert.equal(made.length, 4);
      const expected = made.map((record) => ({
        at: ns(record.hrTime),
        level: LEVELS[record.severityNumber],
        severity: [record.severityNumber, record.severityText],
        body: record.body,
        attributes: plain(record.attributes),
        scope: record.instrumentationScope.name,
      }));
      const found = (await rows(server, "logs", form)).map((row) => ({
        at: nsOf(row.start),
        level: row.level,
        severity: [row.severity_number, row.severity_text],
        body: row.body,
        attributes: plain(row.attributes),
        scope: row.scope.name,
      }));
      assert.deepEqual(sorted(found), sorted(expected));
      readBack("OpenTelemetry JS", "log lines");
    });
  }

  for (const [form, Exporter] of Object.entries({ protobuf: ProtobufMetrics, json: JsonMetrics, grpc: GrpcMetrics })) {
    test(`metrics as ${form} are read back equal`, async () => {
      const exporter = new Exporter(server.exporterOf(form, "/v1/metrics"));
      const seen = [];
      const send = exporter.export.bind(exporter);
      exporter.export = (metrics, done) => (seen.push(metrics), send(metrics, done));
      const provider = new MeterProvider({
        resource: resourceFromAttributes({ "service.name": "shop-js", run: form }),
        readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })],
        views: [{ instrumentName: "exponential", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
      });
      const meter = provider.getMeter("tests.meter", "3");
      meter.createCounter("orders", { unit: "{order}", description: "Orders." }).add(3, { plan: "pro" });
      meter.createUpDownCounter("queue").add(-2.5, { texts: ["a"] });
      meter.createGauge("level").record(0.1);
      for (const value of [0, 0.3, 7, 7, 5000]) meter.createHistogram("latency", { unit: "ms" }).record(value, { route: "/" });
      for (const value of [0, 1, 3.5, 1e9]) meter.createHistogram("exponential").record(value);
      await provider.forceFlush();
      await provider.shutdown();
      const expected = seen.flatMap((data) =>
        data.scopeMetrics.flatMap((scoped) =>
          scoped.metrics.flatMap((metric) => metric.dataPoints.map((point) => said(metric, point))),
        ),
      );
      assert.ok(expected.length >= 5);
      const found = (await rows(server, "points", form)).map(read);
      assert.deepEqual(sorted(found), sorted(expected));
      readBack("OpenTelemetry JS", "points");
    });
  }
});

function said({ descriptor, dataPointType, isMonotonic }, { endTime, attributes, value }) {
  const type = TYPES[dataPointType];
  const point = {
    name: descriptor.name,
    unit: descriptor.unit,
    description: descriptor.description,
    type,
    monotonic: isMonotonic ?? null,
    at: ns(endTime),
    attributes: plain(attributes),
  };
  if (type === "histogram") return { ...point, ...numbers(value), counts: value.buckets.counts, bounds: value.buckets.boundaries };
  if (type === "exponential_histogram") {
    const { offset, bucketCounts } = value.positive;
    return { ...point, ...numbers(value), scale: value.scale, zero: value.zeroCount, positive: [offset, bucketCounts] };
  }
  return { ...point, value };
}

const numbers = ({ count, sum, min, max }) => ({ count, sum, min, max });

function read(row) {
  const point = {
    name: row.name,
    unit: row.unit ?? "",
    description: row.description ?? "",
    type: row.type,
    monotonic: row.monotonic ?? null,
    at: nsOf(row.start),
    attributes: plain(row.attributes),
  };
  if (row.type === "histogram") return { ...point, ...numbers(row), counts: row.bucket_counts, bounds: row.explicit_bounds };
  if (row.type === "exponential_histogram") {
    const { offset, bucket_counts } = row.positive;
    return { ...point, ...numbers(row), scale: row.scale, zero: row.zero_count, positive: [offset, bucket_counts] };
  }
  return { ...point, value: row.value };
}
