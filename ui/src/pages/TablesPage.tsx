import { useGet } from "../api/http";
import { useFlow } from "../api/live";
import type { Source } from "../api/types";
import { List } from "../design/list";
import { Empty, Problem, Skeleton } from "../design/parts";
import { duration, rate, visible } from "../lib/format";
import { navigate, pathOf } from "../lib/url";

export default function TablesPage() {
  const sources = useGet<{ items: Source[] }>("/api/v1/sources", 5000);
  const figures = useFlow((store) => store.figures);
  const rows = (sources.data?.items ?? []).filter((source) => source.kind === "table");
  return (
    <div className="page">
      <div className="page-head">
        <h1>Tables</h1>
      </div>
      {sources.error && <Problem error={sources.error} retry={sources.reload} />}
      <div className="card">
        {sources.loading ? (
          <Skeleton />
        ) : rows.length === 0 ? (
          <Empty title="No tables yet">
            <p>A table keeps the newest row of each key, for example:</p>
            <pre>CREATE TABLE totals AS SELECT user_id, COUNT(*) AS n FROM orders GROUP BY user_id;</pre>
          </Empty>
        ) : (
          <List
            label="Tables"
            rows={rows}
            id={(table) => table.name}
            open={(table) => navigate(pathOf("tables", table.name))}
            columns={[
              { title: "Name", cell: (table) => <b>{visible(table.name)}</b> },
              { title: "Key", cell: (table) => visible(table.columns.filter((c) => c.key).map((c) => c.name).join(", ")) },
              { title: "Window", className: "hide-narrow", cell: (table) => (table.window ? `${table.window}${table.window_ms ? ` ${duration(table.window_ms)}` : ""}` : "") },
              { title: "Topic", className: "hide-narrow", cell: (table) => visible(table.topic) },
              { title: "Changes", className: "num figure", cell: (table) => rate(figures?.nodes[`topic:${table.topic}`]?.in) },
            ]}
          />
        )}
      </div>
    </div>
  );
}
