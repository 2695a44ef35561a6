import { KEY, otlp, otlpCounters, otlpLogs, send } from "./obsrv.js";
import { at, expect, test, url } from "./page.js";

const NOW = Date.UTC(2026, 3, 1, 12);
const TRACE = "10910910910910910910910910910910";
const STEP = "00000000000000a1";
const lines = (page) => page.getByRole("listbox", { name: "Log lines" }).getByRole("option");

test.beforeAll(async () => {
  const steps = [
    { id: "00000000000000a0", name: "order", from: NOW, to: NOW + 900 },
    { id: STEP, parent: "00000000000000a0", name: "pay", from: NOW + 100, to: NOW + 800, error: "card expired" },
  ];
  await send(url(), otlp(TRACE, steps));
  const said = Array.from({ length: 300 }, (_, n) => ({
    at: NOW - 60_000 - n * 1000,
    level: [5, 9, 13][n % 3],
    body: `line ${n} of the shop`,
    attributes: { "http.route": n % 2 ? "/buy" : "/look" },
  }));
  await send(url(), otlpLogs("logs-shop", said), KEY, "logs");
  const ofTheTrace = { at: NOW + 700, level: 17, body: "payment refused", traceId: TRACE, spanId: STEP };
  await send(url(), otlpLogs("logs-pay", [ofTheTrace]), KEY, "logs");
  const points = (by) => Array.from({ length: 20 }, (_, n) => [NOW + n * 10_000, n * by]);
  await send(url(), otlpCounters("meter", "tokens.used", { big: points(100), small: points(10) }), KEY, "metrics");
  await send(url(), otlpCounters("meter", "calls.made", { big: points(1) }), KEY, "metrics");
});

test("log lines are searched, narrowed by level and service, and looked at", async ({ page }) => {
  await page.goto(at("/p/1/logs?from=2026-04-01&to=2026-04-02"));
  await expect(page.getByText("301 lines")).toBeVisible();
  await expect(lines(page).first()).toContainText("payment refused");
  const levels = page.getByRole("group", { name: "Levels" });
  await expect(levels.getByRole("button", { name: /^warn/ })).toContainText("100");
  await levels.getByRole("button", { name: /^warn/ }).click();
  await expect(page.getByText("100 lines")).toBeVisible();
  // The others stay in sight, counted as without it.
  await expect(levels.getByRole("button", { name: /^info/ })).toContainText("100");
  await levels.getByRole("button", { name: /^error/ }).click();
  await expect(page.getByText("101 lines")).toBeVisible();
  await page.getByRole("combobox", { name: "Service" }).selectOption("logs-shop");
  await expect(page.getByText("100 lines")).toBeVisible();
  await page.goBack();
  await expect(page.getByText("101 lines")).toBeVisible();
  await expect(page.getByRole("img", { name: /^101 lines over time, 1 errors/ })).toBeVisible();
  const search = page.getByRole("combobox", { name: "Search logs" });
  await search.fill('"line 7 of"');
  await search.press("Enter");
  await expect(page.getByText("1 line", { exact: true })).toBeVisible();
  await lines(page).first().click();
  const detail = page.getByRole("complementary", { name: "Line" });
  await expect(detail).toContainText("http.route");
  await expect(page).toHaveURL(/line=/);
  await page.reload();
  await expect(detail).toContainText("line 7 of the shop");
  await search.fill("level:(warn");
  await search.press("Enter");
  await search.blur();
  await expect(page.getByRole("alert")).toBeVisible();
});

test("more lines come while scrolling, and few of them are in the page", async ({ page }) => {
  await page.goto(at("/p/1/logs?q=service%3Alogs-shop"));
  await expect(page.getByText("300 lines")).toBeVisible();
  const list = page.getByRole("listbox", { name: "Log lines" });
  await expect
    .poll(async () => {
      await list.evaluate((element) => element.scrollTo(0, element.scrollHeight));
      return await page.getByText("line 299 of the shop").count();
    })
    .toBe(1);
  expect(await lines(page).count()).toBeLessThan(120);
});

test("a line leads to its step, and the trace and the step to their lines", async ({ page }) => {
  await page.goto(at("/p/1/logs?q=service%3Alogs-pay"));
  await lines(page).first().click();
  await page.getByRole("link", { name: "Step of the trace" }).click();
  const step = page.getByRole("complementary", { name: "Step" });
  await expect(step).toContainText("card expired");
  await step.getByRole("tab", { name: "Logs" }).click();
  await expect(step).toContainText("payment refused");
  await page.getByRole("tablist", { name: "Views of the trace" }).getByRole("tab", { name: "Logs" }).click();
  await page.locator("summary", { hasText: "payment refused" }).click();
  await expect(page.getByText("logs-pay").first()).toBeVisible();
  await page.getByRole("link", { name: "Search in these lines" }).click();
  await expect(page).toHaveURL(/\/logs\?q=trace_id/);
  await expect(lines(page)).toHaveCount(1);
});

test("live: a new line comes in by itself", async ({ page }) => {
  await page.goto(at("/p/1/logs?q=service%3Alogs-live&live=1"));
  await expect(page.getByText("No log line")).toBeVisible();
  await send(url(), otlpLogs("logs-live", [{ at: Date.now(), level: 9, body: "it lives" }]), KEY, "logs");
  await expect(lines(page)).toHaveText(/it lives/);
});

test("metric points are lines by their attributes", async ({ page }) => {
  await page.goto(at("/p/1/metrics?q=service%3Ameter"));
  const list = page.getByRole("navigation", { name: "Metrics" });
  await expect(list.getByRole("button")).toHaveCount(2);
  const search = page.getByRole("combobox", { name: "Search metric points" });
  await search.fill("service:meter attributes.mod");
  await page.getByRole("option", { name: /^attributes.model/ }).click();
  await page.getByRole("option", { name: /^small/ }).click();
  await expect(page).toHaveURL(/attributes.model%3Asmall/);
  await page.goBack();
  await list.getByRole("button", { name: /tokens.used/ }).click();
  await expect(page.getByText(/2 series, 40 points/)).toBeVisible();
  const chart = page.getByRole("application", { name: /tokens.used, token a second/ });
  await chart.focus();
  await page.keyboard.press("ArrowLeft");
  const legend = page.locator("figure", { has: chart }).locator(".legend li");
  // 100 in 10 seconds, and 10.
  await expect(legend.filter({ hasText: "big" })).toContainText("10");
  await expect(legend.filter({ hasText: "small" }).locator("b")).toHaveText("1");
  await page.getByRole("combobox", { name: "Shows" }).selectOption("value");
  await expect(page.getByRole("row", { name: /meter.*big/ })).toContainText("1.9K");
  await page.getByRole("row", { name: /meter.*small/ }).getByRole("button", { name: /small/ }).click();
  await expect(page).toHaveURL(/attributes.model%3Asmall/);
  await expect(page.getByText(/1 series, 20 points/)).toBeVisible();
});

test("more points than are fetched are drawn in steps, all of them", async ({ page }) => {
  // Two series of 3,000 points, one every ten seconds; the older one ends where the newer one begins.
  const points = (from) => Array.from({ length: 3000 }, (_, n) => [NOW - 60_000_000 + (from + n) * 10_000, (from + n) * 20]);
  await send(url(), otlpCounters("many", "steps.taken", { older: points(0), newer: points(3000) }), KEY, "metrics");
  await page.goto(at("/p/1/metrics?q=service%3Amany"));
  await expect(page.getByText(/2 series, 6,000 points/)).toBeVisible();
  const chart = page.getByRole("application", { name: /steps.taken, token a second/ });
  const legend = page.locator("figure", { has: chart }).locator(".legend li");
  await chart.focus();
  // 20 in 10 seconds, at the first step that can be told and at the last.
  await page.keyboard.press("ArrowLeft");
  await expect(legend.filter({ hasText: "newer" }).locator("b")).toHaveText("2");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  await expect(legend.filter({ hasText: "older" }).locator("b")).toHaveText("2");
});
