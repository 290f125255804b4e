/* Address, word, key after `g`. */
export const PAGES: [string, string, string][] = [
  ["flow", "Flow", "f"],
  ["topics", "Topics", "t"],
  ["tables", "Tables", "b"],
  ["queries", "Queries", "q"],
  ["sql", "SQL", "s"],
  ["connectors", "Connectors", "c"],
];
