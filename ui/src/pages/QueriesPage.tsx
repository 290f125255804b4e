import { useState } from "react";
import { type ApiError, request, useGet } from "../api/http";
import { flow, useFlow, useNodeFigures } from "../api/live";
import type { Query } from "../api/types";
import { List } from "../design/list";
import { A, Empty, Health, Problem, Skeleton, Spark } from "../design/parts";
import { count, exactCount, rate, time, visible } from "../lib/format";
import { planSteps } from "../lib/plan";
import { hrefOf, navigate, pathOf } from "../lib/url";

function Actions({ query, changed }: { query: Query; changed: () => void }) {
  const [error, setError] = useState<ApiError | null>(null);
  const [sure, setSure] = useState(false);
  const run = (verb: string) => {
    setSure(false);
    request("POST", "/ksql", { ksql: `${verb} ${query.id};`, streamsProperties: {} })
      .then(() => {
        setError(null);
        if (verb === "TERMINATE") navigate(pathOf("queries"));
        else changed();
      })
      .catch((failure: unknown) => setError(failure as ApiError));
  };
  if (!query.persistent) return null;
  return (
    <>
      <div className="actions">
        {query.state === "paused" ? <button onClick={() => run("RESUME")}>Resume</button> : <button onClick={() => run("PAUSE")}>Pause</button>}
        <button className="danger" onClick={() => setSure(true)}>
          Terminate
        </button>
      </div>
      {sure && (
        <div className="problem warn" role="alertdialog" aria-label="Terminate">
          <span className="text">
            The query stops for good. Its topic {query.sink_topic ?? ""} and the records in it stay; nothing is written to it any more.
          </span>
          <button className="danger" onClick={() => run("TERMINATE")}>
            Terminate {query.id}
          </button>
          <button onClick={() => setSure(false)}>Keep it</button>
        </div>
      )}
      {error && <Problem error={error} />}
    </>
  );
}

function Plan({ text }: { text: string }) {
  const steps = planSteps(text);
  if (steps === null) return <pre>{visible(text)}</pre>;
  return (
    <ol className="steps">
      {steps.map((step) => (
        <li key={step.depth}>
          <b>{step.name.toLowerCase().replaceAll("_", " ")}</b>
          <div className="columns">
            {step.columns.map((column) => (
              <code key={column} className="badge">
                {visible(column.replaceAll("`", ""))}
              </code>
            ))}
          </div>
        </li>
      ))}
    </ol>
  );
}

function Detail({ id }: { id: string }) {
  const query = useGet<Query>(`/api/v1/queries/${encodeURIComponent(id)}`, 2000);
  const figures = useNodeFigures(`query:${id}`);
  const data = query.data;
  const tiles: [string, string, string][] = data
    ? [
        [rate(figures?.in), "in", exactCount(data.rows_in)],
        [rate(figures?.out), "out", exactCount(data.rows_out)],
        [count(data.lag), "records of lag", exactCount(data.lag)],
        [count(data.rows_dropped), "dropped (late)", exactCount(data.rows_dropped)],
        [count(data.errors), "errors", exactCount(data.errors)],
      ]
    : [];
  return (
    <div className="page">
      <div className="page-head">
        <h1>
          <A href={pathOf("queries")} className="crumb">
            Queries /
          </A>{" "}
          {visible(id)}
        </h1>
        <div className="facts">
          {data && <Health word={data.state === "running" ? (figures?.health ?? "running") : data.state} />}
          {data?.sources.map((source) => (
            <span key={source} className="badge">
              reads {source}
            </span>
          ))}
          {data?.sink_topic && <A href={hrefOf("topic", data.sink_topic)}>writes {visible(data.sink_topic)}</A>}
        </div>
        {data && <Actions query={data} changed={query.reload} />}
      </div>
      {query.error && <Problem error={query.error} retry={query.reload} />}
      {data?.error && (
        <div className={data.state === "error" ? "problem" : "problem warn"}>
          <span className="text">{visible(data.error)}</span>
          {data.error_at ? <span className="muted">{time(data.error_at)}</span> : null}
        </div>
      )}
      {!data && query.loading && <Skeleton />}
      {data && (
        <>
          <div className="tiles">
            {tiles.map(([value, word, exact]) => (
              <div className="tile" key={word} title={exact}>
                <b className="figure">{value}</b>
                <span>{word}</span>
              </div>
            ))}
            <div className="tile">
              <Spark points={flow.historyOf(`query:${id}`)} width={140} height={40} />
            </div>
          </div>
          <section className="card pad">
            <h3>SQL</h3>
            <pre>{visible(data.statement)}</pre>
          </section>
          {data.plan_text && (
            <section className="card pad">
              <h3>Plan</h3>
              <Plan text={data.plan_text} />
            </section>
          )}
        </>
      )}
    </div>
  );
}

function Queries() {
  const queries = useGet<{ items: Query[] }>("/api/v1/queries", 2000);
  const figures = useFlow((store) => store.figures);
  const rows = queries.data?.items ?? [];
  const of = (query: Query) => figures?.nodes[`query:${query.id}`];
  return (
    <div className="page">
      <div className="page-head">
        <h1>Queries</h1>
      </div>
      {queries.error && <Problem error={queries.error} retry={queries.reload} />}
      <div className="card">
        {queries.loading ? (
          <Skeleton />
        ) : rows.length === 0 ? (
          <Empty title="No queries run">
            <p>CREATE STREAM or TABLE ... AS SELECT starts one.</p>
            <A href={pathOf("sql")} className="button">
              Open SQL
            </A>
          </Empty>
        ) : (
          <List
            label="Queries"
            rows={rows}
            id={(query) => query.id}
            open={(query) => navigate(pathOf("queries", query.id))}
            columns={[
              { title: "Id", cell: (query) => <b>{visible(query.id)}</b> },
              { title: "State", cell: (query) => <Health word={query.state === "running" ? (of(query)?.health ?? "running") : query.state} /> },
              { title: "In", className: "num figure", cell: (query) => rate(of(query)?.in) },
              { title: "Out", className: "num figure", cell: (query) => rate(of(query)?.out) },
              { title: "Lag", className: "num figure hide-narrow", cell: (query) => count(query.lag) },
              { title: "Errors", className: "num figure hide-narrow", cell: (query) => count(query.errors) },
              { title: "SQL", className: "mono wide hide-narrow", cell: (query) => visible(query.statement.replace(/\s+/g, " ")) },
            ]}
          />
        )}
      </div>
    </div>
  );
}

export default function QueriesPage({ id }: { id: string | null }) {
  return id === null ? <Queries /> : <Detail key={id} id={id} />;
}
