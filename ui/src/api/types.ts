/* What /api/v1 answers. Counts and offsets are texts: they may exceed 53 bits. Times are milliseconds. */

export type Int64 = string;

export type NodeKind = "topic" | "query" | "sink" | "source" | "client" | "live";

export interface GraphNode {
  id: string;
  kind: NodeKind;
  name: string;
  sub: string;
  internal: boolean;
}

export interface GraphEdge {
  id: string;
  from: string;
  to: string;
  kind: "read" | "write";
}

export interface Graph {
  nodes: GraphNode[];
  edges: GraphEdge[];
  hidden: number;
}

export interface NodeFigures {
  health: string;
  in: number | null;
  out: number | null;
  lag_s: number | null;
  lag: Int64 | null;
  total_in: Int64 | null;
  total_out: Int64 | null;
  errors: Int64 | null;
  why?: string;
  error?: string;
  error_at?: number;
}

export interface EdgeFigures {
  rate: number | null;
  bytes: number | null;
  lag: Int64 | null;
}

export interface Health {
  level: "ok" | "warn" | "bad";
  text: string;
  worst?: string;
  ill: number;
  in: number | null;
  queries: number;
  connectors: number;
}

export interface Figures {
  at: number;
  nodes: Record<string, NodeFigures>;
  edges: Record<string, EdgeFigures>;
  health: Health;
}

export interface Side {
  size: number;
  json?: string;
  text?: string;
  b64?: string;
  cut?: boolean;
  window?: [number, number];
}

export interface TopicRecord {
  p: number;
  o: Int64;
  t: number;
  k: Side | null;
  v: Side | null;
  h: [string, string | null][];
}

export interface RecordsAnswer {
  records: TopicRecord[];
  before?: string;
  next: Record<string, Int64>;
  more: boolean;
}

export interface Column {
  name: string;
  type: string;
  key: boolean;
}

export interface Source {
  name: string;
  kind: "stream" | "table";
  topic: string;
  key_format: string;
  value_format: string;
  window?: string;
  window_ms?: number;
  materialized: boolean;
  query: string | null;
  statement: string;
  columns: Column[];
}

export interface TopicRow {
  name: string;
  partitions: number;
  internal: boolean;
  records: Int64;
}

export interface Topic extends TopicRow {
  partition_list: { partition: number; start: Int64; end: Int64; committed: Int64 }[];
  config: Record<string, string>;
  sources: Source[];
}

export interface Query {
  id: string;
  statement: string;
  persistent: boolean;
  state: string;
  sink: string | null;
  sink_topic: string | null;
  sources: string[];
  rows_in: Int64;
  rows_out: Int64;
  rows_dropped: Int64;
  errors: Int64;
  lag: Int64;
  error?: string;
  error_at?: number;
  plan_text?: string;
}

export interface ConnectorTask {
  state: string;
  trace: string | null;
  records_in: Int64;
  records_written: Int64;
  records_failed: Int64;
  retries: Int64;
  lag: Int64;
}

export interface Connector {
  name: string;
  class: string;
  type: string;
  state: string;
  topics: string[];
  tasks: ConnectorTask[];
}

export interface Hit {
  kind: string;
  name: string;
  sub: string | null;
  exact: boolean;
}

export interface Server {
  name: string;
  version: string;
  cluster_id: string;
  kafka: string;
  http: string | null;
  data_dir: string;
  started_at: number;
}
