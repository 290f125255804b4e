/* What one node is and does: state, figures, last error, definition, links. */
import { useGet } from "../api/http";
import { flow, useFlow, useNodeFigures } from "../api/live";
import type { Graph, GraphNode, Query, Topic } from "../api/types";
import { A, Health, Icon, Spark } from "../design/parts";
import { count, duration, exactCount, rate, time, visible } from "../lib/format";
import { hrefOf } from "../lib/url";
import { KIND_WORD } from "./FlowGraph";

function Definition({ node }: { node: GraphNode }) {
  const name = encodeURIComponent(node.kind === "query" ? node.id.slice("query:".length) : node.name);
  const query = useGet<Query>(node.kind === "query" ? `/api/v1/queries/${name}` : null);
  const topic = useGet<Topic>(node.kind === "topic" ? `/api/v1/topics/${name}` : null);
  const text = query.data?.statement ?? topic.data?.sources[0]?.statement;
  if (!text) return null;
  return (
    <section>
      <h3>Definition</h3>
      <pre className="sql">{visible(text)}</pre>
    </section>
  );
}

function Neighbours({ graph, node, select }: { graph: Graph; node: GraphNode; select: (id: string) => void }) {
  const names = new Map(graph.nodes.map((other) => [other.id, other.name]));
  const from = graph.edges.filter((edge) => edge.to === node.id).map((edge) => edge.from);
  const to = graph.edges.filter((edge) => edge.from === node.id).map((edge) => edge.to);
  const list = (title: string, ids: string[]) =>
    ids.length > 0 && (
      <section>
        <h3>{title}</h3>
        <div className="links">
          {ids.map((id) => (
            <button key={id} onClick={() => select(id)}>
              {visible(names.get(id) ?? id)}
            </button>
          ))}
        </div>
      </section>
    );
  return (
    <>
      {list("From", from)}
      {list("To", to)}
    </>
  );
}

function hrefOfNode(node: GraphNode): string | null {
  if (node.kind === "client" || node.kind === "live") return null;
  return hrefOf(node.kind, node.kind === "query" ? node.id.slice("query:".length) : node.name);
}

export function NodePanel({ graph, node, close, select }: { graph: Graph; node: GraphNode; close: () => void; select: (id: string) => void }) {
  const figures = useNodeFigures(node.id);
  useFlow((store) => store.getVersion());
  const href = hrefOfNode(node);
  const facts: [string, string][] = [];
  if (figures) {
    if (figures.total_in !== null) facts.push([node.kind === "topic" ? "Records written" : "Records in", exactCount(figures.total_in)]);
    if (figures.total_out !== null) facts.push(["Records out", exactCount(figures.total_out)]);
    if (figures.in !== null) facts.push(["Rate in", rate(figures.in)]);
    if (figures.out !== null) facts.push(["Rate out", rate(figures.out)]);
    if (figures.lag !== null) facts.push(["Lag", `${count(figures.lag)} records${figures.lag_s ? `, about ${duration(figures.lag_s * 1000)}` : ""}`]);
    if (node.kind !== "topic" && node.kind !== "client") facts.push(["Errors", exactCount(figures.errors)]);
  }
  return (
    <aside className="panel" aria-label={`${node.kind} ${node.name}`}>
      <header>
        <div>
          <span className="muted">{KIND_WORD[node.kind] ?? node.kind}</span>
          <h2>{visible(node.name)}</h2>
          <span className="muted">{visible(node.sub)}</span>
        </div>
        <button className="icon" onClick={close} aria-label="Close" title="Close (Esc)">
          <Icon name="close" />
        </button>
      </header>
      <section>{figures && <Health word={figures.health} />}</section>
      {figures?.error && (
        <section>
          <div className={figures.health === "failed" ? "problem" : "problem warn"}>
            <span className="text">{visible(figures.error)}</span>
            {figures.error_at ? <span className="muted">{time(figures.error_at)}</span> : null}
          </div>
        </section>
      )}
      {node.kind !== "client" && (
        <section className="big-spark">
          <Spark points={flow.historyOf(node.id)} width={360} height={56} />
        </section>
      )}
      <section>
        <dl className="facts-grid figure">
          {facts.map(([name, value]) => (
            <div key={name} style={{ display: "contents" }}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </section>
      <Definition node={node} />
      <Neighbours graph={graph} node={node} select={select} />
      {href && (
        <section>
          <A href={href} className="button">
            {node.kind === "topic" ? "Records" : "Details"}
          </A>
        </section>
      )}
    </aside>
  );
}
