/* Places of nodes: computed in a worker, only when nodes or edges come or go, so that the picture does not jump. */
import { useEffect, useState } from "react";
import type { Graph } from "../api/types";
import workerUrl from "./layout.worker?worker&url";
import type { LayoutAnswer, LayoutRequest, Place } from "./sizes";

/* Scripts of workers come from here only: the page's policy asks for it. */
type Policy = { createScriptURL: (url: string) => string };
const factory = (window as { trustedTypes?: { createPolicy: (name: string, rules: Policy) => Policy } }).trustedTypes;
const policy = factory?.createPolicy("caldrop", { createScriptURL: (url) => url });
let worker: Worker | null = null;
let version = 0;

function getWorker(): Worker {
  const url = new URL(workerUrl, location.href).href;
  worker ??= new Worker(policy ? policy.createScriptURL(url) : url, { type: "module" });
  return worker;
}

/* null until the first layout is there; `round` asks for a new one. */
export function useLayout(graph: Graph | null, round: number): Record<string, Place> | null {
  const [places, setPlaces] = useState<Record<string, Place> | null>(null);
  useEffect(() => {
    if (graph === null) return;
    const mine = ++version;
    const take = (event: MessageEvent<LayoutAnswer>) => {
      if (event.data.version === mine) setPlaces(event.data.places);
    };
    getWorker().addEventListener("message", take);
    const nodes = graph.nodes.map((node) => node.id);
    const known = new Set(nodes);
    const edges = graph.edges.filter((edge) => known.has(edge.from) && known.has(edge.to));
    getWorker().postMessage({ version: mine, nodes, edges: edges.map((edge) => [edge.from, edge.to]) } satisfies LayoutRequest);
    return () => getWorker().removeEventListener("message", take);
  }, [graph, round]);
  return places;
}

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
