/* SQL: run a query and see its rows come, or statements and see their answers. Ctrl+Enter runs, Ctrl+. stops. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { type ApiError, request, useGet } from "../api/http";
import type { Source } from "../api/types";
import { List } from "../design/list";
import { A, Empty, Problem } from "../design/parts";
import type { Exact } from "../lib/exact";
import { count, duration, visible } from "../lib/format";
import { type Header, isNull, show } from "../lib/rows";
import { destroys, givesRows, isPush } from "../lib/statement";
import { runQuery } from "../lib/stream";
import { hrefOf, quoted, setParam, useParam } from "../lib/url";

const KEPT_MAX = 10000;
const DRAWN_MAX = 200;
const QUIET_MS = 3000;

interface Row {
  n: number;
  cells: Exact[];
}

interface Run {
  sql: string;
  started: number;
  firstRow: number | null;
  running: boolean;
  header: Header | null;
  rows: Row[];
  total: number;
  error: ApiError | null;
  entities: Record<string, unknown>[] | null;
}

function useRun() {
  const [run, setRun] = useState<Run | null>(null);
  const stop = useRef<(() => void) | null>(null);
  const change = useCallback((part: Partial<Run> | ((old: Run) => Partial<Run>)) => {
    setRun((old) => (old === null ? null : { ...old, ...(typeof part === "function" ? part(old) : part) }));
  }, []);
  const halt = useCallback(() => {
    stop.current?.();
    stop.current = null;
    change({ running: false });
  }, [change]);
  const start = useCallback(
    (sql: string, reset: string) => {
      stop.current?.();
      setRun({ sql, started: performance.now(), firstRow: null, running: true, header: null, rows: [], total: 0, error: null, entities: null });
      if (!givesRows(sql)) {
        request<Record<string, unknown>[]>("POST", "/ksql", { ksql: sql, streamsProperties: { "auto.offset.reset": reset } })
          .then((entities) => change({ entities, running: false }))
          .catch((error: unknown) => change({ error: error as ApiError, running: false }));
        return;
      }
      stop.current = runQuery(sql, isPush(sql) ? { "auto.offset.reset": reset } : {}, {
        header: (header) => change({ header }),
        rows: (rows) =>
          change((old) => ({
            rows: [...rows.map((cells, i) => ({ n: old.total + i + 1, cells })).reverse(), ...old.rows].slice(0, KEPT_MAX),
            total: old.total + rows.length,
            firstRow: old.firstRow ?? performance.now(),
          })),
        end: (error) => change({ error, running: false }),
      });
    },
    [change],
  );
  useEffect(() => () => stop.current?.(), []);
  return { run, start, halt };
}

function Entities({ entities }: { entities: Record<string, unknown>[] }) {
  return (
    <div className="card pad">
      {entities.map((entity, i) => {
        const status = entity.commandStatus as { status?: string; message?: string } | undefined;
        const rest = Object.fromEntries(Object.entries(entity).filter(([name]) => !["@type", "statementText", "warnings", "commandId", "commandSequenceNumber", "commandStatus"].includes(name)));
        return (
          <section key={i} style={{ marginBottom: 12 }}>
            <h3>{visible(String(entity.statementText ?? entity["@type"] ?? ""))}</h3>
            <pre>{visible(status?.message ?? JSON.stringify(rest, null, 2))}</pre>
          </section>
        );
      })}
    </div>
  );
}

function Quiet({ run, reset, again }: { run: Run; reset: string; again: () => void }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    setLate(false);
    const timer = setTimeout(() => setLate(true), QUIET_MS);
    return () => clearTimeout(timer);
  }, [run.started]);
  if (!late || reset !== "latest" || !isPush(run.sql)) return <Empty title="No rows yet" />;
  return (
    <Empty title="No rows yet">
      <p>It reads from latest: only records written from now on count.</p>
      <button className="main-action" onClick={again}>
        Run from earliest
      </button>
    </Empty>
  );
}

function Result({ run, reset, again }: { run: Run; reset: string; again: () => void }) {
  const numbers = useMemo(() => run.header?.types.map((type) => /^(INTEGER|BIGINT|DOUBLE|DECIMAL)/.test(type)) ?? [], [run.header]);
  if (run.error) return <Problem error={run.error} />;
  if (run.entities) return <Entities entities={run.entities} />;
  if (!run.header) return null;
  return (
    <div className="card">
      {run.rows.length === 0 ? (
        run.running ? (
          <Quiet run={run} reset={reset} again={again} />
        ) : (
          <Empty title="No rows" />
        )
      ) : (
        <List
          label="Rows"
          rows={run.rows.slice(0, DRAWN_MAX)}
          id={(row) => String(row.n)}
          columns={run.header.names.map((name, i) => ({
            title: visible(name),
            className: numbers[i] ? "mono num" : "mono",
            cell: (row: Row) => (isNull(row.cells[i]) ? <span className="muted">null</span> : show(row.cells[i])),
          }))}
        />
      )}
    </div>
  );
}

function Examples({ use }: { use: (sql: string) => void }) {
  const sources = useGet<{ items: Source[] }>("/api/v1/sources");
  const items = sources.data?.items ?? [];
  const examples = items.slice(0, 4).map((source) => `SELECT * FROM ${quoted(source.name)} EMIT CHANGES;`);
  if (items.length > 0) examples.push("SHOW QUERIES;");
  else examples.push("SHOW TOPICS;", "CREATE STREAM orders (id VARCHAR KEY, amount BIGINT)\n  WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON', PARTITIONS=1);");
  return (
    <Empty title="Try one of these">
      {examples.map((sql) => (
        <button key={sql} className="mono" style={{ minHeight: 32, whiteSpace: "pre-wrap", textAlign: "left", padding: "6px 12px" }} onClick={() => use(sql)}>
          {sql}
        </button>
      ))}
      <p className="hide-narrow">
        {items.map((source) => (
          <span key={source.name}>
            {" "}
            <A href={hrefOf(source.kind === "table" ? "table" : "topic", source.kind === "table" ? source.name : source.topic)}>{source.name}</A>
          </span>
        ))}
      </p>
    </Empty>
  );
}

export default function SqlPage() {
  const fromUrl = useParam("q");
  const reset = useParam("reset") ?? "latest";
  const [sql, setSql] = useState(fromUrl ?? "");
  const [sure, setSure] = useState(false);
  const { run, start, halt } = useRun();
  const editor = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (fromUrl !== null) setSql((old) => (old.trim() === fromUrl.trim() ? old : fromUrl));
  }, [fromUrl]);
  const go = useCallback(
    (text: string, from: string, confirmed = false) => {
      const ready = text.trim();
      if (ready === "") return;
      if (destroys(ready) && !confirmed) {
        setSure(true);
        return;
      }
      setSure(false);
      setParam("q", ready.length <= 2000 ? ready : null, true);
      start(ready.endsWith(";") ? ready : `${ready};`, from);
    },
    [start],
  );
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey)) return;
      if (event.key === "Enter") go(sql, reset);
      else if (event.key === ".") halt();
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [go, halt, sql, reset]);
  const destroying = destroys(sql);
  return (
    <div className="page">
      <h1 className="sr">SQL</h1>
      <textarea
        ref={editor}
        className="editor"
        aria-label="SQL"
        spellCheck={false}
        autoCapitalize="off"
        rows={7}
        value={sql}
        placeholder="SELECT * FROM ... EMIT CHANGES;"
        onChange={(event) => setSql(event.target.value)}
        autoFocus
      />
      <div className="bar">
        <button className="main-action" onClick={() => go(sql, reset)} disabled={sql.trim() === ""}>
          Run
        </button>
        <button onClick={halt} disabled={!run?.running}>
          Stop
        </button>
        <label className="switch">
          from
          <select value={reset} onChange={(event) => setParam("reset", event.target.value === "latest" ? null : event.target.value)}>
            <option value="latest">latest</option>
            <option value="earliest">earliest</option>
          </select>
        </label>
        <span className="space" />
        <span className="muted" role="status">
          {run?.header && `${run.running ? "running" : "ended"} · ${count(run.total)} rows`}
          {run?.firstRow ? ` · first after ${duration(run.firstRow - run.started)}` : ""}
          {run && run.total > DRAWN_MAX ? ` · newest ${DRAWN_MAX} shown` : ""}
        </span>
        <kbd className="hide-narrow">Ctrl Enter</kbd>
      </div>
      {sure && (
        <div className="problem warn" role="alertdialog" aria-label="Confirm">
          <span className="text">{destroying}: this cannot be taken back. Records in topics stay unless the statement says DELETE TOPIC.</span>
          <button className="danger" onClick={() => go(sql, reset, true)}>
            Run it
          </button>
          <button onClick={() => setSure(false)}>Cancel</button>
        </div>
      )}
      {run ? (
        <Result
          run={run}
          reset={reset}
          again={() => {
            setParam("reset", "earliest");
            go(run.sql, "earliest");
          }}
        />
      ) : (
        <Examples use={setSql} />
      )}
    </div>
  );
}
