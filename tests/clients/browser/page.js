// A page that belongs to the owner, and at which nothing may go wrong unseen: no error of a script, no
// report of the policy, no request that leaves, no 5xx.
import { expect, test as base } from "@playwright/test";
import { shared } from "./obsrv.js";

export { expect };
export const url = () => shared().url;
export const at = (path) => `${url()}${path}`;

export const test = base.extend({
  // biome-ignore lint/correctness/noEmptyPattern: the form that the runner reads
  storageState: async ({}, use) => use(shared().state),
  wrongs: async ({ context }, use) => {
    const wrongs = [];
    const own = shared().url;
    context.on("request", (request) => {
      const to = request.url();
      if (!to.startsWith(own) && !to.startsWith("data:")) wrongs.push(`request to ${to}`);
      if (to.endsWith("/csp-report")) wrongs.push(`policy: ${request.postData()}`);
    });
    context.on("response", (response) => {
      if (response.status() >= 500) wrongs.push(`${response.status()} ${response.url()}`);
    });
    context.on("weberror", (error) => wrongs.push(`error: ${error.error().stack}`));
    context.on("console", (message) => {
      // A status of 400 and above is noted by the browser itself.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
        wrongs.push(`console: ${message.text()}`);
      }
    });
    context.on("dialog", (dialog) => {
      wrongs.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    await use(wrongs);
  },
  page: async ({ page, wrongs }, use) => {
    await page.addInitScript(() => {
      window.__wrongs = [];
      document.addEventListener("securitypolicyviolation", (event) =>
        window.__wrongs.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`),
      );
    });
    await use(page);
    const reported = await page.evaluate(() => window.__wrongs ?? []).catch(() => []);
    expect([...wrongs, ...reported]).toEqual([]);
  },
});

export const rows = (page) => page.getByRole("grid", { name: "Traces" }).getByRole("row").filter({ has: page.getByRole("gridcell") });
export const headline = (page) => page.locator(".list-head b").first();
