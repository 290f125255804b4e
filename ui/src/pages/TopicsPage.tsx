import { useGet } from "../api/http";
import { flow, useAbout, useFlow } from "../api/live";
import type { TopicRow } from "../api/types";
import { List } from "../design/list";
import { Empty, Health, Problem, Skeleton, Spark } from "../design/parts";
import { count, rate, visible } from "../lib/format";
import { navigate, pathOf, setParam, useParam } from "../lib/url";

export default function TopicsPage() {
  const topics = useGet<{ items: TopicRow[] }>("/api/v1/topics", 3000);
  const figures = useFlow((store) => store.figures);
  const q = useParam("q") ?? "";
  const internal = useParam("internal") === "1";
  const all = topics.data?.items ?? [];
  const rows = all.filter((topic) => (internal || !topic.internal) && topic.name.toLowerCase().includes(q.toLowerCase()));
  const hidden = all.filter((topic) => topic.internal).length;
  const about = useAbout();
  const of = (topic: TopicRow) => figures?.nodes[`topic:${topic.name}`];
  return (
    <div className="page">
      <div className="page-head">
        <h1>Topics</h1>
      </div>
      <div className="bar">
        <input type="search" placeholder="Name" aria-label="Name" value={q} onChange={(event) => setParam("q", event.target.value, true)} />
        <label className="switch">
          <input type="checkbox" checked={internal} onChange={(event) => setParam("internal", event.target.checked ? "1" : null)} />
          Internal{hidden > 0 ? ` (${hidden})` : ""}
        </label>
      </div>
      {topics.error && <Problem error={topics.error} retry={topics.reload} />}
      <div className="card">
        {topics.loading ? (
          <Skeleton />
        ) : rows.length === 0 ? (
          <Empty title={q ? "No topic has this in its name" : "No topics yet"}>{!q && <p>A topic is made by the first record sent to it, or by CREATE STREAM.</p>}</Empty>
        ) : (
          <List
            label="Topics"
            rows={rows.slice(0, 500)}
            id={(topic) => topic.name}
            open={(topic) => navigate(pathOf("topics", topic.name))}
            columns={[
              { title: "Name", cell: (topic) => <b>{visible(topic.name)}</b> },
              { title: "Health", className: "hide-narrow", cell: (topic) => <Health word={of(topic)?.health ?? "idle"} /> },
              { title: "Partitions", className: "num hide-narrow", cell: (topic) => topic.partitions },
              { title: "Records", className: "num figure", cell: (topic) => about(topic.name) + count(topic.records) },
              { title: "Rate", className: "num figure", cell: (topic) => rate(of(topic)?.in) },
              { title: "", className: "hide-narrow", cell: (topic) => <Spark points={flow.historyOf(`topic:${topic.name}`)} width={90} /> },
            ]}
          />
        )}
      </div>
    </div>
  );
}
