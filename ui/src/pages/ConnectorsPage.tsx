import { useState } from "react";
import { type ApiError, request, useGet } from "../api/http";
import { useFlow, useNodeFigures } from "../api/live";
import type { Connector, ConnectorTask } from "../api/types";
import { List } from "../design/list";
import { A, Empty, Health, Problem, Skeleton } from "../design/parts";
import { count, exactCount, rate, visible } from "../lib/format";
import { hrefOf, navigate, pathOf } from "../lib/url";

const sum = (tasks: ConnectorTask[], member: "records_written" | "records_failed" | "retries" | "lag"): string =>
  tasks.reduce((total, task) => total + BigInt(task[member]), 0n).toString();

/* Some tasks failed: the connector still runs, but not whole. */
function stateOf(connector: Connector): string {
  const failed = connector.tasks.filter((task) => task.state === "FAILED").length;
  if (failed === 0) return connector.state.toLowerCase();
  return failed === connector.tasks.length ? "failed" : "degraded";
}

function Actions({ connector, changed }: { connector: Connector; changed: () => void }) {
  const [error, setError] = useState<ApiError | null>(null);
  const base = `/connectors/${encodeURIComponent(connector.name)}`;
  const run = (method: string, path: string) => {
    request(method, base + path)
      .then(() => {
        setError(null);
        changed();
      })
      .catch((failure: unknown) => setError(failure as ApiError));
  };
  const runs = connector.state === "RUNNING" || connector.state === "FAILED";
  return (
    <>
      <div className="actions">
        {runs ? <button onClick={() => run("PUT", "/pause")}>Pause</button> : <button onClick={() => run("PUT", "/resume")}>Resume</button>}
        <button onClick={() => run("POST", "/restart?includeTasks=true&onlyFailed=false")}>Restart</button>
      </div>
      {error && <Problem error={error} />}
    </>
  );
}

function Detail({ name }: { name: string }) {
  const list = useGet<{ items: Connector[] }>("/api/v1/connectors", 2000);
  const info = useGet<{ config: Record<string, string> }>(`/connectors/${encodeURIComponent(name)}`);
  const connector = list.data?.items.find((other) => other.name === name);
  const figures = useNodeFigures(`connector:${name}`);
  return (
    <div className="page">
      <div className="page-head">
        <h1>
          <A href={pathOf("connectors")} className="crumb">
            Connectors /
          </A>{" "}
          {visible(name)}
        </h1>
        {connector && (
          <>
            <div className="facts">
              <Health word={stateOf(connector)} />
              <span>
                {connector.type} · {visible(connector.class)}
              </span>
              {connector.topics.map((topic) => (
                <A key={topic} href={hrefOf("topic", topic)}>
                  {visible(topic)}
                </A>
              ))}
            </div>
            <Actions connector={connector} changed={list.reload} />
          </>
        )}
      </div>
      {list.error && <Problem error={list.error} retry={list.reload} />}
      {list.data && !connector && <Empty title={`There is no connector ${name}`} />}
      {connector && (
        <>
          {connector.tasks.map((task, i) =>
            task.trace ? (
              <div className="problem" key={i}>
                <span className="text">
                  task {i}: {visible(task.trace)}
                </span>
              </div>
            ) : null,
          )}
          <div className="tiles">
            <div className="tile">
              <b className="figure">{rate(figures?.in ?? figures?.out)}</b>
              <span>records</span>
            </div>
            {(
              [
                ["records_written", "written"],
                ["records_failed", "failed"],
                ["retries", "retries"],
                ["lag", "records of lag"],
              ] as const
            ).map(([member, word]) => (
              <div className="tile" key={member} title={exactCount(sum(connector.tasks, member))}>
                <b className="figure">{count(sum(connector.tasks, member))}</b>
                <span>{word}</span>
              </div>
            ))}
          </div>
          <section className="card">
            <List
              label="Tasks"
              rows={connector.tasks.map((task, i) => ({ task, i }))}
              id={({ i }) => String(i)}
              columns={[
                { title: "Task", cell: ({ i }) => i },
                { title: "State", cell: ({ task }) => <Health word={task.state.toLowerCase()} /> },
                { title: "Written", className: "num figure", cell: ({ task }) => exactCount(task.records_written) },
                { title: "Failed", className: "num figure", cell: ({ task }) => exactCount(task.records_failed) },
                { title: "Lag", className: "num figure", cell: ({ task }) => exactCount(task.lag) },
              ]}
            />
          </section>
        </>
      )}
      {info.data && (
        <section className="card pad">
          <h3>Config</h3>
          <dl className="facts-grid mono">
            {Object.entries(info.data.config).map(([key, value]) => (
              <div key={key} style={{ display: "contents" }}>
                <dt>{visible(key)}</dt>
                <dd>{/password|secret/i.test(key) ? "set" : visible(String(value))}</dd>
              </div>
            ))}
          </dl>
        </section>
      )}
    </div>
  );
}

function Connectors() {
  const list = useGet<{ items: Connector[] }>("/api/v1/connectors", 2000);
  const figures = useFlow((store) => store.figures);
  const rows = list.data?.items ?? [];
  const of = (connector: Connector) => figures?.nodes[`connector:${connector.name}`];
  return (
    <div className="page">
      <div className="page-head">
        <h1>Connectors</h1>
      </div>
      {list.error && <Problem error={list.error} retry={list.reload} />}
      <div className="card">
        {list.loading ? (
          <Skeleton />
        ) : rows.length === 0 ? (
          <Empty title="No connectors yet">
            <p>A connector keeps a database in step with a topic.</p>
            <pre>rialto connector create --help</pre>
          </Empty>
        ) : (
          <List
            label="Connectors"
            rows={rows}
            id={(connector) => connector.name}
            open={(connector) => navigate(pathOf("connectors", connector.name))}
            columns={[
              { title: "Name", cell: (connector) => <b>{visible(connector.name)}</b> },
              { title: "State", cell: (connector) => <Health word={stateOf(connector)} /> },
              { title: "Tasks", className: "num", cell: (c) => `${c.tasks.filter((task) => task.state === "RUNNING").length}/${c.tasks.length}` },
              { title: "Rate", className: "num figure", cell: (connector) => rate(of(connector)?.in ?? of(connector)?.out) },
              { title: "Lag", className: "num figure hide-narrow", cell: (connector) => count(of(connector)?.lag) },
              { title: "Class", className: "hide-narrow", cell: (connector) => visible(connector.class) },
            ]}
          />
        )}
      </div>
    </div>
  );
}

export default function ConnectorsPage({ name }: { name: string | null }) {
  return name === null ? <Connectors /> : <Detail key={name} name={name} />;
}
