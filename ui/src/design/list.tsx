/* A table of rows that keys can walk: j, k or arrows move, Enter opens. Rows are capped by the caller. */
import type { KeyboardEvent, ReactNode } from "react";
import { useRef } from "react";

export interface ListColumn<T> {
  title: string;
  cell: (row: T) => ReactNode;
  className?: string;
}

/* Two names for one animation: a change of the name starts it again. */
function flashClass(n: number): string | undefined {
  return n === 0 ? undefined : `new-${n % 2}`;
}

export function List<T>(props: {
  label: string;
  columns: ListColumn<T>[];
  rows: T[];
  id: (row: T) => string;
  open?: (row: T) => void;
  selected?: string | null;
  flash?: (row: T) => number; /* changes when the row does: it flashes; 0: never */
}) {
  const body = useRef<HTMLTableSectionElement>(null);
  const onKey = (event: KeyboardEvent, row: T) => {
    const element = event.currentTarget as HTMLElement;
    if (event.key === "Enter" && event.target === element) props.open?.(row);
    else if (event.key === "ArrowDown") (element.nextElementSibling as HTMLElement | null)?.focus();
    else if (event.key === "ArrowUp") (element.previousElementSibling as HTMLElement | null)?.focus();
    else return;
    event.preventDefault();
  };
  return (
    <div className="scroll">
      <table aria-label={props.label}>
        <thead>
          <tr>
            {props.columns.map((column) => (
              <th key={column.title} className={column.className} scope="col">
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody ref={body} data-list>
          {props.rows.map((row) => (
            <tr
              key={props.id(row)}
              tabIndex={props.open ? 0 : undefined}
              aria-selected={props.selected === undefined ? undefined : props.selected === props.id(row)}
              className={flashClass(props.flash?.(row) ?? 0)}
              onClick={() => props.open?.(row)}
              onKeyDown={(event) => onKey(event, row)}
            >
              {props.columns.map((column) => (
                <td key={column.title} className={column.className}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/* j and k anywhere on the page: the next or previous row of the first list. */
export function moveInList(step: 1 | -1) {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-list] tr[tabindex]")];
  const at = rows.findIndex((row) => row === document.activeElement);
  const next = rows[at < 0 ? 0 : at + step];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}
