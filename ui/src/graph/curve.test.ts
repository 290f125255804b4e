import { expect, test } from "vitest";
import type { Graph } from "../api/types";
import { curveOf, pointOn, related } from "./curve";

const edge = (from: string, to: string) => ({ id: `${from}>${to}`, from, to, kind: "read" as const });
const graph: Graph = { nodes: [], hidden: 0, edges: [edge("a", "b"), edge("b", "c"), edge("x", "c"), edge("c", "d"), edge("d", "d")] };

test("related nodes are up- and downstream, not beside", () => {
  expect([...related(graph, "b")].sort()).toEqual(["a", "b", "c", "d"]);
  expect([...related(graph, "x")].sort()).toEqual(["c", "d", "x"]);
});

test("a curve begins and ends at its nodes", () => {
  const curve = curveOf(0, 10, 200, 50);
  expect(pointOn(curve, 0)).toEqual([0, 10]);
  expect(pointOn(curve, 1)).toEqual([200, 50]);
  expect(pointOn(curve, 0.5)).toEqual([100, 30]);
});
