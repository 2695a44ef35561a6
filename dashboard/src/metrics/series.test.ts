import { describe, expect, it } from "vitest";
import { measured, type Point, quantile } from "./series";
import { pointsOf } from "./steps";

const point = (second: number, more: Partial<Point>): Point => ({
  id: String(second),
  series: "s",
  start: new Date(second * 1000).toISOString(),
  name: "m",
  type: "sum",
  ...more,
});

describe("points", () => {
  it("of a counter are told by what came a second, a new start included", () => {
    const points = [0, 10, 20, 30].map((second, at) =>
      point(second, { temporality: "cumulative", monotonic: true, value: [100, 150, 250, 20][at] ?? 0 }),
    );
    expect(measured(points, "rate", 1000)[0]?.points.map(({ value }) => value)).toEqual([5, 10, 2]);
    expect(measured(points, "value", 1000)[0]?.last).toBe(20);
  });

  it("are told apart by the attributes that differ", () => {
    const points = ["a", "b"].map((model) =>
      point(0, { series: model, type: "gauge", value: 1, attributes: { model, kind: "same" } }),
    );
    expect(measured(points, "value", 1000).map(({ label }) => label)).toEqual(["a", "b"]);
  });

  it("of histograms have quantiles and means of what came since", () => {
    expect(quantile([0, 10, 0], [1, 2], 0.5)).toBe(1.5);
    expect(quantile([0, 0, 4], [1, 2], 0.5)).toBe(2);
    expect(quantile([], [], 0.5)).toBe(null);
    const points = [
      point(0, { type: "histogram", temporality: "cumulative", count: 2, sum: 10 }),
      point(1, { type: "histogram", temporality: "cumulative", count: 4, sum: 40 }),
    ];
    expect(measured(points, "mean", 1000)[0]?.points).toEqual([{ at: 1000, value: 15 }]);
  });

  it("that the server put in steps are told like those that came", () => {
    // avg, max, sum of value, of count, of sum.
    const bucket = (second: number, values: number[]) => ({
      at: new Date(second * 1000).toISOString(),
      rows: 3,
      values: [...values, ...Array<null>(6).fill(null)],
    });
    const group = { by: { series: "s" }, buckets: [bucket(0, [50, 90, 150]), bucket(60, [110, 150, 330])] };
    const shown = (like: Point, what: "rate" | "value") =>
      measured(pointsOf(group, like, what), what, 60_000)[0]?.points.map(({ value }) => value);
    const counter = point(0, { temporality: "cumulative", monotonic: true });
    expect(shown(counter, "rate")).toEqual([1]);
    expect(shown(counter, "value")).toEqual([50, 110]);
    expect(shown(point(0, { temporality: "delta", monotonic: true }), "rate")).toEqual([5.5]);
    expect(shown(point(0, { type: "gauge" }), "value")).toEqual([50, 110]);
  });
});
