// How long people wait, measured in the browser against the real binary. Not a test: it prints.
//
//   npm run measure                                     with 1,000,000 spans
//   OBSRV_MEASURE_SPANS=100000 npm run measure          with fewer
//   OBSRV_BIN=../../../target/release/obsrv npm run measure
import { execFileSync } from "node:child_process";
import { cpus, loadavg } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "@playwright/test";
import config from "./playwright.config.js";
import { BIG, BINARY, begin, otlp, OWNER, send, sendBig } from "./obsrv.js";

const SPANS = Number(process.env.OBSRV_MEASURE_SPANS ?? 1_000_000);
const ROUNDS = Number(process.env.OBSRV_MEASURE_ROUNDS ?? 9);
const PER_TRACE = 10;
const PER_REQUEST = 5000;
const IN_FLIGHT = 2;
const MIDDLE = (n) => `a300${n.toString(16).padStart(28, "0")}`;
const NOW = Date.now();

const hex = (n, width) => n.toString(16).padStart(width, "0");
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

// Runs of an agent: some fail, of forty customers, three models.
function run(n) {
  const start = NOW - 7 * 86_400_000 + Math.floor((n * 7 * 86_400_000) / (SPANS / PER_TRACE));
  const root = hex(n * PER_TRACE + 1, 16);
  return otlp(
    hex(n + 1, 32),
    Array.from({ length: PER_TRACE }, (_, at) => ({
      id: hex(n * PER_TRACE + at + 1, 16),
      parent: at === 0 ? undefined : root,
      name: at === 0 ? "support agent" : at % 3 ? "chat" : "search",
      from: start + at * 100,
      to: start + at * 100 + (at === 0 ? 1200 : 90),
      error: n % 13 === 0 && at === 9 ? "rate limit" : n % 13 === 0 && at === 0 ? "gave up" : undefined,
      attributes: {
        "openinference.span.kind": at === 0 ? "AGENT" : at % 3 ? "LLM" : "TOOL",
        ...(at === 0 ? { "metadata.customer": `customer-${n % 40}`, "user.id": `user-${n % 977}`, "session.id": `s-${n >> 2}` } : {}),
        ...(at > 0 && at % 3 ? { "gen_ai.request.model": ["large", "small", "mini"][n % 3], "gen_ai.usage.input_tokens": 100 + (n % 50) } : {}),
        "input.value": `Where is order ${n * 31}? It should have come on day ${at}.`,
        "output.value": "I look it up and tell you as soon as it is known.",
      },
    })),
  ).resourceSpans;
}

// 300 steps in turns of twenty.
function middle(round) {
  const id = (n) => hex(n + 1, 16);
  const steps = Array.from({ length: 300 }, (_, n) => ({
    id: id(n),
    parent: n === 0 ? undefined : id(n % 20 === 0 ? 0 : n - (n % 20)),
    name: n === 0 ? "the run" : n % 20 === 0 ? "turn" : "call",
    from: NOW + n * 10,
    to: NOW + n * 10 + (n === 0 ? 3000 : 9),
  }));
  return otlp(MIDDLE(round), steps);
}

async function fill(url) {
  await sendBig(url, NOW);
  const requests = Array.from({ length: ROUNDS }, (_, round) => () => middle(round));
  for (let first = 0; first < SPANS / PER_TRACE; first += PER_REQUEST / PER_TRACE) {
    const last = Math.min(SPANS / PER_TRACE, first + PER_REQUEST / PER_TRACE);
    requests.push(() => ({ resourceSpans: Array.from({ length: last - first }, (_, at) => run(first + at)).flat() }));
  }
  const started = performance.now();
  let next = 0;
  const work = async () => {
    while (next < requests.length) await send(url, requests[next++]());
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  return (performance.now() - started) / 1000;
}

// In the page: frames until something holds, counted from when it was asked for.
function helpers() {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  window.frames_until = async (holds, act) => {
    const start = performance.now();
    act();
    do await frame();
    while (!holds() && performance.now() - start < 60_000);
    return performance.now() - start;
  };
  window.type_search = (text) => {
    const input = document.querySelector("[role=combobox]");
    input.focus();
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, text);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };
  window.settled = (what) =>
    !document.querySelector(what) && !document.querySelector(".list-head")?.textContent.includes("Loading…");
  // The first frame with rows in it, from the beginning of the navigation.
  window.first_rows = (async () => {
    while (!document.querySelector(".grid-row:not(.is-ghost)")) await frame();
    return performance.now();
  })();
}

async function measured(browser, state, url, act, page0) {
  const times = [];
  for (let round = 0; round < ROUNDS; round++) {
    const context = await browser.newContext({ storageState: state, viewport: { width: 1440, height: 900 } });
    await context.addInitScript(helpers);
    const page = await context.newPage();
    if (page0) {
      await page.goto(url + page0);
      await page.locator(".facet").first().waitFor();
      await page.waitForLoadState("networkidle");
    }
    times.push(await act(page, round));
    await context.close();
  }
  return times;
}

const LIST = "/p/1/traces";

const WAITS = [
  [
    "first load, cold, to rows of the list",
    null,
    async (page, _, url) => {
      await page.goto(url + LIST);
      return page.evaluate(() => window.first_rows);
    },
  ],
  [
    "filter typed to its rows",
    LIST,
    (page, round) =>
      page.evaluate(async (search) => {
        window.type_search(search);
        const input = document.querySelector("[role=combobox]");
        const enter = () => input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
        return window.frames_until(() => location.search.includes("q=") && window.settled(".grid.is-stale"), enter);
      }, `metadata.customer:customer-${round}`),
  ],
  [
    "click on a facet to rows and all facets",
    LIST,
    (page) =>
      page.evaluate(async () => {
        const value = [...document.querySelectorAll(".facet-value")].find((one) => one.textContent.includes("error"));
        return window.frames_until(
          () => location.search.includes("q=") && window.settled(".is-stale"),
          () => value.click(),
        );
      }),
  ],
  [
    "text typed to its rows",
    LIST,
    (page, round) =>
      page.evaluate(async (search) => {
        window.type_search(search);
        const input = document.querySelector("[role=combobox]");
        const enter = () => input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
        return window.frames_until(() => location.search.includes("q=") && window.settled(".grid.is-stale"), enter);
      }, `"order ${31 * (round + 5)}"`),
  ],
  [
    "trace of 300 steps, from the list",
    LIST,
    (page, round) =>
      page.evaluate(
        (to) =>
          window.frames_until(
            () => document.querySelector(".waterfall-row"),
            () => history.pushState(null, "", to),
          ),
        `/p/1/traces/${MIDDLE(round)}`,
      ),
  ],
  [
    "trace of 100,000 steps, from the list",
    LIST,
    (page) =>
      page.evaluate(
        (to) =>
          window.frames_until(
            () => document.querySelector(".waterfall-row"),
            () => history.pushState(null, "", to),
          ),
        `/p/1/traces/${BIG.trace}`,
      ),
  ],
];

async function scrolled(page, url) {
  await page.goto(`${url}/p/1/traces/${BIG.trace}`);
  await page.locator(".waterfall-row").first().waitFor();
  return page.evaluate(async () => {
    const box = document.querySelector(".waterfall-rows");
    const times = [];
    let last = await new Promise(requestAnimationFrame);
    for (let n = 0; n < 240; n++) {
      box.scrollTop += 700;
      const now = await new Promise(requestAnimationFrame);
      times.push(now - last);
      last = now;
    }
    times.sort((a, b) => a - b);
    return [times[120], times[228]];
  });
}

async function signedIn(browser, server) {
  const page = await browser.newPage();
  await page.goto(server.setupLink);
  await page.getByLabel("E-mail").fill(OWNER.email);
  await page.getByLabel("Name").fill(OWNER.name);
  await page.getByLabel("Password").fill(OWNER.password);
  await page.getByRole("button", { name: "Become the owner" }).click();
  await page.waitForURL(/\/p\/1\//);
  const state = await page.context().storageState();
  await page.close();
  return state;
}

const server = await begin();
const browser = await chromium.launch(config.use.launchOptions);
try {
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  const commit = execFileSync("git", ["-C", root, "rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  const inTree = path.relative(root, BINARY);
  const binary = inTree.startsWith("..") ? path.basename(BINARY) : inTree;
  const machine = `${cpus().length} x ${cpus()[0].model.trim()}`;
  console.log(`commit ${commit}, ${binary}, ${machine}, load ${loadavg()[0].toFixed(1)}, Chromium ${browser.version()}`);
  const state = await signedIn(browser, server);
  const seconds = await fill(server.url);
  console.log(`${SPANS + 300 * ROUNDS + BIG.steps} spans sent in ${seconds.toFixed(0)} s; ${ROUNDS} rounds each, in a new context\n`);
  console.log("| what | median ms | least | most |\n|---|---|---|---|");
  for (const [name, page0, act] of WAITS) {
    const times = await measured(browser, state, server.url, (page, round) => act(page, round, server.url), page0);
    const [low, high] = [Math.min(...times), Math.max(...times)];
    console.log(`| ${name} | ${median(times).toFixed(0)} | ${low.toFixed(0)} | ${high.toFixed(0)} |`);
  }
  const context = await browser.newContext({ storageState: state, viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  const [half, most] = await scrolled(page, server.url);
  console.log(`| frame while scrolling through 100,000 steps | ${half.toFixed(1)} | | 95 of 100 below ${most.toFixed(1)} |`);
} finally {
  await browser.close();
  await server.end();
}
