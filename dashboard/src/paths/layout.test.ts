import { describe, expect, it } from "vitest";
import { END, kept, placed, START } from "./layout";

const runs = { success: 1, error: 1, running: 0 };
const node = (name: string, count: number) => ({ name, count, runs });
const edge = (from: string, to: string, count = 1) => ({ from, to, count, runs });

describe("a graph of steps", () => {
  it("keeps the frequent ones, with start and end", () => {
    const { nodes, edges } = kept(
      [node("a", 9), node("b", 5), node("c", 1)],
      [edge(START, "a"), edge("a", "b"), edge("b", "c"), edge("b", END)],
      2,
    );
    expect(nodes.map((one) => one.name).sort()).toEqual([END, START, "a", "b"].sort());
    expect(edges.length).toBe(3);
  });

  it("stands in columns from the start to the end, rings included", () => {
    const nodes = [START, "a", "b", END].map((name) => node(name, 3));
    const { all } = placed(nodes, [edge(START, "a"), edge("a", "b"), edge("b", "a"), edge("b", END)]);
    const x = (name: string) => all.find((one) => one.node.name === name)?.x ?? -1;
    expect([x(START), x("a"), x("b"), x(END)]).toEqual([0, 238, 476, 714]);
  });
});
