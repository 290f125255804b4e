import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The server writes the policy that forbids inline scripts and foreign sources; nothing here may need them.
const server = process.env.RIALTO_HTTP ?? "http://127.0.0.1:8088";

export default defineConfig({
  base: "/ui/",
  plugins: [react()],
  worker: { format: "es" },
  build: { target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0, reportCompressedSize: false },
  server: {
    proxy: Object.fromEntries(
      ["/api", "/ksql", "/query-stream", "/connectors", "/connector-plugins"].map((path) => [
        path,
        { target: server, ws: path === "/api", changeOrigin: true, headers: { origin: server } },
      ]),
    ),
  },
});
