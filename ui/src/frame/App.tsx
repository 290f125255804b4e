/* The frame around all pages: rail, header with the health sentence, search, keys. */
import { lazy, Suspense, useEffect, useState } from "react";
import { useGet } from "../api/http";
import { useFlow } from "../api/live";
import type { Server } from "../api/types";
import { A, Health, Icon } from "../design/parts";
import { moveInList } from "../design/list";
import { clock, count, rate } from "../lib/format";
import { hrefOf, navigate, pathOf, usePath } from "../lib/url";
import { Help } from "./Help";
import { PAGES } from "./pages";
import { Search } from "./Search";

const FlowPage = lazy(() => import("../pages/FlowPage"));
const TopicsPage = lazy(() => import("../pages/TopicsPage"));
const TopicPage = lazy(() => import("../pages/TopicPage"));
const TablesPage = lazy(() => import("../pages/TablesPage"));
const TablePage = lazy(() => import("../pages/TablePage"));
const QueriesPage = lazy(() => import("../pages/QueriesPage"));
const SqlPage = lazy(() => import("../pages/SqlPage"));
const ConnectorsPage = lazy(() => import("../pages/ConnectorsPage"));

function Page({ path }: { path: string[] }) {
  const [page = "flow", name] = path;
  switch (page) {
    case "flow":
      return <FlowPage />;
    case "topics":
      return name === undefined ? <TopicsPage /> : <TopicPage key={name} name={name} tab={path[2] ?? "records"} />;
    case "tables":
      return name === undefined ? <TablesPage /> : <TablePage key={name} name={name} />;
    case "queries":
      return <QueriesPage id={name ?? null} />;
    case "sql":
      return <SqlPage />;
    case "connectors":
      return <ConnectorsPage name={name ?? null} />;
    default:
      return (
        <div className="page">
          <h1>There is no page here</h1>
          <p>
            <A href={pathOf("flow")}>Go to Flow</A>
          </p>
        </div>
      );
  }
}

function Sentence() {
  const health = useFlow((store) => store.figures?.health);
  const connected = useFlow((store) => store.connected);
  const ever = useFlow((store) => store.everConnected);
  const at = useFlow((store) => store.figures?.at);
  if (!connected && ever)
    return (
      <div className="sentence" role="status">
        <Health word="warn" label="Not connected" />
        <span className="rest">{at ? `figures as of ${clock(at)}; ` : ""}trying again</span>
      </div>
    );
  if (!health) return <div className="sentence muted">Connecting</div>;
  const worst = health.worst?.split(":") ?? [];
  const href = health.worst ? `${pathOf("flow")}?panel=${encodeURIComponent(health.worst)}` : pathOf("flow");
  return (
    <div className="sentence" role="status" title={worst.length > 1 ? hrefOf(worst[0] ?? "", worst.slice(1).join(":")) : undefined}>
      <A href={href}>
        <Health word={health.level} label={health.text} />
      </A>
      <span className="rest">
        {rate(health.in)} in · {count(health.queries)} {health.queries === 1 ? "query" : "queries"} · {count(health.connectors)}{" "}
        {health.connectors === 1 ? "connector" : "connectors"}
      </span>
    </div>
  );
}

function flipTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("caldrop.theme", root.dataset.theme);
  } catch {
    /* storage is off: the choice lasts as long as the tab */
  }
}

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

/* Keys that work everywhere; pages add their own. Letters only outside inputs. */
function useKeys(openSearch: () => void, openHelp: () => void) {
  useEffect(() => {
    let goUntil = 0;
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        openSearch();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      const page = performance.now() < goUntil ? PAGES.find(([, , key]) => key === event.key) : undefined;
      goUntil = 0;
      if (page) navigate(pathOf(page[0]));
      else if (event.key === "g") goUntil = performance.now() + 1000;
      else if (event.key === "/") openSearch();
      else if (event.key === "?") openHelp();
      else if (event.key === "j") moveInList(1);
      else if (event.key === "k") moveInList(-1);
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [openSearch, openHelp]);
}

export function App() {
  const path = usePath();
  const [dialog, setDialog] = useState<"search" | "help" | null>(null);
  const server = useGet<Server>("/api/v1/server");
  const stale = useFlow((store) => store.isStale());
  const failing = useFlow((store) => store.figures?.health.ill ?? 0);
  const [openSearch] = useState(() => () => setDialog("search"));
  const [openHelp] = useState(() => () => setDialog("help"));
  useKeys(openSearch, openHelp);
  const page = path[0] ?? "flow";
  useEffect(() => {
    document.title = `${failing > 0 ? "(!) " : ""}${path[1] ?? PAGES.find(([id]) => id === page)?.[1] ?? "Caldrop"} · Caldrop`;
  }, [page, path, failing]);
  return (
    <div className={stale ? "frame stale" : "frame"}>
      <nav className="rail" aria-label="Pages">
        <div className="brand" title="Caldrop">
          <svg width="26" height="26" viewBox="0 0 32 32" fill="currentColor" aria-hidden="true">
            <path d="M16 3c6 7 9.500 11.500 9.500 17a9.500 9.500 0 0 1-19 0C6.500 14.500 10 10 16 3zm-5 17a5 5 0 0 0 5 5v-2.500a2.500 2.500 0 0 1-2.500-2.500z" />
          </svg>
        </div>
        {PAGES.map(([id, word]) => (
          <A key={id} href={pathOf(id)} current={page === id}>
            <Icon name={id} />
            <span>{word}</span>
            {id === "flow" && failing > 0 && <span className="count">{failing}</span>}
          </A>
        ))}
      </nav>
      <header className="top">
        <span className="name">{server.data?.name ?? "rialto"}</span>
        <Sentence />
        <div className="right">
          <button className="searchbox" onClick={openSearch} aria-label="Search">
            <Icon name="search" size={16} />
            <span>Search</span>
            <kbd>Ctrl K</kbd>
          </button>
          <button className="icon" onClick={flipTheme} aria-label="Light or dark" title="Light or dark">
            <Icon name="theme" />
          </button>
          <button className="icon hide-narrow" onClick={openHelp} aria-label="Keys" title="Keys (?)">
            <Icon name="help" />
          </button>
        </div>
      </header>
      <main className="main">
        <Suspense fallback={<div className="loadbar" />}>
          <Page path={path} />
        </Suspense>
      </main>
      {dialog === "search" && <Search close={() => setDialog(null)} />}
      {dialog === "help" && <Help close={() => setDialog(null)} />}
    </div>
  );
}
