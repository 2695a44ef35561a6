// In the graph of one trace a step is as bad as its own calls: how its only run ended says nothing of them.
import type { Edge, Node, Outcomes } from "../paths/layout";
import type { Steps } from "./columns";

const outcomes = (count: number, error: number): Outcomes => ({ success: count - error, error, running: 0 });

export function ofSteps<T extends { nodes: Node[]; edges: Edge[] }>(
  paths: T,
  steps: Pick<Steps, "name" | "status">,
): T {
  const failed = new Map<string, number>();
  steps.status.forEach((status, at) => {
    const name = steps.name[at];
    if (status === "error" && name) {
      failed.set(name, (failed.get(name) ?? 0) + 1);
    }
  });
  return {
    ...paths,
    nodes: paths.nodes.map((node) => ({
      ...node,
      runs: outcomes(node.count, Math.min(node.count, failed.get(node.name) ?? 0)),
    })),
    edges: paths.edges.map((edge) => ({ ...edge, runs: outcomes(edge.count, 0) })),
  };
}
