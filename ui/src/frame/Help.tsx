import { PAGES } from "./pages";
import { Dialog } from "./Dialog";

const KEYS: [string, string][] = [
  ["Ctrl K  or  /", "search and go"],
  ["j  k", "next, previous row"],
  ["Enter", "open"],
  ["Esc", "close"],
  ["Space", "pause or go on (records, rows)"],
  ["Ctrl Enter", "SQL: run"],
  ["Ctrl .", "SQL: stop"],
  ["L", "Flow: lay out anew"],
  ["?", "this list"],
  ...PAGES.map(([, word, key]): [string, string] => [`g  ${key}`, `go to ${word}`]),
];

export function Help({ close }: { close: () => void }) {
  return (
    <Dialog label="Keys" close={close}>
      <div className="pad">
        <h2>Keys</h2>
      </div>
      <div className="keys">
        {KEYS.map(([keys, does]) => (
          <div key={keys}>
            <span>{does}</span>
            <kbd>{keys}</kbd>
          </div>
        ))}
      </div>
    </Dialog>
  );
}
