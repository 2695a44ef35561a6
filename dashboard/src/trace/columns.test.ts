import { describe, expect, it } from "vitest";
import type { SpanColumns } from "../api/types";
import { stepsOf, visible } from "./columns";

// Pre-order: 0 (1 (2 3) 4) 5
function page(): SpanColumns {
  return {
    count: 6,
    start: "2026-01-01T00:00:00Z",
    columns: {
      span_id: ["a", "b", "c", "d", "e", "f"],
      parent: [-1, 0, 1, 1, 0, -1],
      name: { dict: ["x", "y"], codes: [0, 1, -1, 0, 0, 1] },
      kind: { dict: ["llm"], codes: [0, 0, 0, 0, 0, 0] },
      status: { dict: ["success", "error"], codes: [0, 0, 0, 1, 0, 0] },
      offset_ns: [0, 10, 20, 30, 40, 50],
      duration_ns: [100, 30, 5, 5, null, 500],
    },
    next_cursor: null,
  };
}

describe("steps", () => {
  const steps = stepsOf([page()], Date.parse("2026-01-01T00:00:00Z"));

  it("know their depth, their end and what failed below", () => {
    expect([...steps.depth]).toEqual([0, 1, 2, 2, 1, 0]);
    expect([...steps.end]).toEqual([5, 4, 3, 4, 5, 6]);
    expect([...steps.childCount]).toEqual([2, 2, 0, 0, 0, 0]);
    expect([...steps.failsBelow]).toEqual([1, 1, 0, 0, 0, 0]);
    expect(steps.totalNs).toBe(550);
    expect(steps.name).toEqual(["x", "y", null, "x", "x", "y"]);
    expect(steps.duration[4]).toBe(-1);
  });

  it("put the tries of one thing together, and only those", () => {
    const name = { dict: ["root", "call"], codes: [0, 1, 1, 1, 1, 1] };
    const status = { dict: ["success", "error"], codes: [0, 1, 1, 0, 1, 1] };
    const columns = {
      ...page().columns,
      name,
      status,
      parent: [-1, 0, 0, 0, 0, 0],
      offset_ns: [0, 10, 20, 30, 40, 45],
      // The last two run beside each other.
      duration_ns: [100, 10, 10, 5, 10, 10],
    };
    const tried = stepsOf([{ ...page(), columns }], 0);
    expect([...tried.lastTry]).toEqual([0, 3, 3, 3, 4, 5]);
    expect([...tried.tries]).toEqual([0, 0, 1, 2, 0, 0]);
    expect([...visible(tried, new Set(), null)]).toEqual([0, 3, 4, 5]);
    expect([...visible(tried, new Set(), null, new Set([3]))]).toEqual([0, 1, 2, 3, 4, 5]);
    expect([...visible(tried, new Set(), (at) => at === 1)]).toEqual([0, 1]);
  });

  it("hide what is below a closed one, and show what leads to one that passes", () => {
    expect([...visible(steps, new Set(), null)]).toEqual([0, 1, 2, 3, 4, 5]);
    expect([...visible(steps, new Set([1]), null)]).toEqual([0, 1, 4, 5]);
    expect([...visible(steps, new Set([0, 1]), null)]).toEqual([0, 5]);
    expect([...visible(steps, new Set([0]), (at) => at === 3)]).toEqual([0, 1, 3]);
    expect([...visible(steps, new Set(), () => false)]).toEqual([]);
  });
});
