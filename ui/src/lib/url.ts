/* The address is the state: path and parameters, changed by navigate and setParam, read by hooks.
 *
 * Choosing pushes an entry, typing replaces it. Names are percent-encoded segments.
 */
import { useSyncExternalStore } from "react";

const BASE = "/ui";
const listeners = new Set<() => void>();
const notify = () => {
  for (const fn of listeners) fn();
};

window.addEventListener("popstate", notify);

export function navigate(href: string, replace = false) {
  if (href === location.pathname + location.search) return;
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  notify();
}

function useHref(): string {
  return useSyncExternalStore(
    (fn) => {
      listeners.add(fn);
      return () => listeners.delete(fn);
    },
    () => location.pathname + location.search,
  );
}

/* "/ui/topics/a%2Fb/records" -> ["topics", "a/b", "records"]; an escape that is none stays as it is. */
export function segmentsOf(pathname: string): string[] {
  return pathname
    .slice(BASE.length)
    .split("/")
    .filter((part) => part !== "")
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
}

/* Dots alone would be eaten by the browser as "this folder". */
export function pathOf(...segments: string[]): string {
  return [BASE, ...segments.map((part) => encodeURIComponent(part).replace(/^\.{1,2}$/, (dots) => dots.replaceAll(".", "%252E")))].join("/");
}

export function usePath(): string[] {
  return segmentsOf(useHref().split("?")[0] ?? "").map((part) => (/^(%2E){1,2}$/.test(part) ? part.replaceAll("%2E", ".") : part));
}

export function useParam(name: string): string | null {
  return new URLSearchParams(useHref().split("?")[1] ?? "").get(name);
}

export function setParam(name: string, value: string | null, replace = false) {
  const params = new URLSearchParams(location.search);
  if (value === null || value === "") params.delete(name);
  else params.set(name, value);
  const query = params.toString();
  navigate(location.pathname + (query ? `?${query}` : ""), replace);
}

/* Where a thing of the graph, or a hit of the search, is shown. */
export function hrefOf(kind: string, name: string): string {
  switch (kind) {
    case "topic":
      return pathOf("topics", name);
    case "table":
      return pathOf("tables", name);
    case "query":
      return pathOf("queries", name);
    case "stream":
      return `${pathOf("sql")}?q=${encodeURIComponent(`SELECT * FROM ${quoted(name)} EMIT CHANGES;`)}`;
    case "sink":
    case "source":
    case "connector":
      return pathOf("connectors", name);
    default:
      return pathOf("flow");
  }
}

/* An identifier in SQL: upper-case names need no quotes. */
export function quoted(name: string): string {
  return /^[A-Z_][A-Z0-9_]*$/.test(name) ? name : `\`${name.replaceAll("`", "``")}\``;
}
