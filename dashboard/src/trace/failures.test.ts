import { expect, it } from "vitest";
import { failedShare } from "../paths/layout";
import { ofSteps } from "./failures";

const none = { success: 0, error: 1, running: 0 };

it("finds a step as bad as its own calls, however the run ended", () => {
  const paths = {
    nodes: [
      { name: "chat", count: 4, runs: none },
      { name: "root", count: 1, runs: none },
    ],
    edges: [{ from: "root", to: "chat", count: 4, runs: none }],
  };
  const steps = {
    name: ["root", "chat", "chat", "chat", "chat", null],
    status: ["success", "error", "success", null, "success", "error"],
  };
  const found = ofSteps(paths, steps);
  expect(found.nodes.map((node) => failedShare(node.runs))).toEqual([0.25, 0]);
  expect(found.edges.map((edge) => failedShare(edge.runs))).toEqual([0]);
});
