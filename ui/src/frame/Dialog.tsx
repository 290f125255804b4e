import type { ReactNode } from "react";
import { useEffect, useRef } from "react";

/* Above the page: Esc or a click beside it closes, and the focus goes back to where it was. */
export function Dialog(props: { label: string; close: () => void; children: ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  const { close } = props;
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    if (!box.current?.contains(document.activeElement)) box.current?.focus();
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        close();
      }
    };
    window.addEventListener("keydown", onKey, true);
    return () => {
      window.removeEventListener("keydown", onKey, true);
      before?.focus();
    };
  }, [close]);
  return (
    <div className="veil" onMouseDown={(event) => event.target === event.currentTarget && close()}>
      <div className="dialog" role="dialog" aria-modal="true" aria-label={props.label} tabIndex={-1} ref={box}>
        {props.children}
      </div>
    </div>
  );
}
