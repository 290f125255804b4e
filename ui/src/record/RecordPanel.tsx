/* One record whole: key, value, headers, sizes; copied as they are. */
import type { Side } from "../api/types";
import { Icon } from "../design/parts";
import { parseExact, prettyExact } from "../lib/exact";
import { bytes, hex, iso, time, visible } from "../lib/format";
import type { Shown } from "./view";

function SideView({ title, side }: { title: string; side: Side | null }) {
  const tree = side?.json !== undefined ? parseExact(side.json) : null;
  const text = side === null ? null : tree ? prettyExact(tree) : (side.text ?? side.json ?? hex(side.b64 ?? "", 4096));
  const raw = side?.json ?? side?.text;
  return (
    <section className="pad">
      <div className="bar">
        <h3>{title}</h3>
        <span className="muted">{side === null ? "null" : bytes(side.size)}</span>
        {side?.cut && <span className="badge">cut</span>}
        <span className="space" />
        {raw !== undefined && (
          <button className="plain" onClick={() => void navigator.clipboard.writeText(raw)}>
            Copy
          </button>
        )}
      </div>
      {side?.window && (
        <p className="muted">
          window {time(side.window[0])} to {time(side.window[1])}
        </p>
      )}
      {text !== null && <pre className="sql">{visible(text)}</pre>}
    </section>
  );
}

export function RecordPanel({ row, close }: { row: Shown; close: () => void }) {
  const { record } = row;
  return (
    <aside className="card detail" aria-label={`Record ${row.id}`}>
      <header>
        <h2>
          {record.p}:{record.o}
        </h2>
        <button className="icon" onClick={close} aria-label="Close" title="Close (Esc)">
          <Icon name="close" />
        </button>
      </header>
      <div className="pad">
        <dl className="facts-grid">
          <dt>Time</dt>
          <dd title={iso(record.t)}>{time(record.t)}</dd>
          <dt>Partition</dt>
          <dd>{record.p}</dd>
          <dt>Offset</dt>
          <dd>{record.o}</dd>
        </dl>
      </div>
      <SideView title="Key" side={record.k} />
      <SideView title="Value" side={record.v} />
      {record.h.length > 0 && (
        <section className="pad">
          <h3>Headers</h3>
          <dl className="facts-grid mono">
            {record.h.map(([name, value], i) => (
              <div key={i} style={{ display: "contents" }}>
                <dt>{visible(name)}</dt>
                <dd>{value === null ? "null" : visible(value)}</dd>
              </div>
            ))}
          </dl>
        </section>
      )}
    </aside>
  );
}
