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
