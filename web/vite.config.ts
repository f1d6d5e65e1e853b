/**
 * Build of the page: plain files that a strict Content-Security-Policy admits (no inline script, style or data URL), to
 * be embedded in the binary. `npm run dev` proxies the API to a running service, NTP_MONITOR_URL.
 */
import { defineConfig } from "vite";

const service = process.env["NTP_MONITOR_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  // The service accepts changes from its own page only, so the proxy keeps the host name that the browser shows.
  server: { proxy: Object.fromEntries(["/api", "/health"].map((path) => [path, { target: service, changeOrigin: false }])) },
});
