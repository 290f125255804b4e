/* Rows of a table as they change: a push query from the beginning, one row a key. */
import { useEffect, useMemo, useRef, useState } from "react";
import { type ApiError, useGet } from "../api/http";
import { useNodeFigures } from "../api/live";
import type { Source } from "../api/types";
import { List } from "../design/list";
import { A, Empty, Health, Problem, Skeleton } from "../design/parts";
import { clock, count, rate, visible } from "../lib/format";
import { type Header, isNull, KeyedRows, show, type TableRow } from "../lib/rows";
import { runQuery } from "../lib/stream";
import { hrefOf, pathOf, quoted, setParam, useParam } from "../lib/url";

const KEPT_MAX = 10000;
const DRAWN_MAX = 200;
const WINDOW_COLUMNS = ["WINDOWSTART", "WINDOWEND"];

function useRows(source: Source | undefined, paused: boolean) {
  const [header, setHeader] = useState<Header | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [ended, setEnded] = useState(false);
  const [round, setRound] = useState(0);
  const [, setTick] = useState(0);
  const rows = useRef<KeyedRows | null>(null);
  const pausedNow = useRef(paused);
  pausedNow.current = paused;
  const name = source?.name;
  const keys = source?.columns.filter((column) => column.key).map((column) => column.name).join("\n");
  useEffect(() => {
    if (name === undefined) return;
    setError(null);
    setEnded(false);
    setHeader(null);
    return runQuery(`SELECT * FROM ${quoted(name)} EMIT CHANGES;`, { "auto.offset.reset": "earliest" }, {
      header: (got) => {
        const named = [...(keys?.split("\n") ?? []), "WINDOWSTART"];
        rows.current = new KeyedRows(got.names.flatMap((n, i) => (named.includes(n) ? [i] : [])), KEPT_MAX);
        setHeader(got);
      },
      rows: (got) => {
        for (const cells of got) rows.current?.put(cells);
        if (!pausedNow.current) setTick((n) => n + 1);
      },
      end: (failure) => {
        setError(failure);
        setEnded(true);
      },
    });
  }, [name, keys, round]);
  return { header, rows: rows.current, error, ended, again: () => setRound((n) => n + 1) };
}

function RowList({ header, rows, by }: { header: Header; rows: KeyedRows; by: string }) {
  const order = useMemo(() => {
    const at = header.names.indexOf("WINDOWSTART");
    const keys = header.names.flatMap((n, i) => (WINDOW_COLUMNS.includes(n) ? [] : [i])).slice(0, 1);
    return at < 0 ? keys : [at, ...keys];
  }, [header]);
  const shown = by === "newest" ? rows.newest(DRAWN_MAX) : rows.sorted(order, DRAWN_MAX);
  const columns = header.names.map((name, i) => ({
    title: visible(name),
    className: /^(INTEGER|BIGINT|DOUBLE|DECIMAL)/.test(header.types[i] ?? "") && !WINDOW_COLUMNS.includes(name) ? "mono num" : "mono",
    cell: (row: TableRow) =>
      isNull(row.cells[i]) ? <span className="muted">null</span> : WINDOW_COLUMNS.includes(name) ? clock(Number(show(row.cells[i]))) : show(row.cells[i]),
  }));
  return <List label="Rows" rows={shown} id={(row) => row.id} flash={(row) => (row.changes > 1 ? row.changes : 0)} columns={columns} />;
}

export default function TablePage({ name }: { name: string }) {
  const sources = useGet<{ items: Source[] }>("/api/v1/sources");
  const source = sources.data?.items.find((other) => other.name === name);
  const [paused, setPaused] = useState(false);
  const { header, rows, error, ended, again } = useRows(source, paused);
  const figures = useNodeFigures(source ? `topic:${source.topic}` : "");
  const by = useParam("by") ?? "key";
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== " " || (event.target instanceof HTMLElement && /^(INPUT|SELECT|BUTTON|TEXTAREA)$/.test(event.target.tagName))) return;
      event.preventDefault();
      setPaused((old) => !old);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
  return (
    <div className="page">
      <div className="page-head">
        <h1>
          <A href={pathOf("tables")} className="crumb">
            Tables /
          </A>{" "}
          {visible(name)}
        </h1>
        <div className="facts">
          {source && (
            <>
              <A href={hrefOf("topic", source.topic)}>topic {visible(source.topic)}</A>
              {source.query && <A href={hrefOf("query", source.query)}>query {visible(source.query)}</A>}
              {source.window && <span className="badge">{source.window} window</span>}
              <span className="figure">{rate(figures?.in)} changes</span>
            </>
          )}
          {figures && <Health word={figures.health} />}
        </div>
      </div>
      <div className="bar">
        <div className="segment" role="group" aria-label="Order">
          <button aria-pressed={by === "key"} onClick={() => setParam("by", null)}>
            By key
          </button>
          <button aria-pressed={by === "newest"} onClick={() => setParam("by", "newest")}>
            Newest change
          </button>
        </div>
        <span className="muted figure" role="status">
          {rows ? `${count(rows.size)} rows${rows.size > DRAWN_MAX ? `, ${DRAWN_MAX} shown` : ""}` : ""}
          {ended && !error ? " · ended" : ""}
        </span>
        <span className="space" />
        <button aria-pressed={paused} onClick={() => setPaused(!paused)}>
          {paused ? "Go on" : "Pause"}
        </button>
      </div>
      {sources.error && <Problem error={sources.error} retry={sources.reload} />}
      {error && <Problem error={error} retry={again} />}
      {sources.data && !source && <Empty title={`There is no table ${name}`} />}
      {source && !error && (
        <div className="card">
          {!header || !rows ? <Skeleton rows={12} /> : rows.size === 0 ? <Empty title="No rows yet" /> : <RowList header={header} rows={rows} by={by} />}
        </div>
      )}
    </div>
  );
}
