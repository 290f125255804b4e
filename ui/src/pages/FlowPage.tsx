/* Start page: the whole instance as a graph, or as a list on narrow screens and by choice. */
import { useCallback, useEffect } from "react";
import { flow, useFlow, watchFlow } from "../api/live";
import type { Graph, GraphNode, Server } from "../api/types";
import { useGet } from "../api/http";
import { List } from "../design/list";
import { Empty, Health, Spark } from "../design/parts";
import { FlowGraph, KIND_WORD } from "../graph/FlowGraph";
import { NodePanel } from "../graph/NodePanel";
import { count, duration, rate, visible } from "../lib/format";
import { setParam, useParam } from "../lib/url";

const LEGEND = ["failed", "errors", "behind", "catching up", "flowing", "idle", "paused"];

function NodeList({ graph, select }: { graph: Graph; select: (id: string) => void }) {
  const figures = useFlow((store) => store.figures);
  const of = (node: GraphNode) => figures?.nodes[node.id];
  return (
    <div className="page">
      <div className="card">
        <List
          label="Flow"
          rows={graph.nodes}
          id={(node) => node.id}
          open={(node) => select(node.id)}
          columns={[
            { title: "Name", cell: (node) => <b>{visible(node.name)}</b> },
            { title: "Kind", className: "hide-narrow", cell: (node) => KIND_WORD[node.kind] ?? node.kind },
            { title: "Health", cell: (node) => (node.kind === "client" ? "" : <Health word={of(node)?.health ?? "idle"} />) },
            { title: "In", className: "num figure", cell: (node) => rate(of(node)?.in) },
            { title: "Out", className: "num figure hide-narrow", cell: (node) => rate(of(node)?.out) },
            {
              title: "Lag",
              className: "num figure hide-narrow",
              cell: (node) => {
                const lag = of(node);
                return lag?.lag_s ? `~${duration(lag.lag_s * 1000)}` : count(lag?.lag);
              },
            },
            { title: "", className: "hide-narrow", cell: (node) => <Spark points={flow.historyOf(node.id)} /> },
          ]}
        />
      </div>
    </div>
  );
}

function EmptyFlow() {
  const server = useGet<Server>("/api/v1/server");
  const kafka = server.data?.kafka ?? "127.0.0.1:9092";
  return (
    <Empty title="Nothing flows yet">
      <p>Point any Kafka client here; this page shows the first record the moment it arrives.</p>
      <pre>{`echo '{"id":1}' | kcat -P -b ${kafka} -t first`}</pre>
      <pre>{`rialto datagen --topic transactions --rate 100 --server ${kafka}`}</pre>
    </Empty>
  );
}

export default function FlowPage() {
  const graph = useFlow((store) => store.graph);
  const panel = useParam("panel");
  const internal = useParam("internal") === "1";
  const narrow = window.innerWidth < 720;
  const list = useParam("view") === "list" || (narrow && useParam("view") !== "graph");
  const select = useCallback((id: string | null) => setParam("panel", id), []);
  useEffect(() => {
    if (flow.internal !== internal) watchFlow(internal);
  }, [internal]);
  const node = graph?.nodes.find((other) => other.id === panel);
  const empty = graph !== null && graph.nodes.length === 0;
  return (
    <div className="flow">
      <div className="flow-bar">
        <h1 className="sr">Flow</h1>
        <div className="segment" role="group" aria-label="View">
          <button aria-pressed={!list} onClick={() => setParam("view", narrow ? "graph" : null)}>
            Graph
          </button>
          <button aria-pressed={list} onClick={() => setParam("view", narrow ? null : "list")}>
            List
          </button>
        </div>
        <label className="switch">
          <input type="checkbox" checked={internal} onChange={(event) => setParam("internal", event.target.checked ? "1" : null)} />
          Internal topics{graph && graph.hidden > 0 ? ` (${graph.hidden})` : ""}
        </label>
        <div className="legend hide-narrow" style={{ marginLeft: "auto" }} aria-label="Legend">
          {LEGEND.map((word) => (
            <Health key={word} word={word} />
          ))}
        </div>
      </div>
      <div className="canvas" style={list ? { overflow: "auto" } : undefined}>
        {empty && <EmptyFlow />}
        {graph && !empty && (list ? <NodeList graph={graph} select={select} /> : <FlowGraph graph={graph} selected={panel} select={select} />)}
        {graph && node && <NodePanel graph={graph} node={node} close={() => select(null)} select={select} />}
      </div>
    </div>
  );
}
