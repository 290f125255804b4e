/* What moves along the edges: one canvas above them, 30 frames a second, nothing when the tab is hidden, far away, or
 * motion is not wanted. Speed is constant; density tells the rate. */
import { useStore } from "@xyflow/react";
import { useEffect, useRef } from "react";
import { flow } from "../api/live";
import type { Graph } from "../api/types";
import { curveOf, pointOn } from "./curve";
import { NODE_HEIGHT, NODE_WIDTH, type Place } from "./sizes";

const FRAME_MS = 33;
const CROSSING_MS = 2400;
const PARTICLES_MAX = 400;

/* On screen at once, on one edge. */
function particles(rate: number): number {
  return rate > 0 ? Math.min(8, 1 + Math.round(2 * Math.log10(1 + rate))) : 0;
}

export function Particles({ graph, places }: { graph: Graph; places: Record<string, Place> }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const transform = useStore((state) => state.transform);
  const view = useRef(transform);
  view.current = transform;
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    let last = 0;
    let frame = 0;
    const curves = graph.edges.flatMap((edge) => {
      const from = places[edge.from];
      const to = places[edge.to];
      return from && to ? [{ id: edge.id, curve: curveOf(from.x + NODE_WIDTH, from.y + NODE_HEIGHT / 2, to.x, to.y + NODE_HEIGHT / 2) }] : [];
    });
    const draw = (now: number) => {
      frame = requestAnimationFrame(draw);
      if (now - last < FRAME_MS || document.hidden) return;
      last = now;
      const ratio = window.devicePixelRatio || 1;
      const width = element.clientWidth;
      const height = element.clientHeight;
      if (element.width !== width * ratio || element.height !== height * ratio) {
        element.width = width * ratio;
        element.height = height * ratio;
      }
      const [x, y, zoom] = view.current;
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, element.width, element.height);
      if (zoom < 0.4 || flow.isStale()) return;
      context.setTransform(ratio * zoom, 0, 0, ratio * zoom, ratio * x, ratio * y);
      context.fillStyle = getComputedStyle(element).color;
      let left = PARTICLES_MAX;
      for (const { id, curve } of curves) {
        const figures = flow.figures?.edges[id];
        const n = Math.min(left, particles(figures?.rate ?? (figures?.bytes ? 1 : 0)));
        left -= n;
        for (let i = 0; i < n; i++) {
          const [px, py] = pointOn(curve, (now / CROSSING_MS + i / n) % 1);
          context.beginPath();
          context.arc(px, py, 2.4, 0, 7);
          context.fill();
        }
      }
    };
    frame = requestAnimationFrame(draw);
    return () => cancelAnimationFrame(frame);
  }, [graph, places]);
  return <canvas ref={canvas} style={{ width: "100%", height: "100%", color: "var(--accent)" }} aria-hidden="true" />;
}
