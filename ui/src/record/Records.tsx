/* Records of a topic: the newest at once, then live; older ones on request. Space pauses. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { type ApiError, request } from "../api/http";
import { watchTail } from "../api/live";
import type { RecordsAnswer } from "../api/types";
import { List } from "../design/list";
import { Empty, Problem, Skeleton } from "../design/parts";
import { cellText } from "../lib/exact";
import { count, time, visible } from "../lib/format";
import { setParam, useParam } from "../lib/url";
import { RecordPanel } from "./RecordPanel";
import { columnsOf, type Shown, shown } from "./view";

const KEPT_MAX = 2000;
const DRAWN_MAX = 200;
const FLASH_MAX = 3; /* more at once would only flicker */

interface State {
  rows: Shown[];
  before: string | null;
  loaded: boolean;
  error: ApiError | null;
  skipped: number;
}

const NOTHING: State = { rows: [], before: null, loaded: false, error: null, skipped: 0 };

function matches(row: Shown, text: string): boolean {
  const q = text.toLowerCase();
  return row.key.toLowerCase().includes(q) || row.value.toLowerCase().includes(q) || row.record.h.some(([n, v]) => `${n} ${v ?? ""}`.toLowerCase().includes(q));
}

/* Loads the newest, follows from there; while paused new records wait in a queue of limited length. */
function useRecords(topic: string, from: string, partition: string, paused: boolean) {
  const [state, setState] = useState<State>(NOTHING);
  const [waiting, setWaiting] = useState(0);
  const queue = useRef<Shown[]>([]);
  const pausedNow = useRef(paused);
  pausedNow.current = paused;
  const base = `/api/v1/topics/${encodeURIComponent(topic)}/records?limit=50${partition ? `&partition=${partition}` : ""}`;
  const flush = useCallback(() => {
    if (queue.current.length === 0) return;
    const fresh = queue.current.reverse();
    queue.current = [];
    setWaiting(0);
    setState((old) => ({ ...old, rows: [...fresh, ...old.rows].slice(0, KEPT_MAX) }));
  }, []);
  useEffect(() => {
    const abort = new AbortController();
    let stop = () => {};
    queue.current = [];
    setState(NOTHING);
    const live = from === "newest";
    request<RecordsAnswer>("GET", `${base}&from=${encodeURIComponent(from)}`, undefined, abort.signal)
      .then((answer) => {
        setState({ ...NOTHING, rows: answer.records.map((r) => shown(r)), before: answer.more ? (answer.before ?? null) : null, loaded: true });
        if (!live || abort.signal.aborted) return;
        stop = watchTail(
          topic,
          answer.next,
          (records, skipped) => {
            const wanted = records.filter((record) => partition === "" || String(record.p) === partition).sort((a, b) => a.t - b.t);
            queue.current.push(...wanted.map((record) => shown(record, wanted.length <= FLASH_MAX ? 1 : 0)));
            if (queue.current.length > KEPT_MAX) queue.current = queue.current.slice(-KEPT_MAX);
            if (skipped > 0) setState((old) => ({ ...old, skipped: old.skipped + skipped }));
            if (pausedNow.current) setWaiting(queue.current.length);
            else flush();
          },
          (message) => setState((old) => ({ ...old, error: new Error(message) as ApiError })),
        );
      })
      .catch((error: unknown) => {
        if (!abort.signal.aborted) setState({ ...NOTHING, loaded: true, error: error as ApiError });
      });
    return () => {
      abort.abort();
      stop();
    };
  }, [topic, from, partition, base, flush]);
  useEffect(() => {
    if (!paused) flush();
  }, [paused, flush]);
  const older = useCallback(() => {
    setState((old) => {
      if (old.before === null) return old;
      void request<RecordsAnswer>("GET", `${base}&from=newest&before=${old.before}`)
        .then((answer) =>
          setState((now) => ({ ...now, rows: [...now.rows, ...answer.records.map((r) => shown(r))].slice(0, KEPT_MAX), before: answer.more ? (answer.before ?? null) : null })),
        )
        .catch((error: unknown) => setState((now) => ({ ...now, error: error as ApiError })));
      return { ...old, before: null };
    });
  }, [base]);
  return { ...state, waiting, older };
}

export function Records({ topic, partitions }: { topic: string; partitions: number }) {
  const from = useParam("from") ?? "newest";
  const partition = useParam("part") ?? "";
  const text = useParam("text") ?? "";
  const selected = useParam("record");
  const [paused, setPaused] = useState(false);
  const [limit, setLimit] = useState(DRAWN_MAX);
  const { rows, before, loaded, error, skipped, waiting, older } = useRecords(topic, from, partition, paused || selected !== null);
  const filtered = useMemo(() => (text ? rows.filter((row) => matches(row, text)) : rows), [rows, text]);
  const columns = useMemo(() => columnsOf(rows, 6), [rows]);
  const row = rows.find((other) => other.id === selected);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && /^(INPUT|SELECT|BUTTON|TEXTAREA)$/.test(event.target.tagName);
      if (event.key === " " && !typing) {
        event.preventDefault();
        setPaused((old) => !old);
      }
      if (event.key === "Escape") setParam("record", null);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
  return (
    <>
      <div className="bar">
        <select aria-label="From" value={from} onChange={(event) => setParam("from", event.target.value === "newest" ? null : event.target.value)}>
          <option value="newest">Newest, live</option>
          <option value="beginning">From the beginning</option>
        </select>
        <select aria-label="Partition" value={partition} onChange={(event) => setParam("part", event.target.value)}>
          <option value="">All partitions</option>
          {Array.from({ length: partitions }, (_, i) => (
            <option key={i} value={String(i)}>
              Partition {i}
            </option>
          ))}
        </select>
        <input type="search" placeholder="Text in what is shown" aria-label="Text" value={text} onChange={(event) => setParam("text", event.target.value, true)} />
        <span className="space" />
        <span className="muted" role="status">
          {waiting > 0 ? `paused, ${count(waiting)} new` : skipped > 0 ? `${count(skipped)} skipped: faster than can be read` : ""}
        </span>
        {from === "newest" && (
          <button aria-pressed={paused} onClick={() => setPaused(!paused)}>
            {paused ? "Go on" : "Pause"}
          </button>
        )}
      </div>
      {error && <Problem error={error} />}
      <div className={row ? "side-by-side open" : "side-by-side"}>
        <div className="card">
          {!loaded ? (
            <Skeleton rows={14} />
          ) : filtered.length === 0 ? (
            <Empty title={text ? "Nothing of what is shown holds this text" : "No records yet"}>
              {!text && <p>They appear here the moment they are written.</p>}
            </Empty>
          ) : (
            <List
              label="Records"
              rows={filtered.slice(0, limit)}
              id={(r) => r.id}
              selected={selected}
              open={(r) => setParam("record", r.id === selected ? null : r.id)}
              flash={(r) => r.fresh}
              columns={[
                { title: "Time", className: "mono", cell: (r) => time(r.record.t) },
                { title: "P:offset", className: "mono hide-narrow", cell: (r) => r.id },
                { title: "Key", className: "mono", cell: (r) => r.key },
                ...(columns.length > 0
                  ? columns.map((name) => ({
                      title: visible(name),
                      className: rows.some((r) => r.fields?.get(name)?.kind === "number") ? "mono num" : "mono",
                      cell: (r: Shown) => {
                        const value = r.fields?.get(name);
                        return value === undefined ? (r.fields ? "" : r.value) : visible(cellText(value));
                      },
                    }))
                  : [{ title: "Value", className: "mono wide", cell: (r: Shown) => r.value }]),
              ]}
            />
          )}
          {loaded && (before !== null || filtered.length > limit) && (
            <div className="pad">
              <button
                onClick={() => {
                  setLimit(limit + 100);
                  if (filtered.length <= limit + 50) older();
                }}
              >
                Older records
              </button>
            </div>
          )}
        </div>
        {row && <RecordPanel row={row} close={() => setParam("record", null)} />}
      </div>
    </>
  );
}
