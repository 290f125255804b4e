import { useGet } from "../api/http";
import { useAbout, useFlow, useNodeFigures } from "../api/live";
import type { Topic } from "../api/types";
import { List } from "../design/list";
import { A, Empty, Health, Problem } from "../design/parts";
import { count, exactCount, rate, visible } from "../lib/format";
import { hrefOf, navigate, pathOf, quoted } from "../lib/url";
import { Records } from "../record/Records";

const TABS = ["records", "partitions", "readers", "config"];

function Partitions({ topic }: { topic: Topic }) {
  return (
    <div className="card">
      <List
        label="Partitions"
        rows={topic.partition_list}
        id={(row) => String(row.partition)}
        columns={[
          { title: "Partition", cell: (row) => row.partition },
          { title: "Start", className: "num", cell: (row) => exactCount(row.start) },
          { title: "End", className: "num", cell: (row) => exactCount(row.end) },
          { title: "Readable up to", className: "num hide-narrow", cell: (row) => exactCount(row.committed) },
          { title: "Records", className: "num", cell: (row) => exactCount((BigInt(row.end) - BigInt(row.start)).toString()) },
        ]}
      />
    </div>
  );
}

function Readers({ name }: { name: string }) {
  const graph = useFlow((store) => store.graph);
  const figures = useFlow((store) => store.figures);
  const id = `topic:${name}`;
  const rows = (graph?.edges ?? [])
    .filter((edge) => edge.from === id || edge.to === id)
    .flatMap((edge) => {
      const other = graph?.nodes.find((node) => node.id === (edge.from === id ? edge.to : edge.from));
      return other ? [{ edge, other, figures: figures?.edges[edge.id] }] : [];
    });
  if (rows.length === 0) return <Empty title="Nobody reads or writes it now" />;
  return (
    <div className="card">
      <List
        label="Readers and writers"
        rows={rows}
        id={(row) => row.edge.id}
        open={(row) => navigate(row.other.kind === "client" || row.other.kind === "live" ? pathOf("flow") : hrefOf(row.other.kind, row.other.id.split(":").slice(1).join(":")))}
        columns={[
          { title: "Name", cell: (row) => <b>{visible(row.other.name)}</b> },
          { title: "", cell: (row) => (row.edge.from === id ? "reads" : "writes") },
          { title: "Kind", className: "hide-narrow", cell: (row) => row.other.kind },
          { title: "Rate", className: "num figure", cell: (row) => rate(row.figures?.rate) },
          { title: "Lag", className: "num figure", cell: (row) => (row.edge.from === id ? count(row.figures?.lag) : "") },
        ]}
      />
    </div>
  );
}

function Config({ topic }: { topic: Topic }) {
  return (
    <div className="card pad">
      <dl className="facts-grid mono">
        {Object.entries(topic.config).map(([name, value]) => (
          <div key={name} style={{ display: "contents" }}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

export default function TopicPage({ name, tab }: { name: string; tab: string }) {
  const topic = useGet<Topic>(`/api/v1/topics/${encodeURIComponent(name)}`, 3000);
  const figures = useNodeFigures(`topic:${name}`);
  const source = topic.data?.sources[0];
  const about = useAbout();
  return (
    <div className="page">
      <div className="page-head">
        <h1>
          <A href={pathOf("topics")} className="crumb">
            Topics /
          </A>{" "}
          {visible(name)}
        </h1>
        <div className="facts">
          {topic.data && (
            <>
              <span>{topic.data.partitions === 1 ? "1 partition" : `${topic.data.partitions} partitions`}</span>
              <span className="figure" title={exactCount(topic.data.records)}>
                {about(name)}
                {count(topic.data.records)} records
              </span>
              <span className="figure">{rate(figures?.in)}</span>
            </>
          )}
          {figures && <Health word={figures.health} />}
          {topic.data?.sources.map((s) => (
            <span key={s.name} className="badge" title={s.statement}>
              {s.kind} {s.name} · {s.value_format}
            </span>
          ))}
        </div>
        <div className="actions">
          {source && (
            <A href={source.kind === "table" ? hrefOf("table", source.name) : `${pathOf("sql")}?q=${encodeURIComponent(`SELECT * FROM ${quoted(source.name)} EMIT CHANGES;`)}`} className="button">
              {source.kind === "table" ? "Rows" : "Query"}
            </A>
          )}
        </div>
      </div>
      <nav className="tabs" aria-label="Parts of the topic">
        {TABS.map((id) => (
          <A key={id} href={pathOf("topics", name, id)} current={tab === id}>
            {id === "readers" ? "Readers and writers" : id[0]?.toUpperCase() + id.slice(1)}
          </A>
        ))}
      </nav>
      {topic.error && !topic.data && <Problem error={topic.error} retry={topic.reload} />}
      {tab === "records" && topic.data && <Records topic={name} partitions={topic.data.partitions} />}
      {tab === "partitions" && topic.data && <Partitions topic={topic.data} />}
      {tab === "readers" && <Readers name={name} />}
      {tab === "config" && topic.data && <Config topic={topic.data} />}
    </div>
  );
}
