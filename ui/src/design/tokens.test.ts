import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const css = readFileSync(new URL("./tokens.css", import.meta.url), "utf8");
const blocks = css.split("}").map((block) => new Map([...block.matchAll(/--([a-z0-9-]+):\s*(#[0-9a-f]{6})/g)].map((found) => [found[1] ?? "", found[2] ?? ""])));
const themes = blocks.filter((block) => block.has("text"));

/* WCAG 2.x. */
function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [x, y] = [luminance(a), luminance(b)].sort((m, n) => n - m) as [number, number];
  return (x + 0.05) / (y + 0.05);
}

test("there are a light and a dark theme, and the dark one is the same in both of its places", () => {
  expect(themes.length).toBe(3);
  expect([...(themes[1] ?? [])]).toEqual([...(themes[2] ?? [])]);
});

test.each(["text", "text2", "text3", "accent", "ok", "warn", "bad", "info"])("%s can be read on every ground", (token) => {
  for (const theme of themes)
    for (const ground of ["bg", "surface", "raised"]) expect(contrast(theme.get(token) ?? "", theme.get(ground) ?? "")).toBeGreaterThanOrEqual(4.5);
});

test("borders of controls can be seen, and text on the accent can be read", () => {
  for (const theme of themes) {
    for (const ground of ["bg", "surface", "raised"]) expect(contrast(theme.get("control") ?? "", theme.get(ground) ?? "")).toBeGreaterThanOrEqual(3);
    expect(contrast(theme.get("on-accent") ?? "", theme.get("accent") ?? "")).toBeGreaterThanOrEqual(4.5);
  }
});
