import { expect, test } from "vitest";
import { behind, type ChartSpec, chartsOf, kindOf, pageOf, searchOf, usualBy, whatsOver } from "./spec";

const chart = (over: ChartSpec["over"], q?: string): ChartSpec => ({ what: "runs", over, q });

test("the search of the page narrows charts of traces and steps alone", () => {
  const page = "user_id:ada";
  expect(searchOf(chart(undefined, "status:error"), page)).toBe("user_id:ada status:error");
  expect(searchOf(chart("spans", "model:m"), page)).toBe("user_id:ada model:m");
  expect(searchOf(chart("logs", "level:error"), page)).toBe("level:error");
  expect(searchOf(chart("points"), page)).toBe("");
});

test("a point of a chart leads to the page that lists its rows", () => {
  const page = "user_id:ada";
  const point = { by: "level", name: "error" };
  expect([pageOf(chart("logs")), behind(chart("logs", "service:shop"), page, point)]).toEqual([
    "logs",
    "service:shop level:error",
  ]);
  expect([pageOf(chart("points")), behind(chart("points"), page, {})]).toEqual(["metrics", ""]);
  expect([pageOf(chart("spans")), behind(chart("spans", "model:m"), page, {})]).toEqual([
    "traces",
    "user_id:ada {model:m}",
  ]);
});

test("lines and points take no time, cost nothing and have groups of their own", () => {
  const names = (over: ChartSpec["over"]) => whatsOver(over).map(({ id }) => id);
  expect(names("logs")).toEqual(["runs", "rate", "sum", "avg", "quantiles", "distinct"]);
  expect(names("points")).toEqual(names("logs"));
  expect(names("spans")).toContain("latency");
  expect([undefined, "spans", "logs", "points"].map((over) => usualBy(chart(kindOf(over ?? ""))))).toEqual([
    "status",
    "status",
    "level",
    "name",
  ]);
});

test("what a view keeps and is no chart is left out", () => {
  const chart = { what: "runs", title: "Runs" };
  expect(chartsOf([null, "runs", 5, [chart], { what: "runs", title: {} }, { what: "runs", q: 1 }, chart, {}])).toEqual([
    chart,
    {},
  ]);
  expect([undefined, null, "charts", { 0: chart }].flatMap(chartsOf)).toEqual([]);
});
