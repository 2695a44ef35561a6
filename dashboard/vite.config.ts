import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // Its polyfill would be code made from text; every browser with light-dark() preloads modules.
    modulePreload: { polyfill: false },
    // Nothing is inlined: the page's policy allows files of its own origin alone.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  server: {
    proxy: Object.fromEntries(
      ["/v1", "/openapi.json", "/csp-report"].map((path) => [path, "http://127.0.0.1:4318"]),
    ),
  },
});
