/* The live socket: one a tab, subscriptions by number, opened again after a loss; and the store of the flow.
 *
 * Frames come at most once a second for the flow and ten times for a tail; components subscribe to the store and read
 * what they show. Figures older than STALE_MS are stale: the page shows them grey.
 */
import { useSyncExternalStore } from "react";
import type { EdgeFigures, Figures, Graph, NodeFigures, TopicRecord } from "./types";

const HISTORY_POINTS = 90;
export const STALE_MS = 5000;

type Frame = {
  sub: number;
  kind?: "graph" | "figures" | "records";
  data?: unknown;
  end?: string;
  error?: { message: string };
};

interface Subscription {
  open: () => unknown;
  take: (frame: Frame) => void;
}

class LiveSocket {
  private socket: WebSocket | null = null;
  private subs = new Map<number, Subscription>();
  private nextId = 1;
  private pause = 500;
  private timer = 0;

  subscribe(sub: Subscription): () => void {
    const id = this.nextId++;
    this.subs.set(id, sub);
    if (this.socket === null) this.connect();
    else if (this.socket.readyState === WebSocket.OPEN) this.send(id, sub);
    return () => {
      this.subs.delete(id);
      if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ unsub: id }));
    };
  }

  private send(id: number, sub: Subscription) {
    this.socket?.send(JSON.stringify({ sub: id, ...(sub.open() as object) }));
  }

  private connect() {
    clearTimeout(this.timer);
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/api/v1/live`);
    this.socket = socket;
    socket.onopen = () => {
      this.pause = 500;
      flow.setConnected(true);
      for (const [id, sub] of this.subs) this.send(id, sub);
    };
    socket.onmessage = (event: MessageEvent<string>) => {
      const frame = JSON.parse(event.data) as Frame;
      this.subs.get(frame.sub)?.take(frame);
    };
    socket.onclose = () => {
      flow.setConnected(false);
      this.timer = window.setTimeout(() => this.connect(), this.pause * (0.8 + Math.random() * 0.4));
      this.pause = Math.min(this.pause * 2, 15000);
    };
  }
}

/* The flow as the server last told it, with a short history of rates for sparklines. */
class FlowStore {
  graph: Graph | null = null;
  figures: Figures | null = null;
  connected = false;
  everConnected = false;
  receivedAt = 0;
  internal = false;
  private history = new Map<string, (number | null)[]>();
  private listeners = new Set<() => void>();
  private version = 0;

  subscribe = (fn: () => void) => {
    this.listeners.add(fn);
    return () => this.listeners.delete(fn);
  };

  getVersion = () => this.version;

  private changed() {
    this.version++;
    for (const fn of this.listeners) fn();
  }

  setConnected(connected: boolean) {
    this.connected = connected;
    this.everConnected ||= connected;
    this.changed();
  }

  setGraph(graph: Graph) {
    this.graph = graph;
    this.changed();
  }

  setFigures(figures: Figures) {
    this.figures = figures;
    this.receivedAt = performance.now();
    for (const [id, node] of Object.entries(figures.nodes)) {
      const points = this.history.get(id) ?? [];
      points.push(node.in ?? node.out);
      if (points.length > HISTORY_POINTS) points.shift();
      this.history.set(id, points);
    }
    this.changed();
  }

  historyOf(id: string): readonly (number | null)[] {
    return this.history.get(id) ?? [];
  }

  isStale(): boolean {
    return this.figures !== null && (!this.connected || performance.now() - this.receivedAt > STALE_MS);
  }

  /* For the ticking clock of staleness: no frame comes when the server is gone. */
  tick() {
    if (this.isStale()) this.changed();
  }
}

export const flow = new FlowStore();
const socket = new LiveSocket();
let closeFlow: (() => void) | null = null;

export function watchFlow(internal: boolean) {
  closeFlow?.();
  flow.internal = internal;
  closeFlow = socket.subscribe({
    open: () => ({ channel: "flow", args: { internal } }),
    take: (frame) => {
      if (frame.kind === "graph") flow.setGraph(frame.data as Graph);
      if (frame.kind === "figures") flow.setFigures(frame.data as Figures);
    },
  });
}

setInterval(() => flow.tick(), 2000);

/* Re-renders when the selected value changes (compared by ===: select primitives or objects of the store). */
export function useFlow<T>(select: (store: FlowStore) => T): T {
  return useSyncExternalStore(flow.subscribe, () => select(flow));
}

export const useNodeFigures = (id: string): NodeFigures | undefined => useFlow((store) => store.figures?.nodes[id]);
export const useEdgeFigures = (id: string): EdgeFigures | undefined => useFlow((store) => store.figures?.edges[id]);

/* "~" for topics that queries write: their offsets number transaction markers too, so the count is an upper bound. */
export function useAbout(): (topic: string) => string {
  const graph = useFlow((store) => store.graph);
  return (topic) => (graph?.edges.some((edge) => edge.to === `topic:${topic}` && edge.from.startsWith("query:")) ? "~" : "");
}

/* Follows a topic from the given offsets; after a loss of the socket it goes on where it was. */
export function watchTail(
  topic: string,
  from: Record<string, string>,
  onRecords: (records: TopicRecord[], skipped: number) => void,
  onEnd: (message: string) => void,
): () => void {
  const next = { ...from };
  return socket.subscribe({
    open: () => ({ channel: "tail", args: { topic, from: next } }),
    take: (frame) => {
      if (frame.end !== undefined) onEnd(frame.error?.message ?? "the server ended it");
      if (frame.kind !== "records") return;
      const data = frame.data as { records: TopicRecord[]; skipped: string };
      for (const record of data.records) next[record.p] = (BigInt(record.o) + 1n).toString();
      onRecords(data.records, Number(data.skipped));
    },
  });
}
