/* Order of search hits: names that begin with the text, then those that hold it, then those that hold its letters in
 * order; shorter names first. Those without the letters are dropped. */
export function rank<T extends { name: string }>(hits: T[], text: string): T[] {
  const q = text.toLowerCase();
  const scored: { hit: T; score: number; at: number }[] = [];
  hits.forEach((hit, at) => {
    const name = hit.name.toLowerCase();
    const found = name.indexOf(q);
    let have = 0;
    for (const char of name) if (char === q[have]) have++;
    if (found < 0 && have < q.length) return;
    const score = found === 0 ? 0 : found > 0 ? 1000 : 2000;
    scored.push({ hit, score: score + (q === "" ? 0 : Math.min(name.length, 900)), at });
  });
  return scored.sort((a, b) => a.score - b.score || a.at - b.at).map((entry) => entry.hit);
}
