/* Plain requests: one function that fetches JSON, one hook that keeps the old answer while a new one is on its way. */
import { useCallback, useEffect, useRef, useState } from "react";

export class ApiError extends Error {
  constructor(
    message: string,
    readonly code: number,
    readonly path: string,
  ) {
    super(message);
  }
}

/* The three REST APIs say "message", with an error_code. */
function errorOf(text: string, status: number, path: string): ApiError {
  try {
    const body = JSON.parse(text) as { message?: string; error_code?: number };
    if (body.message) return new ApiError(body.message, body.error_code ?? status, path);
  } catch {
    /* no JSON: the text itself says it */
  }
  return new ApiError(text.trim().slice(0, 500) || `the server answered with status ${status}`, status, path);
}

export async function request<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const init: RequestInit = { method, signal: signal ?? null };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "Content-Type": "application/json" };
  }
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("the server does not answer", 0, path);
  }
  const text = await answer.text();
  if (!answer.ok) throw errorOf(text, answer.status, path);
  return (text ? JSON.parse(text) : undefined) as T;
}

export interface Loaded<T> {
  data: T | undefined;
  error: ApiError | undefined;
  loading: boolean;
  reload: () => void;
}

/* Fetches path when it changes and, with `every`, again and again while the tab is seen. null fetches nothing. */
export function useGet<T>(path: string | null, every = 0): Loaded<T> {
  const [state, setState] = useState<{ path: string | null; data?: T; error?: ApiError }>({ path: null });
  const [round, setRound] = useState(0);
  const busy = useRef(false);
  useEffect(() => {
    if (path === null) return;
    const abort = new AbortController();
    busy.current = true;
    request<T>("GET", path, undefined, abort.signal)
      .then((data) => setState({ path, data }))
      .catch((error: unknown) => {
        if (!abort.signal.aborted)
          setState((old) => {
            const next: { path: string | null; data?: T; error?: ApiError } = { path, error: error as ApiError };
            if (old.path === path && old.data !== undefined) next.data = old.data;
            return next;
          });
      })
      .finally(() => (busy.current = false));
    return () => abort.abort();
  }, [path, round]);
  useEffect(() => {
    if (every === 0 || path === null) return;
    const timer = setInterval(() => {
      if (!document.hidden && !busy.current) setRound((n) => n + 1);
    }, every);
    return () => clearInterval(timer);
  }, [path, every]);
  const reload = useCallback(() => setRound((n) => n + 1), []);
  const same = state.path === path;
  return {
    data: same ? state.data : undefined,
    error: same ? state.error : undefined,
    loading: path !== null && (!same || (state.data === undefined && state.error === undefined)),
    reload,
  };
}

/* POST of a streamed answer: each line as it comes. */
export async function streamLines(
  path: string,
  body: unknown,
  signal: AbortSignal,
  onLines: (lines: string[]) => void,
): Promise<void> {
  const answer = await fetch(path, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", Accept: "application/vnd.ksqlapi.delimited.v1" },
    signal,
  });
  if (!answer.ok || !answer.body) throw errorOf(await answer.text(), answer.status, path);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    const full = lines.filter((line) => line !== "");
    if (full.length > 0) onLines(full);
  }
  if (rest !== "") onLines([rest]);
}
