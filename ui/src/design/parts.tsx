/* Small parts that all pages share: links, marks of health, sparklines, problems, empty states. */
import type { MouseEvent, ReactNode } from "react";
import type { ApiError } from "../api/http";
import { navigate } from "../lib/url";

export function A(props: { href: string; children: ReactNode; className?: string; current?: boolean; title?: string }) {
  const follow = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    navigate(props.href);
  };
  return (
    <a href={props.href} className={props.className} title={props.title} onClick={follow} aria-current={props.current ? "page" : undefined}>
      {props.children}
    </a>
  );
}

const ICONS: Record<string, string> = {
  flow: "M3 5h5v4H3zM12 11h5v4h-5zM8 7h2.500a2 2 0 0 1 2 2v2M14.500 3.500h2.500v3.500h-3.500V3.500z",
  topics: "M3 5.500c0-1.400 3.100-2.500 7-2.500s7 1.100 7 2.500S13.900 8 10 8 3 6.900 3 5.500zM3 5.500v9C3 15.900 6.100 17 10 17s7-1.100 7-2.500v-9M3 10c0 1.400 3.100 2.500 7 2.500s7-1.100 7-2.500",
  tables: "M3 4h14v12H3zM3 8h14M3 12h14M8 8v8",
  queries: "M4 4l5 6-5 6M11 16h6",
  sql: "M6 4L2.500 10 6 16M14 4l3.500 6-3.500 6M11.500 3l-3 14",
  connectors: "M7 3v4M13 3v4M5 7h10v3a5 5 0 0 1-10 0zM10 15v3",
  search: "M9 15A6 6 0 1 0 9 3a6 6 0 0 0 0 12zM13.500 13.500L17 17",
  theme: "M10 3a7 7 0 1 0 0 14zM10 3a7 7 0 0 1 0 14",
  help: "M7.500 7.500a2.500 2.500 0 1 1 3.600 2.200c-.7.400-1.100.9-1.100 1.800M10 14.500v.1",
  close: "M5 5l10 10M15 5L5 15",
};

export function Icon({ name, size = 18 }: { name: string; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      <path d={ICONS[name]} />
    </svg>
  );
}

/* Shapes differ, so that nothing depends on colour alone. */
const MARKS: Record<string, ReactNode> = {
  failed: <path d="M2 2l8 8M10 2l-8 8" stroke="currentColor" strokeWidth="2" />,
  errors: <path d="M6 1.500v5.500M6 9.500v.500" stroke="currentColor" strokeWidth="2" strokeLinecap="round" />,
  behind: <path d="M6 1.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9zM6 3.500V6l2 1" stroke="currentColor" strokeWidth="1.3" fill="none" />,
  catching: <path d="M6 2v7M3 6.500L6 9.500l3-3" stroke="currentColor" strokeWidth="1.6" fill="none" />,
  flowing: <circle cx="6" cy="6" r="4" fill="currentColor" />,
  idle: <circle cx="6" cy="6" r="3.500" stroke="currentColor" strokeWidth="1.400" fill="none" />,
  paused: <path d="M4 2.500v7M8 2.500v7" stroke="currentColor" strokeWidth="2" />,
};
const MARK_OF: Record<string, string> = {
  failed: "failed", error: "failed", stuck: "failed", bad: "failed", errors: "errors", warn: "errors", degraded: "errors", behind: "behind",
  "catching up": "catching", flowing: "flowing", running: "flowing", ok: "flowing", idle: "idle", paused: "paused", stopped: "paused",
};

/* States that are not known yet are shown by their word and a hollow dot. */
export function Health({ word, label = word }: { word: string; label?: string }) {
  const kind = MARK_OF[word.toLowerCase()] ?? "idle";
  return (
    <span className={`mark h-${kind}`}>
      <svg width="12" height="12" viewBox="0 0 12 12" fill="none" aria-hidden="true">
        {MARKS[kind]}
      </svg>
      {label}
    </span>
  );
}

export function Spark({ points, width = 56, height = 18 }: { points: readonly (number | null)[]; width?: number; height?: number }) {
  const known = points.filter((p) => p !== null);
  if (known.length < 2) return <svg className="spark" width={width} height={height} aria-hidden="true" />;
  const top = Math.max(...known, 1e-9);
  const x = (i: number) => (i / (points.length - 1)) * width;
  const y = (v: number) => height - 1 - (v / top) * (height - 3);
  const line = points.map((p, i) => (p === null ? "" : `${i === 0 || points[i - 1] === null ? "M" : "L"}${x(i).toFixed(1)} ${y(p).toFixed(1)}`)).join("");
  const first = points.findIndex((p) => p !== null);
  return (
    <svg className="spark" viewBox={`0 0 ${width} ${height}`} width={width} height={height} preserveAspectRatio="none" aria-hidden="true">
      <path className="area" d={`${line}L${width} ${height}L${x(first).toFixed(1)} ${height}Z`} />
      <path d={line} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}

export function Problem({ error, retry }: { error: ApiError | Error; retry?: () => void }) {
  const code = "code" in error && error.code ? ` (${error.code})` : "";
  return (
    <div className="problem" role="alert">
      <span className="text">
        {error.message}
        <span className="muted">{code}</span>
      </span>
      {retry && <button onClick={retry}>Retry</button>}
    </div>
  );
}

export function Empty(props: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{props.title}</h2>
      {props.children}
    </div>
  );
}

export function Skeleton({ rows = 8 }: { rows?: number }) {
  return (
    <div aria-label="Loading">
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} className="skeleton" style={{ width: `${70 - ((i * 17) % 40)}%` }} />
      ))}
    </div>
  );
}
