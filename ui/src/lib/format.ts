/* Numbers and times for people. "-" is not known, "0" is measured zero. */

const SCALES: [number, string][] = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];
const THIN = "\u2009";

function group(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+(?!\d))/g, THIN);
}

/* Three digits and a scale, rounded down so that 999,999 is never "1000 k". */
function scaled(n: number): string {
  for (const [size, unit] of SCALES)
    if (n >= size) {
      const shown = n / size;
      const digits = shown >= 100 ? 0 : 1;
      const cut = Math.floor(shown * 10 ** digits) / 10 ** digits;
      return `${cut.toFixed(digits)}${THIN}${unit}`;
    }
  return String(Math.round(n));
}

/* Exact up to 9,999, then 12.4 k; takes the texts in which the server sends 64-bit counts. */
export function count(n: string | number | null | undefined): string {
  if (n === null || n === undefined) return "-";
  const value = Number(n);
  return value < 10000 ? group(String(n)) : scaled(value);
}

export function exactCount(n: string | number | null | undefined): string {
  return n === null || n === undefined ? "-" : group(String(n));
}

/* Per second; slow ones per minute. */
export function rate(n: number | null | undefined): string {
  if (n === null || n === undefined) return "-";
  if (n === 0) return "0/s";
  if (n < 1) return `${Math.max(1, Math.round(n * 60))}/min`;
  return `${n < 10 ? n.toFixed(1).replace(/\.0$/, "") : n < 10000 ? group(String(Math.round(n))) : scaled(n)}/s`;
}

export function bytes(n: number | null | undefined): string {
  if (n === null || n === undefined) return "-";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) {
    n /= 1024;
    i++;
  }
  return `${i === 0 || n >= 100 ? Math.floor(n) : n.toFixed(1)}${THIN}${units[i]}`;
}

export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}${THIN}ms`;
  const s = ms / 1000;
  if (s < 60) return `${s < 10 ? s.toFixed(1) : Math.round(s)}${THIN}s`;
  const parts: [number, string][] = [
    [Math.floor(s / 86400), "d"],
    [Math.floor(s / 3600) % 24, "h"],
    [Math.floor(s / 60) % 60, "m"],
    [Math.floor(s) % 60, "s"],
  ];
  const first = parts.findIndex(([n]) => n > 0);
  return parts
    .slice(first, first + 2)
    .map(([n, unit]) => `${n}${THIN}${unit}`)
    .join(" ");
}

const two = (n: number) => String(n).padStart(2, "0");

/* 12:04:31.207, with the date when it is not today. */
export function time(ms: number, now = Date.now()): string {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return String(ms);
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
  if (at.toDateString() === new Date(now).toDateString()) return clock;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock}`;
}

export function clock(ms: number): string {
  return time(ms).replace(/\.\d+$/, "");
}

export function iso(ms: number): string {
  const at = new Date(ms);
  return Number.isNaN(at.getTime()) ? String(ms) : at.toISOString();
}

/* Characters that hide or reorder text are shown as escapes. */
export function visible(text: string): string {
  return text.replace(
    /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/* Bytes in base64 as hexadecimal pairs, the first `max` of them. */
export function hex(base64: string, max = 24): string {
  const raw = atob(base64);
  const pairs = Array.from(raw.slice(0, max), (char) => char.charCodeAt(0).toString(16).padStart(2, "0"));
  return pairs.join(" ") + (raw.length > max ? " …" : "");
}
