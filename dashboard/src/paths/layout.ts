// Where the steps of a graph stand: in columns by how far they are from the start, the frequent ones
// on top.

export interface Outcomes {
  success: number;
  error: number;
  running: number;
}

export interface Node {
  name: string;
  count: number;
  runs: Outcomes;
}

export interface Edge {
  from: string;
  to: string;
  count: number;
  runs: Outcomes;
}

export interface Placed {
  node: Node;
  x: number;
  y: number;
}

export const START = "(start)";
export const END = "(end)";
export const NODE_WIDTH = 168;
export const NODE_HEIGHT = 40;
const GAP_X = 70;
const GAP_Y = 18;

export const failedShare = (runs: Outcomes) => {
  const all = runs.success + runs.error + runs.running;
  return all === 0 ? 0 : runs.error / all;
};

// The most frequent steps with the start and the end, and what leads from one of them to another.
export function kept(nodes: Node[], edges: Edge[], most: number): { nodes: Node[]; edges: Edge[] } {
  const ends = new Set([START, END]);
  const inner = nodes.filter((node) => !ends.has(node.name)).sort((a, b) => b.count - a.count);
  const shown = [...nodes.filter((node) => ends.has(node.name)), ...inner.slice(0, most)];
  const names = new Set(shown.map((node) => node.name));
  // Start and end may be told of by edges alone.
  for (const name of ends) {
    const touching = edges.filter((edge) => edge.from === name || edge.to === name);
    if (!names.has(name) && touching.length > 0) {
      const runs = { success: 0, error: 0, running: 0 };
      let count = 0;
      for (const edge of touching) {
        count += edge.count;
        runs.success += edge.runs.success;
        runs.error += edge.runs.error;
        runs.running += edge.runs.running;
      }
      shown.push({ name, count, runs });
      names.add(name);
    }
  }
  return { nodes: shown, edges: edges.filter((edge) => names.has(edge.from) && names.has(edge.to)) };
}

export function placed(nodes: Node[], edges: Edge[]): { all: Placed[]; width: number; height: number } {
  const rank = new Map<string, number>([[START, 0]]);
  let edge: string[] = [START];
  while (edge.length > 0) {
    const next: string[] = [];
    for (const from of edge) {
      for (const one of edges) {
        if (one.from === from && !rank.has(one.to) && one.to !== END) {
          rank.set(one.to, (rank.get(from) ?? 0) + 1);
          next.push(one.to);
        }
      }
    }
    edge = next;
  }
  const last = Math.max(0, ...rank.values()) + 1;
  const columns = new Map<number, Node[]>();
  for (const node of [...nodes].sort((a, b) => b.count - a.count)) {
    const at = node.name === END ? last : (rank.get(node.name) ?? last - 1);
    columns.set(at, [...(columns.get(at) ?? []), node]);
  }
  const used = [...columns.keys()].sort((a, b) => a - b);
  const tallest = Math.max(1, ...[...columns.values()].map((column) => column.length));
  const height = tallest * (NODE_HEIGHT + GAP_Y) + GAP_Y;
  const all = used.flatMap((key, place) => {
    const column = columns.get(key) ?? [];
    const taken = column.length * (NODE_HEIGHT + GAP_Y) - GAP_Y;
    return column.map((node, row) => ({
      node,
      x: place * (NODE_WIDTH + GAP_X),
      y: (height - taken) / 2 + row * (NODE_HEIGHT + GAP_Y),
    }));
  });
  return { all, width: used.length * (NODE_WIDTH + GAP_X) - GAP_X, height };
}
