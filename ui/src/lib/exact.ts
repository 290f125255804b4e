/* JSON as it was written: number text, order of members and duplicates stay. JavaScript's own parser rounds 64-bit
 * integers and reorders integer-like names, so it is never used for data of people.
 *
 * Depth is limited to DEPTH_MAX; broken text gives null.
 */
export type Exact =
  | { kind: "number" | "literal"; text: string }
  | { kind: "string"; text: string; value: string }
  | { kind: "array"; items: Exact[] }
  | { kind: "object"; members: [string, Exact][] };

const DEPTH_MAX = 200;
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const LITERAL = /true|false|null/y;

class Broken extends Error {}

class Reader {
  private at = 0;

  constructor(private readonly text: string) {}

  private match(pattern: RegExp): string | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) return null;
    this.at = pattern.lastIndex;
    return found[0];
  }

  private take(char: string): boolean {
    this.match(SPACE);
    if (this.text[this.at] !== char) return false;
    this.at++;
    return true;
  }

  private expect(char: string) {
    if (!this.take(char)) throw new Broken();
  }

  private string(): { text: string; value: string } {
    this.match(SPACE);
    const text = this.match(STRING);
    if (text === null) throw new Broken();
    return { text, value: JSON.parse(text) as string };
  }

  private array(depth: number): Exact {
    const items: Exact[] = [];
    if (!this.take("]"))
      do items.push(this.value(depth + 1));
      while (this.take(",") || (this.expect("]"), false));
    return { kind: "array", items };
  }

  private object(depth: number): Exact {
    const members: [string, Exact][] = [];
    if (!this.take("}"))
      do {
        const name = this.string().value;
        this.expect(":");
        members.push([name, this.value(depth + 1)]);
      } while (this.take(",") || (this.expect("}"), false));
    return { kind: "object", members };
  }

  value(depth: number): Exact {
    if (depth > DEPTH_MAX) throw new Broken();
    if (this.take("{")) return this.object(depth);
    if (this.take("[")) return this.array(depth);
    if (this.text[this.at] === '"') return { kind: "string", ...this.string() };
    const literal = this.match(LITERAL);
    if (literal !== null) return { kind: "literal", text: literal };
    const number = this.match(NUMBER);
    if (number === null || number === "") throw new Broken();
    return { kind: "number", text: number };
  }

  whole(): Exact {
    const value = this.value(0);
    this.match(SPACE);
    if (this.at !== this.text.length) throw new Broken();
    return value;
  }
}

export function parseExact(text: string): Exact | null {
  try {
    return new Reader(text).whole();
  } catch (error) {
    if (error instanceof Broken) return null;
    throw error;
  }
}

/* One line, without spaces added. */
export function printExact(value: Exact): string {
  if (value.kind === "array") return `[${value.items.map(printExact).join(",")}]`;
  if (value.kind === "object")
    return `{${value.members.map(([name, member]) => `${JSON.stringify(name)}:${printExact(member)}`).join(",")}}`;
  return value.text;
}

/* What a cell shows: strings without quotes. */
export function cellText(value: Exact): string {
  return value.kind === "string" ? value.value : printExact(value);
}

/* Indented, for reading. */
export function prettyExact(value: Exact, indent = ""): string {
  const inner = `${indent}  `;
  if (value.kind === "array" && value.items.length > 0)
    return `[\n${value.items.map((item) => inner + prettyExact(item, inner)).join(",\n")}\n${indent}]`;
  if (value.kind === "object" && value.members.length > 0) {
    const lines = value.members.map(([name, member]) => `${inner}${JSON.stringify(name)}: ${prettyExact(member, inner)}`);
    return `{\n${lines.join(",\n")}\n${indent}}`;
  }
  return printExact(value);
}
