/* Shapes of edges and ways through the graph: no DOM, no state. */
import type { Graph } from "../api/types";

/* The curve of an edge, for the line and for what moves along it. */
export interface Curve {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
  x2: number;
  y2: number;
  x3: number;
  y3: number;
}

export function curveOf(sx: number, sy: number, tx: number, ty: number): Curve {
  const bend = Math.max(40, Math.abs(tx - sx) / 2);
  return { x0: sx, y0: sy, x1: sx + bend, y1: sy, x2: tx - bend, y2: ty, x3: tx, y3: ty };
}

export function pathText(c: Curve): string {
  return `M${c.x0} ${c.y0}C${c.x1} ${c.y1} ${c.x2} ${c.y2} ${c.x3} ${c.y3}`;
}

export function pointOn(c: Curve, t: number): [number, number] {
  const u = 1 - t;
  const a = u * u * u;
  const b = 3 * u * u * t;
  const d = 3 * u * t * t;
  const e = t * t * t;
  return [a * c.x0 + b * c.x1 + d * c.x2 + e * c.x3, a * c.y0 + b * c.y1 + d * c.y2 + e * c.y3];
}

/* Nodes up- and downstream of one, itself included. */
export function related(graph: Graph, id: string): Set<string> {
  const seen = new Set([id]);
  for (const [near, far] of [
    ["from", "to"],
    ["to", "from"],
  ] as const) {
    const todo = [id];
    for (let at = todo.pop(); at !== undefined; at = todo.pop())
      for (const edge of graph.edges)
        if (edge[near] === at && !seen.has(edge[far])) {
          seen.add(edge[far]);
          todo.push(edge[far]);
        }
  }
  return seen;
}
