/* The graph: React Flow draws, we place. Node and edge components are memoised and read their figures by id, so a tick of
 * rates re-renders texts, not the graph. */
import {
  Background,
  BaseEdge,
  Controls,
  type Edge,
  EdgeLabelRenderer,
  type EdgeProps,
  Handle,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
  useReactFlow,
  ReactFlowProvider,
} from "@xyflow/react";
import "@xyflow/react/dist/base.css";
import { memo, useEffect, useMemo, useState } from "react";
import { flow, useEdgeFigures, useFlow, useNodeFigures } from "../api/live";
import type { Graph, GraphNode } from "../api/types";
import { Health, Spark } from "../design/parts";
import { bytes, rate, visible } from "../lib/format";
import { curveOf, pathText, pointOn, related } from "./curve";
import { useLayout } from "./layout";
import { Particles } from "./Particles";
import { NODE_HEIGHT, NODE_WIDTH } from "./sizes";

export const KIND_WORD: Record<string, string> = {
  topic: "topic",
  query: "query",
  sink: "sink connector",
  source: "source connector",
  client: "clients",
  live: "live queries",
};

const PANEL_WIDTH = 400;

type BoxData = { node: GraphNode; selected: boolean; dim: boolean };
type BoxNode = Node<BoxData, "box">;
type LineEdge = Edge<{ dim: boolean }, "line">;

/* The one figure that says most about a node. */
function nodeRate(node: GraphNode, figures: ReturnType<typeof useNodeFigures>): string {
  if (!figures) return "-";
  if (node.kind === "query") return `${rate(figures.in)} → ${rate(figures.out)}`;
  if (node.kind === "client") return figures.out === null ? node.sub : rate(figures.out);
  return rate(figures.in ?? figures.out);
}

const Box = memo(function Box({ data }: NodeProps<BoxNode>) {
  const { node } = data;
  const figures = useNodeFigures(node.id);
  const health = figures?.health ?? "idle";
  const table = node.kind === "query" && node.sub.startsWith("CTAS");
  const classes = ["node", node.kind, table ? "table" : "", data.selected ? "selected" : "", data.dim ? "dim" : "", health];
  return (
    <div className={classes.join(" ")} title={visible(`${node.name}${node.sub ? `: ${node.sub}` : ""}`)}>
      <Handle type="target" position={Position.Left} isConnectable={false} />
      <span className="kind">{KIND_WORD[node.kind] ?? node.kind}</span>
      <span className="kind">{node.kind !== "client" && <Health word={health} />}</span>
      <span className="title">{visible(node.name)}</span>
      <span className="rate figure">{nodeRate(node, figures)}</span>
      {node.kind !== "client" && <Spark points={flow.historyOf(node.id)} />}
      <Handle type="source" position={Position.Right} isConnectable={false} />
    </div>
  );
});

const Line = memo(function Line(props: EdgeProps<LineEdge>) {
  const figures = useEdgeFigures(props.id);
  const curve = curveOf(props.sourceX, props.sourceY, props.targetX, props.targetY);
  const [x, y] = pointOn(curve, 0.5);
  const flows = (figures?.rate ?? figures?.bytes ?? 0) > 0;
  const text = figures?.rate !== null && figures?.rate !== undefined ? rate(figures.rate) : figures?.bytes ? `${bytes(figures.bytes)}/s` : null;
  const state = `${flows ? " flows" : ""}${props.data?.dim ? " dim" : ""}`;
  return (
    <>
      <BaseEdge id={props.id} path={pathText(curve)} className={`edge${state}`} interactionWidth={0} />
      {text !== null && !props.data?.dim && (
        <EdgeLabelRenderer>
          <div className={`edge-rate figure${state}`} style={{ transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` }}>
            {text}
          </div>
        </EdgeLabelRenderer>
      )}
    </>
  );
});

const nodeTypes = { box: Box };
const edgeTypes = { line: Line };

function Inner({ graph, selected, select }: { graph: Graph; selected: string | null; select: (id: string | null) => void }) {
  const [round, setRound] = useState(0);
  const [hovered, setHovered] = useState<string | null>(null);
  const places = useLayout(graph, round);
  const { fitView } = useReactFlow();
  const lit = useMemo(() => (hovered ? related(graph, hovered) : null), [graph, hovered]);
  const nodes = useMemo<BoxNode[]>(
    () =>
      graph.nodes.flatMap((node) => {
        const at = places?.[node.id];
        if (!at) return [];
        const data = { node, selected: node.id === selected, dim: lit !== null && !lit.has(node.id) };
        return [{ id: node.id, type: "box" as const, position: at, data, width: NODE_WIDTH, height: NODE_HEIGHT, draggable: false, ariaLabel: `${KIND_WORD[node.kind] ?? node.kind} ${node.name}` }];
      }),
    [graph, places, selected, lit],
  );
  const edges = useMemo<LineEdge[]>(
    () =>
      graph.edges.map((edge) => ({
        id: edge.id,
        source: edge.from,
        target: edge.to,
        type: "line" as const,
        focusable: false,
        data: { dim: lit !== null && !(lit.has(edge.from) && lit.has(edge.to)) },
      })),
    [graph, lit],
  );
  const open = selected !== null && window.innerWidth > 900;
  useEffect(() => {
    if (places) requestAnimationFrame(() => void fitView({ padding: { x: "60px", y: "40px", ...(open ? { right: `${PANEL_WIDTH + 24}px` } : {}) }, maxZoom: 1.1, duration: 200 }));
  }, [places, open, fitView]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "L" && !(event.target instanceof HTMLInputElement)) setRound((n) => n + 1);
      if (event.key === "Escape") select(null);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [select]);
  return (
    <ReactFlow
      nodes={nodes}
      edges={edges}
      nodeTypes={nodeTypes}
      edgeTypes={edgeTypes}
      onNodeClick={(_, node) => select(node.id)}
      onNodeMouseEnter={(_, node) => setHovered(node.id)}
      onNodeMouseLeave={() => setHovered(null)}
      onPaneClick={() => select(null)}
      onKeyDown={(event) => {
        const id = (event.target as HTMLElement).dataset.id;
        if (event.key === "Enter" && id) select(id);
      }}
      nodesDraggable={false}
      nodesConnectable={false}
      elementsSelectable={false}
      nodesFocusable
      minZoom={0.2}
      maxZoom={2}
      fitView
      proOptions={{ hideAttribution: true }}
    >
      <Background gap={24} color="var(--line)" />
      <Controls showInteractive={false} />
      {places && <Particles graph={graph} places={places} />}
    </ReactFlow>
  );
}

export function FlowGraph(props: { graph: Graph; selected: string | null; select: (id: string | null) => void }) {
  useFlow((store) => store.graph);
  return (
    <ReactFlowProvider>
      <Inner {...props} />
    </ReactFlowProvider>
  );
}
