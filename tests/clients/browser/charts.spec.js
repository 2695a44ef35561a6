import { KEY, otlpLogs, send } from "./obsrv.js";
import { at, expect, headline, test, url } from "./page.js";

// One month of the samples has nearly all of the failed runs.
const TIME = "from=2025-12-20&to=2026-01-10";

test("charts draw, group, and lead to the traces of a point of a line", async ({ page }) => {
  await page.goto(at(`/p/1/charts?${TIME}`));
  const chart = page.getByRole("application", { name: /^Runs per/ });
  await chart.focus();
  await page.keyboard.press("ArrowLeft");
  for (let n = 0; n < 40 && !/[1-9]/.test(await chart.locator("xpath=..").locator(".legend").textContent()); n++) {
    await page.keyboard.press("ArrowLeft");
  }
  const line = chart.locator("xpath=..").locator(".legend li", { hasText: "failed" });
  for (let n = 0; n < 4 && !/is-meant/.test((await line.getAttribute("class")) ?? ""); n++) {
    await page.keyboard.press("ArrowDown");
  }
  const promised = (await line.locator("b").textContent()).trim();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/traces\?from=.*q=status%3Aerror/);
  await expect(headline(page)).toHaveText(promised);
});

test("a cell of the heat map leads to the traces in it", async ({ page }) => {
  await page.goto(at(`/p/1/charts?${TIME}`));
  const chart = page.getByRole("application", { name: /every run/ });
  await expect(page.getByText(/up to [\d,]+ in a cell/)).toBeVisible();
  const said = page.locator("figure", { has: chart }).locator("figcaption span");
  await chart.focus();
  // The lowest band first, then what is above it.
  let found = null;
  for (let up = 0; up < 18 && !found; up++) {
    for (let along = 0; along < 70 && !found; along++) {
      await page.keyboard.press(up % 2 === 0 ? "ArrowRight" : "ArrowLeft");
      found = /: ([1-9][\d,]*)$/.exec((await said.textContent()) ?? "")?.[1] ?? null;
    }
    if (!found) await page.keyboard.press("ArrowUp");
  }
  expect(found).not.toBeNull();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/duration/);
  await expect(headline(page)).toHaveText(/[1-9]/);
});

test("a dashboard is made, changed, found again and deleted", async ({ page }) => {
  await page.goto(at(`/p/1/charts?${TIME}`));
  await page.getByRole("button", { name: /^Dashboards/ }).click();
  await page.getByRole("button", { name: "New dashboard" }).click();
  await page.getByRole("dialog").getByRole("textbox", { name: "Name" }).fill("Nightly");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await expect(page).toHaveURL(/\/charts\/\d+\?/);
  await page.getByRole("button", { name: "Chart", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "A new chart" });
  await dialog.getByRole("combobox", { name: "Shows" }).selectOption("runs");
  await dialog.getByRole("combobox", { name: "A line for each" }).selectOption("metadata.corpus");
  await dialog.getByRole("textbox", { name: "Only those that pass" }).fill("status:error");
  await dialog.getByRole("textbox", { name: "Title" }).fill("Failures by corpus");
  await dialog.getByRole("button", { name: "Save" }).click();
  const chart = page.locator("figure", { has: page.getByRole("application", { name: /^Failures by corpus/ }) });
  await expect(chart.locator(".legend")).toContainText("tau");
  await page.reload();
  await expect(chart.locator(".legend")).toContainText("tau");
  const all = page.getByRole("application");
  const before = await all.count();
  await page.getByRole("button", { name: "Change Runs" }).click();
  await page.getByRole("button", { name: "Take away" }).click();
  await expect(all).toHaveCount(before - 1);
  // It is no view of the list.
  await page.goto(at("/p/1/traces"));
  await page.getByRole("button", { name: "Saved views" }).click();
  await expect(page.getByText("No view is saved yet")).toBeVisible();
  await page.goBack();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(page).toHaveURL(/\/charts\?/);
});

test("a chart of log lines stands beside those of traces, and leads to the lines", async ({ page }) => {
  const begin = Date.UTC(2025, 11, 28);
  const levels = [9, 9, 17, 17, 17];
  const lines = levels.map((level, n) => ({ at: begin + n, level, body: `of a chart ${n}` }));
  await send(url(), otlpLogs("charted", lines), KEY, "logs");
  // The search of the page is of traces: no line would pass it.
  await page.goto(at(`/p/1/charts?${TIME}&q=metadata.corpus%3Atau`));
  await page.getByRole("button", { name: /^Dashboards/ }).click();
  await page.getByRole("button", { name: "New dashboard" }).click();
  await page.getByRole("dialog").getByRole("textbox", { name: "Name" }).fill("Lines");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await expect(page).toHaveURL(/\/charts\/\d+\?/);
  await page.getByRole("button", { name: "Chart", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "A new chart" });
  await dialog.getByRole("combobox", { name: "Shows" }).selectOption("latency");
  await dialog.getByRole("combobox", { name: "Of", exact: true }).selectOption("logs");
  // What lines do not have cannot be shown of them.
  await expect(dialog.getByRole("combobox", { name: "Shows" })).toHaveValue("runs");
  await dialog.getByRole("textbox", { name: "Only those that pass" }).fill("service:(");
  await dialog.getByRole("textbox", { name: "Title" }).fill("Lines by level");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.getByRole("alert")).toBeVisible();
  await dialog.getByRole("textbox", { name: "Only those that pass" }).fill("service:charted");
  await dialog.getByRole("button", { name: "Save" }).click();
  const chart = page.getByRole("application", { name: /^Lines by level/ });
  const legend = page.locator("figure", { has: chart }).locator(".legend");
  await expect(legend).toContainText("error");
  await expect(legend).toContainText("info");
  await chart.focus();
  for (let n = 0; n < 70 && !/[1-9]/.test(await legend.textContent()); n++) {
    await page.keyboard.press("ArrowLeft");
  }
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/p\/1\/logs\?from=.*q=service%3Acharted/);
  await expect(page.getByText("of a chart 3")).toBeVisible();
});
