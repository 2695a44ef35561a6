import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: ".",
  testMatch: "*.spec.js",
  globalSetup: "./start.js",
  workers: 1,
  retries: 0,
  timeout: 30_000,
  expect: { timeout: 8_000 },
  reporter: [["list"]],
  outputDir: process.env.OBSRV_BROWSER_OUT ?? "../../../target/browser",
  use: {
    viewport: { width: 1440, height: 860 },
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: process.env.OBSRV_CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});
