/* What kind of text is to be run: comments and white space do not count. */

export function bare(sql: string): string {
  return sql
    .replace(/--[^\n]*/g, " ")
    .replace(/\/\*[\s\S]*?\*\//g, " ")
    .trim();
}

/* SELECT and PRINT give rows; all else gives answers of statements. */
export function givesRows(sql: string): boolean {
  return /^(SELECT|PRINT)\b/i.test(bare(sql));
}

export function isPush(sql: string): boolean {
  return /\bEMIT\s+(CHANGES|FINAL)\b/i.test(bare(sql)) || /^PRINT\b/i.test(bare(sql));
}

/* Does it drop something that does not come back? The word, or null. */
export function destroys(sql: string): string | null {
  return /(?:^|;)\s*(DROP\s+\w+|TERMINATE|DELETE\s+TOPIC)\b/i.exec(bare(sql))?.[1]?.toUpperCase() ?? null;
}
