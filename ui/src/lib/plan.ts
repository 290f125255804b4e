/* Steps of EXPLAIN's text, from the source to the sink:
 *
 *    > [ SINK ] | Schema: `A` STRING KEY, `B` BIGINT | Logger: Q.T
 *         > [ SOURCE ] | Schema: ... | Logger: ...
 */
export interface PlanStep {
  name: string;
  columns: string[];
  depth: number;
}

const LINE = /^(\s*)> \[ (\w+) \] \| Schema: (.*?) \| Logger: /;

/* Commas inside of < > and ( ) belong to a type. */
export function splitColumns(schema: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let part = "";
  for (const char of schema) {
    if (char === "<" || char === "(") depth++;
    if (char === ">" || char === ")") depth--;
    if (char === "," && depth === 0) {
      parts.push(part.trim());
      part = "";
    } else part += char;
  }
  if (part.trim() !== "") parts.push(part.trim());
  return parts;
}

/* null when a line is not understood: the text itself is shown then. */
export function planSteps(text: string): PlanStep[] | null {
  const steps: PlanStep[] = [];
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    const found = LINE.exec(line);
    if (found) steps.push({ name: found[2] ?? "", columns: splitColumns(found[3] ?? ""), depth: (found[1] ?? "").length });
    else if (/^\s*>/.test(line)) return null;
  }
  const depths = [...new Set(steps.map((step) => step.depth))].sort((a, b) => a - b);
  if (steps.length === 0 || depths.length !== steps.length) return null; /* joins branch: the text shows it better */
  return steps.reverse();
}
