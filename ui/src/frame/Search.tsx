/* Ctrl+K: one field over names, asked of the server, and the pages. */
import { useEffect, useState } from "react";
import { useGet } from "../api/http";
import type { Hit } from "../api/types";
import { rank } from "../lib/rank";
import { hrefOf, navigate, pathOf } from "../lib/url";
import { PAGES } from "./pages";
import { Dialog } from "./Dialog";

function useDelayed(value: string, ms: number): string {
  const [delayed, setDelayed] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setDelayed(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return delayed;
}

function Marked({ text, q }: { text: string; q: string }) {
  const at = text.toLowerCase().indexOf(q.toLowerCase());
  if (q === "" || at < 0) return <>{text}</>;
  return (
    <>
      {text.slice(0, at)}
      <mark>{text.slice(at, at + q.length)}</mark>
      {text.slice(at + q.length)}
    </>
  );
}

export function Search({ close }: { close: () => void }) {
  const [q, setQ] = useState("");
  const [at, setAt] = useState(0);
  const asked = useDelayed(q, 60);
  const found = useGet<{ items: Hit[] }>(`/api/v1/search?q=${encodeURIComponent(asked)}`);
  const [kept, setKept] = useState<Hit[]>([]);
  useEffect(() => {
    if (found.data) setKept(found.data.items);
  }, [found.data]);
  const pages = PAGES.map(([id, word]): Hit => ({ kind: "page", name: word, sub: id, exact: true }));
  const hits = rank([...pages, ...kept], q).slice(0, 30);
  const shown = Math.min(at, Math.max(0, hits.length - 1));
  const choose = (hit: Hit | undefined) => {
    if (!hit) return;
    close();
    navigate(hit.kind === "page" ? pathOf(hit.sub ?? "flow") : hrefOf(hit.kind, hit.name));
  };
  return (
    <Dialog label="Search" close={close}>
      <input
        autoFocus
        value={q}
        placeholder="Topic, table, query, connector or page"
        aria-label="Search"
        role="combobox"
        aria-expanded="true"
        aria-controls="hits"
        aria-activedescendant={`hit-${shown}`}
        onChange={(event) => {
          setQ(event.target.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") setAt(Math.min(shown + 1, hits.length - 1));
          else if (event.key === "ArrowUp") setAt(Math.max(shown - 1, 0));
          else if (event.key === "Enter") choose(hits[shown]);
          else return;
          event.preventDefault();
        }}
      />
      <ul className="hits" id="hits" role="listbox" aria-label="Hits">
        {hits.map((hit, i) => (
          <li key={`${hit.kind}:${hit.name}`} id={`hit-${i}`} role="option" aria-selected={i === shown} onMouseMove={() => setAt(i)} onClick={() => choose(hit)}>
            <span className="what">
              <Marked text={hit.name} q={q} /> <span className="muted">{hit.kind === "page" ? "" : hit.sub}</span>
            </span>
            <span className="badge">{hit.kind}</span>
          </li>
        ))}
        {hits.length === 0 && <li className="muted">Nothing has this name.</li>}
      </ul>
      {found.error && <div className="pad h-failed">{found.error.message}</div>}
    </Dialog>
  );
}
