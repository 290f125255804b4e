/* What the page and its layout worker share. */
export const NODE_WIDTH = 236;
export const NODE_HEIGHT = 80;

export interface Place {
  x: number;
  y: number;
}

export interface LayoutRequest {
  version: number;
  nodes: string[];
  edges: [string, string][];
}

export interface LayoutAnswer {
  version: number;
  places: Record<string, Place>;
}

