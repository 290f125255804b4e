/* Records made ready to show: text of each side, columns found in the values. */
import type { Side, TopicRecord } from "../api/types";
import { cellText, type Exact, parseExact } from "../lib/exact";
import { hex, time, visible } from "../lib/format";

export interface Shown {
  id: string;
  record: TopicRecord;
  key: string;
  value: string;
  fields: Map<string, Exact> | null; /* of a JSON object */
  arrived: number; /* performance.now() of its arrival by tail; 0: was there */
}

export function sideText(side: Side | null): string {
  if (side === null) return "null";
  if (side.text !== undefined) return visible(side.text);
  if (side.json !== undefined) {
    const tree = side.json.length < 100000 ? parseExact(side.json) : null;
    return visible(tree ? cellText(tree) : side.json);
  }
  return side.b64 !== undefined ? `${side.size} bytes: ${hex(side.b64)}` : "";
}

export function shown(record: TopicRecord, arrived = 0): Shown {
  const tree = record.v?.json !== undefined && record.v.json.length < 100000 ? parseExact(record.v.json) : null;
  const window = record.k?.window;
  const key = sideText(record.k) + (window ? ` @ ${time(window[0]).replace(/\.\d+$/, "")}` : "");
  return {
    id: `${record.p}:${record.o}`,
    record,
    key,
    value: record.v === null ? "tombstone" : sideText(record.v),
    fields: tree?.kind === "object" ? new Map(tree.members) : null,
    arrived,
  };
}

/* Most frequent first, then in the order of their first appearance. */
export function columnsOf(rows: readonly Shown[], max: number): string[] {
  const seen = new Map<string, number>();
  for (const row of rows.slice(0, 200)) for (const name of row.fields?.keys() ?? []) seen.set(name, (seen.get(name) ?? 0) + 1);
  return [...seen].sort((a, b) => b[1] - a[1]).slice(0, max).map(([name]) => name);
}
