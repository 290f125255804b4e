/* A running query: lines come as fast as they do, the page is told at most ten times a second. */
import { ApiError, request, streamLines } from "../api/http";
import type { Exact } from "./exact";
import { type Header, readLine } from "./rows";

const TELL_MS = 100;

export interface StreamEvents {
  header: (header: Header) => void;
  rows: (rows: Exact[][]) => void;
  end: (error: ApiError | null) => void;
}

/* Starts it; the returned function stops it (nothing is told after that). */
export function runQuery(sql: string, properties: Record<string, string>, events: StreamEvents): () => void {
  const abort = new AbortController();
  let waiting: Exact[][] = [];
  let failure: ApiError | null = null;
  let id: string | null = null;
  const tell = () => {
    if (waiting.length === 0 || abort.signal.aborted) return;
    const rows = waiting;
    waiting = [];
    events.rows(rows);
  };
  const timer = setInterval(tell, TELL_MS);
  const take = (text: string) => {
    const line = readLine(text);
    if (line === null) return;
    if ("row" in line) waiting.push(line.row);
    else if ("error" in line) failure = new ApiError(line.error, 0, "/query-stream");
    else {
      id = line.header.queryId;
      events.header(line.header);
    }
  };
  streamLines("/query-stream", { sql, properties }, abort.signal, (lines) => lines.forEach(take))
    .catch((error: unknown) => {
      failure = error instanceof ApiError ? error : new ApiError("the server does not answer", 0, "/query-stream");
    })
    .finally(() => {
      clearInterval(timer);
      if (abort.signal.aborted) return;
      tell();
      events.end(failure);
    });
  return () => {
    clearInterval(timer);
    abort.abort();
    if (id !== null) request("POST", "/close-query", { queryId: id }).catch(() => undefined); /* it may have ended by itself */
  };
}
