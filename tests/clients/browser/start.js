// Before all tests: one server with the samples, set up in the browser as a person would.
import { chromium, expect } from "@playwright/test";
import { rmSync } from "node:fs";
import path from "node:path";
import { begin, loadSamples, OWNER, sendBig, share, sharedAt } from "./obsrv.js";

export default async function start(config) {
  const server = await begin();
  await sendBig(server.url, Date.UTC(2026, 0, 5, 10));
  loadSamples(server);
  const browser = await chromium.launch(config.projects[0].use.launchOptions);
  const page = await browser.newPage();
  await page.goto(server.setupLink);
  await page.getByLabel("E-mail").fill(OWNER.email);
  await page.getByLabel("Name").fill(OWNER.name);
  await page.getByLabel("Password").fill(OWNER.password);
  await page.getByRole("button", { name: "Become the owner" }).click();
  await expect(page.getByRole("grid", { name: "Traces" })).toBeVisible({ timeout: 15_000 });
  const state = path.join(server.folder, "state.json");
  await page.context().storageState({ path: state });
  await browser.close();
  process.env.OBSRV_BROWSER_FACTS = sharedAt;
  share({ url: server.url, state });
  return async () => {
    await server.end();
    rmSync(sharedAt, { force: true });
  };
}
