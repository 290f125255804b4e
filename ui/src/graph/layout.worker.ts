/* Layered layout, left to right, beside the main thread. */
import { Graph, layout } from "@dagrejs/dagre";
import { NODE_HEIGHT, NODE_WIDTH, type LayoutAnswer, type LayoutRequest } from "./sizes";

self.onmessage = (event: MessageEvent<LayoutRequest>) => {
  const { version, nodes, edges } = event.data;
  const graph = new Graph();
  graph.setGraph({ rankdir: "LR", ranker: "tight-tree", nodesep: 28, ranksep: 110, marginx: 20, marginy: 20 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of nodes) graph.setNode(id, { width: NODE_WIDTH, height: NODE_HEIGHT });
  for (const [from, to] of edges) graph.setEdge(from, to);
  layout(graph);
  const places: LayoutAnswer["places"] = {};
  for (const id of nodes) {
    const at = graph.node(id) as { x: number; y: number };
    places[id] = { x: at.x - NODE_WIDTH / 2, y: at.y - NODE_HEIGHT / 2 };
  }
  self.postMessage({ version, places } satisfies LayoutAnswer);
};
