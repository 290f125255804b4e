import { describe, expect, test } from "vitest";
import { cellText, parseExact, prettyExact, printExact } from "./exact";
import { bytes, count, duration, exactCount, hex, rate, time, visible } from "./format";
import { planSteps, splitColumns } from "./plan";
import { rank } from "./rank";
import { compareCells, KeyedRows, readLine } from "./rows";
import { destroys, givesRows, isPush } from "./statement";

describe("exact JSON", () => {
  test.each([
    "9007199254740993",
    "-0.10",
    "1e400",
    '{"b":1,"a":2,"10":3,"b":4}',
    '{"n":[1.0,1.00,{"x":null}],"s":"\\u00e9\\n"}',
    "[]",
    "{}",
    '{"__proto__":1}',
  ])("%s is printed as it was read", (text) => {
    const tree = parseExact(text);
    expect(tree && printExact(tree)).toBe(text);
  });

  test.each(["", "{", "[1,]", "01", "+1", "1.", "nul", '{"a"}', '"\u0001"', "[1] 2", "'a'", "NaN", "[".repeat(300) + "]".repeat(300)])(
    "%s is broken",
    (text) => expect(parseExact(text)).toBeNull(),
  );

  test("white space goes, strings lose their quotes in cells, reading is indented", () => {
    expect(printExact(parseExact(' { "a" : [ 1 , 2 ] } ')!)).toBe('{"a":[1,2]}');
    expect(cellText(parseExact('"a\\"b"')!)).toBe('a"b');
    expect(prettyExact(parseExact('{"a":[1,{}]}')!)).toBe('{\n  "a": [\n    1,\n    {}\n  ]\n}');
  });
});

const THIN = "\u2009";

describe("numbers and times", () => {
  test.each([
    [null, "-"],
    [0, "0"],
    ["9999", `9${THIN}999`],
    [12400, `12.4${THIN}k`],
    [999999, `999${THIN}k`],
    ["31200000", `31.2${THIN}M`],
  ])("count of %s is %s", (n, text) => expect(count(n)).toBe(text));

  test.each([
    [undefined, "-"],
    [0, "0/s"],
    [0.1, "6/min"],
    [2.34, "2.3/s"],
    [3, "3/s"],
    [1204.2, `1${THIN}204/s`],
    [48213, `48.2${THIN}k/s`],
  ])("rate of %s is %s", (n, text) => expect(rate(n)).toBe(text));

  test("large counts stay exact", () => expect(exactCount("9007199254740993")).toBe(["9", "007", "199", "254", "740", "993"].join(THIN)));

  test.each([
    [0, `0${THIN}B`],
    [1536, `1.5${THIN}KiB`],
    [4402341478, `4.1${THIN}GiB`],
  ])("%s bytes are %s", (n, text) => expect(bytes(n)).toBe(text));

  test.each([
    [41, `41${THIN}ms`],
    [400, `400${THIN}ms`],
    [4000, `4.0${THIN}s`],
    [192000, `3${THIN}m 12${THIN}s`],
    [90000000, `1${THIN}d 1${THIN}h`],
  ])("%s ms last %s", (ms, text) => expect(duration(ms)).toBe(text));

  test("the date stands only where it is not today's", () => {
    const at = new Date(2026, 2, 1, 12, 4, 31, 207).getTime();
    expect(time(at, at)).toBe("12:04:31.207");
    expect(time(at, at + 86400000)).toBe("2026-03-01 12:04:31.207");
  });

  test("nothing hides in a text", () => {
    expect(visible("a\u202eb\u200b\u0007")).toBe("a\\u202eb\\u200b\\u0007");
    expect(visible("tab\tand é stay")).toBe("tab\tand é stay");
    expect(hex(btoa("\u0000\u00ffA"))).toBe("00 ff 41");
  });
});

describe("rows", () => {
  test("lines of a stream", () => {
    expect(readLine('{"queryId":"q1","columnNames":["A","B"],"columnTypes":["STRING","BIGINT"]}')).toEqual({
      header: { queryId: "q1", names: ["A", "B"], types: ["STRING", "BIGINT"] },
    });
    const line = readLine('["x",9007199254740993]');
    expect(line && "row" in line && line.row.map(cellText)).toEqual(["x", "9007199254740993"]);
    expect(readLine('{"@type":"generic_error","error_code":50000,"message":"no"}')).toEqual({ error: "no" });
    expect(readLine("broken")).toBeNull();
  });

  test("a key has one row, the newest, and the oldest changes go first", () => {
    const rows = new KeyedRows([0], 2);
    const put = (text: string) => {
      const tree = parseExact(text);
      if (tree?.kind === "array") rows.put(tree.items);
    };
    put('["a",1]');
    put('["b",1]');
    put('["a",2]');
    expect(rows.newest(9).map((row) => row.cells.map(cellText).join())).toEqual(["a,2", "b,1"]);
    expect(rows.newest(1)[0]?.changes).toBe(2);
    put('["c",1]');
    expect(rows.sorted([0], 9).map((row) => cellText(row.cells[0]!))).toEqual(["a", "c"]);
  });

  test("whole numbers compare without rounding", () => {
    const [a, b] = [parseExact("9007199254740992")!, parseExact("9007199254740993")!];
    expect(compareCells(a, b)).toBe(-1);
    expect(compareCells(parseExact("2")!, parseExact("10")!)).toBe(-1);
  });
});

test("statements", () => {
  expect(givesRows("-- note\n select 1")).toBe(true);
  expect(givesRows("SELECTED")).toBe(false);
  expect(isPush("SELECT * FROM a EMIT\nCHANGES;")).toBe(true);
  expect(isPush("SELECT * FROM a;")).toBe(false);
  expect(destroys("SHOW TOPICS; drop  table a;")).toBe("DROP  TABLE");
  expect(destroys("SELECT 'DROP TABLE' FROM a;")).toBeNull();
});

test("search hits: beginnings, then parts, then letters in order; the rest goes", () => {
  const names = ["my_orders", "orders", "o_r_d", "customers", "orders_big"].map((name) => ({ name }));
  expect(rank(names, "ord").map((hit) => hit.name)).toEqual(["orders", "orders_big", "my_orders", "o_r_d"]);
});

test("plan steps from the source to the sink", () => {
  expect(splitColumns("`A` STRING KEY, `B` STRUCT<`X` INTEGER, `Y` DECIMAL(4, 2)>")).toEqual(["`A` STRING KEY", "`B` STRUCT<`X` INTEGER, `Y` DECIMAL(4, 2)>"]);
  const text = " > [ SINK ] | Schema: `A` STRING KEY | Logger: Q.S\n\t\t > [ SOURCE ] | Schema: `A` STRING KEY, `B` BIGINT | Logger: Q.K [\nTopic: t\n";
  expect(planSteps(text)?.map((step) => step.name)).toEqual(["SOURCE", "SINK"]);
  expect(planSteps("no plan")).toBeNull();
});
