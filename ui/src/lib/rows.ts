/* Rows of a query: lines of the stream as exact cells, and a table that keeps one row a key. */
import { cellText, type Exact, parseExact } from "./exact";
import { visible } from "./format";

export interface Header {
  queryId: string | null;
  names: string[];
  types: string[];
}

export type Line = { header: Header } | { row: Exact[] } | { error: string } | null;

/* One line of /query-stream: the header object, an array of values, or an error object. */
export function readLine(text: string): Line {
  const tree = parseExact(text);
  if (tree?.kind === "array") return { row: tree.items };
  if (tree?.kind !== "object") return null;
  const member = new Map(tree.members);
  const texts = (value: Exact | undefined) => (value?.kind === "array" ? value.items.map(cellText) : []);
  const names = member.get("columnNames");
  if (names !== undefined) {
    const id = member.get("queryId");
    return { header: { queryId: id?.kind === "string" ? id.value : null, names: texts(names), types: texts(member.get("columnTypes")) } };
  }
  const message = member.get("message");
  return message ? { error: cellText(message) } : null;
}

export function isNull(cell: Exact | undefined): boolean {
  return cell === undefined || (cell.kind === "literal" && cell.text === "null");
}

export function show(cell: Exact | undefined): string {
  return cell === undefined ? "" : visible(cellText(cell));
}

export interface TableRow {
  id: string;
  cells: Exact[];
  changes: number;
}

/* Order of two cells: numbers by value without rounding, else texts. */
export function compareCells(a: Exact | undefined, b: Exact | undefined): number {
  if (a?.kind === "number" && b?.kind === "number") {
    if (/^-?\d+$/.test(a.text) && /^-?\d+$/.test(b.text)) {
      const [x, y] = [BigInt(a.text), BigInt(b.text)];
      return x < y ? -1 : x > y ? 1 : 0;
    }
    return Number(a.text) - Number(b.text);
  }
  const [x, y] = [a ? cellText(a) : "", b ? cellText(b) : ""];
  return x < y ? -1 : x > y ? 1 : 0;
}

/* Rows by key: a new row of a known key replaces it. Holds at most `max`: the ones changed longest ago go first. */
export class KeyedRows {
  private rows = new Map<string, TableRow>();

  constructor(
    private readonly keys: readonly number[],
    private readonly max: number,
  ) {}

  put(cells: Exact[]) {
    const id = this.keys.map((i) => JSON.stringify(show(cells[i]))).join(",");
    const changes = (this.rows.get(id)?.changes ?? 0) + 1;
    this.rows.delete(id);
    this.rows.set(id, { id, cells, changes });
    if (this.rows.size > this.max) this.rows.delete(this.rows.keys().next().value ?? "");
  }

  get size(): number {
    return this.rows.size;
  }

  /* Newest change first. */
  newest(n: number): TableRow[] {
    return [...this.rows.values()].slice(-n).reverse();
  }

  /* By the given columns; the first one downwards. */
  sorted(columns: readonly number[], n: number): TableRow[] {
    const order = (a: TableRow, b: TableRow) => {
      for (const [at, column] of columns.entries()) {
        const way = compareCells(a.cells[column], b.cells[column]);
        if (way !== 0) return at === 0 && columns.length > 1 ? -way : way;
      }
      return 0;
    };
    return [...this.rows.values()].sort(order).slice(0, n);
  }
}
