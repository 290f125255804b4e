/* Records made ready to show: text of each side, columns found in the values. */
import type { Side, TopicRecord } from "../api/types";
import { cellText, type Exact, parseExact } from "../lib/exact";
import { clock, hex, visible } from "../lib/format";

export interface Shown {
  id: string;
  record: TopicRecord;
  key: string;
  value: string;
  fields: Map<string, Exact> | null; /* of a JSON object */
  fresh: number; /* 1: came by tail, slowly enough to be seen */
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

export function shown(record: TopicRecord, fresh = 0): Shown {
  const tree = record.v?.json !== undefined && record.v.json.length < 100000 ? parseExact(record.v.json) : null;
  const window = record.k?.window;
  const key = sideText(record.k) + (window ? ` @ ${clock(window[0])}` : "");
  return {
    id: `${record.p}:${record.o}`,
    record,
    key,
    value: record.v === null ? "tombstone" : sideText(record.v),
    fields: tree?.kind === "object" ? new Map(tree.members) : null,
    fresh,
  };
}

/* Most frequent first, then in the order of their first appearance. */
export function columnsOf(rows: readonly Shown[], max: number): string[] {
  const seen = new Map<string, number>();
  for (const row of rows.slice(0, 200)) for (const name of row.fields?.keys() ?? []) seen.set(name, (seen.get(name) ?? 0) + 1);
  return [...seen].sort((a, b) => b[1] - a[1]).slice(0, max).map(([name]) => name);
}
